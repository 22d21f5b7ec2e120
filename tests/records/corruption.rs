//! Damaged files: every fault is a typed error at the right place, and nothing is read that was not written.

use floret::record::*;

use super::oracle::{self, Event};
use super::support::*;

/// A shard with an empty record, a short one, and one longer than a header.
fn small_shard() -> Vec<u8> {
    oracle::file_of(&[&b"first"[..], b"", b"a third record, the longest"])
}

#[test]
fn every_single_bit_flip_is_found_where_it_is() {
    let shard = small_shard();
    for bit in 0..shard.len() * 8 {
        let mut flipped = shard.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let wanted = oracle::read(&flipped);
        assert_ne!(wanted, oracle::read(&shard), "the oracle sees bit {bit}");
        assert_eq!(events(flipped.as_slice(), &options(Some(Compression::Plain))), wanted, "bit {bit}");
        assert_eq!(events(flipped.as_slice(), &options(None)), wanted, "bit {bit}, detected");
    }
}

#[test]
fn every_truncation_is_found_where_it_is() {
    let shard = small_shard();
    let mut clean_ends = 0;
    for length in 0..=shard.len() {
        let wanted = oracle::read(&shard[..length]);
        clean_ends += usize::from(!matches!(wanted.last(), Some(Event::Truncated { .. })));
        for chosen in [None, Some(Compression::Plain)] {
            assert_eq!(events(&shard[..length], &options(chosen)), wanted, "{length} bytes");
        }
    }
    assert_eq!(clean_ends, 4, "the empty file and the three record borders");
}

#[test]
fn reading_goes_on_behind_damaged_data() {
    let mut shard = small_shard();
    shard[12] ^= 1;
    let results: Vec<_> = RecordReader::new(shard.as_slice(), "a", &options(None)).unwrap().collect();
    assert_eq!(results.len(), 3);
    assert!(results[0].as_ref().unwrap_err().is_recoverable());
    assert_eq!(results[2].as_ref().unwrap().payload, b"a third record, the longest");
}

#[test]
fn reading_ends_at_a_damaged_length() {
    let mut shard = small_shard();
    let second = 12 + 5 + 4;
    shard[second] ^= 1;
    let mut reader = RecordReader::new(shard.as_slice(), "a", &options(None)).unwrap();
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert!(!error.is_recoverable());
    let CrcMismatch { stored, computed } = match defect(error) {
        RecordDefect::LengthCrc(crc) => crc,
        other => panic!("{other}"),
    };
    assert_eq!(stored, oracle::masked(&0u64.to_le_bytes()));
    assert_eq!(computed, oracle::masked(&1u64.to_le_bytes()));
    assert!(reader.next().is_none() && reader.next().is_none(), "it does not hang or resume");
}

#[test]
fn a_false_length_costs_no_memory() {
    let length = (200u64 << 20).to_le_bytes();
    let mut shard = length.to_vec();
    shard.extend(oracle::masked(&length).to_le_bytes());
    shard.extend([0; 100]);
    let mut payload = Vec::new();
    let mut reader = RecordReader::new(shard.as_slice(), "a", &options(None)).unwrap();
    let error = reader.read_into(&mut payload).unwrap_err();
    let wanted = Event::Truncated { offset: 0, part: "payload", wanted: 200 << 20, got: 100 };
    assert_eq!(event_of(&error), wanted);
    assert!(payload.capacity() <= 1 << 20, "{} bytes for 100", payload.capacity());
}

#[test]
fn a_length_over_the_limit_is_refused_unread() {
    for length in [11, DEFAULT_MAX_RECORD_BYTES + 1, u64::MAX] {
        let max_record_bytes = if length == 11 { 10 } else { DEFAULT_MAX_RECORD_BYTES };
        let header =
            [length.to_le_bytes().to_vec(), oracle::masked(&length.to_le_bytes()).to_le_bytes().to_vec()];
        let shard = header.concat();
        let options = ReaderOptions { max_record_bytes, ..ReaderOptions::default() };
        let mut payload = Vec::new();
        let mut reader = RecordReader::new(shard.as_slice(), "a", &options).unwrap();
        let defect = defect(reader.read_into(&mut payload).unwrap_err());
        let RecordDefect::TooLong { length: got, limit } = defect else { panic!("{defect}") };
        assert_eq!((got, limit, payload.capacity()), (length, max_record_bytes, 0));
        assert!(reader.next().is_none());
    }
    let exactly = oracle::file_of(&[[7; 10]]);
    let options = ReaderOptions { max_record_bytes: 10, ..ReaderOptions::default() };
    assert_eq!(events(exactly.as_slice(), &options), oracle::read(&exactly));
}

#[test]
fn other_kinds_of_files_are_named() {
    let example =
        ImageExample::parse(&payloads_of(fixture("zero_length.tfrecord"))[1], &ImageSchema::default());
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &str); 5] = [
        (&example.unwrap().encoded, "a JPEG image"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (&tar, "a tar archive"),
        (b"sepal,petal\n1.5,2.5\n", "a text file"),
        (&gzip(&tar), "a tar archive"),
    ];
    for (bytes, name) in cases {
        let mut reader = RecordReader::new(bytes, "photos/1.jpg", &options(None)).unwrap();
        let message = reader.next().unwrap().unwrap_err().to_string();
        assert!(message.starts_with("photos/1.jpg: record 0 at byte 0"), "{message}");
        assert!(message.contains(&format!("not a TFRecord file, but what looks like {name}")), "{message}");
        assert!(reader.next().is_none());
    }
    // Compressed after all, though the caller said otherwise.
    let shard = written(&["a"], Compression::Gzip);
    let mut reader = RecordReader::new(shard.as_slice(), "a", &options(Some(Compression::Plain))).unwrap();
    let message = reader.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("looks like a gzip file"), "{message}");
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.tfrecord");
    let message = RecordReader::open(&missing).unwrap_err().to_string();
    assert!(message.starts_with(&format!("cannot open {}: ", missing.display())), "{message}");
    let message = RecordReader::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains(&folder.path().display().to_string()), "{message}");
}

/// A stream that fails with an error of the system's after its bytes.
struct Failing<'a>(&'a [u8]);

impl std::io::Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            read => read,
        }
    }
}

#[test]
fn a_failing_stream_is_not_taken_for_a_damaged_one() {
    let payloads = [vec![1; 1000], vec![2; 100_000]];
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zlib] {
        let shard = written(&payloads, compression);
        let failing = Failing(&shard[..shard.len() - 6]);
        let mut reader = RecordReader::new(failing, "a", &options(Some(compression))).unwrap();
        let error = reader.find_map(Result::err).unwrap();
        let defect = defect(error);
        let RecordDefect::Io(error) = defect else { panic!("{compression}: {defect}") };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

/// A stream that gives a byte at a time, as a slow pipe may.
struct Trickling<'a>(&'a [u8]);

impl std::io::Read for Trickling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn a_stream_may_come_in_pieces() {
    let payloads = payloads_of(fixture("zero_length.tfrecord"));
    let plain = oracle::file_of(&payloads);
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zlib] {
        let shard = written(&payloads, compression);
        assert_eq!(events(Trickling(&shard), &options(None)), oracle::read(&plain), "{compression}");
    }
}
