//! What tells one data set from another without reading its photos.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shard_part::ShardPart;
use crate::data::Dataset;

/// The names, lengths and records of a list of shards; of another data set, how many examples there are and their checksum.
///
/// Two data sets of one fingerprint hold records of the same lengths and checksums in the same order in files of the same
/// names, in whatever folder. It is kept with a training state, so that training does not go on with other data unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    shards: Vec<Shard>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shard {
    name: String,
    bytes: u64,
    records: usize,
    /// CRC32C of the records' lengths and stored CRCs in order, and of their numbers where only some are used: the same photos in
    /// another order are another data set.
    records_crc32c: u32,
}

/// What stands in the place of a shard's name for a data set that is none.
const EXAMPLES: &str = "examples";

impl Fingerprint {
    pub(super) fn of(part: &ShardPart) -> Self {
        let shards = part.shards().map(|(shard, records)| {
            let mut records_crc32c = shard.records_crc32c;
            if records.len() < shard.records {
                for record in records {
                    let number = (record - shard.first) as u64;
                    records_crc32c = crc32c::crc32c_append(records_crc32c, &number.to_le_bytes());
                }
            }
            Shard {
                name: shard.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                bytes: shard.bytes,
                records: records.len(),
                records_crc32c,
            }
        });
        Self { shards: shards.collect() }
    }

    pub(super) fn of_set(set: &dyn Dataset) -> Self {
        let classes = set.classes().join("\n");
        let records_crc32c = crc32c::crc32c_append(set.checksum(), classes.as_bytes());
        Self { shards: vec![Shard { name: EXAMPLES.into(), bytes: 0, records: set.len(), records_crc32c }] }
    }

    /// The first shard that is not in `now` what it is here, in words; `None` if all are.
    pub fn difference(&self, now: &Self) -> Option<String> {
        for (was, is) in self.shards.iter().zip(&now.shards) {
            if was != is {
                let order = if was.to_string() == is.to_string() { ", of other records" } else { "" };
                return Some(format!("{is}{order} stands where {was} was"));
            }
        }
        let (was, is) = (self.shards.len(), now.shards.len());
        match (self.shards.get(is), now.shards.get(was)) {
            (Some(gone), _) => Some(format!("{gone} is missing")),
            (_, Some(new)) => Some(format!("{new} is new")),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shard { name, bytes, records, .. } = self;
        match name == EXAMPLES {
            true => write!(f, "{records} {name}"),
            false => write!(f, "{name} ({records} records in {bytes} bytes)"),
        }
    }
}
