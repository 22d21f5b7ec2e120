//! Photos in other layouts to shards: split already, in a list, in nested class folders, of hundreds of classes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow::{self, Continue};
use std::path::Path;

use crate::common::photos::jpeg;
use floret::data::ClassNames;
use floret::data::convert::{
    ClassFolders, Conversion, ConvertError, ConvertOptions, ConvertPlan, ListedPhoto, Part, PassedOver,
    PhotoFault,
};
use floret::record::{ImageExample, ImageSchema, RecordReader};
use tempfile::{TempDir, tempdir};

fn on(_: usize) -> ControlFlow<()> {
    Continue(())
}

/// A folder with these files, photos but for those whose names end in `.txt`.
fn folder_of<S: AsRef<str>>(files: impl IntoIterator<Item = S>) -> TempDir {
    let folder = tempdir().unwrap();
    for (seed, name) in (0..).zip(files) {
        let (name, path) = (name.as_ref(), folder.path().join(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, if name.ends_with(".txt") { b"no photo".to_vec() } else { jpeg(seed, 8, 8) })
            .unwrap();
    }
    folder
}

fn plan(photos: &Path, class_folders: ClassFolders) -> Result<ConvertPlan, ConvertError> {
    let options = ConvertOptions { class_folders, ..ConvertOptions::default() };
    Conversion::new(photos, photos.with_extension("data"), options)?.check(on)
}

/// The photos of a part: class and name, sorted.
fn part(plan: &ConvertPlan, part: Part) -> Vec<(String, String)> {
    let class = |class: usize| plan.classes().names()[class].clone();
    let photos = plan.part(part).map(|photo| (class(photo.class), photo.name.to_owned()));
    photos.collect::<BTreeSet<_>>().into_iter().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

#[test]
fn photos_that_are_split_already_stay_so() {
    for (train, eval) in [
        ("train", "val"),
        ("Training", "valid"),
        ("train", "validation"),
        ("train", "eval"),
        ("train", "test"),
    ] {
        let files = ["a/1.jpg", "b/2.jpg", "b/deep/3.jpg"].map(|file| format!("{train}/{file}"));
        let eval = ["b/1.jpg", "a/4.jpg"].map(|file| format!("{eval}/{file}"));
        let photos =
            folder_of(files.iter().chain(&eval).map(String::as_str).chain(["LICENSE.txt", ".git/x/1.jpg"]));
        let plan = plan(photos.path(), ClassFolders::Outermost).unwrap();
        assert_eq!(plan.classes().names(), ["a", "b"]);
        assert_eq!(part(&plan, Part::Train), pairs(&[("a", "1.jpg"), ("b", "2.jpg"), ("b", "deep/3.jpg")]));
        assert_eq!(part(&plan, Part::Eval), pairs(&[("a", "4.jpg"), ("b", "1.jpg")]));
        assert_eq!(plan.part(Part::Test).len(), 0);
        assert!(plan.bad().is_empty());
    }
    // Photos that lie in no class folder.
    let photos = folder_of(["train/a/1.jpg", "train/b/2.jpg", "val/a/1.jpg", "val/b/1.jpg", "3.jpg"]);
    let plan = plan(photos.path(), ClassFolders::Outermost).unwrap();
    assert!(matches!(plan.bad(), [bad] if matches!(bad.fault, PhotoFault::NoClass)), "{:?}", plan.bad());
}

#[test]
fn a_test_part_beside_validation_has_shards_of_its_own() {
    let photos = folder_of([
        "train/a/1.jpg",
        "train/b/2.jpg",
        "val/a/3.jpg",
        "val/b/4.jpg",
        "test/a/5.jpg",
        "test/b/6.jpg",
    ]);
    let data = tempdir().unwrap();
    let options = ConvertOptions { shards: 1, ..ConvertOptions::default() };
    let conversion = Conversion::new(photos.path(), data.path(), options.clone()).unwrap();
    let report = conversion.check(on).unwrap().write(on).unwrap();
    assert_eq!((report.train, report.eval, report.test), (vec![1, 1], vec![1, 1], vec![1, 1]));
    let labels: BTreeMap<String, i64> = RecordReader::open(data.path().join("test-00000-of-00001.tfrecord"))
        .unwrap()
        .map(|record| ImageExample::parse(&record.unwrap().payload, &ImageSchema::default()).unwrap())
        .map(|example| (example.filename.unwrap(), example.label))
        .collect();
    assert_eq!(labels, BTreeMap::from([("5.jpg".into(), 1), ("6.jpg".into(), 2)]));
    // They are of the data set: neither mixed with another's, nor left behind.
    fs::remove_file(data.path().join("labels.txt")).unwrap();
    for shard in ["train", "eval"] {
        fs::remove_file(data.path().join(format!("{shard}-00000-of-00001.tfrecord"))).unwrap();
    }
    let occupied = Conversion::new(photos.path(), data.path(), options.clone()).unwrap_err();
    assert!(matches!(occupied, ConvertError::Occupied { .. }), "{occupied}");
    fs::remove_dir_all(photos.path().join("test")).unwrap();
    let overwrite = ConvertOptions { overwrite: true, ..options };
    Conversion::new(photos.path(), data.path(), overwrite).unwrap().check(on).unwrap().write(on).unwrap();
    assert!(!data.path().join("test-00000-of-00001.tfrecord").exists());
}

#[test]
fn parts_must_have_the_same_classes() {
    let message = |files: &[&str]| {
        let photos = folder_of(files);
        let error = plan(photos.path(), ClassFolders::Outermost).unwrap_err().to_string();
        error.replace(photos.path().to_str().unwrap(), "P")
    };
    let differ = message(&["train/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg", "val/c/1.jpg", "val/d/1.jpg"]);
    assert_eq!(
        differ,
        "P/val must have the class folders that P/train has, but lacks `a`, and has besides `c`, `d`: rename, add or \
         remove class folders"
    );
    let same = message(&["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "validation/b/1.jpg"]);
    assert!(same.starts_with("P/val and P/validation are both for evaluation"), "{same}");
    let beside = message(&["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg", "cats/b/1.jpg"]);
    assert!(beside.starts_with("P/cats lies beside the folders `train`"), "{beside}");
    // A class of which nothing is there to train on.
    let empty = message(&["train/a/1.jpg", "train/b/1.txt", "val/a/1.jpg", "val/b/1.jpg"]);
    assert!(
        empty.contains("no usable photo of `b`") && empty.contains("P/train/b/1.txt: not a photo"),
        "{empty}"
    );
}

/// Vehicles for a test: two classes whose names are those of parts.
#[test]
fn classes_may_be_called_train_and_test() {
    for files in [["train/1.jpg", "bus/2.jpg"], ["train/a/1.jpg", "bus/b/2.jpg"]] {
        let photos = folder_of(files);
        assert_eq!(plan(photos.path(), ClassFolders::Outermost).unwrap().classes().names(), ["bus", "train"]);
    }
    // But these are no classes.
    let nested: &[&str] = &["train/a/1.jpg", "train/b/2.jpg", "bus/3.jpg"];
    for files in [&["train/1.jpg", "test/2.jpg"][..], &["training_set/1.jpg", "val/deep/2.jpg"], nested] {
        let photos = folder_of(files);
        let error = plan(photos.path(), ClassFolders::Outermost).unwrap_err();
        assert!(matches!(error, ConvertError::PartAsClass { .. }), "{error}");
        assert!(error.to_string().contains("its photos need a folder for each class"), "{error}");
    }
}

/// The classes, the number of photos of each part, and what is passed over, of a folder with these files.
#[track_caller]
fn found(files: &[&str]) -> (Vec<String>, [usize; 3], Vec<String>) {
    let photos = folder_of(files);
    let conversion =
        Conversion::new(photos.path(), photos.path().with_extension("data"), ConvertOptions::default());
    let plan = conversion.unwrap().check(on).unwrap();
    let passed =
        |passed: &PassedOver| passed.path.strip_prefix(photos.path()).unwrap().to_str().unwrap().to_owned();
    let parts = [Part::Train, Part::Eval, Part::Test].map(|part| plan.part(part).len());
    (plan.classes().names().to_vec(), parts, plan.passed_over().iter().map(passed).collect())
}

#[test]
fn parts_are_found_by_the_names_that_people_give_them() {
    for (train, eval) in [
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("Train", "Validation"),
        ("flowers_train", "flowers_dev"),
        ("train_images", "TESTING"),
        ("data/train", "data/val"),
        ("set/set/Training/photos", "set/set/Testing/photos"),
    ] {
        let files = [
            ("a/1.jpg", train),
            ("a/2.jpg", train),
            ("b/3.jpg", train),
            ("a/4.jpg", eval),
            ("b/5.jpg", eval),
        ];
        let files = files.map(|(file, part)| format!("{part}/{file}"));
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(found(&files), (vec!["a".into(), "b".into()], [3, 2, 0], vec![]), "{train} {eval}");
    }
}

#[test]
fn photos_without_classes_beside_those_with_are_passed_over() {
    let classes = || vec!["a".to_owned(), "b".to_owned()];
    let train = ["train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg", "train/b/4.jpg"];
    let with = |more: &[&'static str]| [&train[..], more].concat();
    // Split here, where no other part has classes.
    assert_eq!(found(&with(&["test/5.jpg"])), (classes(), [2, 2, 0], vec!["test".into()]));
    assert_eq!(found(&with(&["test/unknown/5.jpg"])), (classes(), [2, 2, 0], vec!["test".into()]));
    let parts = ["val/a/5.jpg", "val/b/6.jpg", "test/7.jpg", "seg_pred/seg_pred/8.jpg"];
    let passed = vec!["seg_pred".into(), "test".into()];
    assert_eq!(found(&with(&parts)), (classes(), [4, 2, 0], passed));
}

#[test]
fn folders_and_files_of_other_programs_are_no_photos() {
    let files = [
        "a/1.jpg",
        "a/2.jpg",
        "b/3.jpg",
        "b/4.jpg",
        "@eaDir/a/1.jpg",
        "__MACOSX/1.jpg",
        "$RECYCLE.BIN/x/1.jpg",
        "a/@eaDir/1.jpg",
        "lost+found/1.jpg",
        ".thumbnails/1.jpg",
        "a/.ipynb_checkpoints/1.jpg",
        "Thumbs.db",
        "a/desktop.ini",
        "a/1.jpg.xmp",
        "a/1.jpg.Zone.Identifier",
        "b/THUMBS.DB",
    ];
    let passed = ["$RECYCLE.BIN", "@eaDir", "__MACOSX", "lost+found", "a/@eaDir"].map(str::to_owned).to_vec();
    assert_eq!(found(&files), (vec!["a".into(), "b".into()], [2, 2, 0], passed));
}

#[test]
fn a_photo_beside_the_parts_or_the_classes_changes_nothing_but_is_listed() {
    let photos =
        folder_of(["1.jpg", "train/2.jpg", "train/a/3.jpg", "train/b/4.jpg", "val/a/5.jpg", "val/b/6.jpg"]);
    let plan = plan(photos.path(), ClassFolders::Outermost).unwrap();
    assert_eq!(plan.classes().names(), ["a", "b"]);
    assert_eq!((plan.train().len(), plan.eval().len()), (2, 2));
    let bad: Vec<_> = plan.bad().iter().map(|bad| bad.path.strip_prefix(photos.path()).unwrap()).collect();
    assert_eq!(bad, [Path::new("1.jpg"), Path::new("train/2.jpg")]);
}

#[test]
fn a_folder_that_holds_a_copy_of_itself_is_refused() {
    let photos =
        folder_of(["x/a/1.jpg", "x/b/2.jpg", "x/c/3.jpg", "x/x/a/1.jpg", "x/x/b/2.jpg", "x/x/c/3.jpg"]);
    let error = plan(&photos.path().join("x"), ClassFolders::Outermost).unwrap_err();
    assert!(matches!(error, ConvertError::NestedCopy { .. }), "{error}");
    assert!(
        error.to_string().contains("x/x holds folders of the classes beside it (`a`, `b`, `c`)"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn no_photo_gets_into_two_parts_by_a_link_to_a_folder() {
    use std::os::unix::fs::symlink;
    let photos = folder_of(["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg"]);
    symlink(photos.path().join("train/b"), photos.path().join("val/b")).unwrap();
    let plan = plan(photos.path(), ClassFolders::Outermost).unwrap();
    assert_eq!(part(&plan, Part::Eval), pairs(&[("a", "3.jpg")]));
    assert!(matches!(plan.bad(), [bad] if matches!(bad.fault, PhotoFault::SeenFolder)), "{:?}", plan.bad());
}

#[test]
fn nested_folders_are_of_the_outer_class_or_classes_of_their_own() {
    let files = [
        "cats/siamese/1.jpg",
        "cats/siamese/2.jpg",
        "cats/tabby/1.jpg",
        "cats/NOTES.txt",
        "dogs/3.jpg",
        "dogs/pug/4.jpg",
    ];
    let photos = folder_of(files);
    let outer = plan(photos.path(), ClassFolders::Outermost).unwrap();
    assert_eq!(outer.classes().names(), ["cats", "dogs"]);
    assert_eq!(outer.bad().len(), 1, "the notes");
    let inner = plan(photos.path(), ClassFolders::Innermost).unwrap();
    assert_eq!(inner.classes().names(), ["cats/siamese", "cats/tabby", "dogs", "dogs/pug"]);
    assert!(inner.bad().is_empty(), "{:?}", inner.bad());
    let mut all = part(&inner, Part::Train);
    all.extend(part(&inner, Part::Eval));
    all.sort();
    let wanted = [
        ("cats/siamese", "1.jpg"),
        ("cats/siamese", "2.jpg"),
        ("cats/tabby", "1.jpg"),
        ("dogs", "3.jpg"),
        ("dogs/pug", "4.jpg"),
    ];
    assert_eq!(all, pairs(&wanted));
    assert_eq!(part(&inner, Part::Eval).len(), 1, "of the class with two photos");
    let split = folder_of(["train/a/x/1.jpg", "train/b/2.jpg", "val/b/3.jpg", "val/a/x/4.jpg"]);
    assert_eq!(plan(split.path(), ClassFolders::Innermost).unwrap().classes().names(), ["a/x", "b"]);
    let bad = folder_of(["a/1.jpg", "b/c\u{1b}/1.jpg"]);
    let error = plan(bad.path(), ClassFolders::Innermost).unwrap_err();
    assert!(matches!(error, ConvertError::ClassName { .. }), "{error}");
}

#[test]
fn hundreds_of_classes_with_names_of_all_scripts() {
    let names: Vec<String> = (0..400).map(|class| format!("蒲公英 löwe {class:03}")).collect();
    let files: Vec<String> =
        names.iter().flat_map(|class| (0..2).map(move |photo| format!("{class}/ß {photo}.jpg"))).collect();
    let photos = folder_of(&files);
    let data = tempdir().unwrap();
    let conversion = Conversion::new(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    let report = conversion.check(on).unwrap().write(on).unwrap();
    assert_eq!(report.classes.names(), names);
    assert!(report.train.iter().chain(&report.eval).all(|&photos| photos == 1));
    assert_eq!(ClassNames::read(data.path().join("labels.txt")).unwrap(), report.classes);
}

fn classes(names: &[&str]) -> ClassNames {
    ClassNames::new(names.iter().map(|name| name.to_string()).collect())
}

#[test]
fn the_photos_of_a_list_are_taken_from_wherever_they_are() {
    let (here, there) = (folder_of(["1.jpg", "2.jpg", "notes.txt"]), folder_of(["3.jpg", "4.jpg"]));
    let listed = |folder: &TempDir, name: &str, class, part| ListedPhoto {
        path: folder.path().join(name),
        name: name.into(),
        class,
        part,
    };
    let photos = vec![
        listed(&here, "1.jpg", 1, None),
        listed(&there, "4.jpg", 0, Some(Part::Eval)),
        listed(&here, "2.jpg", 0, Some(Part::Train)),
        listed(&there, "3.jpg", 1, Some(Part::Test)),
        listed(&here, "./1.jpg", 0, None),
        listed(&here, "notes.txt", 0, None),
        listed(&here, "none.jpg", 0, None),
    ];
    let data = here.path().join("data");
    let options = ConvertOptions::default();
    let conversion =
        Conversion::of_list("list.csv", classes(&["b", "a"]), photos.clone(), &data, options.clone());
    let plan = conversion.unwrap().check(on).unwrap();
    assert_eq!(plan.classes().names(), ["b", "a"], "in the order given");
    assert_eq!(part(&plan, Part::Train), pairs(&[("a", "1.jpg"), ("b", "2.jpg")]));
    assert_eq!(part(&plan, Part::Eval), pairs(&[("b", "4.jpg")]));
    assert_eq!(part(&plan, Part::Test), pairs(&[("a", "3.jpg")]));
    let bad: Vec<String> = plan.bad().iter().map(|bad| bad.to_string()).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    for reason in [
        "1.jpg: is listed more than once",
        "none.jpg: cannot be read: No such file",
        "notes.txt: not a photo",
    ] {
        assert!(bad.iter().any(|bad| bad.contains(reason)), "{reason}: {bad:?}");
    }
    let report = plan.write(on).unwrap();
    assert_eq!((report.train, report.eval, report.test), (vec![1, 1], vec![1, 0], vec![0, 1]));

    let refused = |names: &[&str], photos: Vec<ListedPhoto>| {
        let conversion = Conversion::of_list(
            "list.csv",
            classes(names),
            photos,
            here.path().join("other"),
            options.clone(),
        );
        conversion.and_then(|conversion| conversion.check(on)).unwrap_err().to_string()
    };
    assert!(refused(&["a"], vec![]).contains("only the class `a`"));
    assert!(refused(&["a", "a\nb"], vec![]).contains("can't be a class name"));
    assert!(
        refused(&["a", "b"], photos[..1].to_vec())
            .contains("list.csv: there is no usable photo of `a` to train on")
    );
    let unusable = refused(&["a", "b"], vec![photos[0].clone(), photos[5].clone()]);
    assert!(unusable.contains("of `a` to train on:\n  ") && unusable.contains("notes.txt"), "{unusable}");
}
