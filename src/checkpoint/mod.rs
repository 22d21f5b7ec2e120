//! Trained networks and interrupted training, as files.
//!
//! Both are safetensors files: every array by its name, and one metadata entry `floret` that holds the rest as JSON.
//! They are written beside their name, synced and renamed, so that a crash leaves the old file or the new one.
//!
//! - `model.safetensors` ([`save_model`], [`load_model`]): weights and moving averages by layer, the network's
//!   description, class names and preprocessing: all that prediction needs.
//! - `training.safetensors` ([`save_training`], [`load_training`]): the same network as it is now, the optimizer's
//!   slots and the position to the batch: all that resuming needs.

mod error;
mod file;
mod saver;
mod training;

use std::path::Path;

pub use error::CheckpointError;
pub use saver::Saver;
use serde::{Deserialize, Serialize};
pub use training::{SavedTraining, load_training, save_training};

use crate::batch::Preprocess;
use crate::network::{Network, NetworkBuilder, NetworkSpec};
use file::{Arrays, Kind};

/// What prediction needs beside the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Class names, by output.
    pub classes: Vec<String>,
    /// From a photo to the network's input.
    pub preprocess: Preprocess,
}

/// The metadata of a model file.
#[derive(Debug, Serialize, Deserialize)]
struct ModelHeader {
    network: NetworkSpec,
    seed: u64,
    steps: u64,
    #[serde(flatten)]
    info: ModelInfo,
}

impl ModelHeader {
    fn of(network: &Network, info: &ModelInfo) -> Self {
        Self {
            network: network.spec().clone(),
            seed: network.seed(),
            steps: network.steps(),
            info: info.clone(),
        }
    }

    /// The network with its arrays, each of which is taken from `arrays`.
    fn build(self, path: &Path, arrays: &mut Arrays) -> Result<(Network, ModelInfo), CheckpointError> {
        let mut network = NetworkBuilder::from_spec(self.network)
            .seed(self.seed)
            .build()
            .map_err(|error| CheckpointError::network(path, error))?;
        if network.outputs() != self.info.classes.len() {
            let reason = format!(
                "the network has {} outputs, but {} classes are named",
                network.outputs(),
                self.info.classes.len()
            );
            return Err(CheckpointError::damaged(path, reason));
        }
        network.resume_at(self.steps, self.seed);
        let names: Vec<String> = network.arrays().map(|(param, _)| param.name.clone()).collect();
        for name in names {
            let values = arrays.take(path, &name)?;
            network.set_array(&name, values.view()).map_err(|error| CheckpointError::network(path, error))?;
        }
        Ok((network, self.info))
    }
}

/// Writes `network` with what prediction needs to one file.
///
/// # Errors
/// A file that can't be written; an earlier one of this name is then untouched.
pub fn save_model(
    path: impl AsRef<Path>,
    network: &Network,
    info: &ModelInfo,
) -> Result<(), CheckpointError> {
    let arrays = file::network_arrays(network);
    file::write(path.as_ref(), Kind::Model, &ModelHeader::of(network, info), &arrays)
}

/// Reads what [`save_model`] wrote.
///
/// # Errors
/// A file that can't be read, is of another kind, is damaged, or whose arrays do not fit its network.
pub fn load_model(path: impl AsRef<Path>) -> Result<(Network, ModelInfo), CheckpointError> {
    let path = path.as_ref();
    let (header, mut arrays) = file::read::<ModelHeader>(path, Kind::Model)?;
    let loaded = header.build(path, &mut arrays)?;
    arrays.none_left(path)?;
    Ok(loaded)
}
