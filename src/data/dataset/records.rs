//! Records in any order.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Dataset, Example};
use crate::data::{BatchError, ClassNames};
use crate::record::{ImageExample, ImageSchema, ReaderOptions, RecordFetcher, ShardIndex};

/// The records of shards, one by one, to make another data set of them: a part, say, or several together.
///
/// [`Loader::open`](crate::data::Loader::open) reads shards faster, since it reads them in the order of an epoch.
#[derive(Debug)]
pub struct Records {
    fetcher: Mutex<RecordFetcher>,
    index: Arc<ShardIndex>,
    schema: ImageSchema,
    label_offset: i64,
    classes: ClassNames,
}

impl Records {
    /// Finds every record of the shards.
    ///
    /// # Errors
    /// A shard that can't be opened or whose framing is damaged.
    pub fn open(
        shards: &[PathBuf],
        classes: ClassNames,
        schema: ImageSchema,
        label_offset: i64,
    ) -> Result<Self, BatchError> {
        let index = Arc::new(ShardIndex::open(shards, &ReaderOptions::default())?);
        let fetcher = Mutex::new(RecordFetcher::new(Arc::clone(&index)));
        Ok(Self { fetcher, index, schema, label_offset, classes })
    }
}

impl Dataset for Records {
    fn len(&self) -> usize {
        self.index.len()
    }

    fn classes(&self) -> &[String] {
        self.classes.names()
    }

    fn example(&self, index: usize) -> Result<Example, Box<dyn Error + Send + Sync>> {
        let mut payload = Vec::new();
        self.fetcher.lock().unwrap_or_else(PoisonError::into_inner).fetch(index, &mut payload)?;
        let example = Example::from(ImageExample::parse(&payload, &self.schema)?);
        Ok(Example { label: example.label.saturating_sub(self.label_offset), ..example })
    }

    fn name(&self, index: usize) -> Option<String> {
        self.index.location(index).map(|at| at.to_string())
    }

    fn checksum(&self) -> u32 {
        let sums = self.index.shards().iter().flat_map(|shard| shard.records_crc32c.to_le_bytes());
        crc32c::crc32c(&sums.collect::<Vec<u8>>())
    }
}
