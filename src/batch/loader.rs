//! Batches from shards, made ahead of their use on rayon's threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use ndarray::{Array3, Array4, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::cache::{Cache, Photo};
use super::order::order;
use super::preprocess::levels;
use super::{BatchError, Preprocess, Shuffle};
use crate::image::{Augment, DecodeOptions, ImageError, standardize, standardize_f32};
use crate::record::{ImageExample, ImageSchema, ReaderOptions, RecordFetcher, RecordLocation, ShardIndex};

/// A batch of training or evaluation examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Standardized images, NHWC.
    pub images: Array4<f32>,
    /// Class of each image, from 0.
    pub labels: Vec<usize>,
}

/// What to do with a record that is damaged, is no image example, or whose photo can't be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRecord {
    /// End with an error that names it.
    #[default]
    Error,
    /// Leave it out and count it; see [`Loader::skipped`].
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
    /// Side of the square that photos are fitted to and cached at before augmentation, at least the network's: a larger
    /// one leaves room to crop. Without augmentation it is the network's.
    pub source_size: usize,
    /// Whether the last batch of an epoch is left out when it is not full.
    pub drop_last: bool,
    /// What to do with a bad record.
    pub on_bad_record: OnBadRecord,
    /// What the label of the first class is in the records: 1 in TensorFlow's data sets, where 0 is the background.
    pub label_offset: i64,
    /// Number of classes: labels outside of them are bad records.
    pub classes: usize,
    /// Bytes of decoded photos to keep in memory.
    pub cache_bytes: u64,
    /// Batches made ahead.
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
}

/// Records left out as bad.
#[derive(Debug, Default)]
pub struct Skipped {
    /// How many different ones, so far.
    pub count: usize,
    /// The first few, with what is wrong with them.
    pub examples: Vec<BatchError>,
}

/// How many bad records are kept with their errors.
const SKIPPED_EXAMPLES: usize = 20;

/// Shards of image examples, served as batches, epoch by epoch.
///
/// The same options give the same batches, whatever the number of threads and whatever the cache holds.
#[derive(Debug, Clone)]
pub struct Loader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: LoaderOptions,
    index: Arc<ShardIndex>,
    fetcher: Mutex<RecordFetcher>,
    cache: Cache,
    skipped: Mutex<(Vec<bool>, Skipped)>,
}

impl Loader {
    /// Opens the shards and finds every record in them, so that a missing or damaged file fails here.
    ///
    /// # Errors
    /// A shard that can't be opened or whose framing is damaged (skipped from the damage on, where bad records are);
    /// no record at all; options that make no sense.
    pub fn open(shards: &[PathBuf], options: LoaderOptions) -> Result<Self, BatchError> {
        check(&options)?;
        let (index, damages) = match options.on_bad_record {
            OnBadRecord::Error => (ShardIndex::open(shards, &options.reader)?, Vec::new()),
            OnBadRecord::Skip => ShardIndex::open_skipping_damage(shards, &options.reader)?,
        };
        if index.is_empty() {
            return Err(BatchError::Empty(shards.to_vec()));
        }
        let index = Arc::new(index);
        let skipped =
            Skipped { count: damages.len(), examples: damages.into_iter().map(BatchError::from).collect() };
        Ok(Self {
            shared: Arc::new(Shared {
                fetcher: Mutex::new(RecordFetcher::new(Arc::clone(&index))),
                cache: Cache::new(index.len(), options.cache_bytes),
                skipped: Mutex::new((vec![false; index.len()], skipped)),
                index,
                options,
            }),
        })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.shared.index.len()
    }

    /// Whether there is no record; never so, since [`open`](Self::open) refuses that.
    pub fn is_empty(&self) -> bool {
        self.shared.index.is_empty()
    }

    /// How batches are made.
    pub fn options(&self) -> &LoaderOptions {
        &self.shared.options
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        let LoaderOptions { batch_size, drop_last, .. } = self.shared.options;
        if drop_last { self.len() / batch_size } else { self.len().div_ceil(batch_size) }
    }

    /// The batches of epoch `epoch`, from 0.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of epoch `epoch` from batch `first_batch` on, to resume one that was interrupted.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        let options = &self.shared.options;
        let shards: Vec<usize> = self.shared.index.shards().iter().map(|shard| shard.records).collect();
        let mut order = order(&shards, options.shuffle, options.seed, epoch);
        order.truncate(self.batches().saturating_mul(options.batch_size));
        let next = first_batch.saturating_mul(options.batch_size).min(order.len());
        Epoch {
            shared: Arc::clone(&self.shared),
            order,
            next,
            epoch,
            ahead: VecDeque::new(),
            given: false,
            whole: next == 0,
        }
    }

    /// Calls `look` with the bad records left out so far.
    pub fn skipped<T>(&self, look: impl FnOnce(&Skipped) -> T) -> T {
        look(&lock(&self.shared.skipped).1)
    }
}

fn check(options: &LoaderOptions) -> Result<(), BatchError> {
    let fault = |message: String| Err(BatchError::Options(message));
    if options.batch_size == 0 {
        return fault("the batch size must be at least 1, got 0".into());
    }
    if options.classes == 0 {
        return fault("there must be at least 1 class, got 0".into());
    }
    let (size, source) = (options.preprocess.image_size, options.source_size);
    if size == 0 || source < size {
        return fault(format!(
            "the image size must be at least 1 and the source size no less, got {size} and {source}"
        ));
    }
    match options.shuffle.defect() {
        Some(defect) => fault(defect),
        None => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere is on its way to the user already; the data is whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The batches of one epoch, in order, each made ahead of its use.
///
/// Batches are made by the rayon pool that the iterator is used in; dropping it abandons those not taken yet.
#[derive(Debug)]
pub struct Epoch {
    shared: Arc<Shared>,
    order: Vec<usize>,
    /// The first record of `order` not asked for yet.
    next: usize,
    epoch: u64,
    ahead: VecDeque<Arc<Slot>>,
    given: bool,
    whole: bool,
}

/// A batch on its way.
#[derive(Debug, Default)]
struct Slot {
    made: Mutex<Option<thread::Result<Result<Batch, BatchError>>>>,
    ready: Condvar,
}

impl Slot {
    fn fill(&self, made: thread::Result<Result<Batch, BatchError>>) {
        *lock(&self.made) = Some(made);
        self.ready.notify_one();
    }

    /// Waits for the batch. A thread of a rayon pool works meanwhile: it may be the one that has to make the batch.
    fn take(&self) -> Result<Batch, BatchError> {
        let made = loop {
            let mut made = lock(&self.made);
            if let Some(made) = made.take() {
                break made;
            }
            if rayon::current_thread_index().is_none() {
                made = self
                    .ready
                    .wait_while(made, |made| made.is_none())
                    .unwrap_or_else(PoisonError::into_inner);
                break made.take().expect("waited until it was there");
            }
            drop(made);
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                thread::yield_now();
            }
        };
        made.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.look_ahead();
            let Some(slot) = self.ahead.pop_front() else { return self.finish() };
            self.look_ahead();
            match slot.take() {
                // Every record of it was bad.
                Ok(batch) if batch.labels.is_empty() => {}
                Ok(batch) => {
                    self.given = true;
                    return Some(Ok(batch));
                }
                Err(error) => {
                    self.abandon();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Epoch {
    /// Starts as many batches as may be under way.
    fn look_ahead(&mut self) {
        let options = &self.shared.options;
        while self.next < self.order.len() && self.ahead.len() < options.prefetch.max(1) {
            let end = (self.next + options.batch_size).min(self.order.len());
            let records = self.order[self.next..end].to_vec();
            self.next = end;
            let slot = Arc::new(Slot::default());
            self.ahead.push_back(Arc::clone(&slot));
            let (shared, epoch) = (Arc::clone(&self.shared), self.epoch);
            // A panic in a spawned task would abort the process; it is handed to the thread that waits instead.
            rayon::spawn(move || slot.fill(catch_unwind(AssertUnwindSafe(|| shared.batch(&records, epoch)))));
        }
    }

    fn finish(&mut self) -> Option<Result<Batch, BatchError>> {
        let nothing = self.whole && !self.given && !self.order.is_empty();
        (nothing).then(|| {
            self.given = true;
            Err(BatchError::AllSkipped(self.order.len()))
        })
    }

    fn abandon(&mut self) {
        self.ahead.clear();
        self.next = self.order.len();
        self.given = true;
    }
}

/// A photo ready for augmentation, from the cache or decoded just now.
enum Ready<'a> {
    Cached(&'a Photo),
    Decoded(Photo),
}

impl Ready<'_> {
    fn get(&self) -> &Photo {
        match self {
            Ready::Cached(photo) => photo,
            Ready::Decoded(photo) => photo,
        }
    }
}

impl Shared {
    fn batch(&self, records: &[usize], epoch: u64) -> Result<Batch, BatchError> {
        let payloads = self.payloads(records);
        let photos: Vec<_> = records
            .par_iter()
            .zip(payloads)
            .with_max_len(1)
            .map(|(&record, payload)| self.photo(record, payload?).map(|photo| (record, photo)))
            .collect();
        let mut kept = Vec::with_capacity(records.len());
        for (result, &record) in photos.into_iter().zip(records) {
            match (result, self.options.on_bad_record) {
                (Ok(photo), _) => kept.push(photo),
                (Err(error), OnBadRecord::Error) => return Err(error),
                (Err(error), OnBadRecord::Skip) => self.skip(record, error),
            }
        }
        let size = self.options.preprocess.image_size;
        let mut images = Array4::zeros((kept.len(), size, size, 3));
        images.axis_iter_mut(Axis(0)).into_par_iter().zip(&kept).try_for_each(
            |(mut slot, (record, photo))| {
                let slot = slot.as_slice_mut().expect("an image of a batch is contiguous");
                self.input(*record, epoch, &photo.get().0, slot)
                    .map_err(|error| self.image_error(*record, error))
            },
        )?;
        Ok(Batch { images, labels: kept.iter().map(|(_, photo)| photo.get().1).collect() })
    }

    /// The payloads of the records that are not in the cache, read in order.
    fn payloads(&self, records: &[usize]) -> Vec<Result<Vec<u8>, BatchError>> {
        let mut fetcher = None;
        let read = |&record: &usize| {
            let mut payload = Vec::new();
            if self.cache.get(record).is_none() {
                fetcher.get_or_insert_with(|| lock(&self.fetcher)).fetch(record, &mut payload)?;
            }
            Ok(payload)
        };
        records.iter().map(read).collect()
    }

    /// The fitted photo of a record and its class.
    fn photo(&self, record: usize, payload: Vec<u8>) -> Result<Ready<'_>, BatchError> {
        if let Some(photo) = self.cache.get(record) {
            return Ok(Ready::Cached(photo));
        }
        let options = &self.options;
        let example = ImageExample::parse(&payload, &options.schema)
            .map_err(|error| error.at(self.location(record)))?;
        let class = self.class(record, example.label)?;
        let size =
            if options.augment.is_some() { options.source_size } else { options.preprocess.image_size };
        let image = options
            .preprocess
            .fit_encoded(&example.encoded, size, &options.decode)
            .map_err(|error| self.image_error(record, error))?;
        Ok(match self.cache.insert(record, (image, class)) {
            Ok(photo) => Ready::Cached(photo),
            Err(photo) => Ready::Decoded(photo),
        })
    }

    /// The class, from 0, of a record's label.
    fn class(&self, record: usize, label: i64) -> Result<usize, BatchError> {
        let LoaderOptions { label_offset, classes, .. } = self.options;
        let class = label.checked_sub(label_offset).and_then(|class| usize::try_from(class).ok());
        class.filter(|&class| class < classes).ok_or_else(|| BatchError::Label {
            at: Box::new(self.location(record)),
            label,
            classes,
            first: label_offset,
            last: label_offset.saturating_add(classes as i64 - 1),
        })
    }

    /// Writes the network's input: augmented from a stream of randomness of the record's and the epoch's own, so that
    /// it depends on neither the order nor the threads.
    fn input(
        &self,
        record: usize,
        epoch: u64,
        photo: &Array3<u8>,
        slot: &mut [f32],
    ) -> Result<(), ImageError> {
        let options = &self.options;
        let Some(augment) = &options.augment else { return standardize(levels(photo), slot) };
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ (record as u64).rotate_left(32));
        // Streams 0, 1, .. of the same generator are those of the order.
        rng.set_stream(!epoch);
        let size = options.preprocess.image_size;
        let augmented = augment.apply(photo, (size, size), &mut rng)?;
        standardize_f32(augmented.as_slice().expect("augmented images are in standard layout"), slot)
    }

    fn location(&self, record: usize) -> RecordLocation {
        self.index.location(record).expect("only records of the index are asked for")
    }

    fn image_error(&self, record: usize, error: ImageError) -> BatchError {
        BatchError::Image { at: Box::new(self.location(record)), error }
    }

    fn skip(&self, record: usize, error: BatchError) {
        let (seen, skipped) = &mut *lock(&self.skipped);
        if !std::mem::replace(&mut seen[record], true) {
            skipped.count += 1;
            if skipped.examples.len() < SKIPPED_EXAMPLES {
                skipped.examples.push(error);
            }
        }
    }
}
