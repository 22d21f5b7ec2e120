//! The names of the classes.

use std::fs;
use std::path::Path;

use super::BatchError;
use crate::atomic_file::{FileError, write_atomically};

/// The largest file of class names that is read: 8 MB, some hundred thousand names.
const MAX_BYTES: u64 = 8 << 20;

/// Class names in the order of their labels, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassNames {
    names: Vec<String>,
}

impl ClassNames {
    /// Names in the order of their labels, from 0.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Reads `labels.txt`: a name a line, the first `background` where labels count from 1 (it is not a class).
    ///
    /// # Errors
    /// A file that can't be read, is empty, is not UTF-8, or names a class twice.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, BatchError> {
        let path = path.as_ref();
        let bytes = fs::metadata(path).map_err(|error| FileError::new(path, "read", error))?.len();
        let fault = |reason: String| BatchError::ClassNames { path: path.into(), reason };
        if bytes > MAX_BYTES {
            return Err(fault(format!(
                "{bytes} bytes are more than a list of class names can have ({MAX_BYTES})"
            )));
        }
        let text = fs::read_to_string(path).map_err(|error| FileError::new(path, "read", error))?;
        let mut names: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
        if names.first().is_some_and(|name| name == "background") {
            names.remove(0);
        }
        if names.is_empty() {
            return Err(fault("it names no class; write one name a line, in the order of the labels".into()));
        }
        let mut sorted = names.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(fault(format!("it names the class `{}` twice", twice[0])));
        }
        Ok(Self { names })
    }

    /// Writes `labels.txt` for labels that count from 1: `background`, then a name a line.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), BatchError> {
        let text = format!("background\n{}\n", self.names.join("\n"));
        Ok(write_atomically(path.as_ref(), |file| std::io::Write::write_all(file, text.as_bytes()))?)
    }

    /// The names, by class from 0.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl From<ClassNames> for Vec<String> {
    fn from(classes: ClassNames) -> Self {
        classes.names
    }
}
