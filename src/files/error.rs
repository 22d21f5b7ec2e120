//! The error that names a file.

use std::io;
use std::path::PathBuf;

/// An operation on a file that the system refused.
///
/// The message is whole (`cannot open data/train.tfrecord: No such file or directory (os error 2)`): print
/// the error alone, without its [source](std::error::Error::source), which the message ends with.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// The file or folder, as the caller named it.
    pub path: PathBuf,
    /// What was tried, as a verb: `open`, `read`, `write`, `rename`, ...
    pub action: &'static str,
    /// What the system answered.
    pub source: io::Error,
}

impl FileError {
    /// The error of `action` on `path`.
    ///
    /// An `io::Error` that already carries a `FileError` (as those of [`AtomicFile`](super::AtomicFile)'s [`Write`](io::Write) do) is
    /// unwrapped to it, so that a message never names two files for one fault.
    pub fn new(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        source.downcast::<FileError>().unwrap_or_else(|source| FileError {
            path: path.into(),
            action,
            source,
        })
    }

    /// The same error for a caller that speaks `io::Error`; the kind is kept, and so is the message.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::new(self.source.kind(), self)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_io_error_that_carries_a_file_error_is_unwrapped() {
        let inner = FileError::new("a", "write", io::Error::from(io::ErrorKind::StorageFull));
        let outer = FileError::new("b", "read", inner.into_io());
        assert_eq!((outer.path.as_path(), outer.action), (Path::new("a"), "write"));
    }
}
