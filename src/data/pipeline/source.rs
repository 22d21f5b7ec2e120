//! Where examples come from: shards, whose records are read in the order of an epoch, or any data set.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::shard_part::ShardPart;
use super::{Fingerprint, LoaderOptions};
use crate::data::BatchError;
use crate::data::{Dataset, Example, Place};
use crate::record::{ExampleError, ImageExample, RecordError, RecordFetcher};

/// Where examples come from.
#[derive(Clone)]
pub(super) enum Source {
    Shards(ShardPart),
    Set(Arc<dyn Dataset>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Shards(part) => part.fmt(f),
            Source::Set(set) => write!(f, "a data set of {} examples", set.len()),
        }
    }
}

impl Source {
    pub fn len(&self) -> usize {
        match self {
            Source::Shards(part) => part.len(),
            Source::Set(set) => set.len(),
        }
    }

    /// How many examples lie together in each part.
    pub fn parts(&self) -> Vec<usize> {
        match self {
            Source::Shards(part) => part.shards().map(|(_, records)| records.len()).collect(),
            Source::Set(set) => vec![set.len()],
        }
    }

    /// Where an example is; `None` beyond the last.
    pub fn place(&self, index: usize) -> Option<Place> {
        match self {
            Source::Shards(part) => part.location(index).map(Place::Record),
            Source::Set(set) => (index < set.len()).then(|| Place::Example { index, name: set.name(index) }),
        }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Source::Shards(part) => Fingerprint::of(part),
            Source::Set(set) => Fingerprint::of_set(&**set),
        }
    }

    /// The example whose record has this payload, which [`SourceReader::read`] gave.
    pub fn example(
        &self,
        index: usize,
        payload: Option<Vec<u8>>,
        options: &LoaderOptions,
    ) -> Result<Example, BatchError> {
        match self {
            Source::Set(set) => set.example(index).map_err(|error| self.set_error(index, error)),
            Source::Shards(part) => {
                let payload = payload.expect("it is left out only where the cache has the photo");
                let located = |error: ExampleError| {
                    error.at(part.location(index).expect("only examples of the source are asked for"))
                };
                let example = ImageExample::parse(&payload, &options.schema).map_err(located)?;
                Ok(Example::from(example))
            }
        }
    }

    /// The label and, in a record, the name of its class: [`example`](Self::example) without the picture of a data set.
    pub fn label(
        &self,
        index: usize,
        payload: Option<Vec<u8>>,
        options: &LoaderOptions,
    ) -> Result<(i64, Option<String>), BatchError> {
        match self {
            Source::Set(set) => {
                let label = set.label(index).map_err(|error| self.set_error(index, error))?;
                Ok((label, None))
            }
            Source::Shards(_) => {
                let Example { label, class_text, .. } = self.example(index, payload, options)?;
                Ok((label, class_text))
            }
        }
    }

    /// What a data set says of an example. Errors of records have their place already.
    fn set_error(&self, index: usize, error: Box<dyn Error + Send + Sync>) -> BatchError {
        error.downcast::<RecordError>().map_or_else(
            |error| {
                let place = self.place(index).expect("only examples of the source are asked for");
                BatchError::Example { at: Box::new(place), error }
            },
            |error| BatchError::Record(*error),
        )
    }
}

/// Reads examples one after the other.
#[derive(Debug)]
pub(super) struct SourceReader(Option<(RecordFetcher, ShardPart)>);

impl SourceReader {
    pub fn new(source: &Source, options: &LoaderOptions) -> Self {
        SourceReader(match source {
            Source::Shards(part) => {
                let fetcher = RecordFetcher::new(Arc::clone(part.index()));
                Some((fetcher.with_stash_bytes(options.stash_bytes), part.clone()))
            }
            Source::Set(_) => None,
        })
    }

    /// The payload of an example's record; `None` for a data set, which several threads ask by themselves. Records of a compressed
    /// shard that are passed over are set aside where `keep` says so.
    pub fn read(
        &mut self,
        index: usize,
        keep: impl Fn(usize) -> bool,
    ) -> Result<Option<Vec<u8>>, BatchError> {
        let Some((fetcher, part)) = &mut self.0 else { return Ok(None) };
        let record = part.in_index(index).expect("only examples of the source are asked for");
        let mut payload = Vec::new();
        fetcher.fetch_keeping(record, &mut payload, |passed| part.number_of(passed).is_some_and(&keep))?;
        Ok(Some(payload))
    }
}
