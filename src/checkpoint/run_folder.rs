//! One process at a time in a run's folder.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::CheckpointError;
use crate::atomic_file::FileError;

/// The file in the folder that is locked. It stays behind, since to remove it would let two others lock two files of this
/// name.
const LOCK: &str = ".lock";

/// More than the lock file ever holds.
const MAX_LOCK_BYTES: u64 = 1024;

/// A run's folder, held by this process until it is dropped.
///
/// Two processes that train in one folder would overwrite each other's checkpoints. The hold is an advisory
/// lock of the system on the file `.lock`, so it ends with the process, whatever ends it, and nothing is left to clean up.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Open as long as the folder is held.
    _lock: File,
    unlocked: Option<io::Error>,
}

/// The process that holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// When it took the folder, in seconds since 1970.
    pub since: u64,
}

impl RunFolder {
    /// Takes hold of the folder `path`, which must exist.
    ///
    /// Where the file system knows no locks, the folder is not held, and [`unlocked`](Self::unlocked) says why.
    ///
    /// # Errors
    /// [`CheckpointError::InUse`] if another holds the folder, this process included; a folder that can't be written to.
    pub fn claim(path: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        Self::claim_with(path.into(), File::try_lock)
    }

    fn claim_with(
        path: PathBuf,
        try_lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, CheckpointError> {
        let name = path.join(LOCK);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name);
        let mut lock = opened.map_err(|error| FileError::new(&name, "open", error))?;
        let unlocked = match try_lock(&lock) {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => {
                return Err(CheckpointError::InUse { folder: path, holder: Holder::read(&lock) });
            }
            Err(TryLockError::Error(error)) => Some(error),
        };
        // Only the words of a refusal depend on it: a full disk is no reason to refuse the folder.
        let _ = Holder::current().write(&mut lock);
        Ok(Self { path, _lock: lock, unlocked })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the folder is not held, where its file system knows no locks: then nothing keeps another process out.
    pub fn unlocked(&self) -> Option<&io::Error> {
        self.unlocked.as_ref()
    }
}

impl Holder {
    fn current() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { process: std::process::id(), since: since.as_secs() }
    }

    /// What the holder wrote; nothing if it could not, or where a locked file can't be read (Windows).
    fn read(lock: &File) -> Option<Self> {
        let mut text = Vec::new();
        lock.take(MAX_LOCK_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn write(self, lock: &mut File) -> io::Result<()> {
        lock.set_len(0)?;
        lock.rewind()?;
        lock.write_all(serde_json::to_string(&self)?.as_bytes())
    }
}

impl fmt::Display for Holder {
    /// `process 1234, begun 5 min ago`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.since));
        // A clock that was set back: begun just now.
        let age = since.and_then(|since| since.elapsed().ok()).unwrap_or_default().as_secs();
        let ago = match age {
            0..120 => format!("{age} s"),
            120..7_200 => format!("{} min", age / 60),
            7_200..172_800 => format!("{} h", age / 3_600),
            _ => format!("{} days", age / 86_400),
        };
        write!(f, "process {}, begun {ago} ago", self.process)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_held_by_one_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let held = RunFolder::claim(folder.path()).unwrap();
        assert!(held.unlocked().is_none() && held.path() == folder.path());
        let refused = RunFolder::claim(folder.path()).unwrap_err();
        let message = refused.to_string();
        let CheckpointError::InUse { holder, .. } = refused else { panic!("{refused}") };
        if cfg!(unix) {
            assert_eq!(holder.unwrap().process, std::process::id());
            assert!(message.contains(&format!("in use by process {}", std::process::id())), "{message}");
        }
        drop(held);
        RunFolder::claim(folder.path()).unwrap();
    }

    #[test]
    fn what_stands_in_the_lock_file_makes_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), [b'x'; 5000]).unwrap();
        let held = RunFolder::claim(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(LOCK));
        if cfg!(unix) {
            assert_eq!(serde_json::from_str::<Holder>(&text.unwrap()).unwrap().process, std::process::id());
            // One that could not write its own name.
            fs::write(folder.path().join(LOCK), "").unwrap();
        }
        let refused = RunFolder::claim(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("is in use: wait"), "{refused}");
        drop(held);
    }

    #[test]
    fn a_file_system_without_locks_is_told_and_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let none = |_: &File| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let open = RunFolder::claim_with(folder.path().into(), none).unwrap();
        assert_eq!(open.unlocked().unwrap().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = RunFolder::claim(folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none") && error.contains("cannot open"), "{error}");
    }

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        let now = Holder::current().since;
        for (seconds, ago) in [(150, "2 min"), (3 * 3600 + 5, "3 h"), (3 * 86_400 + 5, "3 days")] {
            let holder = Holder { process: 7, since: now - seconds };
            assert_eq!(holder.to_string(), format!("process 7, begun {ago} ago"));
        }
        assert_eq!(Holder { process: 7, since: u64::MAX }.to_string(), "process 7, begun 0 s ago");
    }
}
