//! Folders whose entries last through a power cut.

use std::fs;
use std::io;
use std::path::Path;

use super::error::FileError;
use super::path::{as_named, folder_of};

/// Creates a folder, and those above it that are missing; each lasts through a power cut, as do the files then synced in it.
///
/// A folder that is there is no error.
///
/// # Errors
/// When a folder can't be created, or the one it lies in can't be synced.
pub fn create_folder(folder: impl AsRef<Path>) -> Result<(), FileError> {
    create_with(folder.as_ref(), sync_folder)
}

fn create_with(folder: &Path, mut sync: impl FnMut(&Path) -> Result<(), FileError>) -> Result<(), FileError> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !as_named(folder).is_dir()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => {}
            // Another made it meanwhile, or it is `new/..`.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(FileError::new(folder, "create the folder", error)),
        }
        sync(as_named(folder_of(folder)))?;
    }
    Ok(())
}

/// Makes the names of new and renamed files in `folder` last through a power cut, where the file system can.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        // The names are there; this file system makes them last by itself, or not at all.
        Err(error) if cannot_sync(error.kind()) => Ok(()),
        synced => synced.map_err(|error| FileError::new(folder, "sync the folder", error)),
    }
}

/// Whether this says that the file system syncs no folders (`EINVAL`, `ENOTSUP`).
#[cfg(unix)]
fn cannot_sync(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Other systems cannot open a folder to sync it.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> Result<(), FileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_folder_lies_in_is_synced_once_it_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        let there = temporary.path();
        let mut synced = Vec::new();
        let new = there.join("a/b/c");
        let tell = |folder: &Path| {
            let entries = fs::read_dir(folder).unwrap().count();
            synced.push((folder.to_path_buf(), entries));
            Ok(())
        };
        create_with(&new, tell).unwrap();
        assert!(new.is_dir());
        assert_eq!(synced, [(there.into(), 1), (there.join("a"), 1), (there.join("a/b"), 1)]);
        let none = |folder: &Path| panic!("{} holds nothing new", folder.display());
        create_with(&new, none).unwrap();
        create_with(Path::new(""), none).unwrap();
        create_folder(there.join("d/../e")).unwrap();
        assert!(there.join("d").is_dir() && there.join("e").is_dir());
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "no folder").unwrap();
        for name in ["file", "file/deeper"] {
            let message = create_folder(folder.path().join(name)).unwrap_err().to_string();
            assert!(message.starts_with("cannot create the folder") && message.contains("file"), "{message}");
        }
    }

    /// The folders of `/proc` cannot be synced, like those of some network mounts.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_synced_is_no_error_and_one_that_is_gone_is() {
        let refused = fs::File::open("/proc/self").unwrap().sync_all().unwrap_err();
        assert!(cannot_sync(refused.kind()), "{refused}");
        sync_folder(Path::new("/proc/self")).unwrap();
        assert!(sync_folder(Path::new("/proc/none")).is_err());
    }
}
