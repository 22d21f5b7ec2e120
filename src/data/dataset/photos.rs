//! Photos in files, one each.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use super::{Dataset, Example, Picture};
use crate::image::read_photo;

/// Photos in files, which are read when they are asked for.
#[derive(Debug, Clone)]
pub struct Photos {
    /// The files with their classes, from 0.
    files: Vec<(PathBuf, usize)>,
    classes: Vec<String>,
}

impl Photos {
    /// Files, each with its class, from 0 to below the number of `classes`. A file that is no photo is an error when it is asked for.
    ///
    /// # Panics
    /// If a class is out of range.
    pub fn new(files: Vec<(PathBuf, usize)>, classes: Vec<String>) -> Self {
        assert!(files.iter().all(|(_, class)| *class < classes.len()), "a class of those there are");
        Self { files, classes }
    }
}

impl Dataset for Photos {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn example(&self, index: usize) -> Result<Example, Box<dyn Error + Send + Sync>> {
        let (path, class) = &self.files[index];
        let filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Example { filename, ..Example::new(Picture::File(read_photo(path)?), *class) })
    }

    fn label(&self, index: usize) -> Result<i64, Box<dyn Error + Send + Sync>> {
        Ok(i64::try_from(self.files[index].1)?)
    }

    fn name(&self, index: usize) -> Option<String> {
        Some(self.files[index].0.to_string_lossy().into_owned())
    }

    /// Of the files' names, classes, lengths and times.
    fn checksum(&self) -> u32 {
        self.files.iter().fold(0, |sum, (path, class)| {
            let metadata = fs::metadata(path).ok();
            let length = metadata.as_ref().map_or(0, fs::Metadata::len);
            let changed = metadata.and_then(|metadata| metadata.modified().ok());
            let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let numbers = [*class as u64, length, changed.as_nanos() as u64].map(u64::to_le_bytes);
            let name = path.file_name().unwrap_or_default();
            crc32c::crc32c_append(crc32c::crc32c_append(sum, name.as_encoded_bytes()), numbers.as_flattened())
        })
    }
}
