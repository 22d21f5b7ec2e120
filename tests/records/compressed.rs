//! Compressed files: told from plain ones soundly, and never cut short in silence.

use floret::record::*;

use super::oracle::{self, Event};
use super::support::*;

const BOTH: [Compression; 2] = [Compression::Gzip, Compression::Zlib];

fn payloads() -> [&'static [u8]; 3] {
    [b"first", b"", b"a third record, the longest, the longest, the longest"]
}

/// Reads whole records; gives the error that ended it, if any.
fn read_all(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<RecordError>) {
    let mut payloads = Vec::new();
    for record in RecordReader::new(bytes, "a", &options(None)).unwrap() {
        match record {
            Ok(record) => payloads.push(record.payload),
            Err(error) => return (payloads, Some(error)),
        }
    }
    (payloads, None)
}

/// Lengths whose low bytes are a header of zlib's.
const ZLIB_MAGICS: [u16; 5] = [0x0178, 0x9c78, 0xda78, 0x5e78, 0x1d08];

/// The first length's low bytes are chosen so that they are a gzip or zlib magic.
#[test]
fn a_plain_file_whose_length_looks_compressed_is_read_as_plain() {
    // gzip's third byte makes the length 0x088b1f, over half a megabyte.
    for length in ZLIB_MAGICS.map(usize::from).into_iter().chain([0x08_8b1f]) {
        let payload = vec![b'x'; length];
        let shard = oracle::file_of(&[payload.as_slice(), b"next"]);
        let mut reader = RecordReader::new(shard.as_slice(), "a", &options(None)).unwrap();
        assert_eq!(reader.compression(), Compression::Plain, "length {length:#x}");
        assert_eq!(reader.next().unwrap().unwrap().payload.len(), length);
        assert_eq!(reader.next().unwrap().unwrap().payload, b"next");
        assert!(reader.next().is_none());
    }
}

/// Then the length's CRC does not vouch for it: the start that is no zlib stream does.
#[test]
fn a_damaged_plain_file_whose_length_looks_compressed_is_read_as_plain() {
    for length in ZLIB_MAGICS {
        let mut shard = oracle::file_of(&[vec![b'x'; length.into()]]);
        shard[9] ^= 1;
        assert_eq!(events(shard.as_slice(), &options(None)), [Event::NotTfRecord], "length {length:#x}");
    }
}

#[test]
fn every_level_of_zlib_is_detected() {
    use std::io::Write;
    let plain = oracle::file_of(&payloads());
    for level in 0..=9 {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&plain).unwrap();
        let shard = encoder.finish().unwrap();
        assert_eq!(events(shard.as_slice(), &options(None)), oracle::read(&plain), "level {level}");
    }
}

#[test]
fn a_gzip_file_of_several_members_is_one_stream() {
    // The border between the members falls into a record, then onto one.
    let plain = oracle::file_of(&payloads());
    for border in [0, 7, 21, plain.len()] {
        let shard = [gzip(&plain[..border]), gzip(&plain[border..])].concat();
        assert_eq!(events(shard.as_slice(), &options(None)), oracle::read(&plain), "border {border}");
    }
}

#[test]
fn a_file_without_records_may_be_compressed() {
    for compression in BOTH {
        let shard = written::<&[u8]>(&[], compression);
        let (payloads, error) = read_all(&shard);
        assert!(payloads.is_empty() && error.is_none(), "{compression}: {error:?}");
    }
}

#[test]
fn every_truncation_of_a_compressed_file_is_an_error() {
    for compression in BOTH {
        let shard = written(&payloads(), compression);
        for length in 1..shard.len() {
            let (read, error) = read_all(&shard[..length]);
            assert_eq!(read, payloads()[..read.len()], "{compression}, {length} bytes");
            let error = error.unwrap_or_else(|| panic!("{compression} cut to {length} bytes ended cleanly"));
            assert_eq!(error.location().unwrap().position.record, read.len() as u64);
        }
    }
}

/// A flip in a field that carries no data (gzip's time stamp, say) may go unseen, but never changes a record.
#[test]
fn no_bit_flip_of_a_compressed_file_gives_a_false_record() {
    for compression in BOTH {
        let shard = written(&payloads(), compression);
        let mut seen = 0;
        for bit in 0..shard.len() * 8 {
            let mut flipped = shard.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (read, error) = read_all(&flipped);
            assert_eq!(read, payloads()[..read.len()], "{compression}, bit {bit}");
            assert!(error.is_some() || read.len() == 3, "{compression}: bit {bit} ended the file early");
            seen += usize::from(error.is_some());
        }
        assert!(seen > shard.len() * 4, "{compression}: {seen} flips of {} seen", shard.len() * 8);
    }
}

#[test]
fn bytes_behind_a_compressed_stream_are_an_error() {
    for compression in BOTH {
        let shard = [written(&payloads(), compression), b"more".to_vec()].concat();
        let (read, error) = read_all(&shard);
        assert_eq!(read, payloads());
        let defect = defect(error.unwrap());
        assert!(
            matches!(defect, RecordDefect::Decompression { format, .. } if format == compression),
            "{defect}"
        );
    }
}

#[test]
fn errors_say_that_the_offset_is_in_the_decompressed_data() {
    let mut plain = oracle::file_of(&payloads());
    let last = plain.len() - 1;
    plain[last] ^= 1;
    let shard = gzip(&plain);
    assert_eq!(events(shard.as_slice(), &options(None)).last(), Some(&Event::BadData { offset: 37 }));
    let (_, error) = read_all(&shard);
    let message = error.unwrap().to_string();
    assert!(message.starts_with("a: record 2 at byte 37 of the decompressed data: "), "{message}");
}
