//! Photos' files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use floret::batch::PhotoFault;
use floret::image::{ImageError, read_header};
use floret::record::DEFAULT_MAX_RECORD_BYTES;

use crate::Result;

/// The longest file read, as for `convert`.
const MAX_BYTES: u64 = DEFAULT_MAX_RECORD_BYTES / 2;

/// Bytes from which a file's kind is told before the rest of it is read.
const HEAD_BYTES: u64 = 1 << 10;

/// The bytes of a file that begins as an image does and is not too long.
pub fn read(path: &Path) -> std::result::Result<Vec<u8>, PhotoFault> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes)?;
    if let Err(error @ ImageError::NotAnImage { .. }) = read_header(&bytes) {
        return Err(error.into());
    }
    let length = file.metadata()?.len();
    if length <= MAX_BYTES {
        // Bounded again: a pipe has no length, and a file may be growing.
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    }
    match length.max(bytes.len() as u64) {
        bytes if bytes > MAX_BYTES => Err(PhotoFault::TooLong { bytes, limit: MAX_BYTES }),
        _ => Ok(bytes),
    }
}

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
