//! What a network makes of photos before its last layer.

use std::path::Path;

use ndarray::Array2;

use super::file::FeatureFile;
use crate::data::{Loader, LoaderOptions};
use crate::network::{Network, NetworkError};
use crate::train::{Flow, TrainError};

/// The features of photos, with their classes and records.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Features {
    /// (photos, features), row after row.
    pub values: Vec<f32>,
    /// Classes, from 0.
    pub labels: Vec<usize>,
    /// Their places in the shards.
    pub records: Vec<usize>,
}

impl Features {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// (photos, features).
    pub fn into_array(self, features: usize) -> Array2<f32> {
        let photos = self.labels.len();
        Array2::from_shape_vec((photos, features), self.values).expect("as many features for each photo")
    }

    pub fn append(&mut self, mut other: Self) {
        self.values.append(&mut other.values);
        self.labels.append(&mut other.labels);
        self.records.append(&mut other.records);
    }
}

/// Photos whose features are computed at once.
const BATCH: usize = 32;

/// The photos of `loader`, as evaluation sees them, in the order of the shards. Nothing is kept of them, since each comes once.
pub(crate) fn photos(loader: &Loader) -> Result<Loader, TrainError> {
    let LoaderOptions { preprocess, .. } = *loader.options();
    Ok(loader.once(preprocess, BATCH)?)
}

/// Computes the features of all [`photos`] by `body`, a network without its last layer; those that the file at `kept` has of the same
/// photos by the same network are read. `watch` hears how many are done; `None` if it says to stop.
pub(crate) fn extract(
    body: &Network,
    photos: &Loader,
    kept: Option<&Path>,
    watch: &mut dyn FnMut(usize) -> Flow,
) -> Result<Option<Features>, TrainError> {
    let mut file = FeatureFile::open(kept, body, photos);
    let mut features = Features::default();
    let mut position = 0;
    while let Some((batch, behind)) = file.next() {
        features.append(batch);
        position = behind;
    }
    if watch(features.len()) == Flow::Stop {
        return Ok(None);
    }
    let mut epoch = photos.epoch_from(0, position);
    while let Some(batch) = epoch.next() {
        let batch = batch?;
        let values = body.forward(batch.images.view())?;
        if let Some(image) = values.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(NetworkError::OutputNotFinite { image }.into());
        }
        let batch = Features {
            values: values.into_raw_vec_and_offset().0,
            labels: batch.labels,
            records: batch.records,
        };
        file.append(&batch, epoch.position());
        features.append(batch);
        if watch(features.len()) == Flow::Stop {
            return Ok(None);
        }
    }
    Ok(Some(features))
}
