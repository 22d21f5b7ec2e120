//! The hidden files that bytes lie in until their file takes its name, and those that killed processes left.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::error::FileError;
use super::path::{as_named, folder_of};

/// A hidden file that was not written to for so long is nobody's any more.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A hidden file beside the one it will be; removed when dropped before it took that name.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    /// Creates `.NAME.PID-N.tmp` beside `target`, with the first N of this process that is free.
    pub fn create(target: &Path) -> io::Result<(Self, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
            let path = folder_of(target).join(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Temporary { path, target: target.to_path_buf() }, file)),
                // Left behind by a killed process that had this process's number: take the next name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The name the file will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the file in its place.
    pub fn take_name(&self) -> Result<(), FileError> {
        fs::rename(&self.path, &self.target)
            .map_err(|error| FileError::new(&self.target, "rename a temporary file to", error))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once renamed, it is not there. Else nobody is left to hear of a failure, and the next writer tries again.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the hidden files in `folder` of targets with a name that `is_target`, which killed processes left there.
/// Whatever can't be listed or removed stays: it harms nothing.
pub(crate) fn remove_stale(folder: &Path, is_target: &dyn Fn(&[u8]) -> bool) {
    let Ok(entries) = fs::read_dir(as_named(folder)) else { return };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        if let Some((target, process)) = parse(file_name.as_encoded_bytes())
            && is_target(target)
            && (!may_run(process) || is_old(&entry))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The target's name and the process of a hidden file, `.NAME.PID-N.tmp`.
fn parse(hidden: &[u8]) -> Option<(&[u8], u32)> {
    let inner = hidden.strip_prefix(b".")?.strip_suffix(b".tmp")?;
    let dot = inner.iter().rposition(|&byte| byte == b'.')?;
    let (process, number) = str::from_utf8(&inner[dot + 1..]).ok()?.split_once('-')?;
    number.parse::<u64>().ok()?;
    Some((&inner[..dot], process.parse().ok()?))
}

/// Whether a process of this number may be running; only Linux tells, if `/proc` is there.
fn may_run(process: u32) -> bool {
    let proc = Path::new("/proc");
    !cfg!(target_os = "linux") || !proc.join("self").exists() || proc.join(process.to_string()).exists()
}

fn is_old(entry: &DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified
        .is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_are_taken_apart() {
        for (hidden, parts) in [
            (&b".model.12-3.tmp"[..], Some((&b"model"[..], 12))),
            (b".train-00000-of-00002.tfrecord.7-0.tmp", Some((b"train-00000-of-00002.tfrecord", 7))),
            (b".a\xff.7-0.tmp", Some((b"a\xff", 7))),
            (b"model.12-3.tmp", None),
            (b".model.12-3", None),
            (b".model.12.tmp", None),
            (b".model.x-3.tmp", None),
            (b".model.12-.tmp", None),
            (b".tmp", None),
        ] {
            assert_eq!(parse(hidden), parts);
        }
    }

    /// No process has the largest number there is; this one's own is running.
    #[test]
    fn what_killed_processes_left_is_removed_and_what_others_write_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, process: u32| {
            let path = folder.path().join(format!(".{name}.{process}-7.tmp"));
            (File::create(&path).unwrap(), path)
        };
        let own = std::process::id();
        let (_, killed) = file("model", u32::MAX);
        let (_, of_another_target) = file("other", u32::MAX);
        let (_, running) = file("model", own);
        let (day_old, old) = file("model", own + 1);
        day_old.set_modified(SystemTime::now() - STALE_AFTER - Duration::from_secs(60)).unwrap();
        let unrelated = folder.path().join(".model.tmp");
        fs::write(&unrelated, "").unwrap();

        let target = folder.path().join("model");
        super::super::AtomicFile::create(&target).unwrap().commit().unwrap();
        assert_eq!(killed.exists(), !cfg!(target_os = "linux"));
        assert!(!old.exists());
        for kept in [of_another_target, running, unrelated, target] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }
}
