//! Data sets: files left out, defects, labels, bad records.

use std::fs;
use std::io::Write;

use floret::record::crc::masked_crc32c;
use tempfile::TempDir;

use crate::html::Page;
use crate::support::*;

#[test]
fn convert_lists_every_file_left_out() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    let names: Vec<String> = (0..25).map(|number| format!("{number}.txt")).collect();
    names.iter().for_each(|name| fs::write(photos.join("red").join(name), "no photo").unwrap());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    fails(folder, &["convert", "photos", "data", "--strict"], &[&names[..], &["25 of the files"]].concat());
    let converted = succeeds(folder, &["convert", "photos", "data"]);
    holds(&converted, &names);
    assert!(!converted.contains("more"), "{converted}");
    fails(folder, &["convert", "photos", "data"], &["labels.txt and 4 more", "--overwrite"]);
    let whole = fs::read(photos.join("red/1.jpg")).unwrap();
    fs::write(photos.join("red/cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    let converted = succeeds(folder, &["convert", "photos", "data", "--overwrite"]);
    holds(&converted, &["cut.jpg: JPEG is cut off"]);
    assert!(!converted.contains("Truncated"), "a name of the library's: {converted}");
}

#[cfg(unix)]
#[test]
fn names_of_files_do_not_act_on_the_terminal() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    fs::write(photos.join("red/\u{1b}[2Jgone\nwrote all\u{202e}.jpg"), "no photo").unwrap();
    let shown = r"red/\u{1b}[2Jgone\nwrote all\u{202e}.jpg: ";
    let converted = succeeds(folder, &["convert", "photos", "data"]);
    holds(&converted, &[shown]);
    assert!(!converted.contains(['\u{1b}', '\u{202e}']), "{converted:?}");
    fails(folder, &["convert", "photos", "data", "--overwrite", "--strict"], &[shown]);
}

#[test]
fn half_a_data_set_is_not_trained_on() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    fs::write(folder.join("data/.conversion-unfinished"), "").unwrap();
    let train = [TRAIN, &["--epochs", "1", "--out", "run"]].concat();
    let says = "did not come to its end";
    let again = "run `flowers convert PHOTOS_DIR data` again";
    fails(folder, &train, &[says, again, "--overwrite"]);
    fs::remove_file(folder.join("data/labels.txt")).unwrap();
    fails(folder, &train, &[says, again]);
    assert!(!folder.join("run").exists());
}

#[test]
fn inspect_names_every_defect() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, example| (example.height, example.width) = (Some(7), Some(9)));
    fs::copy(
        folder.join("data/train-00000-of-00001.tfrecord"),
        folder.join("data/eval-00000-of-00001.tfrecord"),
    )
    .unwrap();
    records(folder, |_, _| ());
    let output = run(folder, &["inspect", "data/train", "data/eval"]);
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output.stdout);
    let defects: Vec<_> = found.lines().filter(|line| line.starts_with("defect: ")).collect();
    assert_eq!(defects.len(), 48, "{found}");
    for record in 0..24 {
        let place = format!("defect: data/eval-00000-of-00001.tfrecord: record {record} at byte ");
        let of_record: Vec<_> = defects.iter().filter(|line| line.starts_with(&place)).collect();
        assert!(of_record[0].contains("height of 7") && of_record[1].contains("width of 9"), "{found}");
    }
    holds(&text(&output.stderr), &["48 defects in 1 of 2 files"]);

    // A length over the limit, with a sound CRC.
    let length = (1u64 << 40).to_le_bytes();
    let header = [&length[..], &masked_crc32c(&length).to_le_bytes()].concat();
    fs::write(folder.join("long.tfrecord"), header).unwrap();
    let found = text(&run(folder, &["inspect", "long.tfrecord"]).stdout);
    holds(&found, &["long.tfrecord: record 0 at byte 0: the record has 1099511627776 bytes, over the limit"]);
    assert!(!found.contains("max_record_bytes"), "a name of the library's: {found}");
}

#[test]
fn text_from_files_forges_no_lines() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let text_of = "rose\n\u{1b}[2Jin all: 0 defects";
    records(folder, |number, example| {
        example.class_text = Some(text_of.into());
        if number == 3 {
            example.encoded.truncate(2);
        }
    });
    fs::rename(folder.join("data/train-00000-of-00001.tfrecord"), folder.join("a\nb\u{1b}.tfrecord"))
        .unwrap();
    let found = text(&run(folder, &["inspect", "a*.tfrecord"]).stdout);
    holds(
        &found,
        &[r"rose\n\u{1b}[2Jin all: 0 defects", r"a\nb\u{1b}.tfrecord: 24 records", r"defect: a\nb\u{1b}.t"],
    );
    assert!(!found.contains('\u{1b}'), "{found:?}");
    assert_eq!(found.lines().filter(|line| line.starts_with("in all: ")).count(), 1, "{found}");
}

#[test]
fn labels_may_count_from_0() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, example| example.label -= 1);
    let train = [TRAIN, &["--epochs", "1", "--out", "run"]].concat();
    fails(folder, &train, &["label 0 is out of range", "say --label-offset 0"]);
    succeeds(folder, &[&train[..], &["--label-offset", "0"]].concat());
    let eval = [&["eval", "--data", "data", "--split", "train"], &MODEL[..]].concat();
    fails(folder, &eval, &["label 0 is out of range", "--label-offset 0"]);
    succeeds(folder, &[&eval[..], &["--label-offset", "0"]].concat());
    succeeds(folder, &["bench", "--pipeline", "--data", "data", "--epochs", "1", "--label-offset", "0"]);
    // It is one of the settings saved.
    let resume = [TRAIN, &["--epochs", "2", "--out", "run", "--resume"]].concat();
    fails(folder, &[&resume[..], &["--label-offset", "1"]].concat(), &["--label-offset 1 (it was 0)"]);
    succeeds(folder, &resume);
    records(folder, |_, _| ());
    let other = [TRAIN, &["--epochs", "1", "--out", "other", "--label-offset", "0"]].concat();
    fails(folder, &other, &["label 2 is out of range", "say --label-offset 1"]);
}

#[test]
fn bad_records_are_left_out_and_counted_on_demand() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |number, example| {
        if number == 5 {
            example.encoded.truncate(example.encoded.len() / 2);
        }
    });
    let train = [TRAIN, &["--epochs", "2", "--out", "run"]].concat();
    let errors = text(&run(folder, &train).stderr);
    holds(&errors, &["record 5 at byte", "JPEG is cut off", "--skip-bad leaves out"]);
    assert!(!errors.contains("Truncated"), "a name of the library's: {errors}");
    let (_, notes) = prints(folder, &[&train[..], &["--skip-bad"]].concat());
    holds(&notes, &["left out 1 bad record of the train shards", "record 5 at byte"]);
    assert_eq!(notes.matches("left out").count(), 1, "{notes}");
    let eval = [&["eval", "--data", "data", "--split", "train"], &MODEL[..]].concat();
    fails(folder, &eval, &["record 5 at byte", "--skip-bad"]);
    holds(&succeeds(folder, &[&eval[..], &["--skip-bad"]].concat()), &["23 examples"]);
}

#[test]
fn what_files_say_cannot_act_on_the_terminal() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, example| example.class_text = Some("rose\nin all: 7 records\u{1b}[2J".into()));
    let inspected = succeeds(folder, &["inspect", "data/train"]);
    holds(&inspected, &[r"rose\nin all: 7 records\u{1b}[2J"]);
    assert!(!inspected.contains('\u{1b}'), "{inspected}");
}

/// The commands that the program suggests are taken by a shell as they are meant.
#[test]
fn suggested_commands_quote_their_paths() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let converted = succeeds(folder, &["convert", "photos", "da ta"]);
    holds(&converted, &["flowers train --data 'da ta' --out run"]);
    let train = ["train", "--data", "da ta", "--image-size", "32", "--epochs", "1", "--out", "r s"];
    holds(
        &succeeds(folder, &train),
        &[
            "eval --data 'da ta' --model 'r s/model.safetensors'",
            "predict --model 'r s/model.safetensors' PHOTO",
        ],
    );
}

#[test]
fn photos_that_are_split_already_become_train_eval_and_test_shards() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    for (part, numbers) in [("train", 0..8), ("val", 8..10), ("test", 10..12)] {
        for (class, number) in numbers.flat_map(|number| [("red", number), ("blue", number)]) {
            let target = folder.join("split").join(part).join(class);
            fs::create_dir_all(&target).unwrap();
            fs::copy(photos.join(format!("{class}/{number}.jpg")), target.join(format!("{number}.jpg")))
                .unwrap();
        }
    }
    let converted = succeeds(folder, &["convert", "split", "data"]);
    holds(
        &converted,
        &["class  train   eval   test", "red        8      2      2", "data/test-00000-of-00002.tfrecord"],
    );
    holds(
        &succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat()),
        &["16 photos to train on, 4 to"],
    );
    let eval = [&["eval", "--data", "data", "--split", "test"], &MODEL[..]].concat();
    holds(&succeeds(folder, &eval), &["4 examples"]);
    fs::rename(folder.join("split/val/red"), folder.join("split/val/green")).unwrap();
    fails(
        folder,
        &["convert", "split", "other"],
        &["split/val must have the class folders", "lacks `red`", "`green`"],
    );
}

#[test]
fn lists_and_nested_folders_become_shards() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let lines: Vec<String> = (0..12)
        .flat_map(|number| [format!("red/{number}.jpg,\"rosso, più\""), format!("blue/{number}.jpg,blu")])
        .collect();
    fs::write(
        folder.join("photos/list.csv"),
        format!("image,label\n{}\nred/none.jpg,blu\n", lines.join("\n")),
    )
    .unwrap();
    let converted = succeeds(folder, &["convert", "photos/list.csv", "data"]);
    holds(&converted, &["red/none.jpg: cannot be read", "total          20      4"]);
    assert_eq!(fs::read_to_string(folder.join("data/labels.txt")).unwrap(), "background\nblu\nrosso, più\n");
    fs::write(folder.join("bad.csv"), "a.jpg,x\nb.jpg\n").unwrap();
    fails(folder, &["convert", "bad.csv", "other"], &["bad.csv: line 2: a path and a class are wanted"]);
    fs::write(folder.join("bad.csv"), "photos/red/1.jpg,x\nphotos/red/2.jpg,\"y\nz\"\n").unwrap();
    fails(folder, &["convert", "bad.csv", "other"], &["can't be a class name"]);
    fs::write(folder.join("bad.csv"), "none.jpg,x\nphotos/red/2.jpg,y\n").unwrap();
    fails(
        folder,
        &["convert", "bad.csv", "other"],
        &["bad.csv: there is no usable photo of `x` to train on", "none.jpg"],
    );

    fs::create_dir(folder.join("photos/red/dark")).unwrap();
    fs::rename(folder.join("photos/red/1.jpg"), folder.join("photos/red/dark/1.jpg")).unwrap();
    fs::remove_file(folder.join("photos/list.csv")).unwrap();
    holds(&succeeds(folder, &["convert", "photos", "outer"]), &["red "]);
    holds(
        &succeeds(folder, &["convert", "photos", "inner", "--nested-classes"]),
        &["red/dark      1      0"],
    );
}

/// As folders copied from a Mac beside those of another system.
#[test]
fn classes_that_look_alike_are_named() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    for (class, name) in [("red", "caf\u{e9}"), ("blue", "cafe\u{301}")] {
        fs::rename(photos.join(class), photos.join(name)).unwrap();
    }
    let (_, notes) = prints(folder, &["convert", "photos", "data"]);
    holds(&notes, &["note: the classes `cafe\u{301}` and `caf\u{e9}` are two"]);
}

#[test]
fn a_labels_file_that_contradicts_the_records_is_an_error() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |number, example| example.class_text = Some(["blue", "red"][number % 2].into()));
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat());
    fs::write(folder.join("data/labels.txt"), "background\nred\nblue\n").unwrap();
    fails(
        folder,
        &[TRAIN, &["--epochs", "1", "--out", "other"]].concat(),
        &["labels.txt: line 2 names label 1 `red`", "record 0 at byte 0 is called `blue`", "flowers inspect"],
    );
    // Names that are in no list may be another language's.
    fs::write(folder.join("data/labels.txt"), "rot\nblau\n").unwrap();
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "other"]].concat());
}

#[test]
fn background_is_a_class_where_labels_count_from_0() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, example| example.label -= 1);
    fs::write(folder.join("data/labels.txt"), "background\nred\n").unwrap();
    holds(&succeeds(folder, &["inspect", "data/train"]), &["flags:  --label-offset 0"]);
    let from_0 = ["--label-offset", "0", "--epochs", "4", "--out", "run"];
    succeeds(folder, &[TRAIN, &from_0].concat());
    let predicted = succeeds(folder, &[&["predict", "photos/blue/0.jpg"], &MODEL[..]].concat());
    holds(&predicted, &["background"]);
    // Numbers in front of the names say which labels they are.
    fs::write(folder.join("data/labels.txt"), "1: red\n0: background\n").unwrap();
    succeeds(folder, &[TRAIN, &from_0[..4], &["--out", "numbered"]].concat());
    fs::write(folder.join("data/labels.txt"), "0 blue\n1 red\n").unwrap();
    let from_1 = [TRAIN, &["--epochs", "1", "--out", "other"]].concat();
    fails(folder, &from_1, &["numbers its lines from 0, but labels count from 1", "label offset 0"]);
}

#[test]
fn record_files_are_found_by_the_names_that_people_give_them() {
    for (train, eval) in
        [("train.tfrecords", "val.tfrecords"), ("train/00-12.tfrec", "validation/00-12.tfrec")]
    {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        photos(folder);
        records(folder, |_, _| {});
        let shard = folder.join("data/train-00000-of-00001.tfrecord");
        for name in [eval, train] {
            let target = folder.join("data").join(name);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&shard, target).unwrap();
        }
        fs::remove_file(&shard).unwrap();
        let trained = succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat());
        holds(&trained, &["24 photos to train on, 24 to"]);
    }
}

#[test]
fn archives_and_arrays_are_named_as_what_they_are() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    for (name, bytes, what) in [
        ("photos.zip", &b"PK\x03\x04"[..], "can't be unpacked"),
        ("photos.tar.gz", b"\x1f\x8b\x08", "is cut off"),
        ("labels-idx1-ubyte.gz", b"\x1f\x8b\x08", "a gzip archive"),
        ("train-images-idx3-ubyte", b"\0\0\x08\x03", "an IDX file of images"),
        ("set.parquet", b"PAR1", "a Parquet table"),
        ("x.npz", b"PK\x03\x04", "unpack it, and give the folder"),
        ("coco.json", b"{\"images\": [\n", "a JSON document"),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
        fails(folder, &["convert", name, "data"], &[name, what]);
    }
}

/// A ZIP archive of these entries; symbolic links are those whose contents begin with `->`.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default();
        match bytes.strip_prefix(b"->") {
            Some(target) => writer.add_symlink(*name, str::from_utf8(target).unwrap(), options).unwrap(),
            None => writer.start_file(*name, options).and_then(|()| Ok(writer.write_all(bytes)?)).unwrap(),
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn archives_of_photos_are_converted() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    let wanted = succeeds(folder, &["convert", "photos", "data"]);
    let files = ["red", "blue"].into_iter().flat_map(|class| {
        let files = fs::read_dir(photos.join(class)).unwrap().map(|file| file.unwrap().path());
        files.map(move |file| {
            (
                format!("set/photos/{class}/{}", file.file_name().unwrap().to_str().unwrap()),
                fs::read(file).unwrap(),
            )
        })
    });
    let mut files: Vec<(String, Vec<u8>)> = files.collect();
    files.push(("set/photos/red/none.jpg".into(), b"no photo".to_vec()));
    fs::write(photos.join("red/none.jpg"), "no photo").unwrap();
    let entries: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    fs::write(folder.join("photos.zip"), zip(&entries)).unwrap();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    tar.append_dir_all("photos", &photos).unwrap();
    fs::write(folder.join("photos.tar.gz"), tar.into_inner().unwrap().finish().unwrap()).unwrap();
    for archive in ["photos.zip", "photos.tar.gz"] {
        let data = format!("of-{archive}");
        let converted = succeeds(folder, &["convert", archive, &data]);
        holds(&converted, &[&format!("{archive} was unpacked"), &format!("the folders in {archive}")]);
        assert!(!converted.contains(".photos"), "{converted}");
        let left_out = converted.lines().find(|line| line.contains("red/none.jpg")).unwrap();
        assert!(left_out.trim_start().starts_with(archive), "{left_out}");
        let counts = |told: &str| {
            told.lines().filter(|line| line.starts_with("total")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(counts(&converted), counts(&wanted));
        let shard = "train-00000-of-00002.tfrecord";
        assert_eq!(
            fs::read(folder.join(&data).join(shard)).unwrap(),
            fs::read(folder.join("data").join(shard)).unwrap()
        );
    }
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with(".photos")), "{left:?}");
}

#[test]
fn hostile_zip_archives_are_refused_whole() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let large = vec![0; 40 << 20];
    for (entries, what) in [
        (&[("../out.jpg", &b"x"[..])][..], "leads out of the archive"),
        (&[("/out.jpg", b"x")], "begins at the root"),
        (&[("a\\..\\..\\out.jpg", b"x")], "leads out of the archive"),
        (&[("a/1.jpg", b"x"), ("A/1.jpg", b"y")], "in the way of writing only"),
        (&[("a/link", b"->/etc/passwd")], "it is a symbolic link"),
        (&[("a/1.jpg", &large)], "made to fill a disk"),
        (&[], "holds no file"),
    ] {
        fs::write(folder.join("photos.zip"), zip(entries)).unwrap();
        fails(folder, &["convert", "photos.zip", "data"], &["photos.zip", what]);
        let left: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["photos.zip"], "{what}");
    }
}

#[test]
fn too_many_threads_are_refused() {
    let temporary = TempDir::new().unwrap();
    let many = ["train", "--data", "data", "--epochs", "1", "--threads", "100000"];
    fails(temporary.path(), &many, &["--threads 100000 is too many for"]);
}

#[test]
fn copies_and_photos_without_their_end_are_told() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    fs::copy(photos.join("red/1.jpg"), photos.join("red/1 (copy).jpg")).unwrap();
    fs::copy(photos.join("red/2.jpg"), photos.join("blue/red 2.jpg")).unwrap();
    let whole = fs::read(photos.join("red/3.jpg")).unwrap();
    fs::write(photos.join("red/3.jpg"), &whole[..whole.len() - 2]).unwrap();
    let (said, notes) = prints(folder, &["convert", "photos", "data"]);
    holds(&said, &["2 classes, the folders in photos: 26 files"]);
    holds(
        &notes,
        &[
            "note: 2 photos are copies of others (the same photo, byte for byte); none is trained on here and evaluated on there",
            "1 photo in several classes",
            "photos/blue/red 2.jpg (blue), photos/red/2.jpg (red)",
            "1 JPEG file lacks its end marker and nothing else",
        ],
    );
    let report =
        |run: &str| Page::read(&fs::read_to_string(folder.join(run).join("report.html")).unwrap()).text;
    let told = ["2 photos show the same as others", "1 photo in several classes", "1 (copy).jpg"];
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat());
    holds(&report("run"), &told);
    succeeds(folder, &["train", "photos", "--image-size", "32", "--epochs", "1", "--out", "in-place"]);
    holds(&report("in-place"), &told);
    let list = fs::read_to_string(folder.join("data/copies.csv")).unwrap();
    assert_eq!(list, fs::read_to_string(folder.join("in-place/copies.csv")).unwrap());
    // Whichever part the two are in.
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!((rows[0], rows.len()), ("group,identical,file,class,part", 5));
    assert!(rows[1].starts_with("0,true,/") && rows[1].contains("photos/blue/red 2.jpg,blue,"), "{list}");
    // No list is left where there are no copies any more.
    fs::remove_file(photos.join("red/1 (copy).jpg")).unwrap();
    fs::remove_file(photos.join("blue/red 2.jpg")).unwrap();
    succeeds(folder, &["convert", "photos", "data", "--overwrite"]);
    assert!(!folder.join("data/copies.csv").exists());
}

#[test]
fn shards_without_class_names_are_evaluated_by_the_models() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let train = [TRAIN, &["--epochs", "2", "--out", "run", "--log-dir", "log"]].concat();
    let (trained, _) = prints(folder, &train);
    holds(&trained, &["best of 2 evaluations on the same photos", "(+- "]);
    let eval = ["eval", "--data", "data", "--model", "run/model.safetensors"];
    let wanted = succeeds(folder, &eval);
    fs::remove_file(folder.join("data/labels.txt")).unwrap();
    let (evaluated, notes) = prints(folder, &eval);
    assert_eq!(evaluated, wanted);
    holds(&notes, &["data/labels.txt is missing: the classes are taken to be the model's"]);
    fails(folder, &[&eval[..], &["--split", "none"]].concat(), &["labels.txt"]);
    // Another run into the same log.
    succeeds(folder, &["convert", "photos", "data", "--overwrite"]);
    let (_, notes) =
        prints(folder, &[TRAIN, &["--epochs", "1", "--out", "other", "--log-dir", "log"]].concat());
    holds(&notes, &["log holds the log of another run already"]);
}

#[test]
fn a_limit_on_pixels_is_a_flag() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    fails(folder, &["convert", "photos", "data", "--max-pixels", "100"], &["over the limit of 100 pixels"]);
    let converted = succeeds(folder, &["convert", "photos", "data", "--max-pixels", "2500"]);
    holds(&converted, &["over the limit of 2500 pixels"]);
    succeeds(folder, &["convert", "photos", "data", "--overwrite"]);
    let train = [TRAIN, &["--epochs", "1", "--out", "run"]].concat();
    fails(folder, &[&train[..], &["--max-pixels", "1000"]].concat(), &["over the limit of 1000 pixels"]);
    fs::remove_dir_all(folder.join("run")).unwrap_or_default();
    let (told, _) = prints(folder, &[&train[..], &["--max-pixels", "10000"]].concat());
    holds(&told, &["photos of each class: blue 10, red 10"]);
    let model = ["--model", "run/model.safetensors", "--max-pixels", "1000"];
    fails(
        folder,
        &[&["predict"], &model[..], &["photos/red/1.jpg"]].concat(),
        &["over the limit of 1000 pixels"],
    );
    fails(folder, &[&["eval", "--data", "data"], &model[..]].concat(), &["over the limit of 1000 pixels"]);
    // The same of photos that are used where they are, and of the run when it goes on.
    let photos = ["train", "photos", "--image-size", "32", "--out", "other"];
    let (told, _) = prints(folder, &[&photos[..], &["--epochs", "1", "--max-pixels", "2500"]].concat());
    holds(&told, &["over the limit of 2500 pixels"]);
    let (told, _) = prints(folder, &["train", "photos", "--out", "other", "--epochs", "2", "--resume"]);
    holds(&told, &["over the limit of 2500 pixels", "epoch   2/2"]);
    // What keeps the run from being begun is said before photos are looked at.
    fails(folder, &["train", "no-photos", "--out", "other"], &["holds a training run already"]);
}

#[test]
fn photos_named_with_of_are_trained_on_where_they_are() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    fs::rename(photos.join("red/0.jpg"), photos.join("red/best-of-2020.jpg")).unwrap();
    let train = ["train", "photos", "--image-size", "32", "--epochs", "1", "--out", "run"];
    holds(&succeeds(folder, &train), &["2 classes: blue, red"]);
}
