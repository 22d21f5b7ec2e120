//! What all epochs share: the records, the photos kept in memory, the records left out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::LoaderOptions;
use super::cache::Cache;
use crate::data::BatchError;
use crate::record::{RecordLocation, ShardIndex};

/// Bad records left out, and damaged shards read only up to the damage.
#[derive(Debug, Clone, Default)]
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
pub(super) struct Dataset {
    pub options: LoaderOptions,
    pub index: Arc<ShardIndex>,
    pub cache: Arc<Cache>,
    skips: Arc<Mutex<Skips>>,
}

#[derive(Debug)]
struct Skips {
    /// By record, so that it counts once and not once an epoch.
    seen: Vec<bool>,
    skipped: Skipped,
}

impl Dataset {
    pub fn new(index: ShardIndex, options: LoaderOptions, skipped: Skipped) -> Self {
        Self {
            cache: Arc::new(Cache::new(index.len(), options.cache_bytes)),
            skips: Arc::new(Mutex::new(Skips { seen: vec![false; index.len()], skipped })),
            index: Arc::new(index),
            options,
        }
    }

    /// The same records, served in another way.
    pub fn with(&self, options: LoaderOptions, cache: Arc<Cache>) -> Self {
        Self { options, index: Arc::clone(&self.index), cache, skips: Arc::clone(&self.skips) }
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

    pub fn location(&self, record: usize) -> RecordLocation {
        self.index.location(record).expect("only records of the index are asked for")
    }
}

/// Locks even after a panic elsewhere: that is on its way to the user, and the data is whole between statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
