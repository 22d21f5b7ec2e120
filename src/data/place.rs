//! Where an example is, to find it again.

use std::fmt;
use std::path::Path;

use crate::record::RecordLocation;

/// Where an example is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a shard.
    Record(RecordLocation),
    /// Among the examples of another data set.
    Example {
        /// Its number, from 0.
        index: usize,
        /// Its name, if it has one.
        name: Option<String>,
    },
}

impl Place {
    /// The file that it is in: a shard, or whatever it is called by.
    pub fn file(&self) -> &Path {
        match self {
            Place::Record(at) => &at.file,
            Place::Example { name, .. } => Path::new(name.as_deref().unwrap_or_default()),
        }
    }

    /// Its number in the shard, or in the data set.
    pub fn number(&self) -> u64 {
        match self {
            Place::Record(at) => at.position.record,
            Place::Example { index, .. } => *index as u64,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Record(at) => at.fmt(f),
            Place::Example { name: Some(name), .. } => f.write_str(name),
            Place::Example { index, name: None } => write!(f, "example {index}"),
        }
    }
}
