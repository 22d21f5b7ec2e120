//! Files that appear under their name whole or not at all, and the error that names a file.
//!
//! A program killed while it writes a checkpoint or a shard must not leave half a file where a whole one
//! stood. [`AtomicFile`] writes to a hidden file in the same folder and renames it over the target once all
//! its bytes are on the disk; [`write_atomically`] does so around one closure.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// An `io::Error` that already carries a `FileError` (as those of [`AtomicFile`]'s [`Write`] do) is
    /// unwrapped to it, so that a message never names two files for one fault.
    pub fn new(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        source.downcast::<FileError>().unwrap_or_else(|source| FileError {
            path: path.into(),
            action,
            source,
        })
    }

    /// The same error for a caller that speaks `io::Error`; the kind is kept, and so is the message.
    fn into_io(self) -> io::Error {
        io::Error::new(self.source.kind(), self)
    }
}

/// A file being written, buffered, that takes its name only when [`commit`](AtomicFile::commit) is called.
///
/// Until then the bytes lie in `.NAME.PID-N.tmp` in the target's folder; an `AtomicFile` dropped uncommitted
/// removes it and leaves what the target held before. Errors of [`Write`] carry a [`FileError`] with the
/// target's path. A target that is a symbolic link is replaced by the file itself.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` once committed, so that `drop` leaves the folder alone.
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Creates the temporary file beside `target`, whose folder must exist.
    ///
    /// # Errors
    /// When `target` has no file name (`..`, `/`), or the folder is missing or not writable.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, FileError> {
        let target = target.into();
        match create_beside(&target) {
            Ok((temporary, file)) => Ok(AtomicFile { target, temporary, file: Some(BufWriter::new(file)) }),
            Err(error) => Err(FileError::new(target, "create", error)),
        }
    }

    /// The name the file will have.
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// Brings every byte written so far to the disk, still under the temporary name.
    ///
    /// Writers of several files call it on all of them before they commit the first.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn sync(&mut self) -> Result<(), FileError> {
        let file = self.file.as_mut().expect("an uncommitted file has its handle");
        file.flush()
            .and_then(|()| file.get_ref().sync_all())
            .map_err(|error| FileError::new(&self.target, "write", error))
    }

    /// Syncs the file, renames it over the target and syncs the folder: after a power cut there is the old
    /// file or the new one.
    ///
    /// # Errors
    /// When one of the three fails; before the rename, the target is as it was and the temporary file is
    /// removed.
    pub fn commit(mut self) -> Result<(), FileError> {
        self.sync()?;
        fs::rename(&self.temporary, &self.target)
            .map_err(|error| FileError::new(&self.target, "rename a temporary file to", error))?;
        self.file = None;
        sync_folder(folder_of(&self.target))
    }

    fn write_with<T>(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
        let file = self.file.as_mut().expect("an uncommitted file has its handle");
        // `Interrupted` goes through bare: it is a request to try again, not a fault of the file.
        write(file).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => FileError::new(&self.target, "write", error).into_io(),
        })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_with(BufWriter::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Without the flush of `BufWriter`'s own drop: the bytes are not wanted. Closed first, for
            // systems that cannot remove an open file.
            drop(file.into_parts());
            // Nobody is left to hear of a failure, and the hidden file harms nothing.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file through an [`AtomicFile`]: `write` fills it, and it is committed if `write` returned `Ok`.
///
/// # Errors
/// The error of `write` (with `path`, unless it names a file itself), or one of [`AtomicFile`]; `path` then
/// is as it was before.
pub fn write_atomically(
    path: impl Into<PathBuf>,
    write: impl FnOnce(&mut AtomicFile) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file).map_err(|error| FileError::new(file.path(), "write", error))?;
    file.commit()
}

/// Creates `.NAME.PID-N.tmp` beside `target`, with the first N of this process that is free.
fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    loop {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
        let temporary = folder_of(target).join(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left behind by a killed process that had this process's number: take the next name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The folder that `path` lies in; `.` for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename in `folder` last through a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| FileError::new(folder, "sync the folder", error))
}

/// Other systems cannot open a folder to sync it.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), FileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_target_is_replaced_at_commit_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        fs::write(&target, "old").unwrap();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names_in(folder.path()), ["model"]);
    }

    #[test]
    fn a_file_dropped_uncommitted_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(&[1; 100_000]).unwrap();
        let names = names_in(folder.path());
        assert!(
            names.len() == 1 && names[0].starts_with(".model.") && names[0].ends_with(".tmp"),
            "{names:?}"
        );
        drop(file);
        assert!(names_in(folder.path()).is_empty());
    }

    #[test]
    fn a_failed_closure_keeps_the_old_file_and_its_error_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        write_atomically(&target, |file| file.write_all(b"old")).unwrap();
        let error = write_atomically(&target, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("gave up"))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}: gave up", target.display()));
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names_in(folder.path()), ["model"]);
    }

    #[test]
    fn two_writers_of_one_target_do_not_share_a_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        let mut first = AtomicFile::create(&target).unwrap();
        let mut second = AtomicFile::create(&target).unwrap();
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        second.commit().unwrap();
        first.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"first");
    }

    #[test]
    fn a_missing_folder_and_a_nameless_target_are_errors_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(folder.path().join("none/model")).unwrap_err();
        assert_eq!(error.action, "create");
        assert!(error.path.ends_with("none/model"));
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        assert_eq!(AtomicFile::create("/").unwrap_err().source.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_io_error_that_carries_a_file_error_is_unwrapped() {
        let inner = FileError::new("a", "write", io::Error::from(io::ErrorKind::StorageFull));
        let outer = FileError::new("b", "read", inner.into_io());
        assert_eq!((outer.path.as_path(), outer.action), (Path::new("a"), "write"));
    }
}
