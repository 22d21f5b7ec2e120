//! Shards to batches: values, order, bad records, the cache, and that none of it depends on threads or timing.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use common::photos::{jpeg, payload, payloads, write_shards};
use common::{Fixtures, assert_close, fixture};
use floret::batch::{
    Batch, BatchError, Loader, LoaderOptions, Mix, OnBadRecord, Preprocess, Shuffle, Skipped,
};
use floret::image::{Augment, Fit, Orientation, decode, standardize};
use floret::record::{Compression, ImageExample, ImageSchema, RecordReader};
use ndarray::Axis;
use rayon::ThreadPoolBuilder;
use tempfile::{TempDir, tempdir};

const SIZE: usize = 10;
const CLASSES: usize = 4;
const SHUFFLES: [Shuffle; 4] = [
    Shuffle::None,
    Shuffle::Full,
    Shuffle::Buffer { capacity: 8, min_after_dequeue: 4 },
    Shuffle::Buffer { capacity: 1000, min_after_dequeue: 500 },
];

/// Shards of drawn photos, of which there are `photos`; removed with the folder.
struct Drawn {
    folder: TempDir,
    shards: Vec<PathBuf>,
}

fn drawn(photos: usize, compression: Compression) -> Drawn {
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), &payloads(photos, CLASSES), 3, compression);
    Drawn { folder, shards }
}

fn options() -> LoaderOptions {
    LoaderOptions { batch_size: 6, seed: 7, ..LoaderOptions::new(Preprocess::new(SIZE), CLASSES) }
}

fn augmented() -> LoaderOptions {
    LoaderOptions { augment: Some(Augment::standard()), source_size: SIZE + 3, ..options() }
}

/// Batches of an epoch, none of them an error.
fn batches(loader: &Loader, epoch: u64) -> Vec<Batch> {
    loader.epoch(epoch).map(|batch| batch.unwrap()).collect()
}

/// Runs `work` in a pool of so many threads.
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// The examples of an epoch without their batches: each image's bits, and its class.
fn examples(batches: &[Batch]) -> Vec<(Vec<u32>, usize)> {
    let mut examples = Vec::new();
    for Batch { images, labels, .. } in batches {
        assert_eq!(images.len_of(Axis(0)), labels.len());
        for (image, &label) in images.outer_iter().zip(labels) {
            examples.push((image.iter().map(|v| v.to_bits()).collect(), label));
        }
    }
    examples
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

// ---------------------------------------------------------------- values

/// TensorFlow's own chain: decode_jpeg, resize_image_with_crop_or_pad, per_image_standardization. The JPEG decoder's
/// levels may differ by a few, so pixels are compared by the crop of the decoded image by hand, and TensorFlow's values
/// to a few levels of a deviation of about 50.
#[test]
fn batches_of_the_fixtures_are_decoded_cropped_and_standardized() {
    let shards = [0, 1].map(|i| fixture(&format!("train-0000{i}-of-00002.tfrecord")));
    let preprocess = Preprocess { orientation: Orientation::AsStored, ..Preprocess::new(24).fit(Fit::Crop) };
    let options =
        LoaderOptions { batch_size: 5, shuffle: Shuffle::None, ..LoaderOptions::new(preprocess, 5) };
    let loader = Loader::open(&shards, options.clone()).unwrap();
    assert_eq!((loader.len(), loader.batches()), (24, 5));

    let fixtures = Fixtures::load("images");
    let records = shards.iter().flat_map(|shard| RecordReader::open(shard).unwrap());
    let mut seen = 0;
    let got = batches(&loader, 0);
    assert_eq!(got.iter().map(|batch| batch.labels.len()).collect::<Vec<_>>(), [5, 5, 5, 5, 4]);
    let images = got.iter().flat_map(|batch| batch.images.outer_iter().zip(&batch.labels));
    for ((image, &label), record) in images.zip(records) {
        let example = ImageExample::parse(&record.unwrap().payload, &ImageSchema::default()).unwrap();
        assert_eq!(label as i64, example.label - 1);
        let fitted = Fit::Crop.apply(&decode(&example.encoded, &options.decode).unwrap(), (24, 24)).unwrap();
        let mut by_hand = vec![0.0; fitted.len()];
        standardize(fitted.as_slice().unwrap(), &mut by_hand).unwrap();
        assert!(image.iter().eq(&by_hand), "{:?}", example.filename);

        let case = fixtures.cases.iter().find(|case| case["filename"] == example.filename.clone().unwrap());
        let wanted = fixtures.f64(&format!("{}/standardized_24", case.unwrap()["key"].as_str().unwrap()));
        assert_close(&example.filename.unwrap(), image, &wanted, 0.05);
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn a_batch_tells_which_records_its_images_came_from() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let data = drawn(17, compression);
        let loader = Loader::open(&data.shards, options()).unwrap();
        let mut seen = Vec::new();
        for batch in batches(&loader, 3) {
            let examples = loader.examples(&batch.records).unwrap();
            assert_eq!(examples.len(), batch.labels.len());
            for ((image, &label), example) in batch.images.outer_iter().zip(&batch.labels).zip(examples) {
                assert_eq!(label as i64 + 1, example.label);
                assert_eq!(
                    image,
                    loader.options().preprocess.input(&example.encoded, &Default::default()).unwrap()
                );
            }
            seen.extend(batch.records);
        }
        assert_eq!(sorted(seen), (0..17).collect::<Vec<_>>());
        assert!(loader.examples(&[17]).is_err());

        // One that there is not stands in the way of no other; none is in its way on the way to others.
        let stash_bytes = 0;
        let loader = Loader::open(&data.shards, LoaderOptions { stash_bytes, ..options() }).unwrap();
        let [first, last] = [0, 16].map(|record| loader.examples(&[record]).unwrap().remove(0));
        let mut each = loader.each_example(&[0, 17, 16]);
        assert_eq!(each.next().unwrap().unwrap(), first);
        assert!(each.next().unwrap().is_err());
        assert_eq!(each.next().unwrap().unwrap(), last);
        assert!(each.next().is_none());
    }
}

#[test]
fn resized_photos_are_what_preprocessing_alone_makes_of_them() {
    let data = drawn(17, Compression::Plain);
    let options = LoaderOptions { shuffle: Shuffle::None, ..options() };
    let loader = Loader::open(&data.shards, options.clone()).unwrap();
    // Shards are written in turn, and read one after the other.
    let order: Vec<usize> = (0..3).flat_map(|shard| (shard..17).step_by(3)).collect();
    let payloads = payloads(17, CLASSES);
    for (place, (image, label)) in examples(&batches(&loader, 0)).into_iter().enumerate() {
        let example = ImageExample::parse(&payloads[order[place]], &ImageSchema::default()).unwrap();
        let alone = options.preprocess.input(&example.encoded, &options.decode).unwrap();
        assert_eq!(image, alone.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        assert_eq!(label, order[place] % CLASSES);
    }
}

// ---------------------------------------------------------------- order

#[test]
fn each_epoch_has_every_example_once_in_an_order_of_its_own() {
    let data = drawn(40, Compression::Plain);
    for shuffle in SHUFFLES {
        let loader = Loader::open(&data.shards, LoaderOptions { shuffle, ..options() }).unwrap();
        let epochs: Vec<_> = (0..3).map(|epoch| examples(&batches(&loader, epoch))).collect();
        assert_eq!(BTreeSet::from_iter(&epochs[0]).len(), 40, "the photos differ");
        for epoch in &epochs[1..] {
            assert_eq!(sorted(epoch.clone()), sorted(epochs[0].clone()));
            assert_eq!(*epoch == epochs[0], shuffle == Shuffle::None);
        }
        let other = LoaderOptions { shuffle, seed: 8, ..options() };
        let other = examples(&batches(&Loader::open(&data.shards, other).unwrap(), 0));
        assert_eq!(other == epochs[0], shuffle == Shuffle::None);
    }
}

#[test]
fn augmentation_differs_by_epoch_and_goes_with_the_record() {
    let data = drawn(12, Compression::Plain);
    let in_order = LoaderOptions { shuffle: Shuffle::None, ..augmented() };
    let loader = Loader::open(&data.shards, in_order).unwrap();
    let (first, second) = (batches(&loader, 0), batches(&loader, 1));
    for (a, b) in examples(&first).iter().zip(&examples(&second)) {
        assert!(a.0 != b.0 && a.1 == b.1);
    }
    // The same changes to the same photos in any order.
    let shuffled = Loader::open(&data.shards, augmented()).unwrap();
    assert_eq!(sorted(examples(&batches(&shuffled, 1))), sorted(examples(&second)));
}

#[test]
fn batches_do_not_depend_on_threads_cache_or_compression() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let data = drawn(31, compression);
        for shuffle in SHUFFLES {
            for options in [options(), augmented()] {
                let run = |threads, cache_bytes, prefetch| {
                    let options = LoaderOptions { shuffle, cache_bytes, prefetch, ..options.clone() };
                    let loader = Loader::open(&data.shards, options).unwrap();
                    with_threads(threads, || [0, 1, 2].map(|epoch| examples(&batches(&loader, epoch))))
                };
                let wanted = run(1, 0, 1);
                // None of the photos is kept, some are, all are.
                for (threads, cache, prefetch) in [(1, 4000, 4), (2, 1 << 20, 1), (3, 0, 2), (3, 4000, 9)] {
                    assert!(
                        run(threads, cache, prefetch) == wanted,
                        "{shuffle:?}, {threads} threads, cache {cache}, prefetch {prefetch}, {compression}"
                    );
                }
                // Outside of any pool the global one works.
                let loader =
                    Loader::open(&data.shards, LoaderOptions { shuffle, ..options.clone() }).unwrap();
                assert!(examples(&batches(&loader, 0)) == wanted[0]);
            }
        }
    }
}

#[test]
fn an_epoch_resumed_at_a_batch_is_its_tail() {
    for compression in [Compression::Plain, Compression::Zlib] {
        let data = drawn(20, compression);
        for shuffle in SHUFFLES {
            let loader = Loader::open(&data.shards, LoaderOptions { shuffle, ..augmented() }).unwrap();
            let whole = batches(&loader, 3);
            assert_eq!(whole.len(), 4);
            for first in [0, 1, 3, 4, 5, usize::MAX] {
                let tail: Vec<_> = loader.epoch_from(3, first).map(|batch| batch.unwrap()).collect();
                assert_eq!(tail, whole[first.min(4)..], "{shuffle:?} from {first}");
            }
        }
    }
}

#[test]
fn the_last_short_batch_is_kept_or_dropped() {
    let data = drawn(20, Compression::Plain);
    let kept = Loader::open(&data.shards, options()).unwrap();
    let dropped = Loader::open(&data.shards, LoaderOptions { drop_last: true, ..options() }).unwrap();
    assert_eq!((kept.batches(), dropped.batches()), (4, 3));
    let (kept, dropped) = (batches(&kept, 0), batches(&dropped, 0));
    assert_eq!(kept[3].labels.len(), 2);
    assert_eq!(kept[..3], dropped);
    let exact = LoaderOptions { batch_size: 5, drop_last: true, ..options() };
    assert_eq!(batches(&Loader::open(&data.shards, exact).unwrap(), 0).len(), 4);
    let huge = LoaderOptions { batch_size: usize::MAX, ..options() };
    assert_eq!(batches(&Loader::open(&data.shards, huge).unwrap(), 0)[0].labels.len(), 20);
}

#[test]
fn position_is_where_the_epoch_goes_on() {
    let data = drawn(20, Compression::Plain);
    let loader = Loader::open(&data.shards, options()).unwrap();
    let whole = batches(&loader, 0);
    let mut epoch = loader.epoch(0);
    let mut batch = 0;
    loop {
        assert_eq!(epoch.position(), batch);
        if epoch.next().is_none() {
            break;
        }
        batch += 1;
        let next = loader.epoch_from(0, epoch.position()).next().map(|batch| batch.unwrap());
        assert_eq!(next.as_ref(), whole.get(batch));
    }
    assert_eq!(batch, 4);
}

// ---------------------------------------------------------------- bad records

/// 12 records, of which record 3 of the first of two shards has a damaged payload, and others are bad in their own ways.
fn with_bad_records() -> (TempDir, Vec<PathBuf>, Vec<(&'static str, &'static str)>) {
    let mut records = payloads(12, CLASSES);
    let cut = jpeg(5, 30, 30);
    records[1] = payload(cut[..cut.len() / 2].to_vec(), 1); // shard 1, record 0
    records[4] = payload(b"GIF89a".to_vec(), 1); // shard 0, record 2
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
        ("train-00000-of-00002.tfrecord: record 2 at byte", "not a JPEG or PNG image but a GIF image"),
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
        let Skipped { count, errors } = loader.skipped();
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
    let Skipped { count, errors } = loader.skipped();
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

// ---------------------------------------------------------------- cache

#[test]
fn photos_in_the_cache_need_no_file() {
    for options in [options(), augmented()] {
        let data = drawn(12, Compression::Gzip);
        let loader = Loader::open(&data.shards, options.clone()).unwrap();
        let other = Loader::open(&data.shards, options).unwrap();
        batches(&loader, 0);
        let wanted = batches(&other, 1);
        for shard in &data.shards {
            fs::remove_file(shard).unwrap();
        }
        assert_eq!(batches(&loader, 1), wanted);
        assert_eq!(batches(&loader.clone(), 1), wanted, "clones share the cache");
    }
}

/// How many of 12 photos of one shard are served once their file is gone: those that were kept.
#[test]
fn the_cache_keeps_to_its_budget() {
    let photo = (SIZE * SIZE * 3) as u64;
    for (cache_bytes, kept) in [(0, 0), (photo - 1, 0), (photo, 1), (5 * photo + 7, 5), (12 * photo, 12)] {
        let data = drawn(12, Compression::Plain);
        let options = LoaderOptions { cache_bytes, batch_size: 1, shuffle: Shuffle::None, ..options() };
        let loader = Loader::open(&data.shards, options).unwrap();
        batches(&loader, 0);
        data.shards.iter().for_each(|shard| fs::remove_file(shard).unwrap());
        let served = (0..12).filter(|&record| loader.epoch_from(1, record).next().unwrap().is_ok()).count();
        assert_eq!(served, kept, "{cache_bytes} bytes");
    }
}

// ---------------------------------------------------------------- compressed shards

/// A stash for eight records of a compressed shard. Records that the cache has, or that were served before the epoch
/// was interrupted, are passed over too, but set aside they would fill it for nothing.
#[test]
fn records_that_will_not_be_asked_for_are_not_set_aside() {
    let folder = tempdir().unwrap();
    let records: Vec<_> = (0..60).map(|i| payload(jpeg(i, 16, 16), 1)).collect();
    let shards = write_shards(folder.path(), &records, 1, Compression::Gzip);
    let longest = records.iter().map(Vec::len).max().unwrap() as u64;
    let photo = (SIZE * SIZE * 3) as u64;
    let options = LoaderOptions {
        shuffle: Shuffle::Buffer { capacity: 4, min_after_dequeue: 2 },
        stash_bytes: 8 * longest,
        cache_bytes: 30 * photo,
        batch_size: 1,
        ..options()
    };
    let loader = Loader::open(&shards, options.clone()).unwrap();
    for epoch in 0..4 {
        assert_eq!(batches(&loader, epoch).len(), 60);
    }
    let uncached = Loader::open(&shards, LoaderOptions { cache_bytes: 0, ..options.clone() }).unwrap();
    let tail: Vec<_> = uncached.epoch_from(0, 50).map(|batch| batch.unwrap()).collect();
    assert_eq!(tail, batches(&uncached, 0)[50..]);
    // What must be set aside and does not fit is an error that says what to do, whether or not bad ones are skipped.
    for on_bad_record in [OnBadRecord::Error, OnBadRecord::Skip] {
        let options =
            LoaderOptions { shuffle: Shuffle::Full, cache_bytes: 0, on_bad_record, ..options.clone() };
        let loader = Loader::open(&shards, options).unwrap();
        let message = loader.epoch(0).find_map(|batch| batch.err()).unwrap().to_string();
        assert!(message.contains("use a smaller shuffle buffer"), "{message}");
    }
}

/// Tasks that come in any order still read in the epoch's order: a shard read straight through needs no stash at all.
#[test]
fn reading_in_order_needs_no_stash_however_many_batches_are_under_way() {
    let data = drawn(60, Compression::Gzip);
    let options = LoaderOptions {
        shuffle: Shuffle::None,
        stash_bytes: 0,
        cache_bytes: 0,
        batch_size: 2,
        prefetch: 16,
        ..options()
    };
    let loader = Loader::open(&data.shards, options).unwrap();
    for epoch in 0..3 {
        assert_eq!(with_threads(3, || batches(&loader, epoch)).len(), 30);
    }
}

// ---------------------------------------------------------------- early ends

#[test]
fn an_epoch_dropped_early_neither_hangs_nor_disturbs_the_next() {
    let data = drawn(40, Compression::Gzip);
    let options = LoaderOptions { batch_size: 3, prefetch: 8, cache_bytes: 0, ..options() };
    for threads in [1, 2, 3] {
        let loader = Loader::open(&data.shards, options.clone()).unwrap();
        let wanted = batches(&loader, 1);
        with_threads(threads, || {
            for taken in [0, 1, 2, 5] {
                let mut epoch = loader.epoch(0);
                (0..taken).for_each(|_| drop(epoch.next().unwrap().unwrap()));
                drop(epoch);
                assert!(batches(&loader, 1) == wanted);
            }
        });
    }
}

/// Each of the tasks in a pool's only thread waits for batches that only this thread can make.
#[test]
fn epochs_may_overlap_and_be_taken_inside_a_pool() {
    let data = drawn(20, Compression::Plain);
    let loader = Loader::open(&data.shards, options()).unwrap();
    let wanted = [batches(&loader, 0), batches(&loader, 1)];
    for threads in [1, 2] {
        let fresh = Loader::open(&data.shards, options()).unwrap();
        let got = with_threads(threads, || {
            let (a, b) = rayon::join(|| batches(&fresh, 0), || batches(&fresh, 1));
            [a, b]
        });
        assert!(got == wanted);
        let fresh = Loader::open(&data.shards, options()).unwrap();
        let pairs: Vec<_> =
            fresh.epoch(0).zip(fresh.epoch(1)).map(|(a, b)| [a.unwrap(), b.unwrap()]).collect();
        for (place, pair) in pairs.into_iter().enumerate() {
            assert!(pair[0] == wanted[0][place] && pair[1] == wanted[1][place]);
        }
    }
}

// ---------------------------------------------------------------- mixing

/// What mixing does to one image, undone by hand: the two it was made of and the share of the first.
#[test]
fn mixed_examples_are_made_of_two_of_their_batch_as_their_targets_say() {
    let data = drawn(24, Compression::Plain);
    let plain = Loader::open(&data.shards, LoaderOptions { batch_size: 12, ..options() }).unwrap();
    for (mixup, cutmix) in [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.3, 0.2)] {
        let mix = Some(Mix::new(mixup, cutmix));
        let mixed = Loader::open(&data.shards, LoaderOptions { mix, ..plain.options().clone() }).unwrap();
        let (mut blended, mut cut) = (0, 0);
        for (before, after) in batches(&plain, 1).iter().zip(batches(&mixed, 1)) {
            assert_eq!((&before.labels, &before.records), (&after.labels, &after.records));
            let targets = after.mixed.unwrap();
            for (example, target) in targets.rows().into_iter().enumerate() {
                assert!((target.sum() - 1.0).abs() < 1e-6 && target.iter().all(|&t| t >= 0.0), "{target}");
                let (x, got) =
                    (before.images.index_axis(Axis(0), example), after.images.index_axis(Axis(0), example));
                if x == got {
                    continue;
                }
                // The other one is the one that explains every value.
                let share = |other: usize| {
                    let y = before.images.index_axis(Axis(0), other);
                    let far = (&x - &y).mapv(f32::abs);
                    let at = far.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
                    let [x, y, got] = [&x, &y, &got].map(|image| *image.iter().nth(at).unwrap());
                    (got - y) / (x - y)
                };
                let blend = (0..12).filter(|&other| other != example).find(|&other| {
                    let (y, kept) = (before.images.index_axis(Axis(0), other), share(other));
                    let mixed = &x * kept + &y * (1.0 - kept);
                    mixed.iter().zip(got).all(|(a, b)| (a - b).abs() < 1e-4)
                });
                let patch = (0..12).filter(|&other| other != example).find_map(|other| {
                    let y = before.images.index_axis(Axis(0), other);
                    let of = |image: &ndarray::ArrayView3<f32>, y, x| {
                        image.slice(ndarray::s![y, x, ..]) == got.slice(ndarray::s![y, x, ..])
                    };
                    let places: Vec<_> = (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (y, x))).collect();
                    let foreign: Vec<_> = places.iter().filter(|(r, c)| !of(&x, *r, *c)).copied().collect();
                    foreign.iter().all(|&(r, c)| of(&y, r, c)).then_some((other, foreign))
                });
                let mut wanted = vec![0.0; CLASSES];
                if let Some((other, foreign)) = patch {
                    cut += 1;
                    let (rows, columns): (BTreeSet<_>, BTreeSet<_>) = foreign.iter().copied().unzip();
                    assert_eq!(foreign.len(), rows.len() * columns.len(), "a rectangle");
                    let kept = 1.0 - foreign.len() as f32 / (SIZE * SIZE) as f32;
                    wanted[before.labels[example]] += kept;
                    wanted[before.labels[other]] += 1.0 - kept;
                } else {
                    let other = blend.expect("an image of the batch");
                    blended += 1;
                    wanted[before.labels[example]] += share(other);
                    wanted[before.labels[other]] += 1.0 - share(other);
                }
                // Drawn photos are smooth, so a share found from one pixel has few digits.
                assert!(target.iter().zip(&wanted).all(|(t, w)| (t - w).abs() < 2e-3), "{target} {wanted:?}");
            }
        }
        assert_eq!((blended > 0, cut > 0), (mixup > 0.0, cutmix > 0.0), "{mixup} {cutmix}");
    }
}

#[test]
fn mixing_depends_on_the_seed_the_epoch_and_the_place_alone() {
    let data = drawn(24, Compression::Plain);
    let mixed = |seed| {
        let options =
            LoaderOptions { seed, shuffle: Shuffle::None, mix: Some(Mix::new(0.5, 0.5)), ..options() };
        Loader::open(&data.shards, options).unwrap()
    };
    let targets =
        |batches: &[Batch]| batches.iter().map(|batch| batch.mixed.clone().unwrap()).collect::<Vec<_>>();
    let whole = with_threads(1, || batches(&mixed(7), 2));
    for threads in [2, 3] {
        assert!(with_threads(threads, || batches(&mixed(7), 2)) == whole);
    }
    let rest: Vec<Batch> = mixed(7).epoch_from(2, 2).map(|batch| batch.unwrap()).collect();
    assert!(rest[..] == whole[2..]);
    assert_ne!(targets(&whole), targets(&batches(&mixed(8), 2)));
    assert_ne!(targets(&whole), targets(&batches(&mixed(7), 3)));
    assert_ne!(whole[0].mixed, whole[1].mixed);
}

#[test]
fn mixing_that_makes_no_sense_is_refused() {
    let data = drawn(4, Compression::Plain);
    let alpha = |alpha| Mix { alpha, ..Mix::new(0.5, 0.5) };
    for mix in [Mix::new(-0.1, 0.0), Mix::new(0.6, 0.6), Mix::new(f32::NAN, 0.0), alpha(0.0), alpha(f32::NAN)]
    {
        let error = Loader::open(&data.shards, LoaderOptions { mix: Some(mix), ..options() }).unwrap_err();
        assert!(matches!(error, BatchError::Options(_)), "{error}");
    }
}

// ---------------------------------------------------------------- evaluation

/// What a loader opened for evaluation serves, from the loader of training.
#[test]
fn a_training_loader_serves_evaluation_without_decoding_anew_where_it_can() {
    let Drawn { folder, shards } = drawn(20, Compression::Plain);
    let wanted = |size| {
        let options = LoaderOptions { preprocess: Preprocess::new(size), ..augmented() }.for_evaluation();
        batches(&Loader::open(&shards, options).unwrap(), 0)
    };
    let wanted = [SIZE, SIZE + 3].map(wanted);
    let options = LoaderOptions { mix: Some(Mix::new(0.4, 0.0)), ..augmented() };
    let train = Loader::open(&shards, options).unwrap();
    assert_eq!(train.location(20), None);
    batches(&train, 0);
    let evaluation = |size| train.for_evaluation(Preprocess::new(size));
    assert_eq!(
        batches(&evaluation(SIZE).unwrap(), 0),
        wanted[0],
        "fitted to another size than the cached ones"
    );
    assert!(matches!(evaluation(0), Err(BatchError::Options(_))));
    folder.close().unwrap();
    assert_eq!(batches(&evaluation(SIZE + 3).unwrap(), 0), wanted[1], "from the cache");
    assert!(evaluation(SIZE).unwrap().epoch(0).next().unwrap().is_err(), "nothing is cached");
}

// ---------------------------------------------------------------- other sizes, and what there is

/// The same photos, changed alike, from one cache: only the number of pixels differs.
#[test]
fn a_loader_at_another_size_makes_what_one_opened_at_it_makes() {
    let data = drawn(13, Compression::Plain);
    let loader = Loader::open(&data.shards, augmented()).unwrap();
    for size in [SIZE - 4, SIZE, SIZE + 3] {
        let options = LoaderOptions { preprocess: Preprocess::new(size), ..augmented() };
        let wanted = Loader::open(&data.shards, options).unwrap();
        let other = loader.at_size(size).unwrap();
        assert_eq!(other.options().preprocess.image_size, size);
        for epoch in [0, 1] {
            assert!(batches(&other, epoch) == batches(&wanted, epoch), "{size}");
        }
    }
    let refused = |loader: &Loader, size| loader.at_size(size).unwrap_err().to_string();
    assert!(
        refused(&loader, SIZE + 4).contains("the source size (13) must not be under the image size (14)")
    );
    assert!(refused(&loader, 0).contains("at least 1"));
    let plain = Loader::open(&data.shards, options()).unwrap();
    assert!(refused(&plain, SIZE - 1).contains("only be made with augmentation"));
    assert!(plain.at_size(SIZE).is_ok());
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
