//! Why training ended early.

use crate::data::BatchError;
use crate::network::NetworkError;

/// What can end training early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The network and the data do not fit, or the loss is no longer finite.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The data can't be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A callback failed, such as one that saves.
    #[error(transparent)]
    Callback(Box<dyn std::error::Error + Send + Sync>),
    /// Options that make no sense.
    #[error("training can't begin: {0}")]
    Options(String),
    /// Training that would go on with other data.
    #[error(
        "the {part} data are not those that training began with: {difference}; resume with the same shards"
    )]
    OtherData {
        /// `training` or `evaluation`.
        part: &'static str,
        /// The first shard that differs.
        difference: String,
    },
    /// A resumed position that the data does not have.
    #[error(
        "training stopped at batch {batch} of an epoch, but the epochs of this data have {batches} batches: resume with the same data and batch size"
    )]
    Position {
        /// Batches done of the epoch.
        batch: usize,
        /// Batches of an epoch.
        batches: usize,
    },
}
