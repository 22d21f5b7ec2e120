//! What can go wrong with a TensorFlow checkpoint.

use std::path::{Path, PathBuf};

use super::DataType;
use super::cursor::Defect;
use crate::files::FileError;
use crate::network::NetworkError;

/// An error of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFlowError {
    /// A file that can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No checkpoint of this name.
    #[error("there is no TensorFlow checkpoint {}: {reason}", path.display())]
    NotFound {
        /// What was asked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file that is something else.
    #[error("{} is not the index of a TensorFlow checkpoint: {reason}", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A file that is damaged or was changed.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit, and where.
        reason: String,
    },
    /// A file of which this program can't make use.
    #[error("{} can't be read: {reason}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds, and what to do.
        reason: String,
    },
    /// No tensor of this name.
    #[error("{} has no tensor `{}`; it has {}", path.display(), name.escape_debug(), known.escape_debug())]
    NoTensor {
        /// The checkpoint's index.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// Those it has.
        known: String,
    },
    /// A tensor whose values are of another type.
    #[error("the tensor `{}` holds {dtype} values, {wanted} are wanted", name.escape_debug())]
    Type {
        /// The tensor.
        name: String,
        /// What it holds.
        dtype: DataType,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A tensor that does not fit the network's array.
    #[error(
        "the array `{}` of the network has the shape {wanted:?}, but the tensor `{}` in {} has {got:?}: give the array \
         another tensor, or the network other sizes",
        array.escape_debug(), tensor.escape_debug(), path.display()
    )]
    Shape {
        /// The checkpoint's index.
        path: PathBuf,
        /// The network's array.
        array: String,
        /// Its shape.
        wanted: Vec<usize>,
        /// The tensor.
        tensor: String,
        /// Its shape.
        got: Vec<usize>,
    },
    /// Names that do not fit the network, or each other.
    #[error("{0}")]
    Names(String),
    /// Names or values that no checkpoint can hold.
    #[error("{} can't be written: {reason}", path.display())]
    Unwritable {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A network that can't take the values.
    #[error(transparent)]
    Network(#[from] Box<NetworkError>),
}

impl TensorFlowError {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        TensorFlowError::Damaged { path: path.into(), reason: reason.into() }
    }

    pub(super) fn at(path: &Path, defect: Defect) -> Self {
        Self::damaged(path, format!("at byte {} {}", defect.at, defect.reason))
    }

    pub(super) fn unsupported(path: &Path, reason: impl Into<String>) -> Self {
        TensorFlowError::Unsupported { path: path.into(), reason: reason.into() }
    }
}
