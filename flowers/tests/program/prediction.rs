//! Which files `predict` takes for photos, what it tells other programs, and how it draws its reasons.

use std::fs;

use floret::Classifier;
use floret::image::{DecodeOptions, decode};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::*;

#[test]
fn predict_passes_over_what_is_no_photo_and_reads_nothing_huge() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let mixed = folder.join("mixed");
    fs::create_dir_all(mixed.join("more")).unwrap();
    fs::copy(folder.join("photos/red/1.jpg"), mixed.join("rose.jpg")).unwrap();
    fs::write(mixed.join("notes.txt"), "not a photo").unwrap();
    // Sparse: it takes no room on the disk, but would take 8 GiB of memory.
    fs::File::create(mixed.join("movie.mp4")).unwrap().set_len(8 << 30).unwrap();
    let predict = |photo: &'static str| [&["predict"], &MODEL[..], &[photo]].concat();

    let (predicted, notes) = prints(folder, &predict("mixed"));
    assert_eq!(predicted.lines().count(), 1, "{predicted}");
    holds(&predicted, &["rose.jpg: "]);
    holds(
        &notes,
        &["passed over mixed/notes.txt", "a text file", "passed over mixed/movie.mp4", "mixed/more"],
    );
    fails(folder, &predict("mixed/movie.mp4"), &["movie.mp4: not a photo (JPEG, PNG, ", "1 of 1 photo"]);
    fails(folder, &predict("photos"), &["holds no photos itself", "photos/blue, photos/red"]);
    fails(folder, &predict("mixed/more"), &["mixed/more holds no photos"]);

    // What begins as a photo is not read wholly either when it is far too long for one.
    let huge = folder.join("huge.jpg");
    fs::copy(folder.join("photos/red/1.jpg"), &huge).unwrap();
    fs::File::options().write(true).open(&huge).unwrap().set_len(8 << 30).unwrap();
    fails(folder, &predict("huge.jpg"), &["huge.jpg: its 8589934592 bytes are over the limit"]);
    // A photo that is cut off is an error, wherever it was found.
    let whole = fs::read(mixed.join("rose.jpg")).unwrap();
    fs::write(mixed.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    fails(folder, &predict("mixed"), &["cut.jpg: JPEG is cut off", "1 of 2 photos"]);
    // As is one that says it is 65535 pixels wide and high.
    let frame = whole.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    let mut large = whole;
    large[frame + 5..frame + 9].fill(0xFF);
    fs::write(folder.join("large.jpg"), large).unwrap();
    let errors = text(&run(folder, &predict("large.jpg")).stderr);
    holds(&errors, &["large.jpg: image of 65535x65535 pixels is over the limit", "shrink it"]);
    assert!(!errors.contains("max_pixels"), "a name of the library's: {errors}");
}

#[test]
fn json_has_the_whole_answer_or_the_fault_of_each_photo() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let mixed = folder.join("mixed");
    fs::create_dir(&mixed).unwrap();
    // Nothing in the name may end the line or act on the terminal, and the name is still the name.
    let odd = "a\"\n\u{202e}\u{9b}é.jpg";
    let photo = fs::read(folder.join("photos/red/1.jpg")).unwrap();
    fs::write(mixed.join(odd), &photo).unwrap();
    fs::write(mixed.join("cut.jpg"), &photo[..photo.len() / 2]).unwrap();
    fs::write(mixed.join("notes.txt"), "not a photo").unwrap();

    let output = run(folder, &[&["predict", "--json"], &MODEL[..], &["mixed"]].concat());
    assert_eq!(output.status.code(), Some(1));
    holds(&text(&output.stderr), &["passed over mixed/notes.txt", "1 of 2 photos could not be read"]);
    let printed = text(&output.stdout);
    assert!(!printed.contains(['\u{202e}', '\u{9b}']), "{printed}");
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [answer, fault] = &lines[..] else { panic!("{printed}") };
    assert_eq!((&answer["file"], &fault["file"]), (&format!("mixed/{odd}").into(), &"mixed/cut.jpg".into()));
    assert!(fault["error"].as_str().unwrap().starts_with("JPEG is cut off"), "{fault}");

    // One photo at a time, the library's answer is the same to the bit.
    let json = succeeds(folder, &[&["predict", "--json"], &MODEL[..], &["photos/red/1.jpg"]].concat());
    let answer: Value = serde_json::from_str(&json).unwrap();
    let prediction = Classifier::load(folder.join(MODEL[1])).unwrap().classify(&photo).unwrap();
    let got = |value: &Value| value.as_f64().unwrap() as f32;
    assert_eq!((answer["class"].as_str().unwrap(), got(&answer["probability"])), prediction.best());
    assert_eq!(answer["probabilities"].as_object().unwrap().len(), 2);
    for (class, probability) in prediction.iter() {
        assert_eq!(got(&answer["probabilities"][class]), probability, "{json}");
    }
}

#[test]
fn explain_draws_one_photo_and_its_map_side_by_side() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let explain = |picture: &'static str, photos: &[&'static str]| {
        [&["predict", "--explain", picture], &MODEL[..], photos].concat()
    };
    let (predicted, notes) = prints(folder, &explain("why.png", &["photos/red/1.jpg"]));
    assert_eq!(predicted.lines().count(), 1, "{predicted}");
    holds(&notes, &["wrote why.png"]);
    let picture = decode(&fs::read(folder.join("why.png")).unwrap(), &DecodeOptions::default()).unwrap();
    assert_eq!(picture.dim(), (256, 512, 3));
    // The photo, red on its left; somewhere the heat on its right, at its greatest.
    assert!(picture[[128, 128, 0]] > 120 && picture[[128, 128, 1]] < 120);
    let hot = |x: usize| (0..256).any(|y| picture[[y, x, 0]] > 200 && picture[[y, x, 2]] < 100);
    assert!((256..512).any(hot));

    fails(folder, &explain("two.png", &["photos/red"]), &["--explain draws one picture", "12 photos"]);
    fails(folder, &explain("none/why.png", &["photos/red/1.jpg"]), &["none/why.png"]);
    fails(folder, &explain("none.png", &["data/labels.txt"]), &["labels.txt: not a photo (JPEG, PNG, "]);
    assert!(!folder.join("two.png").exists() && !folder.join("none.png").exists());
}

/// As Kaggle's test sets are: records of a photo and its id, without a label.
#[test]
fn photos_of_records_are_classified_without_labels() {
    use floret::record::{Compression, ImageExample, ImageSchema, RecordWriter};

    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    succeeds(folder, &[TRAIN, &["--epochs", "2", "--out", "run"]].concat());
    let files: Vec<_> = (0..5).map(|photo| photos.join(format!("red/{photo}.jpg"))).collect();
    let schema = ImageSchema {
        encoded: "image".into(),
        filename: "id".into(),
        label: "other".into(),
        ..ImageSchema::default()
    };
    let mut writer = RecordWriter::create(folder.join("test00-5.tfrec"), Compression::Plain).unwrap();
    for (number, file) in files.iter().enumerate() {
        let encoded = if number == 3 { b"\xff\xd8\xff\xe0".to_vec() } else { fs::read(file).unwrap() };
        let filename = Some(format!("photo, {number}"));
        let example = ImageExample { encoded, filename, ..ImageExample::default() };
        writer.write(&example.encode(&schema)).unwrap();
    }
    writer.commit().unwrap();
    let predict = ["predict", "--model", "run/model.safetensors", "--csv"];
    let output = run(folder, &[&predict[..], &["test00-5.tfrec"]].concat());
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    let alone = succeeds(folder, &[&predict[..], &["photos/red/0.jpg", "photos/red/4.jpg"]].concat());
    let alone: Vec<&str> = alone.lines().collect();
    assert_eq!((lines.len(), &*lines[0], alone[0]), (5, "id,class,probability", "id,class,probability"));
    // The class and its probability are the same as of the file.
    let rest =
        |line: &str, name: &str| line.strip_prefix(name).unwrap_or_else(|| panic!("{line}")).to_owned();
    assert_eq!(rest(&lines[1], "\"photo, 0\","), rest(alone[1], "0.jpg,"));
    assert_eq!(rest(&lines[4], "\"photo, 4\","), rest(alone[2], "4.jpg,"));
    holds(&text(&output.stderr), &["photo, 3: JPEG is cut off", "1 of 5 photos could not be read"]);
    assert_eq!(output.status.code(), Some(1));
    let json = succeeds(
        folder,
        &["predict", "--model", "run/model.safetensors", "--json", "data/eval-00000-of-00002.tfrecord"],
    );
    assert!(json.lines().all(|line| line.contains("probabilities")), "{json}");
    // What is no file of records is told as such, and a photo is none by any name.
    fs::write(folder.join("notes.tfrecord"), "no records at all").unwrap();
    fails(
        folder,
        &[&predict[..], &["notes.tfrecord"]].concat(),
        &["notes.tfrecord: record 0", "not a TFRecord file"],
    );
    fs::copy(&files[0], folder.join("best-of-2020.jpg")).unwrap();
    holds(&succeeds(folder, &[&predict[..], &["best-of-2020.jpg"]].concat()), &["best-of-2020.jpg,"]);
    // Records without a name are called by their numbers, that of a damaged one being left out.
    let shard = folder.join("nameless.tfrec");
    let mut writer = RecordWriter::create(&shard, Compression::Plain).unwrap();
    for file in &files {
        let example = ImageExample { encoded: fs::read(file).unwrap(), ..ImageExample::default() };
        writer.write(&example.encode(&schema)).unwrap();
    }
    writer.commit().unwrap();
    let mut bytes = fs::read(&shard).unwrap();
    bytes[100] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let output = run(folder, &[&predict[..], &["nameless.tfrec"]].concat());
    let names: Vec<String> =
        text(&output.stdout).lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["1", "2", "3", "4"]);
    holds(
        &text(&output.stderr),
        &["record 0 at byte 0: the record's data is damaged", "1 of 5 photos could"],
    );
}
