//! How batches are made.

use super::{Mix, Preprocess, Shuffle};
use crate::data::LoaderOptionsError;
use crate::image::{Augment, DecodeOptions};
use crate::record::{DEFAULT_STASH_BYTES, ImageSchema, ReaderOptions};

/// What to do with a record that is damaged, is no image example, has a label out of range, or whose photo can't be
/// decoded. A file that is gone or can't be read is an error either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnBadRecord {
    /// End with an error that names it.
    #[default]
    Error,
    /// Leave it out and count it (see [`Loader::skipped`](super::Loader::skipped)); its batch is smaller.
    Skip,
}

/// How batches are made.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Examples in a batch.
    pub batch_size: usize,
    /// The order of records.
    pub shuffle: Shuffle,
    /// The source of the order, of augmentation and of mixing.
    pub seed: u64,
    /// From a photo to the network's input.
    pub preprocess: Preprocess,
    /// Random changes to each photo, other ones in each epoch; `None` for none.
    pub augment: Option<Augment>,
    /// Mixes examples of a batch with each other; `None` does not.
    pub mix: Option<Mix>,
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
            mix: None,
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

    /// The same for evaluation: in the order of the shards, without augmentation or mixing.
    pub fn for_evaluation(mut self) -> Self {
        (self.shuffle, self.augment, self.mix, self.drop_last) = (Shuffle::None, None, None, false);
        self
    }

    /// How photos are fitted, and cached: for augmentation larger, and not cropped yet.
    pub(super) fn fitting(&self) -> Preprocess {
        match self.augment {
            Some(_) => Preprocess { image_size: self.source_size, crop_share: 1.0, ..self.preprocess },
            None => self.preprocess,
        }
    }

    /// Fails if these options make no sense.
    pub(super) fn check(&self) -> Result<(), LoaderOptionsError> {
        let (image_size, source_size) = (self.preprocess.image_size, self.source_size);
        if self.batch_size == 0 {
            return Err(LoaderOptionsError::BatchSize);
        }
        if self.classes == 0 {
            return Err(LoaderOptionsError::Classes);
        }
        if image_size == 0 {
            return Err(LoaderOptionsError::ImageSize);
        }
        if let Some(defect) = self.preprocess.defect() {
            return Err(LoaderOptionsError::Preprocess(defect));
        }
        if self.augment.is_some() && source_size < image_size {
            return Err(LoaderOptionsError::SourceSize { source_size, image_size });
        }
        self.mix.map_or(Ok(()), |mix| mix.check())?;
        self.shuffle.check()
    }
}
