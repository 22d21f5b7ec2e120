//! What is found, how it is split, and what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow::Continue;
use std::sync::Mutex;

use floret::data::ClassNames;
use floret::data::convert::{Conversion, ConvertOptions, ConvertPlan, PlannedPhoto, is_unfinished};
use floret::record::{Compression, ImageExample, find_shards};
use proptest::prelude::*;
use tempfile::tempdir;

use super::{WHOLE_SET, contents, convert, examples, folder_of, names_in, plan, two_classes, unfinish};
use crate::common::photos::{jpeg, png};

#[test]
fn records_hold_every_feature_and_the_bytes_as_they_are() {
    let files = [
        ("Löwenzahn/一.jpg", jpeg(1, 20, 10)),
        ("Löwenzahn/deep/er/no extension", png(2, 7, 13)),
        ("Löwenzahn/wrong.png", jpeg(3, 11, 12)),
        ("rose/4.jpg", jpeg(4, 30, 20)),
        ("rose/.hidden.jpg", jpeg(5, 8, 8)),
        (".git/objects/6.jpg", jpeg(6, 8, 8)),
        ("LICENSE.txt", b"of the photos".to_vec()),
    ];
    let photos = folder_of(&files);
    let data = tempdir().unwrap();
    let data = data.path().join("new/data");
    let options = ConvertOptions { eval_fraction: 0.0, ..ConvertOptions::default() };
    let report = convert(photos.path(), &data, options).unwrap();
    assert_eq!(names_in(&data), WHOLE_SET[2..], "no evaluation shards, and nothing hidden is left");
    assert_eq!(report.classes.names(), ["Löwenzahn", "rose"]);
    assert_eq!(ClassNames::read(data.join("labels.txt")).unwrap(), report.classes);
    assert_eq!((report.train, report.eval), (vec![3, 1], vec![0, 0]));
    assert!(report.bad.is_empty());
    assert_eq!(report.shards, find_shards(&[data.join("train")]).unwrap());

    let written: BTreeMap<String, ImageExample> = report
        .shards
        .iter()
        .flat_map(|shard| examples(shard))
        .map(|example| (example.filename.clone().unwrap(), example))
        .collect();
    assert_eq!(written.len(), 4);
    for (name, class, label, format, width, height) in [
        ("一.jpg", "Löwenzahn", 1, "JPEG", 20, 10),
        ("deep/er/no extension", "Löwenzahn", 1, "PNG", 7, 13),
        ("wrong.png", "Löwenzahn", 1, "JPEG", 11, 12),
        ("4.jpg", "rose", 2, "JPEG", 30, 20),
    ] {
        let wanted = ImageExample {
            pixels: None,
            encoded: fs::read(photos.path().join(class).join(name)).unwrap(),
            label,
            class_text: Some(class.into()),
            filename: Some(name.into()),
            height: Some(height),
            width: Some(width),
            format: Some(format.into()),
            colorspace: Some("RGB".into()),
            channels: Some(3),
        };
        assert_eq!(written[name], wanted);
    }
}

#[test]
fn shards_hold_the_plan_in_its_order_and_progress_counts_to_the_end() {
    let photos = two_classes(10);
    let data = tempdir().unwrap();
    let told = Mutex::new(Vec::new());
    let tell = |done| {
        told.lock().unwrap().push(done);
        Continue(())
    };
    let options = ConvertOptions { shards: 3, compression: Compression::Gzip, ..ConvertOptions::default() };
    let conversion = Conversion::new(photos.path(), data.path(), options).unwrap();
    assert_eq!(conversion.files(), 20);
    let plan = conversion.check(tell).unwrap();
    let names = |photos: &mut dyn Iterator<Item = PlannedPhoto<'_>>| -> Vec<String> {
        photos.map(|photo| photo.name.to_owned()).collect()
    };
    let (train, eval) = (names(&mut plan.train()), names(&mut plan.eval()));
    let report = plan.write(tell).unwrap();
    for (prefix, planned) in [("train", train), ("eval", eval)] {
        let shards: Vec<_> = (0..3)
            .map(|i| examples(&data.path().join(format!("{prefix}-0000{i}-of-00003.tfrecord"))))
            .collect();
        let written = (0..planned.len()).map(|i| shards[i % 3][i / 3].filename.clone().unwrap());
        assert!(written.eq(planned));
    }
    assert_eq!((report.train, report.eval), (vec![8, 8], vec![2, 2]));
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert_eq!(told, (1..=20).flat_map(|done| [done, done]).collect::<Vec<_>>());
}

/// The labels of 40 records in 2 classes, sorted, would change once; shuffled about 20 times, with a deviation of 3.
#[test]
fn records_are_shuffled_over_the_classes() {
    let photos = two_classes(25);
    for (seed, eval_fraction) in [(0, 0.2), (1, 0.2), (2, 0.2), (3, 0.5)] {
        let plan =
            plan(photos.path(), ConvertOptions { seed, eval_fraction, ..ConvertOptions::default() }).unwrap();
        let classes: Vec<_> = plan.train().map(|photo| photo.class).collect();
        let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes * 5 > classes.len(), "{classes:?}");
    }
}

type Names = BTreeSet<(usize, String)>;

fn parts(plan: &ConvertPlan) -> (Names, Names) {
    fn names<'a>(photos: impl Iterator<Item = PlannedPhoto<'a>>) -> Names {
        photos.map(|photo| (photo.class, photo.name.to_owned())).collect()
    }
    (names(plan.train()), names(plan.eval()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Photos per class, the fraction, the seed; and in which order files come into being, which decides the order in
    /// which many file systems list them.
    #[test]
    fn the_split_is_stratified_and_depends_on_names_and_seed_alone(
        sizes in prop::collection::vec(1..12usize, 2..5),
        fraction in prop_oneof![Just(0.0), 0.01..0.99f64],
        seed: u64,
        backwards: bool,
    ) {
        let options = ConvertOptions { seed, eval_fraction: fraction, ..ConvertOptions::default() };
        let mut files: Vec<_> = sizes
            .iter()
            .enumerate()
            .flat_map(|(class, &n)| (0..n).map(move |i| (class, format!("class {class}/{}.jpg", i * 37 % 101))))
            .collect();
        let photos = tempdir().unwrap();
        for (number, (_, name)) in files.iter().enumerate() {
            let path = photos.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, jpeg(number as u64, 8, 8)).unwrap();
        }
        let first = plan(photos.path(), options.clone()).unwrap();
        let (train, eval) = parts(&first);

        // Each photo once, and of each class the share that was asked for.
        prop_assert!(train.is_disjoint(&eval));
        prop_assert_eq!(train.len() + eval.len(), files.len());
        for (class, &n) in sizes.iter().enumerate() {
            let for_eval = eval.iter().filter(|(of, _)| *of == class).count();
            if fraction == 0.0 || n == 1 {
                prop_assert_eq!(for_eval, 0);
            } else {
                prop_assert!((1..n).contains(&for_eval));
                let wanted = (n as f64 * fraction).clamp(1.0, n as f64 - 1.0);
                prop_assert!((for_eval as f64 - wanted).abs() <= 0.5, "{} of {} for {}", for_eval, n, fraction);
            }
        }

        // The same from another folder, filled in another order, with files that are none.
        if backwards {
            files.reverse();
        }
        let copy = tempdir().unwrap();
        for (number, (class, name)) in files.iter().enumerate() {
            let path = copy.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(copy.path().join(format!("class {class}/0 bad")), "no photo").unwrap();
            fs::write(path, jpeg(100 + number as u64, 9, 9)).unwrap();
        }
        let second = plan(&copy.path().join("."), options.clone()).unwrap();
        let in_order = |plan: &ConvertPlan| -> Vec<String> {
            plan.train().chain(plan.eval()).map(|photo| photo.name.to_owned()).collect()
        };
        prop_assert_eq!(in_order(&first), in_order(&second));
        prop_assert_eq!(second.bad().len(), sizes.len());

        // A photo less moves one other at most, of its own class.
        if sizes[0] > 1 {
            let gone = files.iter().find(|(class, _)| *class == 0).unwrap();
            fs::remove_file(photos.path().join(&gone.1)).unwrap();
            let (fewer_train, fewer_eval) = parts(&plan(photos.path(), options).unwrap());
            let moved: Vec<_> =
                fewer_train.intersection(&eval).chain(fewer_eval.intersection(&train)).collect();
            prop_assert!(moved.len() <= 1 && moved.iter().all(|(class, _)| *class == 0), "{:?}", moved);
        }
    }
}

#[test]
fn another_seed_makes_another_split_and_order() {
    let photos = two_classes(20);
    let plans: Vec<_> = [5, 6]
        .map(|seed| plan(photos.path(), ConvertOptions { seed, ..ConvertOptions::default() }).unwrap())
        .into();
    assert_ne!(parts(&plans[0]).1, parts(&plans[1]).1);
    let order = |plan: &ConvertPlan| plan.train().map(|photo| photo.name.to_owned()).collect::<Vec<_>>();
    assert_ne!(order(&plans[0]), order(&plans[1]));
}

#[test]
fn overwriting_leaves_only_the_new_set() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    fs::write(data.path().join("notes.txt"), "kept").unwrap();
    convert(photos.path(), data.path(), ConvertOptions { shards: 5, ..ConvertOptions::default() }).unwrap();
    let options = ConvertOptions { overwrite: true, eval_fraction: 0.0, ..ConvertOptions::default() };
    convert(photos.path(), data.path(), options).unwrap();
    assert_eq!(
        names_in(data.path()),
        ["labels.txt", "notes.txt", "train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"]
    );
}

#[test]
fn a_conversion_that_failed_halfway_is_seen_and_completed_by_the_next() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    assert!(!is_unfinished(data.path()));
    let wanted = contents(data.path());
    unfinish(data.path());
    fs::remove_file(data.path().join("train-00000-of-00002.tfrecord")).unwrap();
    assert!(is_unfinished(data.path()));
    convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    assert!(!is_unfinished(data.path()));
    assert_eq!(contents(data.path()), wanted, "the same bytes, and no marker");
}

/// The number is no process's.
#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_conversion_left_hidden_is_removed() {
    let photos = two_classes(4);
    let data = tempdir().unwrap();
    for stale in ["train-00000-of-00007.tfrecord", "eval-00000-of-00002.tfrecord", "labels.txt"] {
        fs::write(data.path().join(format!(".{stale}.4294967295-0.tmp")), "half").unwrap();
    }
    fs::write(data.path().join(".notes.4294967295-0.tmp"), "another's").unwrap();
    let options = ConvertOptions { eval_fraction: 0.0, ..ConvertOptions::default() };
    convert(photos.path(), data.path(), options).unwrap();
    assert_eq!(names_in(data.path())[..2], [".notes.4294967295-0.tmp", "labels.txt"]);
}
