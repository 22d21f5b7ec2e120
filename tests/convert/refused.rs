//! What is refused, and what is left as it was.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow::{Break, Continue};
use std::path::{Path, PathBuf};

use floret::data::convert::{Conversion, ConvertError, ConvertOptions};
use floret::files::HoldError;
use tempfile::tempdir;

use super::{
    WHOLE_SET, bad_files, contents, convert, examples, folder_of, names_in, on, plan, two_classes, unfinish,
};
use crate::common::photos::jpeg;

#[test]
fn bad_files_are_listed_with_their_reason_and_left_out() {
    let photos = two_classes(3);
    for (name, bytes, _) in bad_files() {
        fs::write(photos.path().join(name), bytes).unwrap();
    }
    let data = tempdir().unwrap();
    let report = convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    assert_eq!(report.bad.len(), bad_files().len());
    for (bad, (name, _, reason)) in report.bad.iter().zip(bad_files()) {
        assert_eq!(bad.path, photos.path().join(name));
        assert!(bad.to_string().contains(reason), "{bad}");
    }
    assert_eq!((report.train, report.eval), (vec![2, 2], vec![1, 1]));
    let records: usize = report.shards.iter().map(|shard| examples(shard).len()).sum();
    assert_eq!(records, 6);
}

#[test]
fn strict_lists_the_bad_files_and_writes_nothing() {
    let photos = two_classes(3);
    for (name, bytes, _) in bad_files() {
        fs::write(photos.path().join(name), bytes).unwrap();
    }
    let data = tempdir().unwrap();
    let options = ConvertOptions { strict: true, ..ConvertOptions::default() };
    let error = convert(photos.path(), &data.path().join("data"), options).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("7 of the files can't be used, so nothing was written:\n  "), "{message}");
    for (name, _, reason) in bad_files() {
        let line = message.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{message}"));
        assert!(line.contains(reason), "{line}");
    }
    assert!(names_in(data.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_what_is_no_file_is_listed() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    let photos = two_classes(2);
    let elsewhere = folder_of(&[("7.jpg", jpeg(7, 8, 8)), ("c/8.jpg", jpeg(8, 8, 8))]);
    let a = photos.path().join("a");
    symlink(elsewhere.path().join("7.jpg"), a.join("linked.jpg")).unwrap();
    symlink(&a, a.join("loop")).unwrap();
    symlink("nowhere", a.join("broken.jpg")).unwrap();
    symlink(elsewhere.path().join("c"), photos.path().join("c")).unwrap();
    let _socket = UnixListener::bind(a.join("socket")).unwrap();
    let plan = plan(photos.path(), ConvertOptions::default()).unwrap();
    assert_eq!(plan.classes().names(), ["a", "b", "c"]);
    let mut names: Vec<_> = plan.train().chain(plan.eval()).map(|photo| photo.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "8.jpg", "linked.jpg"]);
    let bad: Vec<_> = plan.bad().iter().map(|bad| bad.to_string()).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert!(bad[0].contains("broken.jpg: cannot be read: No such file"), "{bad:?}");
    assert!(bad[1].contains("a/loop: leads to a folder whose photos are found elsewhere"), "{bad:?}");
    assert!(bad[2].ends_with("socket: not a regular file"), "{bad:?}");
}

#[cfg(unix)]
#[test]
fn no_photo_gets_into_two_classes_by_a_link_to_a_folder() {
    use std::os::unix::fs::symlink;
    let photos = two_classes(2);
    let outside = folder_of(&[("7.jpg", jpeg(7, 8, 8))]);
    fs::create_dir(photos.path().join("b/deep")).unwrap();
    let links = [
        ("a/above", ".."),
        ("a/far above", "/"),
        ("a/of b", "../b"),
        ("a/of b, deep", "../b/deep"),
        ("b/self", "."),
    ];
    links.iter().for_each(|(link, to)| symlink(to, photos.path().join(link)).unwrap());
    // Of two links to one folder, the first is followed.
    ["a/out", "b/out"].iter().for_each(|link| symlink(outside.path(), photos.path().join(link)).unwrap());
    let plan = plan(photos.path(), ConvertOptions::default()).unwrap();
    let mut names: Vec<_> = plan.train().chain(plan.eval()).map(|photo| (photo.class, photo.name)).collect();
    names.sort_unstable();
    assert_eq!(names, [(0, "0.jpg"), (0, "2.jpg"), (0, "out/7.jpg"), (1, "1.jpg"), (1, "3.jpg")]);
    let bad: Vec<_> = plan.bad().iter().map(|bad| bad.path.strip_prefix(photos.path()).unwrap()).collect();
    let wanted: Vec<_> = links.iter().map(|(link, _)| Path::new(link)).chain([Path::new("b/out")]).collect();
    assert_eq!(bad.iter().collect::<BTreeSet<_>>(), wanted.iter().collect::<BTreeSet<_>>());
}

#[test]
fn folders_that_are_no_data_set_are_refused_with_the_reason() {
    let photo = || jpeg(1, 8, 8);
    let message = |files: &[(&str, Vec<u8>)]| {
        let photos = folder_of(files);
        plan(photos.path(), ConvertOptions::default())
            .unwrap_err()
            .to_string()
            .replace(photos.path().to_str().unwrap(), "P")
    };
    let classless =
        "P has no class folders: put the photos of each class into a folder of its name, such as P/roses";
    assert_eq!(message(&[]), classless);
    assert_eq!(message(&[("1.jpg", photo()), (".a/1.jpg", photo())]), classless);
    assert_eq!(
        message(&[("roses/1.jpg", photo())]),
        "P has only one class folder, `roses`: a classifier needs at least two"
    );
    let advice = "add some, or remove the class's folder";
    assert_eq!(
        message(&[("a/1.jpg", photo()), ("b/.x", vec![]), ("c/d/.y", vec![])]),
        format!("P: there is no usable photo of `b`, `c`: {advice}")
    );
    let bad = "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but a text file; fetch the photo again, or remove the file";
    assert_eq!(
        message(&[("a/1.jpg", photo()), ("a/2.jpg", b"text".into()), ("b/3.jpg", b"text".into())]),
        format!("P: there is no usable photo of `b`: {advice}:\n  P/b/3.jpg: {bad}")
    );
    assert_eq!(
        message(&[("a/2.jpg", b"text".into()), ("b/3.jpg", b"text".into())]),
        format!("P: there is no usable photo of `a`, `b`: {advice}:\n  P/a/2.jpg: {bad}\n  P/b/3.jpg: {bad}")
    );
    let rules =
        "can't be a class: its name must be UTF-8, without control characters and without space around it";
    for (folder, shown) in [("b ", "b "), ("\u{1b}[2J", r"\u{1b}[2J"), ("x\u{202e}y", r"x\u{202e}y")] {
        let file = format!("{folder}/1.jpg");
        let message = message(&[("a/1.jpg", photo()), (&file, photo())]);
        assert_eq!(message, format!("\"P/{shown}\" {rules}; rename it"));
    }
    let missing = tempdir().unwrap().path().join("none");
    let error = plan(&missing, ConvertOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("cannot open") && error.contains("none: No such file"), "{error}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let photos = two_classes(1);
    for (options, part) in [
        (ConvertOptions { shards: 0, ..ConvertOptions::default() }, "shards must be at least 1"),
        (ConvertOptions { eval_fraction: 1.0, ..ConvertOptions::default() }, "under 1, got 1"),
        (ConvertOptions { eval_fraction: -0.1, ..ConvertOptions::default() }, "got -0.1"),
        (ConvertOptions { eval_fraction: f64::NAN, ..ConvertOptions::default() }, "got NaN"),
    ] {
        let message = plan(photos.path(), options).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_folder_for_shards_among_the_photos_is_refused() {
    let photos = two_classes(1);
    for data in ["", "data", "a", "new/../data", "a/deep/data"] {
        let error = Conversion::new(photos.path(), photos.path().join(data), ConvertOptions::default());
        assert!(matches!(error, Err(ConvertError::DataAmongPhotos { .. })), "{data}");
    }
    let beside = photos.path().with_extension("data");
    assert!(Conversion::new(photos.path(), beside, ConvertOptions::default()).is_ok());
}

#[test]
fn a_data_set_is_never_mixed_with_another() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    let before = contents(data.path());
    assert_eq!(names_in(data.path()), WHOLE_SET);

    // Refused before the photos are read, whatever the new shards' names would be.
    for shards in [2, 3] {
        let options = ConvertOptions { shards, ..ConvertOptions::default() };
        let error = Conversion::new(photos.path(), data.path(), options).unwrap_err().to_string();
        assert!(error.contains("already holds a data set (labels.txt and 4 more)"), "{error}");
        assert!(error.contains("overwritten"), "{error}");
    }
    // Another's data set is one too, if it has shards of these prefixes or class names.
    for file in ["train-00000-of-00001", "eval-00000-of-00004.tfrecord.gz", "labels.txt"] {
        let folder = folder_of(&[(file, b"precious".to_vec()), ("notes.txt", b"kept".to_vec())]);
        let error = convert(photos.path(), folder.path(), ConvertOptions::default()).unwrap_err();
        assert!(
            matches!(error, ConvertError::Occupied { ref files, .. } if files == &[folder.path().join(file)])
        );
        assert_eq!(contents(folder.path())[file], b"precious");
    }
    // One that comes while photos are read is not overwritten either.
    let late = tempdir().unwrap();
    let conversion = Conversion::new(photos.path(), late.path(), ConvertOptions::default()).unwrap();
    let planned = conversion.check(on).unwrap();
    fs::write(late.path().join("train-00000-of-00002.tfrecord"), "precious").unwrap();
    assert!(matches!(planned.write(on), Err(ConvertError::Occupied { .. })));
    assert_eq!(names_in(late.path()), ["train-00000-of-00002.tfrecord"]);
    assert_eq!(fs::read(late.path().join("train-00000-of-00002.tfrecord")).unwrap(), b"precious");

    assert_eq!(contents(data.path()), before);
}

/// Whatever another conversion does while this one writes, it is refused, and this one's set is whole.
#[test]
fn two_conversions_into_one_folder_do_not_mix() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    let wanted = {
        let alone = tempdir().unwrap();
        convert(photos.path(), alone.path(), ConvertOptions::default()).unwrap();
        contents(alone.path())
    };
    let second = |overwrite| {
        let options = ConvertOptions { seed: 7, shards: 3, overwrite, ..ConvertOptions::default() };
        convert(photos.path(), data.path(), options)
    };
    let first = Conversion::new(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    let first = first.check(on).unwrap();
    let while_it_writes = |_| {
        for overwrite in [false, true] {
            let error = second(overwrite).unwrap_err();
            assert!(matches!(error, ConvertError::Held(HoldError::InUse { .. })), "{error}");
        }
        Continue(())
    };
    first.write(while_it_writes).unwrap();
    assert_eq!(contents(data.path()), wanted, "the first's, and no lock file");
    assert!(matches!(second(false), Err(ConvertError::Occupied { .. })));
    second(true).unwrap();
}

/// A folder in a shard's place can't be removed as a file.
#[test]
fn what_cannot_be_replaced_is_found_before_anything_is() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    let wanted = contents(data.path());
    let overwrite = ConvertOptions { overwrite: true, seed: 7, ..ConvertOptions::default() };
    let obstacle = data.path().join("train-00003-of-00009");
    let refused = |error: ConvertError| {
        let error = error.to_string();
        assert!(error.contains("cannot replace") && error.contains("train-00003-of-00009"), "{error}");
        fs::remove_dir(&obstacle).unwrap();
        assert_eq!(contents(data.path()), wanted);
    };
    fs::create_dir(&obstacle).unwrap();
    refused(Conversion::new(photos.path(), data.path(), overwrite.clone()).unwrap_err());
    // One that comes while photos are written.
    let plan = Conversion::new(photos.path(), data.path(), overwrite).unwrap().check(on).unwrap();
    let in_the_way = |_| {
        let _ = fs::create_dir(&obstacle);
        Continue(())
    };
    refused(plan.write(in_the_way).unwrap_err());
}

/// The marker speaks of the conversion's own shards, and only while they are no whole data set.
#[test]
fn the_marker_of_an_unfinished_conversion_gives_up_no_other_data_set() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    let file = |name: &str| data.path().join(name);
    convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    let wanted = contents(data.path());
    unfinish(data.path());
    let marker = fs::read_to_string(file(".conversion-unfinished")).unwrap();

    let occupied = || {
        let error = convert(photos.path(), data.path(), ConvertOptions::default()).unwrap_err();
        assert!(matches!(error, ConvertError::Occupied { .. }), "{error}");
    };
    // Shards that the conversion did not write; a data set of the same names that is whole.
    for foreign in ["train-00000-of-00001.tfrecord", "eval-00000-of-00004", "labels.txt"] {
        fs::write(file(foreign), "precious").unwrap();
        occupied();
        assert_eq!(fs::read(file(foreign)).unwrap(), b"precious");
        fs::remove_file(file(foreign)).unwrap();
    }
    // A marker that names nothing, as somebody else's.
    for text in ["", "a file\n"] {
        fs::write(file(".conversion-unfinished"), text).unwrap();
        fs::write(file("train-00000-of-00002.tfrecord"), "precious").unwrap();
        occupied();
    }
    fs::write(file(".conversion-unfinished"), marker).unwrap();
    convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    assert_eq!(contents(data.path()), wanted);
}

#[test]
fn a_conversion_that_is_broken_off_leaves_the_folder_as_it_was() {
    let photos = two_classes(8);
    let data = tempdir().unwrap();
    let new = |seed| {
        let options = ConvertOptions { seed, overwrite: true, ..ConvertOptions::default() };
        Conversion::new(photos.path(), data.path(), options).unwrap()
    };
    let interrupted = |error| assert!(matches!(error, ConvertError::Interrupted), "{error}");
    for before in [false, true] {
        if before {
            new(0).check(on).unwrap().write(on).unwrap();
        }
        let wanted = contents(data.path());
        for last in [1, 7, 16] {
            let stop = |done| if done < last { Continue(()) } else { Break(()) };
            interrupted(new(1).check(stop).unwrap_err());
            interrupted(new(1).check(on).unwrap().write(stop).unwrap_err());
            assert_eq!(contents(data.path()), wanted, "{last}");
        }
    }
}

#[test]
fn a_photo_that_changes_before_it_is_written_ends_the_conversion() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    for change in [Some(jpeg(99, 9, 8)), Some(b"text".to_vec()), None] {
        let path: PathBuf = photos.path().join("a/0.jpg");
        let original = fs::read(&path).unwrap();
        let conversion = Conversion::new(photos.path(), data.path(), ConvertOptions::default()).unwrap();
        let planned = conversion.check(on).unwrap();
        match &change {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let message = planned.write(on).unwrap_err().to_string();
        let wanted = if change.is_some() { "a/0.jpg changed while" } else { "a/0.jpg: No such file" };
        assert!(message.contains(wanted), "{message}");
        assert!(names_in(data.path()).is_empty());
        fs::write(&path, original).unwrap();
    }
}
