//! Records to one batch: decode and fit (or take from the cache), augment, normalize.

use ndarray::{Array3, Array4, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::cache::Photo;
use super::shared::Shared;
use super::{Batch, LoaderOptions, OnBadRecord};
use crate::data::BatchError;
use crate::image::ImageError;

/// The payload of an example's record; `None` where the cache has its photo, and for data sets that are no shards.
pub(super) type Fetched = Result<Option<Vec<u8>>, BatchError>;

/// Tells the generator of mixing from those of order and augmentation, which have the seed too.
const MIXING: u64 = 0x6D69_7869_6E67;

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
    /// Batch `number` of this epoch, of these records, in their order; without those that are bad, if bad ones are skipped.
    pub fn batch(
        &self,
        number: usize,
        records: &[usize],
        fetched: Vec<Fetched>,
        epoch: u64,
    ) -> Result<Batch, BatchError> {
        // A task for each photo, since the time they take differs widely.
        let photos: Vec<_> = records
            .par_iter()
            .zip(fetched)
            .with_max_len(1)
            .map(|(&record, payload)| self.photo(record, payload?))
            .collect();
        let mut kept = Vec::with_capacity(records.len());
        for (photo, &record) in photos.into_iter().zip(records) {
            match photo {
                Ok(photo) => kept.push((record, photo)),
                Err(error)
                    if self.options.on_bad_record == OnBadRecord::Skip && error.is_about_a_record() =>
                {
                    self.skip(record, error);
                }
                Err(error) => return Err(error),
            }
        }
        let (height, width, channels) = self.options.preprocess.shape();
        let mut images = Array4::zeros((kept.len(), height, width, channels));
        images.axis_iter_mut(Axis(0)).into_par_iter().zip(&kept).try_for_each(
            |(mut image, (record, photo))| {
                let input = image.as_slice_mut().expect("an image of a batch is contiguous");
                self.write_input(*record, epoch, &photo.get().0, input)
                    .map_err(|error| self.image_error(*record, error))
            },
        )?;
        let labels: Vec<usize> = kept.iter().map(|(_, photo)| photo.get().1).collect();
        let mixed = self.options.mix.filter(|_| !labels.is_empty()).map(|mix| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed ^ MIXING);
            rng.set_stream(epoch << 32 | number as u64);
            mix.apply(&mut images, &labels, self.options.classes, &mut rng)
        });
        Ok(Batch { images, labels, mixed, records: kept.iter().map(|(record, _)| *record).collect() })
    }

    /// The fitted photo of a record and its class.
    fn photo(&self, record: usize, payload: Option<Vec<u8>>) -> Result<Ready<'_>, BatchError> {
        if let Some(photo) = self.cache.get(record) {
            return Ok(Ready::Cached(photo));
        }
        let options = &self.options;
        let example = self.source.example(record, payload, options)?;
        let class = self.class(record, example.label)?;
        let fitting = options.fitting();
        let image = fitting
            .fit_picture(&example.picture, fitting.image_size, &options.decode)
            .map_err(|error| self.image_error(record, error))?;
        Ok(match self.cache.insert(record, (image, class)) {
            Ok(photo) => Ready::Cached(photo),
            Err(photo) => Ready::Decoded(photo),
        })
    }

    /// The class, from 0, of a record's label.
    pub fn class(&self, record: usize, label: i64) -> Result<usize, BatchError> {
        let LoaderOptions { label_offset, classes, .. } = self.options;
        let class = label.checked_sub(label_offset).and_then(|class| usize::try_from(class).ok());
        class.filter(|&class| class < classes).ok_or_else(|| BatchError::Label {
            at: Box::new(self.place(record)),
            label,
            classes,
            first: label_offset,
            last: label_offset.saturating_add_unsigned(classes as u64 - 1),
        })
    }

    /// Writes the network's input. Augmentation draws from a stream of the record's and the epoch's own, so that it
    /// depends on neither the order nor the threads.
    fn write_input(
        &self,
        record: usize,
        epoch: u64,
        photo: &Array3<u8>,
        input: &mut [f32],
    ) -> Result<(), ImageError> {
        let options = &self.options;
        let Some(augment) = &options.augment else {
            return options.preprocess.write(photo, input);
        };
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ (record as u64).rotate_left(32));
        // Record 0 has the order's generator; its streams 0, 1, .. are the epochs' orders.
        rng.set_stream(!epoch);
        let size = options.preprocess.image_size;
        let augmented = augment.apply(photo, (size, size), &mut rng)?;
        options.preprocess.write_f32(&augmented, input)
    }

    fn image_error(&self, record: usize, error: ImageError) -> BatchError {
        BatchError::Image { at: Box::new(self.place(record)), error }
    }
}
