//! Photos through a network without its last layer.

use std::path::Path;

use super::features::Features;
use super::file::FeatureFile;
use crate::data::{Loader, Preprocess};
use crate::network::{Network, NetworkError};
use crate::train::{Flow, TrainError};

/// Photos whose features are computed at once.
const BATCH: usize = 32;

/// The photos of `loader` in this view, in the order of the shards. Nothing is kept of them, since each comes once.
pub(crate) fn photos(loader: &Loader, view: Preprocess) -> Result<Loader, TrainError> {
    Ok(loader.once(view, BATCH)?)
}

/// Features that are computed: those of one view of some photos.
pub(crate) struct Extraction<'a> {
    body: &'a Network,
    photos: Loader,
    file: FeatureFile,
    /// Those that are there.
    features: Features,
    /// Where the photos go on.
    position: usize,
}

impl<'a> Extraction<'a> {
    /// Features of all [`photos`] by `body`, a network without its last layer; those that the file at `kept` has of the same photos by
    /// the same network are read.
    pub fn open(body: &'a Network, photos: Loader, kept: Option<&Path>) -> Self {
        let mut file = FeatureFile::open(kept, body, &photos);
        let (mut features, mut position) = (Features::default(), 0);
        while let Some((batch, behind)) = file.next() {
            features.append(batch);
            position = behind;
        }
        Self { body, photos, file, features, position }
    }

    /// Photos that are done.
    pub fn done(&self) -> usize {
        self.features.len()
    }

    /// Photos in all.
    pub fn total(&self) -> usize {
        self.photos.len()
    }

    /// Computes what is missing. `watch` hears how many photos are done; `None` if it says to stop.
    pub fn run(mut self, watch: &mut dyn FnMut(usize) -> Flow) -> Result<Option<Features>, TrainError> {
        if watch(self.done()) == Flow::Stop {
            return Ok(None);
        }
        let mut epoch = self.photos.epoch_from(0, self.position);
        while let Some(batch) = epoch.next() {
            let batch = batch?;
            let values = self.body.forward(batch.images.view())?;
            if let Some(image) = values.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite()))
            {
                return Err(NetworkError::OutputNotFinite { image }.into());
            }
            let batch = Features {
                values: values.into_raw_vec_and_offset().0,
                labels: batch.labels,
                records: batch.records,
            };
            self.file.append(&batch, epoch.position());
            self.features.append(batch);
            if watch(self.features.len()) == Flow::Stop {
                return Ok(None);
            }
        }
        Ok(Some(self.features))
    }
}
