//! Some or all records of shards, numbered anew.

use std::sync::Arc;

use crate::record::{IndexedShard, RecordLocation, ShardIndex};

/// Some or all records of shards, in the order of the shards and numbered from 0.
#[derive(Debug, Clone)]
pub(super) struct ShardPart {
    index: Arc<ShardIndex>,
    /// Their numbers in the index, ascending.
    records: Arc<[usize]>,
}

impl ShardPart {
    pub fn whole(index: Arc<ShardIndex>) -> Self {
        Self { records: (0..index.len()).collect(), index }
    }

    /// A part of this part: its records of these numbers, ascending.
    pub fn part(&self, records: &[usize]) -> Self {
        let records = records.iter().map(|&record| self.records[record]).collect();
        Self { index: Arc::clone(&self.index), records }
    }

    pub fn index(&self) -> &Arc<ShardIndex> {
        &self.index
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The number in the index; `None` beyond the last.
    pub fn in_index(&self, record: usize) -> Option<usize> {
        self.records.get(record).copied()
    }

    /// The number here of a record of the index; `None` if it is not in the part.
    pub fn number_of(&self, in_index: usize) -> Option<usize> {
        self.records.binary_search(&in_index).ok()
    }

    /// Where a record is; `None` beyond the last.
    pub fn location(&self, record: usize) -> Option<RecordLocation> {
        self.index.location(self.in_index(record)?)
    }

    /// The shards, each with the records it has in the part, by their numbers in the index.
    pub fn shards(&self) -> impl Iterator<Item = (&IndexedShard, &[usize])> {
        self.index.shards().iter().map(|shard| {
            let place = |in_index: usize| self.records.partition_point(|&record| record < in_index);
            (shard, &self.records[place(shard.first)..place(shard.first + shard.records)])
        })
    }
}
