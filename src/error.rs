//! One error for programs that use several modules.

use crate::checkpoint::CheckpointError;
#[cfg(feature = "tensorflow")]
use crate::checkpoint::tensorflow::TensorFlowError;
use crate::classifier::ClassifyError;
use crate::data::BatchError;
use crate::data::convert::ConvertError;
use crate::files::{FileError, HoldError};
use crate::image::ImageError;
#[cfg(feature = "tensorboard")]
use crate::log::LogError;
use crate::loss::LossError;
use crate::network::NetworkError;
use crate::nn::ShapeError;
#[cfg(feature = "onnx")]
use crate::onnx::OnnxError;
use crate::record::{RecordError, ShardError};
use crate::train::TrainError;

/// Any error of floret. Each message is whole: it says what is wrong, where, and where it helps what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error(transparent)]
pub enum Error {
    /// A file or folder.
    File(#[from] FileError),
    /// A folder that another holds.
    Hold(#[from] HoldError),
    /// The list of shards.
    Shards(#[from] ShardError),
    /// A record.
    Record(#[from] RecordError),
    /// A photo.
    Image(#[from] ImageError),
    /// A data set.
    Batch(#[from] BatchError),
    /// A folder of photos to convert.
    Convert(#[from] ConvertError),
    /// Layers that do not fit.
    Shape(#[from] ShapeError),
    /// Targets that do not fit.
    Loss(#[from] LossError),
    /// A network and its data.
    Network(#[from] NetworkError),
    /// Training.
    Train(#[from] TrainError),
    /// A log.
    #[cfg(feature = "tensorboard")]
    Log(#[from] LogError),
    /// A model or training file.
    Checkpoint(#[from] CheckpointError),
    /// A photo to classify.
    Classify(#[from] ClassifyError),
    /// An ONNX file.
    #[cfg(feature = "onnx")]
    Onnx(#[from] OnnxError),
    /// A TensorFlow checkpoint.
    #[cfg(feature = "tensorflow")]
    TensorFlow(#[from] TensorFlowError),
}

/// A result of floret.
pub type Result<T> = std::result::Result<T, Error>;
