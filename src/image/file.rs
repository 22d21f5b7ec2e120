//! Photo files, read no further than they can be photos.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{ImageError, read_header};
use crate::record::DEFAULT_MAX_RECORD_BYTES;

/// The longest file taken for a photo: half of the longest record that readers take by default.
pub const MAX_PHOTO_BYTES: u64 = DEFAULT_MAX_RECORD_BYTES / 2;

/// Bytes from which a file's kind is told before the rest of it is read.
const HEAD_BYTES: u64 = 1 << 10;

/// What is wrong with a photo's file. The caller adds its path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhotoError {
    /// It can't be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It is a folder, a device, a pipe or a socket.
    #[error("not a regular file")]
    NotAFile,
    /// It is longer than a photo should be.
    #[error("its {bytes} bytes are over the limit of {limit} for one photo; shrink it")]
    TooLong {
        /// Its length in bytes.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// It is no image, or one that can't be decoded.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<io::Error> for PhotoError {
    fn from(error: io::Error) -> Self {
        PhotoError::Io(error)
    }
}

/// The bytes of a file that begins as a photo does, to be [decoded](super::decode()).
///
/// Of another file no more than the beginning is read, however long it is.
///
/// # Errors
/// Each of [`PhotoError`]; of a file's contents only that they begin as no image does.
pub fn read_photo(path: impl AsRef<Path>) -> Result<Vec<u8>, PhotoError> {
    let path = path.as_ref();
    // Looked at first: opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(PhotoError::NotAFile);
    }
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes)?;
    if let Err(error @ ImageError::NotAnImage { .. }) = read_header(&bytes) {
        return Err(error.into());
    }
    let length = file.metadata()?.len();
    if length > MAX_PHOTO_BYTES {
        return Err(PhotoError::TooLong { bytes: length, limit: MAX_PHOTO_BYTES });
    }
    // Bounded again: the file may be growing.
    file.take(MAX_PHOTO_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a file is one that [`read_photo`] reads, by its beginning.
pub(crate) fn is_photo(path: &Path) -> bool {
    let mut head = Vec::new();
    let regular = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    regular
        && File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)).is_ok()
        && !matches!(read_header(&head), Err(ImageError::NotAnImage { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a JPEG, and a sparse file behind it.
    #[test]
    fn only_a_photo_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, head: &[u8], length: u64| {
            let path = folder.path().join(name);
            fs::write(&path, head).unwrap();
            File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            path
        };
        let start = [0xFF, 0xD8, 0xFF, 0xE0, 0, 16];
        let photo = file("photo", &start, 5000);
        assert_eq!(read_photo(&photo).unwrap(), fs::read(&photo).unwrap());
        let message = |path: &Path| read_photo(path).unwrap_err().to_string();
        assert!(message(&file("video", b"RIFF", 1 << 43)).starts_with("not a photo (JPEG, "));
        assert!(message(&file("huge", &start, 1 << 43)).contains("over the limit of"));
        assert!(message(&file("empty", b"", 0)).contains("an empty file"));
        assert_eq!(message(folder.path()), "not a regular file");
        assert!(message(&folder.path().join("none")).starts_with("cannot be read: No such file"));
    }
}
