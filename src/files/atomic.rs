//! Files that appear under their name whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::FileError;
use super::folder::sync_folder;
use super::path::{as_named, folder_of};
use super::temporary::{Temporary, remove_stale};

/// A file being written, buffered, that takes its name only when [`commit`](AtomicFile::commit) is called.
///
/// Until then the bytes lie in `.NAME.PID-N.tmp` in the target's folder; an `AtomicFile` dropped uncommitted
/// removes it and leaves what the target held before. Errors of [`Write`] carry a [`FileError`] with the
/// target's path. A target that is a symbolic link is replaced by the file itself.
///
/// A process that is killed leaves its hidden file behind. The next `AtomicFile` of the same target removes
/// it once its process is gone (on Linux, where `/proc` tells) or it was not written to for a day.
#[derive(Debug)]
pub struct AtomicFile {
    /// Closed, by the order of the fields, before the temporary file is removed: not every system can remove
    /// an open one.
    file: BufWriter<File>,
    temporary: Temporary,
}

impl AtomicFile {
    /// Creates the temporary file beside `target`, whose folder must exist.
    ///
    /// # Errors
    /// When `target` has no file name (`..`, `/`), or the folder is missing or not writable.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::create_at(target.into())
    }

    fn create_at(target: PathBuf) -> Result<Self, FileError> {
        if let Some(name) = target.file_name() {
            remove_stale(folder_of(&target), &|stale| stale == name.as_encoded_bytes());
        }
        Self::create_beside_stale(target)
    }

    /// [`create`](Self::create) for one of many files, whose folder the caller rids of stale ones at once.
    pub(crate) fn create_beside_stale(target: PathBuf) -> Result<Self, FileError> {
        match Temporary::create(&target) {
            Ok((temporary, file)) => Ok(AtomicFile { file: BufWriter::new(file), temporary }),
            Err(error) => Err(FileError::new(target, "create", error)),
        }
    }

    /// The name the file will have.
    pub fn path(&self) -> &Path {
        self.temporary.target()
    }

    /// Brings every byte to the disk, still under the temporary name, and closes the file.
    ///
    /// Writers of several files call it on all of them before they commit the first.
    ///
    /// # Errors
    /// When the disk is full or fails; the temporary file is then removed.
    pub(crate) fn into_synced(self) -> Result<SyncedFile, FileError> {
        let AtomicFile { mut file, temporary } = self;
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        drop(file);
        match synced {
            Ok(()) => Ok(SyncedFile { temporary }),
            Err(error) => Err(FileError::new(temporary.target(), "write", error)),
        }
    }

    /// Syncs the file, renames it over the target and syncs the folder: after a power cut there is the old
    /// file or the new one.
    ///
    /// # Errors
    /// When one of the three fails; before the rename, the target is as it was and the temporary file is
    /// removed. A folder of a kind that cannot be synced (some network mounts) is no error.
    pub fn commit(self) -> Result<(), FileError> {
        self.into_synced()?.commit()
    }

    fn write_with<T>(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
        // `Interrupted` goes through bare: it is a request to try again, not a fault of the file.
        write(&mut self.file).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => FileError::new(self.temporary.target(), "write", error).into_io(),
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

/// An [`AtomicFile`] whose bytes are all on the disk and which is closed: many of them may wait for their names.
/// Dropped, it leaves no file.
#[derive(Debug)]
pub(crate) struct SyncedFile {
    temporary: Temporary,
}

impl SyncedFile {
    /// The name the file will have.
    pub fn path(&self) -> &Path {
        self.temporary.target()
    }

    /// Renames the file over the target and syncs the folder.
    ///
    /// # Errors
    /// Those of [`AtomicFile::commit`].
    pub fn commit(self) -> Result<(), FileError> {
        self.temporary.take_name()?;
        sync_folder(as_named(folder_of(self.path())))
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

#[cfg(test)]
mod tests {
    use std::fs;

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
        let file = file.into_synced().unwrap();
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
        assert_eq!(error.cause.kind(), io::ErrorKind::NotFound);
        assert_eq!(AtomicFile::create("/").unwrap_err().cause.kind(), io::ErrorKind::InvalidInput);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_synced_file_holds_no_handle() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let handles =
                fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
            handles.filter(|path| path.starts_with(folder.path())).count()
        };
        let mut file = AtomicFile::create(folder.path().join("model")).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(open(), 1);
        let synced = file.into_synced().unwrap();
        assert_eq!(open(), 0);
        drop(synced);
        assert!(names_in(folder.path()).is_empty(), "a synced file that is dropped leaves no trace either");
    }
}
