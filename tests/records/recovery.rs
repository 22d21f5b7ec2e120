//! What is found behind damage: every record that is intact, once, and nothing else.

use std::fs;

use floret::record::*;
use proptest::prelude::*;

use super::oracle;
use super::support::*;

/// The whole records of a file by trying each offset, from the description of the format alone: offset and payload.
fn whole_records(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let whole = |bytes: &[u8]| {
        let (length, rest) = bytes.split_at_checked(8)?;
        let (crc, rest) = rest.split_at_checked(4)?;
        let fits = oracle::masked(length).to_le_bytes() == crc;
        let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).ok()?;
        let (payload, rest) = rest.split_at_checked(length)?;
        (fits && rest.get(..4)? == oracle::masked(payload).to_le_bytes()).then(|| payload.to_vec())
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while at < file.len() {
        at += match whole(&file[at..]) {
            Some(payload) => {
                found.push((at as u64, payload));
                found[found.len() - 1].1.len() + 16
            }
            None => 1,
        };
    }
    found
}

fn searching() -> ReaderOptions {
    ReaderOptions { compression: Some(Compression::Plain), search: true, ..ReaderOptions::default() }
}

/// What the reader gives, and its errors. Checks that records and losses lie one behind another without a gap.
fn recovered(file: &[u8]) -> (Vec<(u64, Vec<u8>)>, Vec<RecordError>) {
    let mut reader = RecordReader::new(file, "a file", &searching()).unwrap();
    let (mut records, mut errors, mut payload) = (Vec::new(), Vec::new(), Vec::new());
    let (mut end, mut number, mut rest_is_lost) = (0, 0, false);
    loop {
        assert!(!rest_is_lost || reader.next_position().offset == end, "at the end nothing moves");
        match reader.read_into(&mut payload) {
            Ok(None) => break,
            Ok(Some(position)) => {
                assert_eq!((position.offset, position.record), (end, number));
                end += 16 + payload.len() as u64;
                records.push((position.offset, payload.clone()));
            }
            Err(error) => {
                let RecordError::Damaged { at, lost, .. } = &error else { panic!("{error}") };
                assert_eq!((at.position.offset, at.position.record), (end, number));
                match *lost {
                    Lost::Record => end = reader.next_position().offset,
                    Lost::Bytes { count, next } => {
                        assert_eq!(next, end + count);
                        end = next;
                    }
                    Lost::Rest => rest_is_lost = true,
                }
                errors.push(error);
            }
        }
        number += 1;
    }
    assert!(
        rest_is_lost || end == file.len() as u64,
        "all {} bytes are accounted for, not {end}",
        file.len()
    );
    (records, errors)
}

/// Reads `file`, which one fault made from a file of `payloads`.
fn check(what: &str, file: &[u8], payloads: &[&[u8]], at_most_lost: usize) {
    let (records, errors) = recovered(file);
    assert_eq!(records, whole_records(file), "{what}");
    let mut left = payloads.iter();
    for (_, payload) in &records {
        assert!(
            left.any(|p| p == payload),
            "{what}: {payload:?} is twice, out of order, or was never written"
        );
    }
    let lost = payloads.len() - records.len();
    assert!(lost <= at_most_lost, "{what}: {lost} records are lost");
    if lost > 0 && errors.is_empty() {
        let whole: usize = payloads[..records.len()].iter().map(|p| p.len() + 16).sum();
        assert_eq!(file.len(), whole, "{what}: only a file cut between records hides a loss");
    }
    // Without searching, the same records up to the first error.
    let strict = RecordReader::new(file, "a file", &options(Some(Compression::Plain))).unwrap();
    let before: Vec<_> = strict.map_while(Result::ok).map(|r| (r.position.offset, r.payload)).collect();
    assert_eq!(before[..], records[..before.len()], "{what}");
}

const PAYLOADS: [&[u8]; 6] = [b"first", b"", b"a third record, the longest", b"x", &[0; 40], b"last"];

#[test]
fn every_bit_flip_costs_one_record_at_most() {
    let file = oracle::file_of(&PAYLOADS);
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!recovered(&flipped).1.is_empty(), "bit {bit} is found");
        check(&format!("bit {bit}"), &flipped, &PAYLOADS, 1);
    }
}

#[test]
fn every_truncation_costs_what_is_cut() {
    let file = oracle::file_of(&PAYLOADS);
    for len in 0..file.len() {
        let mut end = 0;
        let whole = PAYLOADS.iter().take_while(|payload| {
            end += payload.len() + 16;
            end <= len
        });
        check(&format!("{len} bytes"), &file[..len], &PAYLOADS, PAYLOADS.len() - whole.count());
    }
}

#[test]
fn every_deleted_byte_costs_one_record_at_most() {
    let file = oracle::file_of(&PAYLOADS);
    for at in 0..file.len() {
        let shorter = [&file[..at], &file[at + 1..]].concat();
        assert!(!recovered(&shorter).1.is_empty(), "byte {at} is missed");
        check(&format!("byte {at} deleted"), &shorter, &PAYLOADS, 1);
    }
}

#[test]
fn every_inserted_byte_costs_one_record_at_most() {
    let file = oracle::file_of(&PAYLOADS);
    for at in 0..=file.len() {
        let neighbor = file[at.min(file.len() - 1)];
        for byte in [0, 0xff, neighbor, neighbor ^ 1] {
            let longer = [&file[..at], &[byte], &file[at..]].concat();
            assert!(!recovered(&longer).1.is_empty(), "the {byte} at {at} is found");
            check(&format!("{byte} inserted at {at}"), &longer, &PAYLOADS, 1);
        }
    }
}

/// What may happen to a file; positions are shares of its length.
#[derive(Debug, Clone)]
enum Fault {
    Flip(f64, u8),
    Delete(f64, usize),
    Insert(f64, Vec<u8>),
    Zero(f64, usize),
    /// A block written a second time, elsewhere.
    Copy(f64, usize, f64),
    Cut(f64),
}

impl Fault {
    fn strike(&self, file: &mut Vec<u8>) {
        let place = |share: f64| (share * file.len() as f64) as usize;
        let range = |share, len: usize| place(share)..file.len().min(place(share) + len);
        match self {
            Fault::Flip(at, bits) => {
                let range = range(*at, 1);
                file[range].iter_mut().for_each(|byte| *byte ^= bits);
            }
            Fault::Delete(at, len) => drop(file.drain(range(*at, *len))),
            Fault::Insert(at, bytes) => {
                let at = place(*at);
                file.splice(at..at, bytes.iter().copied());
            }
            Fault::Zero(at, len) => {
                let range = range(*at, *len);
                file[range].fill(0);
            }
            Fault::Copy(from, len, to) => {
                let (block, at) = (file[range(*from, *len)].to_vec(), place(*to));
                file.splice(at..at, block);
            }
            Fault::Cut(at) => file.truncate(place(*at)),
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let (at, len) = (0.0..1.0, 1usize..200);
    prop_oneof![
        (at.clone(), 1u8..).prop_map(|(at, bits)| Fault::Flip(at, bits)),
        (at.clone(), len.clone()).prop_map(|(at, len)| Fault::Delete(at, len)),
        (at.clone(), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(at, b)| Fault::Insert(at, b)),
        (at.clone(), len.clone()).prop_map(|(at, len)| Fault::Zero(at, len)),
        (at.clone(), len, at.clone()).prop_map(|(from, len, to)| Fault::Copy(from, len, to)),
        at.prop_map(Fault::Cut),
    ]
}

/// Any but of eight bytes, which with their CRC look like a length with its own: it is believed if it is over the limit.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..8), prop::collection::vec(any::<u8>(), 9..300)]
}

proptest! {
    #[test]
    fn whatever_happens_the_whole_records_are_found(
        payloads in prop::collection::vec(payload(), 0..12),
        faults in prop::collection::vec(fault(), 0..6),
    ) {
        let mut file = oracle::file_of(&payloads);
        faults.iter().for_each(|fault| fault.strike(&mut file));
        prop_assert_eq!(recovered(&file).0, whole_records(&file));
    }
}

/// As many bytes are missing from a record as the next one has: behind the first's length stands the third's.
#[test]
fn a_record_taken_for_the_end_of_the_one_before_is_found() {
    let file = oracle::file_of(&[&[7; 42][..], b"ab", b"third"]);
    for end in [file.len(), file.len() - 21] {
        let shorter = [&file[..20], &file[38..end]].concat();
        let (records, errors) = recovered(&shorter);
        assert_eq!(records, whole_records(&shorter));
        assert_eq!(records[0], (40, b"ab".to_vec()));
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

/// Eight bytes of data with their CRC are a header, too: of a record over the limit, where one is not looked for.
#[test]
fn data_that_could_be_a_header_are_not_believed_behind_damage() {
    let file = oracle::file_of(&[&[7; 191][..], &[0, 0, 0, 0, 0, 0, 0, 1], b"third"]);
    let data = 207 + 12;
    let shorter = [&file[..195], &file[data - 12..]].concat();
    assert_eq!(&shorter[207..215], &[0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(recovered(&shorter).0, whole_records(&shorter));
    assert_eq!(recovered(&shorter).0.len(), 2);
}

/// Long records, so that what is searched and what is checked spans many buffers.
#[test]
fn records_of_many_buffers_are_found_behind_damage() {
    let payloads: Vec<Vec<u8>> =
        (0..5u8).map(|i| (0..300_000u32).map(|j| (j * 7 + u32::from(i)) as u8).collect()).collect();
    let mut file = oracle::file_of(&payloads);
    file.remove(400_000);
    let second_last = 3 * 300_016 - 1;
    file[second_last] ^= 1;
    let (records, errors) = recovered(&file);
    let got: Vec<_> = records.into_iter().map(|(_, payload)| payload).collect();
    assert!(got == [&payloads[0][..], &payloads[2], &payloads[4]]);
    let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(messages[0].starts_with("a file: record 1 at byte 300016: the record's data is damaged (CRC"));
    assert!(
        messages[0].ends_with("; 300015 bytes are lost, the next whole record is at byte 600031"),
        "{messages:?}"
    );
    assert!(messages[1].contains("record 3 at byte 900047: the record's length is damaged"), "{messages:?}");
    assert!(
        messages[1].ends_with("; 300016 bytes are lost, the next whole record is at byte 1200063"),
        "{messages:?}"
    );
    assert_eq!(messages.len(), 2);
}

/// A record over the limit is passed over by its length, which is right.
#[test]
fn records_over_the_limit_are_passed_over() {
    let inner = oracle::file_of(&["a record in a record"]);
    let file = oracle::file_of(&[b"short", &inner[..], b"end"]);
    let options = ReaderOptions { max_record_bytes: 20, ..searching() };
    let results: Vec<_> = RecordReader::new(file.as_slice(), "a", &options).unwrap().collect();
    let [Ok(first), Err(error), Ok(last)] = &results[..] else { panic!("{results:?}") };
    assert_eq!((&first.payload[..], &last.payload[..]), (&b"short"[..], &b"end"[..]));
    assert!(error.to_string().contains("has 36 bytes, over the limit of 20"), "{error}");
}

/// Two megabytes of nothing but headers, each of which fits its CRC and claims a megabyte: checked one by one they would cost
/// two hundred thousand megabytes of checksums.
#[test]
fn a_file_made_to_be_searched_forever_is_read_in_the_end() {
    let length = (1u64 << 20).to_le_bytes();
    let header = [&length[..], &oracle::masked(&length).to_le_bytes()].concat();
    let mut file = header.repeat((2 << 20) / header.len());
    file[0] ^= 1;
    let intact = oracle::file_of(&["found after all"]);
    file.extend(&intact);
    let reader = RecordReader::new(file.as_slice(), "a", &searching()).unwrap();
    let errors = reader.filter_map(Result::err).count();
    assert!(errors > 0 && errors < 300_000);
}

#[test]
fn compressed_files_are_read_up_to_the_damage() {
    let payloads: Vec<Vec<u8>> =
        (0..50u32).map(|i| (0..2000u32).map(|j| ((i * j * j) >> 3) as u8).collect()).collect();
    for compression in [Compression::Gzip, Compression::Zlib] {
        let mut file = written(&payloads, compression);
        let middle = file.len() / 2;
        file[middle..middle + 20].fill(0);
        let options = ReaderOptions { compression: None, ..searching() };
        let results: Vec<_> = RecordReader::new(file.as_slice(), "a", &options).unwrap().collect();
        let (last, before) = results.split_last().unwrap();
        // Of the damaged stretch, bytes may come before the decoder notices: those records fail their CRC.
        let read = before.iter().filter_map(|r| r.as_ref().ok()).map(|r| &r.payload);
        assert!(read.clone().count() > 10 && read.zip(&payloads).all(|(got, want)| got == want));
        let error = last.as_ref().unwrap_err();
        let RecordError::Damaged { lost: Lost::Rest, .. } = error else { panic!("{error}") };
    }
}

#[test]
fn an_index_holds_every_whole_record_of_damaged_shards() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
    let file = oracle::file_of(&PAYLOADS);
    // A deleted byte, a damaged length, and an end that is missing.
    let mut damaged = file.clone();
    damaged[21] ^= 1;
    fs::write(&paths[0], [&file[..45], &file[46..]].concat()).unwrap();
    fs::write(&paths[1], damaged).unwrap();
    fs::write(&paths[2], &file[..file.len() - 3]).unwrap();
    let (index, damages) = ShardIndex::open_skipping_damage(&paths, &ReaderOptions::default()).unwrap();
    assert_eq!(damages.len(), 3, "{damages:?}");
    let without = |left_out: usize| PAYLOADS.iter().enumerate().filter(move |(i, _)| *i != left_out);
    let wanted: Vec<_> =
        without(2).chain(without(1)).chain(without(5)).map(|(_, payload)| *payload).collect();
    let mut fetcher = RecordFetcher::new(index.into());
    let mut payload = Vec::new();
    for (record, want) in wanted.iter().enumerate() {
        fetcher.fetch(record, &mut payload).unwrap();
        assert_eq!(payload, *want, "record {record}");
    }
    assert_eq!(fetcher.index().len(), wanted.len());
    assert!(ShardIndex::open(&paths, &ReaderOptions::default()).is_err());
}
