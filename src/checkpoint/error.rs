//! What can go wrong with a model or training file.

use std::path::{Path, PathBuf};

use crate::files::{FileError, HoldError};
use crate::network::NetworkError;
use crate::nn::Shape;

/// An error of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file that can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that is something else.
    ///
    /// Hundreds of defects make files foreign or damaged. No caller handles them apart, so the reason is text here and in
    /// [`Damaged`](Self::Damaged).
    #[error("{} is not a {want} of floret: {reason}", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        want: &'static str,
        /// What it is.
        reason: String,
    },
    /// A file that is damaged or was changed.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A run's folder that can't be held, or no longer is.
    #[error(transparent)]
    Held(#[from] HoldError),
    /// A model beside a training state that belongs to another run.
    #[error(
        "{} is not the best network of this run, that of epoch {epoch}: put that one back, or move the file away to go \
         on without it",
        path.display()
    )]
    OtherModel {
        /// The model file.
        path: PathBuf,
        /// The best epoch, counted from 1.
        epoch: u64,
    },
    /// A network that can't be built, or arrays that do not fit it.
    #[error("{}: {error}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        error: Box<NetworkError>,
    },
    /// A model that would be saved with information that is not its own.
    #[error("{} can't be saved: {reason}", path.display())]
    Info {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: ModelInfoError,
    },
    /// A description of arrays and settings that is longer than any is read.
    #[error(
        "{} can't be saved: the description of its arrays and settings has {bytes} bytes, over the limit of {limit}",
        path.display()
    )]
    LongDescription {
        /// The file.
        path: PathBuf,
        /// The description's bytes.
        bytes: usize,
        /// The limit.
        limit: u64,
    },
    /// An optimizer of more arrays than are read.
    #[error("{} can't be saved: the optimizer has {slots} arrays, over the limit of {limit}", path.display())]
    ManySlots {
        /// The file.
        path: PathBuf,
        /// The optimizer's arrays.
        slots: usize,
        /// The limit.
        limit: usize,
    },
    /// Training that would go on with another optimizer.
    #[error(
        "{} was trained with `{}`, but resuming asks for `{wanted}`: use the same optimizer",
        path.display(),
        saved.escape_debug()
    )]
    Optimizer {
        /// The file.
        path: PathBuf,
        /// The optimizer it was trained with.
        saved: String,
        /// The optimizer now.
        wanted: String,
    },
}

/// A [`ModelInfo`](super::ModelInfo) that is not its network's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelInfoError {
    /// Another number of class names than the network has outputs.
    #[error("the network has {outputs} outputs, but there are {classes} class names")]
    Classes {
        /// Outputs of the network.
        outputs: usize,
        /// Class names.
        classes: usize,
    },
    /// Preprocessing that no photo can go through.
    #[error("photos can't be brought to the network's input by {0}")]
    Preprocess(String),
    /// Preprocessing to other images than the network takes.
    #[error("the network takes images of {input}, but preprocessing makes {made}")]
    Images {
        /// What the network takes.
        input: Shape,
        /// What preprocessing makes.
        made: Shape,
    },
}

impl CheckpointError {
    pub(super) fn network(path: &Path, error: NetworkError) -> Self {
        CheckpointError::Network { path: path.into(), error: Box::new(error) }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        CheckpointError::Damaged { path: path.into(), reason: reason.into() }
    }
}
