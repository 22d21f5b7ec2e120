//! What all epochs share: the examples, the photos kept in memory, the records left out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::LoaderOptions;
use super::cache::Cache;
use super::source::Source;
use crate::data::{BatchError, Place};

/// Bad records left out, and damaged shards read only up to the damage.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// How many so far, each counted once however many epochs met it.
    pub count: usize,
    /// What is wrong with the first [`Self::KEPT_ERRORS`]: damaged shards, then records in the order in which threads came
    /// to them.
    pub errors: Vec<Arc<BatchError>>,
}

impl Skipped {
    /// How many bad records are kept with their errors.
    pub const KEPT_ERRORS: usize = 20;

    pub(super) fn add(&mut self, error: BatchError) {
        self.count += 1;
        if self.errors.len() < Self::KEPT_ERRORS {
            self.errors.push(Arc::new(error));
        }
    }
}

/// What all epochs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub options: LoaderOptions,
    pub source: Source,
    pub cache: Arc<Cache>,
    skips: Arc<Mutex<Skips>>,
}

#[derive(Debug)]
struct Skips {
    /// By record, so that it counts once and not once an epoch.
    seen: Vec<bool>,
    skipped: Skipped,
}

impl Shared {
    pub fn new(source: Source, options: LoaderOptions, skipped: Skipped) -> Self {
        Self {
            cache: Arc::new(Cache::new(source.len(), options.cache_bytes)),
            skips: Arc::new(Mutex::new(Skips { seen: vec![false; source.len()], skipped })),
            source,
            options,
        }
    }

    /// The same examples, served in another way.
    pub fn with(&self, options: LoaderOptions, cache: Arc<Cache>) -> Self {
        Self { options, source: self.source.clone(), cache, skips: Arc::clone(&self.skips) }
    }

    /// Counts a record as bad.
    pub fn skip(&self, record: usize, error: BatchError) {
        let Skips { seen, skipped } = &mut *lock(&self.skips);
        if !std::mem::replace(&mut seen[record], true) {
            skipped.add(error);
        }
    }

    /// The bad records so far.
    pub fn skipped(&self) -> Skipped {
        lock(&self.skips).skipped.clone()
    }

    pub fn place(&self, record: usize) -> Place {
        self.source.place(record).expect("only examples of the source are asked for")
    }
}

/// Locks even after a panic elsewhere: that is on its way to the user, and the data is whole between statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
