//! What a folder of photos holds.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// What a folder holds, sorted by name, without what is hidden.
#[derive(Debug, Default)]
pub struct Folder {
    pub files: Vec<PathBuf>,
    pub folders: Vec<PathBuf>,
    /// Pipes, sockets and devices.
    pub others: Vec<PathBuf>,
}

impl Folder {
    pub fn list(path: &Path) -> Result<Self> {
        let failed = |error| format!("cannot read the folder {}: {error}", path.display());
        let mut inside = Self::default();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => inside.folders.push(path),
                Ok(metadata) if !metadata.is_file() => inside.others.push(path),
                // An error will be named when the file is read.
                _ => inside.files.push(path),
            }
        }
        [&mut inside.files, &mut inside.folders, &mut inside.others].into_iter().for_each(|list| list.sort());
        Ok(inside)
    }
}
