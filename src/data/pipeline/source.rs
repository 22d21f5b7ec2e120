//! Where examples come from: shards, whose records are read in the order of an epoch, or any data set.

use std::fmt;
use std::sync::Arc;

use super::{Fingerprint, LoaderOptions};
use crate::data::BatchError;
use crate::data::{Dataset, Example, Place};
use crate::record::{ExampleError, ImageExample, RecordFetcher, ShardIndex};

/// Where examples come from.
#[derive(Clone)]
pub(super) enum Source {
    Shards(Arc<ShardIndex>),
    Set(Arc<dyn Dataset>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Shards(index) => index.fmt(f),
            Source::Set(set) => write!(f, "a data set of {} examples", set.len()),
        }
    }
}

/// What is read of an example before several threads go on with it.
pub(super) enum Raw {
    /// A record.
    Payload(Vec<u8>),
    /// Nothing: a data set is asked by the threads themselves.
    Unread,
}

impl Source {
    pub fn len(&self) -> usize {
        match self {
            Source::Shards(index) => index.len(),
            Source::Set(set) => set.len(),
        }
    }

    /// How many examples lie together in each part.
    pub fn parts(&self) -> Vec<usize> {
        match self {
            Source::Shards(index) => index.shards().iter().map(|shard| shard.records).collect(),
            Source::Set(set) => vec![set.len()],
        }
    }

    /// Where an example is; `None` beyond the last.
    pub fn place(&self, index: usize) -> Option<Place> {
        match self {
            Source::Shards(shards) => shards.location(index).map(Place::Record),
            Source::Set(set) => (index < set.len()).then(|| Place::Example { index, name: set.name(index) }),
        }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Source::Shards(index) => Fingerprint::of(index),
            Source::Set(set) => Fingerprint::of_set(&**set),
        }
    }

    /// The example that was read of.
    pub fn example(&self, index: usize, raw: Raw, options: &LoaderOptions) -> Result<Example, BatchError> {
        let place = || self.place(index).expect("only examples of the source are asked for");
        match (self, raw) {
            (Source::Set(set), _) => {
                set.example(index).map_err(|error| BatchError::Example { at: Box::new(place()), error })
            }
            (Source::Shards(shards), Raw::Payload(payload)) => {
                let located = |error: ExampleError| {
                    error.at(shards.location(index).expect("only records of the index are asked for"))
                };
                let example = ImageExample::parse(&payload, &options.schema).map_err(located)?;
                Ok(Example::from(example))
            }
            (Source::Shards(_), Raw::Unread) => {
                unreachable!("a payload is left out only where the cache has the photo")
            }
        }
    }
}

/// Reads examples one after the other.
#[derive(Debug)]
pub(super) struct SourceReader(Option<RecordFetcher>);

impl SourceReader {
    pub fn new(source: &Source, options: &LoaderOptions) -> Self {
        SourceReader(match source {
            Source::Shards(index) => {
                Some(RecordFetcher::new(Arc::clone(index)).with_stash_bytes(options.stash_bytes))
            }
            Source::Set(_) => None,
        })
    }

    /// Reads what there is to read in order. Of the records of a compressed shard that are passed over those are set aside that `keep`
    /// says.
    pub fn read(&mut self, index: usize, keep: impl Fn(usize) -> bool) -> Result<Raw, BatchError> {
        let Some(fetcher) = &mut self.0 else { return Ok(Raw::Unread) };
        let mut payload = Vec::new();
        fetcher.fetch_keeping(index, &mut payload, keep)?;
        Ok(Raw::Payload(payload))
    }
}
