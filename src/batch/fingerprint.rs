//! What tells one data set from another without reading its photos.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::{IndexedShard, ShardIndex};

/// The names, lengths and records of a list of shards.
///
/// Two data sets of one fingerprint hold records of the same lengths in the same order in files of the same names, in
/// whatever folder. It is kept with a training state, so that training does not go on with other data unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    shards: Vec<Shard>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shard {
    name: String,
    bytes: u64,
    records: usize,
    /// CRC32C of the records' lengths in order: the same photos in another order are another data set.
    lengths_crc32c: u32,
}

impl Fingerprint {
    pub(super) fn of(index: &ShardIndex) -> Self {
        let shard = |shard: &IndexedShard| {
            let records = shard.first..shard.first + shard.records;
            let lengths = records.filter_map(|record| index.get(record)).map(|record| record.length);
            Shard {
                name: shard.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                bytes: shard.bytes,
                records: shard.records,
                lengths_crc32c: lengths
                    .fold(0, |crc, length| crc32c::crc32c_append(crc, &length.to_le_bytes())),
            }
        };
        Self { shards: index.shards().iter().map(shard).collect() }
    }

    /// The first shard that is not in `now` what it is here, in words; `None` if all are.
    pub fn difference(&self, now: &Self) -> Option<String> {
        for (was, is) in self.shards.iter().zip(&now.shards) {
            if was != is {
                let order = if was.to_string() == is.to_string() { ", of other lengths" } else { "" };
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
        write!(f, "{name} ({records} records in {bytes} bytes)")
    }
}
