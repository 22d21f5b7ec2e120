//! The index and the fetcher: any record in any order, and files that are not what they were.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floret::record::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::oracle::{self, Event};
use super::support::*;

const ALL: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zlib];

/// 20 records of 0 to 190 bytes.
fn payloads() -> Vec<Vec<u8>> {
    (0..20u8).map(|record| vec![record; 10 * usize::from(record)]).collect()
}

fn index(paths: &[PathBuf]) -> Arc<ShardIndex> {
    Arc::new(ShardIndex::open(paths, &ReaderOptions::default()).unwrap())
}

fn shuffled(records: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<_> = (0..records).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

fn fetch(fetcher: &mut RecordFetcher, record: usize) -> Vec<u8> {
    let mut payload = vec![0xee; 3];
    fetcher.fetch(record, &mut payload).unwrap();
    payload
}

/// A folder with one shard `a` of these bytes.
fn shard(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn the_index_is_where_the_oracle_finds_the_records() {
    let names = [
        "empty",
        "train-00000-of-00002",
        "zero_length",
        "empty",
        "train-00001-of-00002",
        "all.zlib",
        "empty",
    ];
    let paths = names.map(|name| fixture(&format!("{name}.tfrecord")));
    let index = index(&paths);
    let mut number = 0;
    for (shard, path) in paths.iter().enumerate() {
        let mut records = 0;
        for record in RecordReader::open(path).unwrap() {
            let Record { position, payload } = record.unwrap();
            let wanted = IndexedRecord { shard, position, length: payload.len() as u64 };
            assert_eq!(index.get(number), Some(wanted));
            assert_eq!(index.location(number).unwrap().file, *path);
            number += 1;
            records += 1;
        }
        assert_eq!((index.shards()[shard].records, index.shards()[shard].first), (records, number - records));
    }
    assert_eq!((index.len(), index.get(number)), (number, None));
    assert_eq!(number, 12 + 3 + 12 + 24);
}

#[test]
fn every_record_is_fetched_in_every_order() {
    let names = ["train-00000-of-00002", "all.gzip", "empty", "all.zlib", "zero_length"];
    let paths = names.map(|name| fixture(&format!("{name}.tfrecord")));
    let wanted: Vec<_> = paths.iter().flat_map(payloads_of).collect();
    let mut fetcher = RecordFetcher::new(index(&paths));
    let in_order: Vec<_> = (0..wanted.len()).collect();
    let backwards: Vec<_> = in_order.iter().rev().copied().collect();
    let twice = [shuffled(wanted.len(), 1), shuffled(wanted.len(), 2)].concat();
    for order in [in_order, backwards, twice] {
        for record in order {
            assert!(fetch(&mut fetcher, record) == wanted[record], "record {record}");
        }
    }
    let error = fetcher.fetch(wanted.len(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "there is no record 63: the shards hold 63");
}

/// An epoch may be given up half-way, and the next begins anew.
#[test]
fn an_epoch_given_up_does_not_disturb_the_next() {
    let (_folder, path) = shard(&written(&payloads(), Compression::Gzip));
    let total: usize = payloads().iter().map(Vec::len).sum();
    let mut fetcher = RecordFetcher::new(index(&[path])).with_stash_bytes(total as u64);
    for seed in 0..20 {
        for record in shuffled(20, seed).into_iter().take(7) {
            assert_eq!(fetch(&mut fetcher, record), payloads()[record], "seed {seed}");
        }
    }
}

#[test]
fn more_shards_than_may_be_open_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..300).map(|shard| folder.path().join(format!("{shard:03}"))).collect();
    for (shard, path) in paths.iter().enumerate() {
        let payloads = [[shard as u8, 0], [shard as u8, 1]];
        fs::write(path, written(&payloads, ALL[shard % 3])).unwrap();
    }
    let mut fetcher = RecordFetcher::new(index(&paths));
    for record in shuffled(600, 3) {
        assert_eq!(fetch(&mut fetcher, record), [(record / 2) as u8, (record % 2) as u8]);
    }
}

#[test]
fn records_passed_over_are_kept_within_the_budget() {
    for compression in [Compression::Gzip, Compression::Zlib] {
        let (_folder, path) = shard(&written(&payloads(), compression));
        // On the way to record 5 lie 0 + 10 + 20 + 30 + 40 = 100 bytes.
        let mut fetcher = RecordFetcher::new(index(&[path])).with_stash_bytes(100);
        assert_eq!(fetch(&mut fetcher, 5), payloads()[5]);
        let error = fetcher.fetch(7, &mut Vec::new()).unwrap_err();
        assert!(!error.is_recoverable());
        let message = error.to_string();
        assert!(message.contains("record 7 at byte 322 of the decompressed data: "), "{message}");
        assert!(
            message.contains("exceed the 100 bytes") && message.contains("smaller shuffle buffer"),
            "{message}"
        );
        // What fits the budget is still there for the asking.
        for record in 0..20 {
            assert_eq!(fetch(&mut fetcher, record), payloads()[record]);
        }
    }
}

/// Two files, so that a record's number is not its place in its file. Every third record is wanted, from the last on.
#[test]
fn of_the_records_passed_over_only_those_to_be_kept_use_the_budget() {
    let bytes = written(&[[0; 10]; 30], Compression::Gzip);
    let (_folders, paths): (Vec<_>, Vec<_>) = [shard(&bytes), shard(&bytes)].into_iter().unzip();
    let mut fetcher = RecordFetcher::new(index(&paths)).with_stash_bytes(200);
    let mut payload = Vec::new();
    let passed = RefCell::new(Vec::new());
    for record in (0..60).rev().filter(|record| record % 3 == 2) {
        let keep = |record: usize| {
            passed.borrow_mut().push(record);
            record % 3 == 2
        };
        fetcher.fetch_keeping(record, &mut payload, keep).unwrap();
        assert_eq!(payload, [0; 10]);
    }
    assert_eq!(passed.into_inner(), (30..59).chain(0..29).collect::<Vec<_>>());
    // One that was not kept after all is read again.
    fetcher.fetch(31, &mut payload).unwrap();
    assert_eq!(payload, [0; 10]);
}

#[test]
fn the_budget_is_shared_by_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| fs::write(path, written(&payloads(), Compression::Gzip)).unwrap());
    let mut fetcher = RecordFetcher::new(index(&paths)).with_stash_bytes(150);
    assert_eq!(fetch(&mut fetcher, 5), payloads()[5]);
    let error = fetcher.fetch(20 + 5, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, RecordError::StashFull { limit: 150, .. }), "{error}");
    assert_eq!(fetch(&mut fetcher, 4), payloads()[4]);
    assert_eq!(fetch(&mut fetcher, 20 + 4), payloads()[4], "60 + 60 bytes");
}

/// The index passes over a payload of a tebibyte (a hole in the file) at once: it does not read it.
#[cfg(target_os = "linux")]
#[test]
fn payloads_of_plain_files_are_not_read() {
    let length = 1u64 << 40;
    let mut header = length.to_le_bytes().to_vec();
    header.extend(oracle::masked(&length.to_le_bytes()).to_le_bytes());
    let (_folder, path) = shard(&header);
    fs::File::options().write(true).open(&path).unwrap().set_len(12 + length + 4).unwrap();
    let options = ReaderOptions { max_record_bytes: u64::MAX, ..ReaderOptions::default() };
    let index = ShardIndex::open(&[path], &options).unwrap();
    assert_eq!(index.get(0).unwrap().length, length);
}

/// At each truncation and each bit flip that harms the framing, the index fails where a reader does; damaged
/// data is found when it is fetched.
#[test]
fn damages_are_found_where_a_reader_finds_them() {
    let plain = oracle::file_of(&[&b"first"[..], b"", b"a third record"]);
    let truncations = (0..plain.len()).map(|length| plain[..length].to_vec());
    let flips = (0..plain.len() * 8).map(|bit| {
        let mut flipped = plain.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    for bytes in truncations.chain(flips) {
        fs::write(&path, &bytes).unwrap();
        let wanted = oracle::read(&bytes);
        match ShardIndex::open(&[&path], &options(None)) {
            Ok(index) => assert_eq!(fetched_events(index), wanted),
            Err(error) => {
                assert_eq!(Some(&event_of(&error)), wanted.last());
                assert_eq!(error.location().unwrap().position.record, wanted.len() as u64 - 1);
            }
        }
    }
}

/// Fetches every record, the last first, in the oracle's terms.
fn fetched_events(index: ShardIndex) -> Vec<Event> {
    let index = Arc::new(index);
    let mut fetcher = RecordFetcher::new(Arc::clone(&index));
    let mut payload = Vec::new();
    let mut events: Vec<_> = (0..index.len())
        .rev()
        .map(|record| match fetcher.fetch(record, &mut payload) {
            Ok(()) => {
                let offset = index.get(record).unwrap().position.offset;
                Event::Payload { offset, payload: payload.clone() }
            }
            Err(error) => {
                assert!(error.is_recoverable(), "{error}");
                assert_eq!(error.location(), index.location(record).as_ref());
                event_of(&error)
            }
        })
        .collect();
    events.reverse();
    events
}

#[test]
fn damaged_data_of_a_compressed_file_is_the_error_of_its_own_record() {
    let mut plain = oracle::file_of(&payloads());
    let second = 16 + 12;
    plain[second] ^= 1;
    let (_folder, path) = shard(&gzip(&plain));
    let events = fetched_events(ShardIndex::open(&[path], &options(None)).unwrap());
    assert_eq!(events, oracle::read(&plain));
    assert!(matches!(events[1], Event::BadData { offset: 16 }));
}

/// Whatever a file becomes after it was indexed, fetching from it gives its records or an error.
#[test]
fn a_file_changed_since_it_was_indexed_is_an_error() {
    for compression in ALL {
        let before = written(&payloads(), compression);
        let (_folder, path) = shard(&before);
        let index = index(std::slice::from_ref(&path));
        let all_fail = |bytes: Option<Vec<u8>>, reason: &str| {
            replace(&path, bytes.as_deref());
            let mut fetcher = RecordFetcher::new(Arc::clone(&index));
            for record in [19, 1] {
                let message = fetcher.fetch(record, &mut Vec::new()).unwrap_err().to_string();
                assert!(message.contains(reason) && message.contains("a"), "{compression}: {message}");
            }
        };
        let longer = [before.clone(), before.clone()].concat();
        all_fail(Some(longer), "has changed since it was indexed (its length in bytes was");
        all_fail(Some(before[..before.len() - 1].to_vec()), "has changed since it was indexed");
        all_fail(
            Some(vec![0; before.len()]),
            if compression == Compression::Plain { "CRC" } else { "damaged" },
        );
        all_fail(None, "cannot open");
    }
}

/// The file has the length it had, but other records: fewer, or of other lengths.
#[test]
fn other_records_in_a_file_of_the_same_length_are_an_error() {
    let before: [&[u8]; 3] = [b"12345678", b"1234", b"1234567890"];
    let other: [&[u8]; 3] = [b"12345678", b"1234567890", b"1234"];
    let fewer: [&[u8]; 2] = [b"12345678", b"123456789012345678901234567890"];
    let stored = |records: &[&[u8]], compression| match compression {
        // Stored, not compressed, so that the file's length depends on the data's alone.
        Compression::Gzip => gzip_at_level(0, &oracle::file_of(records)),
        _ => oracle::file_of(records),
    };
    for compression in [Compression::Plain, Compression::Gzip] {
        let (_folder, path) = shard(&stored(&before, compression));
        let index = index(std::slice::from_ref(&path));
        for after in [&other[..], &fewer[..]] {
            let bytes = stored(after, compression);
            assert_eq!(bytes.len() as u64, index.shards()[0].bytes);
            replace(&path, Some(&bytes));
            let mut fetcher = RecordFetcher::new(Arc::clone(&index));
            assert_eq!(fetch(&mut fetcher, 0), before[0], "this one is as it was");
            for record in [1, 2] {
                let error = fetcher.fetch(record, &mut Vec::new()).unwrap_err();
                assert!(!matches!(error, RecordError::NoSuchRecord { .. }));
                assert_eq!(error.location(), index.location(record).as_ref(), "{error}");
            }
        }
    }
}

/// Puts other bytes, or nothing, in a file's place.
fn replace(path: &Path, bytes: Option<&[u8]>) {
    fs::remove_file(path).unwrap_or_default();
    if let Some(bytes) = bytes {
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn what_cannot_be_indexed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    let error = ShardIndex::open(&[&fixture("empty.tfrecord"), &missing], &options(None)).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot open {}: ", missing.display())), "{error}");
    let error = ShardIndex::open(&[folder.path()], &options(None)).unwrap_err();
    assert!(error.to_string().ends_with("not a regular file"), "{error}");
    let error = ShardIndex::open(&[fixture("records.json")], &options(None)).unwrap_err();
    assert!(error.to_string().contains("not a TFRecord file, but what looks like a JSON file"), "{error}");
    let none = ShardIndex::open::<PathBuf>(&[], &options(None)).unwrap();
    assert!(none.is_empty() && none.get(0).is_none());
}

#[test]
fn the_index_keeps_to_the_limit() {
    for compression in ALL {
        let (_folder, path) = shard(&written(&payloads(), compression));
        let options = ReaderOptions { max_record_bytes: 50, ..ReaderOptions::default() };
        let error = ShardIndex::open(&[&path], &options).unwrap_err();
        assert_eq!(error.location().unwrap().position.record, 6);
        assert!(matches!(defect(error), RecordDefect::TooLong { length: 60, limit: 50 }));
    }
}
