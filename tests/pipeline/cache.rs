//! What is kept in memory: fitted photos, and the records of compressed shards.

use std::fs;

use floret::data::{Loader, LoaderOptions, OnBadRecord, Shuffle};
use floret::record::Compression;
use tempfile::tempdir;

use super::{SIZE, augmented, batches, drawn, options, with_threads};
use crate::common::photos::{jpeg, payload, write_shards};

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
        assert!(message.contains("decompress the shards"), "{message}");
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
