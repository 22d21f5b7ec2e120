//! Trained networks and interrupted training, as files.
//!
//! Both are safetensors files: every array by its name, and one metadata entry `floret` that holds the rest as JSON. The metadata
//! also tells with which [`Arithmetic`] the file was made. They are written beside their name, synced and renamed, so that a
//! crash leaves the old file or the new one.
//!
//! - `model.safetensors` ([`save_model`], [`load_model`]): weights and moving averages by layer, the network's
//!   description, class names and preprocessing: all that prediction needs.
//! - `training.safetensors` ([`save_training`], [`load_training`]): the same network as it is now (`network/...`), the average
//!   of its weights if one is kept (`average/...`), the optimizer's slots (`optimizer/...`) and the position to the batch: all
//!   that resuming needs.
//!
//! # The arrays of `model.safetensors`
//!
//! Any reader of safetensors can load them (Python: `safetensors.numpy.load_file`, `safetensors.torch.load_file`). All are
//! `F32` and row-major; each is named by its layer, the layer's name in the network, and its role:
//!
//! | array | shape | what it is |
//! | --- | --- | --- |
//! | `LAYER/kernel` of a `conv2d` | height, width, in, out (HWIO) | the filters; PyTorch wants `permute(3, 2, 0, 1)` |
//! | `LAYER/kernel` of a `dense` | in, out | `y = x kernel + bias`; PyTorch's `Linear.weight` is its transpose |
//! | `LAYER/bias` | out | left out by `no_bias` |
//! | `LAYER/gamma`, `LAYER/beta` of a `batch_norm` | channels | what it scales and shifts by |
//! | `LAYER/moving_mean`, `LAYER/moving_variance` of a `batch_norm` | channels | what inference normalizes by: `(x - mean) / sqrt(variance + epsilon)` |
//! | `LAYER/body_1_conv2d/kernel`, `LAYER/shortcut_1_conv2d/kernel`, ... of a `residual` | as of the inner layer | by the part, the number within it and the kind |
//!
//! Images are NHWC, and `flatten` keeps that order: a `dense` behind it has its inputs by row, column, channel. The reference
//! network's layers are `conv1` to `conv5`, `fc1` to `fc3` and `logits`.
//!
//! The metadata entry `floret` is JSON: `network` with its `layers` in order (kind and hyper-parameters of each) and, where it is
//! so, `test_time_flip`: true (the answer to an image is the mean logits of it and its mirror image), `classes` by output, and
//! `preprocess` (`image_size`, `fit`, `orientation`; where they are not the usual ones, `crop_share`, `normalize`, `channel_order`). After
//! that, an input is standardized as a whole, `(x - mean) / max(deviation, 1 / sqrt(n))` of its n levels, unless `normalize` has
//! constants: see [`Preprocess`]. `examples/python/load_in_pytorch.py` does it all for the reference network.
//!
//! A [`Saver`] writes both while training; a [`HeldFolder`](crate::files::HeldFolder) keeps their folder to one process. [`tensorflow`] exchanges arrays
//! with TensorFlow.

mod arithmetic;
mod arrays;
mod checksum;
mod error;
mod file;
mod saver;
#[cfg(feature = "tensorflow")]
pub mod tensorflow;
mod training;

use std::path::Path;

pub use arithmetic::Arithmetic;
pub use error::{CheckpointError, ModelInfoError};
pub use saver::{OnSaveError, Saver};
use serde::{Deserialize, Serialize};
pub use training::{SavedTraining, load_training, save_training};

use crate::data::Preprocess;
use crate::network::{Network, NetworkBuilder, NetworkSpec};
use crate::nn::Shape;
use arrays::network_places;
use file::{Array, Described, Header, Kind};

/// What prediction needs beside the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Class names, by output.
    pub classes: Vec<String>,
    /// From a photo to the network's input.
    pub preprocess: Preprocess,
}

impl ModelInfo {
    /// Fails if this does not fit `network`.
    pub(crate) fn check(&self, network: &Network) -> Result<(), ModelInfoError> {
        self.check_classes(network)?;
        if let Some(defect) = self.preprocess.defect() {
            return Err(ModelInfoError::Preprocess(defect));
        }
        let (input, made) = (network.input(), self.input());
        if input == made { Ok(()) } else { Err(ModelInfoError::Images { input, made }) }
    }

    fn check_classes(&self, network: &Network) -> Result<(), ModelInfoError> {
        let (outputs, classes) = (network.outputs(), self.classes.len());
        if outputs == classes { Ok(()) } else { Err(ModelInfoError::Classes { outputs, classes }) }
    }

    /// What preprocessing makes.
    fn input(&self) -> Shape {
        Shape::from(self.preprocess.shape())
    }
}

/// The metadata of a model file.
#[derive(Debug, Serialize, Deserialize)]
struct ModelHeader {
    network: NetworkSpec,
    seed: u64,
    steps: u64,
    /// With what it was computed, since floret tells.
    #[serde(default)]
    arithmetic: Option<Arithmetic>,
    #[serde(flatten)]
    info: ModelInfo,
}

impl ModelHeader {
    fn of(path: &Path, network: &Network, info: &ModelInfo) -> Result<Self, CheckpointError> {
        info.check(network).map_err(|reason| CheckpointError::Info { path: path.into(), reason })?;
        Ok(Self::with(network.spec().clone(), network, info))
    }

    /// That of a network in training: it may be at work on [smaller images](crate::train::Stage), but is described as it will be.
    fn in_training(path: &Path, network: &Network, info: &ModelInfo) -> Result<Self, CheckpointError> {
        info.check_classes(network).map_err(|reason| CheckpointError::Info { path: path.into(), reason })?;
        let spec = NetworkSpec { input: info.input(), ..network.spec().clone() };
        let params = network.arrays().map(|(param, _)| param);
        match spec.params() {
            Ok((described, _)) if described.iter().eq(params) => Ok(Self::with(spec, network, info)),
            _ => Self::of(path, network, info),
        }
    }

    fn with(spec: NetworkSpec, network: &Network, info: &ModelInfo) -> Self {
        Self {
            network: spec,
            seed: network.seed(),
            steps: network.steps(),
            arithmetic: Some(Arithmetic::with(network.isa())),
            info: info.clone(),
        }
    }

    /// The network, with zeros for its arrays.
    fn build(self, path: &Path) -> Result<(Network, ModelInfo), CheckpointError> {
        check_count(path, "steps", self.steps)?;
        let network = NetworkBuilder::from_spec(self.network).seed(self.seed).build_zeros();
        let mut network = network.map_err(|error| CheckpointError::network(path, error))?;
        self.info.check(&network).map_err(|reason| CheckpointError::damaged(path, reason.to_string()))?;
        network.resume_at(self.steps, self.seed);
        Ok((network, self.info))
    }
}

impl Header for ModelHeader {
    fn check_arrays(&self, arrays: &mut Described<'_>) -> Result<(), CheckpointError> {
        let (params, _) =
            self.network.params().map_err(|error| CheckpointError::network(arrays.path(), error))?;
        arrays.take("", &params)
    }
}

/// Counters that a run could never reach: 2^53, the largest whole number that every program reads from JSON as it is.
const MAX_COUNT: u64 = 1 << 53;

fn check_count(path: &Path, what: &str, count: u64) -> Result<(), CheckpointError> {
    if count <= MAX_COUNT {
        return Ok(());
    }
    Err(CheckpointError::damaged(path, format!("it counts {count} {what}")))
}

/// A model as it was, to be written later.
struct ModelSnapshot {
    header: ModelHeader,
    /// Name, shape and values of each array.
    arrays: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl ModelSnapshot {
    /// `path` is for errors alone: those of [`save_model`] but for the file's.
    fn of(path: &Path, network: &Network, info: &ModelInfo) -> Result<Self, CheckpointError> {
        let copied = |(name, shape, values): Array<'_>| (name, shape, values.to_vec());
        let arrays = file::network_arrays(network).into_iter().map(copied).collect();
        Ok(Self { header: ModelHeader::of(path, network, info)?, arrays })
    }

    fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let lent = self.arrays.iter().map(|(name, shape, values)| (name.clone(), shape.clone(), &values[..]));
        file::write(path, Kind::Model, &self.header, &lent.collect::<Vec<_>>())
    }
}

/// Writes `network` with what prediction needs to one file.
///
/// # Errors
/// Class names that do not fit the network's outputs, or preprocessing its input; a file that can't be written. An earlier
/// one of this name is then untouched.
pub fn save_model(
    path: impl AsRef<Path>,
    network: &Network,
    info: &ModelInfo,
) -> Result<(), CheckpointError> {
    let arrays = file::network_arrays(network);
    let path = path.as_ref();
    file::write(path, Kind::Model, &ModelHeader::of(path, network, info)?, &arrays)
}

/// Reads what [`save_model`] wrote.
///
/// Values are read only when names and shapes are known to be those of the network described, to their places in it: it takes
/// no more than three times their memory, and some hundred times that of the description (at most 4 MiB), however long the file is.
///
/// # Errors
/// A file that can't be read, is of another kind, is damaged, or whose arrays do not fit its network.
pub fn load_model(path: impl AsRef<Path>) -> Result<(Network, ModelInfo), CheckpointError> {
    let path = path.as_ref();
    let (header, values) = file::read::<ModelHeader>(path, Kind::Model)?;
    let (mut network, info) = header.build(path)?;
    values.read_to(network_places(&mut network, "").collect())?;
    Ok((network, info))
}

impl Network {
    /// The network of a model file, alone; [`load_model`] gives class names and preprocessing too, and
    /// [`Classifier`](crate::Classifier) all three as one.
    ///
    /// # Errors
    /// As [`load_model`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        Ok(load_model(path)?.0)
    }
}
