//! What can keep records from becoming batches.

use std::path::PathBuf;

use crate::files::FileError;
use crate::image::ImageError;
use crate::record::{RecordError, RecordLocation, ShardError};

/// An error of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Shards that are missing.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// A record that can't be read, or is no image example.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file other than a shard.
    #[error(transparent)]
    File(#[from] FileError),
    /// A photo that can't be decoded.
    #[error("{at}: {error}")]
    Image {
        /// The record it is in.
        at: Box<RecordLocation>,
        /// What is wrong with it.
        error: ImageError,
    },
    /// A label outside the classes.
    #[error(
        "{at}: label {label} is out of range: {classes} classes with labels from {first} to {last} are expected{}",
        hint(*label, *first, *last)
    )]
    Label {
        /// The record it is in.
        at: Box<RecordLocation>,
        /// The label as it stands in the record.
        label: i64,
        /// Number of classes.
        classes: usize,
        /// The first class's label.
        first: i64,
        /// The last class's label.
        last: i64,
    },
    /// Shards without a single record.
    #[error("the shards hold no record: {}", .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    Empty(Vec<PathBuf>),
    /// Every record of an epoch was bad.
    #[error("each of the {0} records was skipped as bad: there is nothing left; inspect the shards")]
    AllSkipped(usize),
    /// Options that make no sense.
    #[error("{0}")]
    Options(String),
    /// A file of class names that has none.
    #[error("{}: {reason}", path.display())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl BatchError {
    /// Whether one record is to blame, and the others can still be used.
    pub(super) fn is_about_a_record(&self) -> bool {
        match self {
            BatchError::Record(error) => error.is_recoverable(),
            BatchError::Image { .. } | BatchError::Label { .. } => true,
            _ => false,
        }
    }
}

/// What a label just outside of the range suggests.
fn hint(label: i64, first: i64, last: i64) -> &'static str {
    if first == 0 && Some(label) == last.checked_add(1) {
        "; labels that count from 1 need a label offset of 1"
    } else if first == 1 && label == 0 {
        "; 0 is the background in TensorFlow's data sets; labels that count from 0 need a label offset of 0"
    } else {
        ""
    }
}
