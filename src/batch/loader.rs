//! Shards as batches: the options, and what all epochs share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndarray::Array4;

use super::cache::Cache;
use super::epoch::Epoch;
use super::order::order;
use super::{BatchError, Fingerprint, Preprocess, Shuffle};
use crate::image::{Augment, DecodeOptions};
use crate::record::{DEFAULT_STASH_BYTES, ImageSchema, ReaderOptions, RecordLocation, ShardIndex};

/// A batch of training or evaluation examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Standardized images, NHWC.
    pub images: Array4<f32>,
    /// Class of each image, from 0.
    pub labels: Vec<usize>,
}

/// What to do with a record that is damaged, is no image example, has a label out of range, or whose photo can't be
/// decoded. A file that is gone or can't be read is an error either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRecord {
    /// End with an error that names it.
    #[default]
    Error,
    /// Leave it out and count it (see [`Loader::skipped`]); its batch is smaller.
    Skip,
}

/// How batches are made.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Examples in a batch.
    pub batch_size: usize,
    /// The order of records.
    pub shuffle: Shuffle,
    /// The source of the order and of augmentation.
    pub seed: u64,
    /// From a photo to the network's input.
    pub preprocess: Preprocess,
    /// Random changes to each photo, other ones in each epoch; `None` for none.
    pub augment: Option<Augment>,
    /// Side of the square that photos are fitted to (and cached at) before augmentation, at least the network's: a larger
    /// one leaves room to crop. Without augmentation photos are fitted to the network's.
    pub source_size: usize,
    /// Whether the last batch of an epoch is left out when it is not full.
    pub drop_last: bool,
    /// What to do with a bad record.
    pub on_bad_record: OnBadRecord,
    /// What the label of the first class is in the records: 1 in TensorFlow's data sets, where 0 is the background.
    pub label_offset: i64,
    /// Number of classes: labels outside of them are bad records.
    pub classes: usize,
    /// Most bytes of decoded photos to keep in memory, counting pixels.
    pub cache_bytes: u64,
    /// Most bytes of records of compressed shards to set aside, since those can be read in order only: see
    /// [`RecordFetcher::with_stash_bytes`](crate::record::RecordFetcher::with_stash_bytes).
    pub stash_bytes: u64,
    /// Batches made ahead, besides the one that is waited for; at least 1.
    pub prefetch: usize,
    /// The names of the features.
    pub schema: ImageSchema,
    /// Limits on photos.
    pub decode: DecodeOptions,
    /// Limits on records.
    pub reader: ReaderOptions,
}

impl LoaderOptions {
    /// Batches of 64 in a full shuffle, labels from 1, no augmentation, a cache of 1 GiB, two batches ahead.
    pub fn new(preprocess: Preprocess, classes: usize) -> Self {
        Self {
            batch_size: 64,
            shuffle: Shuffle::default(),
            seed: 0,
            preprocess,
            augment: None,
            source_size: preprocess.image_size,
            drop_last: false,
            on_bad_record: OnBadRecord::default(),
            label_offset: 1,
            classes,
            cache_bytes: 1 << 30,
            stash_bytes: DEFAULT_STASH_BYTES,
            prefetch: 2,
            schema: ImageSchema::default(),
            decode: DecodeOptions::default(),
            reader: ReaderOptions::default(),
        }
    }

    /// The same for evaluation: in the order of the shards, without augmentation.
    pub fn for_evaluation(mut self) -> Self {
        (self.shuffle, self.augment, self.drop_last) = (Shuffle::None, None, false);
        self
    }

    /// Why these options make no sense, if so.
    fn defect(&self) -> Option<String> {
        let (size, source) = (self.preprocess.image_size, self.source_size);
        if self.batch_size == 0 {
            return Some("the batch size must be at least 1, got 0".into());
        }
        if self.classes == 0 {
            return Some("there must be at least 1 class, got 0".into());
        }
        if size == 0 {
            return Some("the image size must be at least 1, got 0".into());
        }
        if self.augment.is_some() && source < size {
            return Some(format!("the source size ({source}) must not be under the image size ({size})"));
        }
        self.shuffle.defect()
    }
}

/// Bad records left out, and damaged shards read only up to the damage.
#[derive(Debug, Clone, Default)]
pub struct Skipped {
    /// How many so far, each counted once.
    pub count: usize,
    /// What is wrong with the first of them.
    pub errors: Vec<Arc<BatchError>>,
}

/// How many bad records are kept with their errors.
const KEPT_ERRORS: usize = 20;

impl Skipped {
    fn add(&mut self, error: BatchError) {
        self.count += 1;
        if self.errors.len() < KEPT_ERRORS {
            self.errors.push(Arc::new(error));
        }
    }
}

/// Shards of image examples, served as batches, epoch by epoch.
///
/// The same options give the same batches, whatever the number of threads and whatever the cache holds. Clones share
/// the cache.
///
/// ```no_run
/// use floret::batch::{Loader, LoaderOptions, Preprocess};
/// use floret::record::find_shards;
///
/// let options = LoaderOptions::new(Preprocess::new(64), 5);
/// let loader = Loader::open(&find_shards(&["data/train"])?, options)?;
/// for epoch in 0..10 {
///     for batch in loader.epoch(epoch) {
///         let batch = batch?;
///         println!("{:?} {:?}", batch.images.dim(), batch.labels);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    dataset: Arc<Dataset>,
}

impl Loader {
    /// Opens the shards and finds every record in them, so that a missing or damaged file fails here.
    ///
    /// # Errors
    /// A shard that can't be opened, or whose framing is damaged (with [`OnBadRecord::Skip`] the records before the damage
    /// are used); no record at all; options that make no sense.
    pub fn open(shards: &[PathBuf], options: LoaderOptions) -> Result<Self, BatchError> {
        if let Some(defect) = options.defect() {
            return Err(BatchError::Options(defect));
        }
        let (index, damages) = match options.on_bad_record {
            OnBadRecord::Error => (ShardIndex::open(shards, &options.reader)?, Vec::new()),
            OnBadRecord::Skip => ShardIndex::open_skipping_damage(shards, &options.reader)?,
        };
        if index.is_empty() {
            return Err(BatchError::Empty(shards.to_vec()));
        }
        if options.drop_last && index.len() < options.batch_size {
            return Err(BatchError::Options(format!(
                "the {} records are less than one batch of {}, and short batches are dropped: nothing is left",
                index.len(),
                options.batch_size
            )));
        }
        let mut skipped = Skipped::default();
        damages.into_iter().for_each(|damage| skipped.add(damage.into()));
        Ok(Self {
            dataset: Arc::new(Dataset {
                cache: Cache::new(index.len(), options.cache_bytes),
                skips: Mutex::new(Skips { seen: vec![false; index.len()], skipped }),
                index: Arc::new(index),
                options,
            }),
        })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.dataset.index.len()
    }

    /// Whether there is no record; never so, since [`open`](Self::open) refuses that.
    pub fn is_empty(&self) -> bool {
        self.dataset.index.is_empty()
    }

    /// How batches are made.
    pub fn options(&self) -> &LoaderOptions {
        &self.dataset.options
    }

    /// Batches of an epoch; fewer come if every record of one is skipped.
    pub fn batches(&self) -> usize {
        let LoaderOptions { batch_size, drop_last, .. } = self.dataset.options;
        if drop_last { self.len() / batch_size } else { self.len().div_ceil(batch_size) }
    }

    /// The batches of epoch `epoch`, from 0.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of epoch `epoch` from batch `first_batch` on, to resume one that was interrupted at this
    /// [position](Epoch::position).
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        let LoaderOptions { batch_size, shuffle, seed, .. } = self.dataset.options;
        let shards: Vec<usize> = self.dataset.index.shards().iter().map(|shard| shard.records).collect();
        let mut order = order(&shards, shuffle, seed, epoch);
        order.truncate(self.batches().saturating_mul(batch_size));
        Epoch::new(Arc::clone(&self.dataset), epoch, order, first_batch)
    }

    /// What tells these shards from others.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.dataset.index)
    }

    /// The bad records left out so far.
    pub fn skipped(&self) -> Skipped {
        lock(&self.dataset.skips).skipped.clone()
    }
}

/// What all epochs share.
#[derive(Debug)]
pub(super) struct Dataset {
    pub options: LoaderOptions,
    pub index: Arc<ShardIndex>,
    pub cache: Cache,
    skips: Mutex<Skips>,
}

#[derive(Debug)]
struct Skips {
    /// By record, so that it counts once and not once an epoch.
    seen: Vec<bool>,
    skipped: Skipped,
}

impl Dataset {
    /// Counts a record as bad.
    pub fn skip(&self, record: usize, error: BatchError) {
        let Skips { seen, skipped } = &mut *lock(&self.skips);
        if !std::mem::replace(&mut seen[record], true) {
            skipped.add(error);
        }
    }

    pub fn location(&self, record: usize) -> RecordLocation {
        self.index.location(record).expect("only records of the index are asked for")
    }
}

/// Locks even after a panic elsewhere: that is on its way to the user, and the data is whole between statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
