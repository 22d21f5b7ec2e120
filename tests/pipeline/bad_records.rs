//! Records, files and options that nothing can be made of.

use std::fs;
use std::path::PathBuf;

use floret::data::{BatchError, Loader, LoaderOptions, OnBadRecord, Preprocess, Shuffle, Skipped};
use floret::record::{Compression, ImageExample, ImageSchema};
use tempfile::{TempDir, tempdir};

use super::{CLASSES, SIZE, augmented, batches, drawn, examples, options, sorted, with_threads};
use crate::common::fixture;
use crate::common::photos::{jpeg, payload, payloads, write_shards};

/// 12 records, of which record 3 of the first of two shards has a damaged payload, and others are bad in their own ways.
fn with_bad_records() -> (TempDir, Vec<PathBuf>, Vec<(&'static str, &'static str)>) {
    let mut records = payloads(12, CLASSES);
    let cut = jpeg(5, 30, 30);
    records[1] = payload(cut[..cut.len() / 2].to_vec(), 1); // shard 1, record 0
    records[4] = payload(b"%PDF-1.4".to_vec(), 1); // shard 0, record 2
    records[5] = payload(jpeg(5, 12, 12), 5); // shard 1, record 2
    records[7] = b"\xff\xff".to_vec(); // shard 1, record 3
    records[8] = payload(jpeg(8, 12, 12), 0); // shard 0, record 4
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), &records, 2, Compression::Plain);
    // Shard 0, record 3: the last byte of its payload.
    let end: usize = records.iter().step_by(2).take(4).map(|payload| payload.len() + 16).sum();
    let mut bytes = fs::read(&shards[0]).unwrap();
    bytes[end - 5] ^= 1;
    fs::write(&shards[0], bytes).unwrap();
    let wanted = vec![
        (
            "train-00000-of-00002.tfrecord: record 2 at byte",
            "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but a PDF document",
        ),
        ("train-00000-of-00002.tfrecord: record 3 at byte", "the record's data is damaged"),
        ("train-00000-of-00002.tfrecord: record 4 at byte", "label 0 is out of range"),
        ("train-00001-of-00002.tfrecord: record 0 at byte 0", "JPEG is cut off"),
        ("train-00001-of-00002.tfrecord: record 2 at byte", "label 5 is out of range"),
        ("train-00001-of-00002.tfrecord: record 3 at byte", "no tf.train.Example"),
    ];
    (folder, shards, wanted)
}

#[test]
fn a_bad_record_is_an_error_that_names_it_and_ends_the_epoch() {
    let (_folder, shards, wanted) = with_bad_records();
    for (bad, reason) in &wanted {
        // Batches of one, so that each bad record is the first error of its epoch from there on.
        let options = LoaderOptions { batch_size: 1, shuffle: Shuffle::None, ..options() };
        let loader = Loader::open(&shards, options).unwrap();
        let place = |epoch: &str| -> usize {
            let (shard, record) = epoch.split_once(".tfrecord: record ").unwrap();
            6 * usize::from(shard.starts_with("train-00001")) + record[..1].parse::<usize>().unwrap()
        };
        let mut epoch = loader.epoch_from(0, place(bad));
        let message = epoch.next().unwrap().unwrap_err().to_string();
        assert!(message.contains(bad) && message.contains(reason), "{message}");
        assert!(epoch.next().is_none(), "an error ends the epoch");
    }
}

#[test]
fn the_first_bad_record_of_a_batch_is_named_whatever_the_threads() {
    let (_folder, shards, wanted) = with_bad_records();
    for threads in [1, 2, 3] {
        let options = LoaderOptions { batch_size: 12, shuffle: Shuffle::None, ..options() };
        let loader = Loader::open(&shards, options).unwrap();
        let message = with_threads(threads, || loader.epoch(0).next().unwrap().unwrap_err().to_string());
        assert!(message.contains(wanted[0].0), "{message}");
    }
}

#[test]
fn skipped_records_are_counted_once_and_the_rest_is_served() {
    let (_folder, shards, wanted) = with_bad_records();
    for threads in [1, 3] {
        let options = LoaderOptions { on_bad_record: OnBadRecord::Skip, batch_size: 2, ..options() };
        let loader = Loader::open(&shards, options).unwrap();
        assert_eq!(loader.skipped().count, 0);
        for epoch in 0..3 {
            let got = with_threads(threads, || batches(&loader, epoch));
            assert!(got.iter().all(|batch| !batch.labels.is_empty()));
            assert_eq!(got.iter().map(|batch| batch.labels.len()).sum::<usize>(), 6);
        }
        let Skipped { count, errors, .. } = loader.skipped();
        assert_eq!((count, errors.len()), (6, 6));
        let messages = sorted(errors.iter().map(|error| error.to_string()).collect());
        for (message, (bad, reason)) in messages.iter().zip(&wanted) {
            assert!(message.contains(bad) && message.contains(reason), "{message}");
        }
    }
}

/// Batches of two records, of which the second batch is bad throughout: the position counts it all the same, or resuming
/// would serve records twice.
#[test]
fn a_batch_skipped_whole_counts_in_the_position() {
    let mut records = payloads(8, CLASSES);
    (records[2], records[3]) = (b"bad".to_vec(), b"bad".to_vec());
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), &records, 1, Compression::Plain);
    let options = LoaderOptions {
        on_bad_record: OnBadRecord::Skip,
        batch_size: 2,
        shuffle: Shuffle::None,
        ..options()
    };
    let loader = Loader::open(&shards, options).unwrap();
    let mut epoch = loader.epoch(0);
    let mut positions = Vec::new();
    let mut got = Vec::new();
    while let Some(batch) = epoch.next() {
        got.push(batch.unwrap());
        positions.push(epoch.position());
    }
    assert_eq!(positions, [1, 3, 4]);
    let tail: Vec<_> = loader.epoch_from(0, 3).map(|batch| batch.unwrap()).collect();
    assert_eq!(tail, got[2..]);
}

#[test]
fn nothing_but_bad_records_is_an_error_in_each_epoch() {
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), &[b"bad"; 25], 2, Compression::Plain);
    let options = LoaderOptions { on_bad_record: OnBadRecord::Skip, ..options() };
    let loader = Loader::open(&shards, options).unwrap();
    for epoch in 0..2 {
        let mut epoch = loader.epoch(epoch);
        assert!(matches!(epoch.next(), Some(Err(BatchError::AllSkipped(25)))));
        assert!(epoch.next().is_none());
    }
    let Skipped { count, errors, .. } = loader.skipped();
    assert_eq!((count, errors.len()), (25, 20), "all are counted, the first are kept");
}

#[test]
fn damaged_framing_is_an_error_at_open_or_costs_the_record() {
    let data = drawn(30, Compression::Plain);
    let mut bytes = fs::read(&data.shards[1]).unwrap();
    let payloads = payloads(30, CLASSES);
    let third: usize = [1, 4].iter().map(|&i| payloads[i].len() + 16).sum();
    bytes[third] ^= 1;
    fs::write(&data.shards[1], bytes).unwrap();
    let message = Loader::open(&data.shards, options()).unwrap_err().to_string();
    assert!(
        message.contains(&format!("train-00001-of-00003.tfrecord: record 2 at byte {third}: ")),
        "{message}"
    );
    let options = LoaderOptions { on_bad_record: OnBadRecord::Skip, ..options() };
    let loader = Loader::open(&data.shards, options).unwrap();
    assert_eq!((loader.len(), loader.skipped().count), (29, 1));
    assert_eq!(examples(&batches(&loader, 0)).len(), 29);
}

#[test]
fn labels_out_of_range_name_the_record_and_hint_at_the_offset() {
    let folder = tempdir().unwrap();
    let message = |labels: &[i64], label_offset| {
        let payloads: Vec<_> = labels.iter().map(|&label| payload(jpeg(1, 12, 12), label)).collect();
        let shards = write_shards(folder.path(), &payloads, 1, Compression::Plain);
        let options = LoaderOptions { label_offset, shuffle: Shuffle::None, ..options() };
        match Loader::open(&shards, options).unwrap().epoch(0).next().unwrap() {
            Ok(batch) => format!("{:?}", batch.labels),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(message(&[1, 4], 1), "[0, 3]");
    assert_eq!(message(&[0, 3], 0), "[0, 3]");
    assert_eq!(message(&[-3, 0], -3), "[0, 3]");
    let first = message(&[1, 0], 1);
    assert!(first.contains("train-00000-of-00001.tfrecord: record 1 at byte"), "{first}");
    assert!(
        first.contains("label 0 is out of range: 4 classes with labels from 1 to 4 are expected"),
        "{first}"
    );
    assert!(first.ends_with("labels that count from 0 need a label offset of 0"), "{first}");
    let last = message(&[3, 4], 0);
    assert!(last.contains("label 4") && last.ends_with("from 1 need a label offset of 1"), "{last}");
    for (label, offset) in
        [(5, 1), (-1, 0), (i64::MIN, 1), (i64::MAX, -1), (i64::MIN, i64::MAX), (0, i64::MAX)]
    {
        let message = message(&[label], offset);
        assert!(message.contains(&format!("label {label} is out of range")), "{message}");
        assert!(message.ends_with("are expected"), "no hint: {message}");
    }
}

#[test]
fn what_can_never_work_fails_at_open() {
    let data = drawn(5, Compression::Plain);
    let none = data.folder.path().join("train-00003-of-00003.tfrecord");
    let shards: Vec<_> = data.shards.iter().cloned().chain([none]).collect();
    for on_bad_record in [OnBadRecord::Error, OnBadRecord::Skip] {
        let message =
            Loader::open(&shards, LoaderOptions { on_bad_record, ..options() }).unwrap_err().to_string();
        assert!(message.starts_with("cannot open") && message.contains("train-00003-of"), "{message}");
    }
    let empty = [fixture("empty.tfrecord")];
    let message = Loader::open(&empty, options()).unwrap_err().to_string();
    assert!(message.contains("no record") && message.contains("empty.tfrecord"), "{message}");
    for (options, part) in [
        (LoaderOptions { batch_size: 0, ..options() }, "batch size must be at least 1"),
        (LoaderOptions { classes: 0, ..options() }, "at least 1 class"),
        (LoaderOptions { preprocess: Preprocess::new(0), ..options() }, "image size must be at least 1"),
        (LoaderOptions { source_size: SIZE - 1, ..augmented() }, "source size (9)"),
        (LoaderOptions { drop_last: true, ..options() }, "5 records are less than one batch of 6"),
        (
            LoaderOptions { shuffle: Shuffle::Buffer { capacity: 4, min_after_dequeue: 4 }, ..options() },
            "capacity (4)",
        ),
    ] {
        let message = Loader::open(&data.shards, options).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

/// Not a bad record: skipping it would train on nothing without a word.
#[test]
fn a_file_that_goes_away_is_an_error_even_where_bad_records_are_skipped() {
    let data = drawn(12, Compression::Plain);
    for on_bad_record in [OnBadRecord::Error, OnBadRecord::Skip] {
        let options = LoaderOptions { on_bad_record, cache_bytes: 0, ..options() };
        let loader = Loader::open(&data.shards, options).unwrap();
        assert_eq!(batches(&loader, 0).len(), 2);
        let away = data.folder.path().join("away");
        fs::rename(&data.shards[0], &away).unwrap();
        let message = loader.epoch(1).find_map(|batch| batch.err()).unwrap().to_string();
        assert!(message.contains("train-00000-of-00003.tfrecord: No such file"), "{message}");
        fs::rename(&away, &data.shards[0]).unwrap();
        assert_eq!(batches(&loader, 1).len(), 2, "and all is well when it comes back");
    }
}

#[test]
fn records_are_counted_by_class_without_those_that_are_bad() {
    let folder = tempdir().unwrap();
    let mut records = payloads(22, CLASSES);
    let labels: Vec<usize> = records
        .iter()
        .map(|r| ImageExample::parse(r, &ImageSchema::default()).unwrap().label as usize)
        .collect();
    records[3] = b"no example".to_vec();
    let mut wanted = vec![0; CLASSES];
    labels.iter().enumerate().filter(|(place, _)| *place != 3).for_each(|(_, label)| wanted[label - 1] += 1);
    let shards = write_shards(folder.path(), &records, 2, Compression::Gzip);
    let counts = |options| Loader::open(&shards, options).unwrap().class_counts();
    assert_eq!(counts(options()), wanted);
    // Labels beyond the classes are no one's.
    assert_eq!(counts(LoaderOptions { classes: 2, ..options() }), wanted[..2]);
}
