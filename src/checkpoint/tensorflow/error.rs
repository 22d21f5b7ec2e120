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
    ///
    /// Hundreds of defects make files foreign or damaged. No caller handles them apart, so the reason is text, here and below.
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
    /// A map of names that does not fit the network, or itself.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// A file that is no map of names.
    #[error("{}: {reason}", path.display())]
    NamesFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// Tensors that are not plainly those of the network's arrays.
    #[error(
        "it is not plain which tensors of {} the network's arrays are ({}): give a map of names",
        path.display(), reasons.join("; ")
    )]
    Ambiguous {
        /// The checkpoint's index.
        path: PathBuf,
        /// What each way of finding them lacks.
        reasons: Vec<String>,
    },
    /// An optimizer's memory that can't be saved or loaded.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// A tensor of another number of values than its shape has.
    #[error("the tensor `{}` of the shape {shape:?} is given {values} values", name.escape_debug())]
    Values {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The values given.
        values: usize,
    },
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

/// What is wrong with a [`NameMap`](super::NameMap).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError {
    /// An array or a tensor without a name.
    #[error("a map of names holds an empty one")]
    Empty,
    /// An array or a tensor that is named twice.
    #[error("the map of names has `{}` twice", .0.escape_debug())]
    Twice(String),
    /// Names of no array.
    #[error("the map names {}, but the network has {}", listed(unknown), listed(arrays))]
    Unknown {
        /// The names.
        unknown: Vec<String>,
        /// The network's arrays.
        arrays: Vec<String>,
    },
    /// Arrays that have no tensor.
    #[error("the map names no tensor for {}", listed(.0))]
    Missing(Vec<String>),
}

/// Why an optimizer's memory can't be saved or loaded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotsError {
    /// A learning rate by which momentum can't be converted: floret's is multiplied by it, TensorFlow's is not.
    #[error("momentum can't be converted at the learning rate {0}")]
    LearningRate(f32),
    /// An optimizer without momentum.
    #[error("plain gradient descent has no momentum to save or to load")]
    NoMomentum,
    /// The memory of another network's optimizer.
    #[error("the optimizer has {values} values for the network's {weights} weights")]
    Length {
        /// The optimizer's values.
        values: usize,
        /// The network's weights.
        weights: usize,
    },
    /// A slot of another shape than its variable.
    #[error("the slot `{}` has the shape {slot:?}, its variable {variable:?}", name.escape_debug())]
    Shape {
        /// The slot.
        name: String,
        /// Its shape.
        slot: Vec<usize>,
        /// Its variable's.
        variable: Vec<usize>,
    },
}

/// How many names an error lists.
const LISTED_NAMES: usize = 40;

/// Names in a line, the first of many.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(LISTED_NAMES).map(|name| format!("`{}`", name.escape_debug()));
    let listed = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED_NAMES) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
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
