//! Photos through a network without its last layer.

use std::path::Path;

use super::features::Features;
use super::file::FeatureFile;
use crate::data::{Loader, LoaderOptions};
use crate::network::{Network, NetworkError};
use crate::train::{Flow, TrainError};

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
