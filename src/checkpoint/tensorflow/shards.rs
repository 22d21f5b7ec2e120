//! The data files of a checkpoint.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::index::{Index, Place};
use super::{TensorFlowError, place};
use crate::files::{FileError, open_regular};

/// The most that TensorFlow aligns a tensor to, in bytes: zeros in front of it make it so.
const MAX_ALIGNMENT: u64 = 4096;

/// The data files that hold something, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Shards(Vec<Shard>);

#[derive(Debug)]
struct Shard {
    number: usize,
    path: PathBuf,
    bytes: u64,
}

impl Shards {
    /// Looks at the files that `index` tells of: each must be there, with nothing in it but the index's tensors, one behind
    /// the other.
    pub fn open(prefix: &Path, index: &Index) -> Result<Self, TensorFlowError> {
        let mut places: Vec<(&Place, &str)> = Vec::new();
        for (name, info) in &index.tensors {
            places.extend(info.places().map(|place| (place, name.as_str())));
        }
        places.sort_by_key(|(place, _)| (place.shard, place.offset, place.bytes));
        // Two names may have the same bytes.
        places.dedup_by_key(|(place, _)| (place.shard, place.offset, place.bytes));
        // The first is there even if it holds nothing.
        let mut numbers = vec![0];
        numbers.extend(places.iter().map(|(place, _)| place.shard));
        numbers.dedup();
        let (mut shards, mut rest) = (Vec::new(), &places[..]);
        for number in numbers {
            let path = place::data_file(prefix, number, index.shards);
            let (_, bytes) = open_regular(&path)?;
            let own;
            (own, rest) = rest.split_at(rest.partition_point(|(place, _)| place.shard == number));
            check_coverage(bytes, own).map_err(|reason| TensorFlowError::damaged(&path, reason))?;
            shards.push(Shard { number, path, bytes });
        }
        Ok(Self(shards))
    }

    /// Reads bytes, whose CRC is the caller's to check.
    pub fn read(&self, place: &Place) -> Result<Vec<u8>, TensorFlowError> {
        let Shard { path, bytes: expected, .. } = self.of(place);
        let failed = |error| FileError::new(path, "read", error);
        let (mut file, there) = open_regular(path)?;
        if there != *expected {
            let reason = format!("it had {expected} bytes when the checkpoint was opened, and has {there}");
            return Err(TensorFlowError::damaged(path, reason));
        }
        Ok(read_at(&mut file, place).map_err(failed)?)
    }

    pub fn path(&self, place: &Place) -> &Path {
        &self.of(place).path
    }

    fn of(&self, place: &Place) -> &Shard {
        let found = self.0.binary_search_by_key(&place.shard, |shard| shard.number);
        &self.0[found.expect("every place is in a file that was opened")]
    }
}

/// The place was found to be in the file.
fn read_at(file: &mut File, place: &Place) -> io::Result<Vec<u8>> {
    let len = usize::try_from(place.bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len)?;
    file.seek(SeekFrom::Start(place.offset))?;
    file.take(place.bytes).read_to_end(&mut bytes)?;
    if bytes.len() < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// Why the places, in their order, do not fill a file of so many bytes.
fn check_coverage(bytes: u64, places: &[(&Place, &str)]) -> Result<(), String> {
    let mut end = 0;
    for (place, name) in places.iter().filter(|(place, _)| place.bytes > 0) {
        let (name, begin) = (name.escape_debug(), place.offset);
        if begin < end {
            return Err(format!("the tensor `{name}` begins at byte {begin}, within another"));
        }
        check_gap(end, begin)?;
        end = begin.checked_add(place.bytes).filter(|end| *end <= bytes).ok_or_else(|| {
            format!(
                "the tensor `{name}` has {} bytes from byte {begin} on, but the file {bytes}",
                place.bytes
            )
        })?;
    }
    check_gap(end, bytes)
}

/// Fails if nobody tells what is between two bytes, unless it aligns the second.
fn check_gap(from: u64, to: u64) -> Result<(), String> {
    let alignment = if to == 0 { 1 } else { MAX_ALIGNMENT.min(1 << to.trailing_zeros()) };
    if to - from < alignment {
        return Ok(());
    }
    Err(format!("{} bytes from byte {from} on belong to no tensor", to - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_fill_their_file() {
        let check = |bytes, places: &[(u64, u64)]| {
            let places: Vec<_> =
                places.iter().map(|&(offset, bytes)| Place { shard: 0, offset, bytes, crc: 0 }).collect();
            check_coverage(bytes, &places.iter().map(|place| (place, "it")).collect::<Vec<_>>())
        };
        for (bytes, places) in [
            (0, &[][..]),
            (8, &[(0, 4), (4, 4)]),
            // Aligned to 64 bytes, the end too.
            (128, &[(0, 4), (64, 1)]),
            (0, &[(7, 0)]),
        ] {
            assert_eq!(check(bytes, places), Ok(()), "{places:?}");
        }
        for (bytes, places, reason) in [
            (8, &[(0, 4), (3, 5)][..], "the tensor `it` begins at byte 3, within another"),
            (7, &[(0, 4)], "3 bytes from byte 4 on belong to no tensor"),
            (16384, &[(0, 4)], "16380 bytes from byte 4 on belong to no tensor"),
            (8, &[(4, 4)], "4 bytes from byte 0 on belong to no tensor"),
            (8, &[(0, 9)], "the tensor `it` has 9 bytes from byte 0 on, but the file 8"),
            (8, &[(0, u64::MAX)], "but the file 8"),
            (9, &[(0, 8), (u64::MAX - 1, 8)], "belong to no tensor"),
        ] {
            let message = check(bytes, places).unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
    }
}
