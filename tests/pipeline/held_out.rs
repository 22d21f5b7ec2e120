//! Photos held out for evaluation: both parts of shards are served as shards are.

use std::fs;
use std::sync::Arc;

use floret::data::{LoaderOptions, OnBadRecord, Photos, Place};
use floret::recipe::{DataFolder, RecipeError};

use super::*;
use crate::common::photos::{jpeg, payload};

fn folder(
    payloads: &[Vec<u8>],
    shards: usize,
    compression: Compression,
) -> (TempDir, Vec<PathBuf>, DataFolder) {
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), payloads, shards, compression);
    fs::write(folder.path().join("labels.txt"), "a\nb\nc\nd\n").unwrap();
    let data = DataFolder::open(folder.path()).unwrap();
    (folder, shards, data)
}

/// The photos to train on, and those held out.
fn parts(data: &DataFolder, options: LoaderOptions) -> [Loader; 2] {
    let eval = data.eval(options.clone().for_evaluation()).unwrap().unwrap();
    [data.train(options).unwrap(), eval]
}

fn places(loader: &Loader) -> Vec<Place> {
    (0..loader.len()).map(|record| loader.place(record).unwrap()).collect()
}

#[test]
fn each_record_is_in_one_part_and_keeps_its_place() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let (_folder, shards, data) = folder(&payloads(40, CLASSES), 3, compression);
        let all = Loader::open(&shards, options()).unwrap();
        let data = data.hold_out(0.3, 7, options()).unwrap();
        for shuffle in SHUFFLES {
            // Records of the other part are not set aside: in order, nothing is.
            let stash_bytes = if shuffle == Shuffle::None { 0 } else { options().stash_bytes };
            let parts = parts(&data, LoaderOptions { shuffle, stash_bytes, ..options() });
            let counts = parts.each_ref().map(Loader::class_counts);
            assert_eq!(counts, [vec![7; CLASSES], vec![3; CLASSES]]);
            let mut seen = Vec::new();
            for part in &parts {
                assert_eq!(part.options().label_offset, 1);
                let records = batches(part, 0).into_iter().flat_map(|batch| batch.records).collect();
                assert_eq!(sorted(records), (0..part.len()).collect::<Vec<_>>());
                let numbers: Vec<usize> = places(part)
                    .iter()
                    .map(|place| places(&all).iter().position(|other| other == place).unwrap())
                    .collect();
                let here: Vec<usize> = (0..part.len()).collect();
                assert_eq!(part.examples(&here).unwrap(), all.examples(&numbers).unwrap());
                seen.extend(numbers);
            }
            assert_eq!(sorted(seen), (0..40).collect::<Vec<_>>());
        }
    }
}

#[test]
fn other_parts_are_told_from_those_of_a_run() {
    // One shard, of which each part has as many records.
    let (_folder, shards, data) = folder(&payloads(40, CLASSES), 1, Compression::Plain);
    let prints = |seed| {
        let data = data.clone().hold_out(0.3, seed, options()).unwrap();
        parts(&data, options()).map(|part| part.fingerprint())
    };
    let [train, eval] = prints(7);
    assert_eq!([&train, &eval], prints(7).each_ref());
    assert!(train != eval && train != Loader::open(&shards, options()).unwrap().fingerprint());
    let difference = train.difference(&prints(8)[0]).unwrap();
    assert!(difference.contains("of other records"), "{difference}");
}

#[test]
fn limits_and_labels_are_those_of_shards() {
    let labels = |index: i64| payload(jpeg(index as u64, 12, 12), index % 4);
    let (_folder, _, data) = folder(&(0..40).map(labels).collect::<Vec<_>>(), 3, Compression::Gzip);
    let data = data.hold_out(0.3, 7, options()).unwrap();
    let error = |options: LoaderOptions| {
        data.train(options).unwrap().epoch(0).find_map(Result::err).unwrap().to_string()
    };
    let label = error(options());
    assert!(label.contains("label 0 is out of range: 4 classes with labels from 1 to 4"), "{label}");
    assert!(label.ends_with("labels that count from 0 need a label offset of 0"), "{label}");
    assert_eq!(label.matches(".tfrecord: record ").count(), 1, "{label}");
    let stash = error(LoaderOptions { stash_bytes: 0, label_offset: 0, ..options() });
    assert!(stash.contains("exceed the 0 bytes set aside"), "{stash}");
}

#[test]
fn damage_counts_once_and_a_file_that_is_gone_is_an_error() {
    let records = payloads(40, CLASSES);
    let (_folder, shards, data) = folder(&records, 3, Compression::Plain);
    // The length of the second record of a shard.
    let mut bytes = fs::read(&shards[1]).unwrap();
    bytes[records[1].len() + 16] ^= 1;
    fs::write(&shards[1], bytes).unwrap();
    assert!(data.clone().hold_out(0.3, 7, options()).is_err());
    let skipping = LoaderOptions { on_bad_record: OnBadRecord::Skip, ..options() };
    let data = data.hold_out(0.3, 7, skipping.clone()).unwrap();
    let parts = parts(&data, skipping);
    assert_eq!(parts.each_ref().map(Loader::len).iter().sum::<usize>(), 39);
    assert_eq!(parts.each_ref().map(|part| part.skipped().count).iter().sum::<usize>(), 1);
    fs::remove_file(&shards[0]).unwrap();
    for part in parts {
        let error = part.epoch(0).find_map(Result::err).unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}

#[test]
fn a_share_of_0_holds_out_nothing_and_any_other_once() {
    let (_folder, _, data) = folder(&payloads(40, CLASSES), 3, Compression::Plain);
    let data = data.hold_out(0.0, 7, options()).unwrap();
    assert!(data.eval(options()).unwrap().is_none());
    let data = data.hold_out(0.001, 7, options()).unwrap();
    assert_eq!(parts(&data, options()).map(|part| part.len()), [36, 4], "one of each class");
    assert!(matches!(data.hold_out(0.1, 7, options()), Err(RecipeError::HeldOut)));
}

/// The photos themselves are not needed for that.
#[test]
fn photos_in_files_are_held_out_by_their_classes() {
    let files = (0..40).map(|index| (PathBuf::from(format!("{index}.jpg")), index % CLASSES)).collect();
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    let data = DataFolder::of_sets(Arc::new(Photos::new(files, classes)), None).unwrap();
    let data = data.hold_out(0.3, 7, options()).unwrap();
    let parts = parts(&data, options());
    assert_eq!(parts.each_ref().map(Loader::class_counts), [vec![7; CLASSES], vec![3; CLASSES]]);
    assert_eq!(parts[0].options().label_offset, 0);
}
