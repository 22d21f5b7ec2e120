//! One process at a time in a folder.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::error::FileError;

/// The file in the folder that is locked.
const LOCK: &str = ".floret-lock";

/// How often another may remove the lock file just before it is locked here.
const ATTEMPTS: usize = 100;

/// More than the lock file ever holds.
const MAX_LOCK_BYTES: u64 = 1024;

/// A folder, held by this process until it is dropped.
///
/// Two processes that train in one folder would overwrite each other's checkpoints, two conversions mix their shards. The hold is an advisory
/// lock of the system on the file `.floret-lock`, so it ends with the process, whatever ends it, and nothing is left to clean up.
#[derive(Debug)]
pub struct HeldFolder {
    path: PathBuf,
    /// Open as long as the folder is held.
    lock: File,
    unlocked: Option<io::Error>,
    /// Whether the lock file goes with the hold.
    without_trace: bool,
}

/// The process that holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// When it took the folder, in seconds since 1970.
    pub since: u64,
}

/// What keeps a folder from being held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// A lock file that can't be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder that another holds.
    #[error(
        "{} is in use{}: wait until that run has ended or stop it, or choose another folder",
        folder.display(),
        holder.map_or(String::new(), |holder| format!(" by {holder}"))
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who holds it, if that is known.
        holder: Option<Holder>,
    },
    /// A folder that was moved or removed, with another in its place.
    #[error("{} is not the folder it was: another was put in its place", folder.display())]
    Replaced {
        /// Its path.
        folder: PathBuf,
    },
}

impl HeldFolder {
    /// Takes hold of the folder `path`, which must exist.
    ///
    /// Where the file system knows no locks, the folder is not held, and [`unlocked`](Self::unlocked) says why.
    ///
    /// # Errors
    /// [`HoldError::InUse`] if another holds the folder, this process included; a folder that can't be written to;
    /// something else than a file in the place of `.floret-lock`.
    pub fn claim(path: impl Into<PathBuf>) -> Result<Self, HoldError> {
        Self::claim_with(path.into(), File::try_lock)
    }

    fn claim_with(
        path: PathBuf,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, HoldError> {
        for _ in 0..ATTEMPTS {
            let mut held = Self::lock(&path, &try_lock)?;
            match held.check() {
                Ok(()) => {
                    held.sign();
                    return Ok(held);
                }
                // Its last holder removed the file between its opening and its locking here: only a file that still has its name
                // keeps others out.
                Err(HoldError::Replaced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(HoldError::InUse { folder: path, holder: None })
    }

    /// Locks the file that has the lock's name now.
    fn lock(path: &Path, try_lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, HoldError> {
        let name = path.join(LOCK);
        // Not opened, since a link would lead elsewhere, and a named pipe would wait for a reader.
        if fs::symlink_metadata(&name).is_ok_and(|found| !found.is_file()) {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file: move it away");
            return Err(FileError::new(&name, "lock", error).into());
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name);
        let lock = opened.map_err(|error| FileError::new(&name, "open", error))?;
        let unlocked = match try_lock(&lock) {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => {
                return Err(HoldError::InUse { folder: path.into(), holder: Holder::read(&lock) });
            }
            Err(TryLockError::Error(error)) => Some(error),
        };
        Ok(Self { path: path.into(), lock, unlocked, without_trace: false })
    }

    /// Says in the lock file who holds the folder. Only the words of a refusal depend on it: a full disk is no reason to refuse
    /// the folder. What another program wrote is left as it is.
    fn sign(&mut self) {
        if self.lock.metadata().is_ok_and(|found| found.len() == 0) || Holder::read(&self.lock).is_some() {
            let _ = Holder::current().write(&mut self.lock);
        }
    }

    /// Removes the lock file when the hold ends, instead of leaving it for the next. (Not on Windows, where the name of an
    /// open file stays taken.)
    ///
    /// Another that has opened the file already finds, once it has locked it, that the file lost its name, and
    /// [claims](Self::claim) the next.
    #[must_use]
    pub fn without_trace(mut self) -> Self {
        self.without_trace = true;
        self
    }

    /// Whether the path still leads to the folder that is held, as it does not where that one was moved or removed, and
    /// another made in its place. (On Windows the folder of an open file can't be moved.)
    ///
    /// # Errors
    /// [`HoldError::Replaced`]; a folder that is gone.
    pub fn check(&self) -> Result<(), HoldError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let identity = |found: fs::Metadata| (found.dev(), found.ino());
            let name = self.path.join(LOCK);
            let failed = |error| FileError::new(&name, "open", error);
            let held = self.lock.metadata().map(identity).map_err(failed)?;
            let there = match fs::metadata(&name) {
                Ok(there) => Some(identity(there)),
                // A folder that is gone is told as such; one that is there is another.
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.is_dir() => None,
                Err(error) => return Err(failed(error).into()),
            };
            if there != Some(held) {
                return Err(HoldError::Replaced { folder: self.path.clone() });
            }
        }
        Ok(())
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

impl Drop for HeldFolder {
    fn drop(&mut self) {
        // Still locked, so the file of this name is nobody else's; a foreign one that was found there is.
        if cfg!(unix)
            && self.without_trace
            && self.check().is_ok()
            && Holder::read_again(&mut self.lock).is_some()
        {
            let _ = fs::remove_file(self.path.join(LOCK));
        }
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

    /// [`read`](Self::read) of a file that was read or written before.
    fn read_again(lock: &mut File) -> Option<Self> {
        lock.rewind().ok()?;
        Self::read(lock)
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

    /// Claims a folder that was just given up. A process that another test starts has a copy of every open file, locks too, for
    /// the moment until it runs its program.
    fn claim_soon(folder: &Path) -> HeldFolder {
        for _ in 0..500 {
            if let Ok(held) = HeldFolder::claim(folder) {
                return held;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        HeldFolder::claim(folder).unwrap()
    }

    #[test]
    fn a_folder_is_held_by_one_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let held = HeldFolder::claim(folder.path()).unwrap();
        assert!(held.unlocked().is_none() && held.path() == folder.path());
        let refused = HeldFolder::claim(folder.path()).unwrap_err();
        let message = refused.to_string();
        let HoldError::InUse { holder, .. } = refused else { panic!("{refused}") };
        if cfg!(unix) {
            assert_eq!(holder.unwrap().process, std::process::id());
            assert!(message.contains(&format!("in use by process {}", std::process::id())), "{message}");
        }
        drop(held);
        claim_soon(folder.path());
    }

    /// Of two that opened the lock file, one holds the folder and removes it before the other locks it.
    #[cfg(unix)]
    #[test]
    fn a_lock_file_that_lost_its_name_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join(LOCK);
        let first = std::cell::Cell::new(Some(HeldFolder::claim(folder.path()).unwrap().without_trace()));
        let late = |file: &File| {
            if let Some(first) = first.take() {
                drop(first);
                assert!(!lock.exists());
            }
            file.try_lock()
        };
        let second = HeldFolder::claim_with(folder.path().into(), late).unwrap();
        assert!(lock.exists(), "the second must hold a file that others find");
        let third = HeldFolder::claim(folder.path()).unwrap_err();
        assert!(matches!(third, HoldError::InUse { .. }), "{third}");
        second.check().unwrap();
        drop(second);
        assert!(lock.exists(), "it stays behind, unless it is to go");
        fs::write(&lock, "another's").unwrap();
        drop(claim_soon(folder.path()).without_trace());
        assert_eq!(fs::read(&lock).unwrap(), b"another's");
    }

    #[test]
    fn only_a_holders_words_are_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join(LOCK);
        for (before, kept) in [("", false), (r#"{"process":7,"since":7}"#, false), ("another's", true)] {
            fs::write(&lock, before).unwrap();
            let held = claim_soon(folder.path());
            if cfg!(unix) {
                let after = fs::read_to_string(&lock).unwrap();
                assert_eq!(after == before, kept, "{after}");
                let holder = serde_json::from_str::<Holder>(&after).ok().map(|holder| holder.process);
                assert_eq!(holder, (!kept).then(std::process::id));
                // One that could not write its own name.
                fs::write(&lock, "").unwrap();
            }
            let refused = HeldFolder::claim(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("is in use: wait"), "{refused}");
            drop(held);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_lock_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        fs::write(&precious, "").unwrap();
        std::os::unix::fs::symlink(&precious, folder.path().join(LOCK)).unwrap();
        let error = HeldFolder::claim(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no regular file: move it away"), "{error}");
        assert_eq!(fs::read(&precious).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn another_folder_in_the_place_of_the_held_one_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let [path, away] = ["run", "away"].map(|name| parent.path().join(name));
        fs::create_dir(&path).unwrap();
        let held = HeldFolder::claim(&path).unwrap();
        held.check().unwrap();
        fs::rename(&path, &away).unwrap();
        let error = held.check().unwrap_err().to_string();
        assert!(error.contains("cannot open"), "{error}");
        fs::create_dir(&path).unwrap();
        let replaced = |error| matches!(error, HoldError::Replaced { .. });
        assert!(replaced(held.check().unwrap_err()));
        let other = HeldFolder::claim(&path).unwrap();
        assert!(replaced(held.check().unwrap_err()));
        drop(other);
        fs::remove_dir_all(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        held.check().unwrap();
    }

    #[test]
    fn a_file_system_without_locks_is_told_and_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let none = |_: &File| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let open = HeldFolder::claim_with(folder.path().into(), none).unwrap();
        assert_eq!(open.unlocked().unwrap().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = HeldFolder::claim(folder.path().join("none")).unwrap_err().to_string();
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
