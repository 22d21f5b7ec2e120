//! Records that others made: what `inspect` finds in them, and that the flags it names read them.
//!
//! The shards are TensorFlow's (tests/fixtures/make_foreign_records.py).

use std::fs;
use std::path::Path;

use floret::record::{Compression, ImageExample, ImageSchema, RecordReader, RecordWriter};
use tempfile::TempDir;

use crate::support::*;

/// A copy of a fixture's folder, as `data`.
fn data(name: &str) -> TempDir {
    let temporary = TempDir::new().unwrap();
    fs::create_dir(temporary.path().join("data")).unwrap();
    for entry in fs::read_dir(fixture("foreign").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), temporary.path().join("data").join(entry.file_name())).unwrap();
    }
    temporary
}

/// The flags that `inspect` names.
#[track_caller]
fn flags(inspected: &str) -> Vec<String> {
    let line = inspected.lines().find_map(|line| line.strip_prefix("flags:")).expect(inspected);
    line.split_whitespace().map(str::to_owned).collect()
}

#[track_caller]
fn train(folder: &Path, flags: &[&str]) -> String {
    let train = ["train", "--data", "data", "--image-size", "32", "--epochs", "1", "--out", "run"];
    succeeds(folder, &[&train[..], flags].concat())
}

#[test]
fn records_of_tensorflow_datasets_are_read_with_the_flags_that_inspect_names() {
    let temporary = data("tfds");
    let folder = temporary.path();
    let inspected = succeeds(folder, &["inspect", "data/*.tfrecord-*"]);
    holds(
        &inspected,
        &[
            "in all: 9 records",
            "0 defects",
            "JPEG YCbCr: 9",
            "photos in \"image\", labels from 0 to 2 in \"label\"",
        ],
    );
    let flags = flags(&inspected);
    assert_eq!(flags, ["--image-key", "image", "--label-key", "label", "--label-offset", "0"]);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let bare = ["train", "--data", "data", "--image-size", "32", "--epochs", "1", "--out", "bare"];
    // Without them they are found in the same way.
    let found = succeeds(folder, &bare);
    holds(
        &found,
        &[
            "no flag says how the records are to be read; from what is in them: ",
            ": --image-key image --label-key label --label-offset 0\n",
            "6 photos to train on",
        ],
    );
    holds(
        &succeeds(folder, &["eval", "--data", "data", "--model", "bare/model.safetensors"]),
        &["3 examples"],
    );
    let (trained, notes) = prints(
        folder,
        &[&["train", "--data", "data", "--image-size", "32", "--epochs", "1", "--out", "run"], &flags[..]]
            .concat(),
    );
    holds(&trained, &["6 photos to train on, 3 to evaluate on, 3 classes: disc, ring, square"]);
    holds(&notes, &["reading data/shapes-train.tfrecord-*-of-00001 as the train shards"]);
    holds(&notes, &["reading data/shapes-test.tfrecord-*-of-00001 as the eval shards"]);
    let eval = [&["eval", "--data", "data"], &MODEL[..], &flags].concat();
    holds(&succeeds(folder, &eval), &["3 examples"]);
    let bench = ["bench", "--pipeline", "--data", "data", "--epochs", "1"];
    holds(&succeeds(folder, &[&bench[..], &flags].concat()), &["\"images\":6"]);
    // They are among the settings saved.
    let resume = ["train", "--data", "data", "--out", "run", "--resume", "--epochs", "2"];
    let other = [&resume[..], &["--label-key", "image/class/label"]].concat();
    fails(folder, &other, &["--label-key image/class/label (it was label)"]);
    succeeds(folder, &[&resume[..], &["--image-key", "image"]].concat());
}

#[test]
fn records_of_slim_count_from_0_and_name_no_classes() {
    let temporary = data("slim");
    let folder = temporary.path();
    let inspected = succeeds(folder, &["inspect", "data/*"]);
    assert_eq!(flags(&inspected), ["--label-offset", "0"]);
    holds(&inspected, &["data/labels.txt is missing, and the records do not name their classes"]);
    fails(folder, &["inspect", "data/*", "--write-labels"], &["labels.txt is not written"]);
    fails(folder, &["train", "--data", "data"], &["data: labels.txt is missing", "flowers inspect"]);
    fs::write(folder.join("data/labels.txt"), "disc\nring\nsquare\n").unwrap();
    holds(&train(folder, &["--label-offset", "0"]), &["6 photos to train on, 3 to evaluate on"]);
    fs::remove_file(folder.join("data/shapes_train_00001-of-00002.tfrecord")).unwrap();
    fails(folder, &["train", "--data", "data", "--out", "other"], &["1 of the 2 shards", "shard 1"]);
}

#[test]
fn class_names_in_records_become_labels() {
    let temporary = data("keras");
    let folder = temporary.path();
    let inspected = succeeds(folder, &["inspect", "data/train"]);
    assert_eq!(flags(&inspected), ["none", "are", "needed"]);
    holds(&inspected, &["data/labels.txt is missing: --write-labels"]);
    holds(
        &succeeds(folder, &["inspect", "data/train", "--write-labels"]),
        &["wrote data/labels.txt, 3 class names"],
    );
    assert_eq!(
        fs::read_to_string(folder.join("data/labels.txt")).unwrap(),
        "background\ndisc\nring\nsquare\n"
    );
    fails(folder, &["inspect", "data/train", "--write-labels"], &["data/labels.txt is there already"]);
    holds(&train(folder, &[]), &["3 classes: disc, ring, square"]);
}

#[test]
fn classes_that_text_alone_tells_are_read_by_their_names() {
    let temporary = data("text");
    let folder = temporary.path();
    let inspected = succeeds(folder, &["inspect", "data/train", "--write-labels"]);
    holds(
        &inspected,
        &[
            "the names of 3 classes in \"label_name\"",
            "JPEG YCbCr: 6",
            "1        2  disc",
            "wrote data/labels.txt",
        ],
    );
    assert_eq!(flags(&inspected), ["--image-key", "image", "--label-key", "label_name"]);
    holds(&train(folder, &[]), &["3 classes: disc, ring, square", "6 photos to train on"]);
    fs::write(folder.join("data/labels.txt"), "disc\nring\nbox\n").unwrap();
    fails(
        folder,
        &["train", "--data", "data", "--epochs", "1", "--out", "other"],
        &["is the text \"square\""],
    );
}

/// A shard of photos, each with such a text under `label_name` and no number that could be a label.
fn texts(folder: &Path, shard: &str, texts: &[Option<&str>]) {
    let schema = ImageSchema {
        encoded: "image".into(),
        label: "number".into(),
        class_text: "label_name".into(),
        ..ImageSchema::default()
    };
    let encoded = fs::read(folder.join("photos/red/1.jpg")).unwrap();
    let mut writer = RecordWriter::create(folder.join(shard), Compression::Plain).unwrap();
    for text in texts {
        let class_text = text.map(str::to_owned);
        let example = ImageExample { encoded: encoded.clone(), class_text, ..ImageExample::default() };
        writer.write(&example.encode(&schema)).unwrap();
    }
    writer.commit().unwrap();
}

#[test]
fn shards_of_one_class_each_are_read_together() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    texts(folder, "0.tfrecord", &[Some("rose")]);
    texts(folder, "1.tfrecord", &[Some("daisy"); 150]);
    texts(folder, "2.tfrecord", &[Some("tulip"); 70]);
    let inspected = succeeds(folder, &["inspect", "*.tfrecord"]);
    holds(
        &inspected,
        &[
            "in all: 221 records",
            "JPEG YCbCr: 221",
            "    1      150  daisy",
            "    2        1  rose",
            "    3       70  tulip",
            "photos in \"image\", the names of 3 classes in \"label_name\"",
        ],
    );
    assert_eq!(flags(&inspected), ["--image-key", "image", "--label-key", "label_name"]);
    // By the flags the same is found.
    let flagged =
        succeeds(folder, &["inspect", "*.tfrecord", "--image-key", "image", "--label-key", "label_name"]);
    assert_eq!(flagged, inspected);
}

#[test]
fn records_without_a_label_are_counted_and_their_photos_checked() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    texts(folder, "test.tfrecord", &[None; 80]);
    let inspected = succeeds(folder, &["inspect", "test.tfrecord"]);
    holds(
        &inspected,
        &["80 records, ", " 0 defects", "JPEG YCbCr: 80", "say with --label-key which one does"],
    );
    let unlabeled = "80 records hold no label that can be read: `flowers predict` needs none\n";
    holds(&inspected, &[unlabeled]);
    // Beside others that have some, too.
    let labeled = [Some("rose"), Some("tulip")].repeat(500);
    texts(folder, "train.tfrecord", &labeled);
    let inspected = succeeds(folder, &["inspect", "test.tfrecord", "train.tfrecord"]);
    holds(&inspected, &["in all: 1080 records", "500  rose", " 0 defects", "JPEG YCbCr: 1080", unlabeled]);
    // A text of its own in each record is no class.
    let titles: Vec<_> = (0..30).map(|number| format!("photo {number}")).collect();
    texts(folder, "titles.tfrecord", &titles.iter().map(|title| Some(title.as_str())).collect::<Vec<_>>());
    let inspected = succeeds(folder, &["inspect", "titles.tfrecord"]);
    holds(
        &inspected,
        &[
            "the text in \"label_name\" is another in nearly every record, so it names no class",
            "30 records hold no label that can be read",
        ],
    );
}

/// Records of features with names of their own, which must be told from heights, identities and thumbnails.
#[test]
fn features_are_found_by_what_is_in_them_and_keys_are_quoted() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    fs::create_dir(folder.join("data")).unwrap();
    let path = folder.join("data/train-00000-of-00001.tfrecord");
    let schema = ImageSchema {
        encoded: "the photo".into(),
        label: "species/label".into(),
        height: "id".into(),
        ..ImageSchema::default()
    };
    let mut writer = RecordWriter::create(&path, Compression::Gzip).unwrap();
    for number in 0..8 {
        let encoded = fs::read(folder.join(format!("photos/red/{number}.jpg"))).unwrap();
        let height = Some(1_000_000 + number);
        let example = ImageExample { encoded, label: number % 2 + 1, height, ..ImageExample::default() };
        writer.write(&example.encode(&schema)).unwrap();
    }
    writer.commit().unwrap();
    let inspected = succeeds(folder, &["inspect", "data/train"]);
    holds(&inspected, &["flags:  --image-key 'the photo' --label-key species/label\n"]);
    holds(&inspected, &["data/labels.txt is missing"]);
    fs::write(folder.join("data/labels.txt"), "a\nb\nc\n").unwrap();
    holds(&succeeds(folder, &["inspect", "data/train"]), &["is a guess"]);
    let keys = ["--image-key", "the photo", "--label-key", "species/label"];
    holds(&train(folder, &keys), &["8 photos to train on"]);
    // The keys that are asked for are taken, whatever seems right.
    let named = run(folder, &["inspect", "data/train", "--image-key", "the photo", "--label-key", "id"]);
    holds(&text(&named.stdout), &["labels from 1000000 to 1000007 in \"id\""]);
}

/// TensorFlow's own reading of its records, by its names.
#[test]
fn the_library_reads_them_with_their_schema() {
    let records = RecordReader::open(fixture("foreign/tfds/shapes-train.tfrecord-00000-of-00001")).unwrap();
    for (number, record) in records.enumerate() {
        let example = ImageExample::parse(&record.unwrap().payload, &ImageSchema::tfds()).unwrap();
        assert_eq!(example.label, number as i64 % 3);
        assert_eq!(example.filename, Some(format!("{number}.jpg")));
        assert!(example.encoded.starts_with(&[0xFF, 0xD8, 0xFF]) && example.height.is_none());
    }
}
