//! An archive (.tgz, .zip) to a folder of photos, which appears whole or not at all.
//!
//! | question | file |
//! | --- | --- |
//! | what may an archive hold? | `entry.rs` |
//! | how is each kind read? | `tgz.rs`, `zip.rs` |

mod entry;
mod tgz;
mod zip;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use floret::files::{FileError, FileKind};

use crate::folder::Folder;
use crate::interrupt::Interrupt;
use crate::ui;
use crate::{Error, Result};
use entry::{EntryPath, Taken};

/// The most files and folders.
const MAX_ENTRIES: usize = 200_000;
/// The largest file.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// How many times as large as the archive its contents may be, besides [`SMALL_BYTES`]: photos are compressed already, and
/// what shrinks more is meant to fill the disk.
const MAX_GROWTH: u64 = 20;
const SMALL_BYTES: u64 = 16 << 20;
/// Bytes copied at a time.
const PIECE_BYTES: usize = 1 << 18;

/// The error of an archive that is not what it should be, however often it is looked at.
#[derive(Debug)]
pub struct BadArchive(pub String);

impl fmt::Display for BadArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadArchive {}

/// Whether a file is an archive that [`unpack`] knows, by its name and by how it begins: many other files are ZIP archives within.
pub fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_named = [".zip", ".tgz", ".tar.gz"].iter().any(|end| name.ends_with(end));
    is_named && kind(path).is_ok_and(|kind| matches!(kind, FileKind::Gzip | FileKind::Zip))
}

fn kind(path: &Path) -> io::Result<FileKind> {
    let mut first = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut first)?;
    Ok(FileKind::of(&first))
}

/// Unpacks an archive as the folder `target`, which must not exist. Folders that hold nothing but one folder are left out, down
/// to the one that holds the class folders; hidden files are passed over.
///
/// Works in a hidden folder beside `target`, which the caller holds, so that a power cut, a kill or an error leaves no part of it
/// under that name.
///
/// # Errors
/// [`BadArchive`] for one that is damaged, cut off or holds what none of photos has: links, devices, paths that lead elsewhere, names that
/// clash, more or larger files than there should be; a file that can't be written; a signal.
pub fn unpack(archive: &Path, target: &Path, interrupt: &Interrupt) -> Result<()> {
    let temporary = target.with_file_name(".photos.unpacking");
    remove(&temporary)?;
    let unpacked = fs::create_dir(&temporary)
        .map_err(|error| FileError::new(&temporary, "create the folder", error).into())
        .and_then(|()| Unpacking::new(archive, &temporary, interrupt).run())
        .and_then(|()| {
            let top = class_folders_in(&temporary)?;
            Ok(fs::rename(&top, target)
                .map_err(|error| FileError::new(target, "create the folder", error))?)
        });
    let removed = remove(&temporary);
    unpacked.and(removed)
}

/// Removes a folder with what is in it; a link is removed itself.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new(folder, "remove the folder", error).into())
        }
        _ => Ok(()),
    }
}

/// The folder itself or, where nothing but one folder is in it, and folders in that, the one further down.
fn class_folders_in(folder: &Path) -> Result<PathBuf> {
    let inside = Folder::list(folder)?;
    match (&inside.folders[..], inside.files.is_empty()) {
        ([only], true) if !Folder::list(only)?.folders.is_empty() => class_folders_in(only),
        _ => Ok(folder.to_path_buf()),
    }
}

/// An archive on its way into a folder.
struct Unpacking<'a> {
    archive: &'a Path,
    folder: &'a Path,
    interrupt: &'a Interrupt,
    taken: Taken,
    entries: usize,
    files: usize,
}

impl<'a> Unpacking<'a> {
    fn new(archive: &'a Path, folder: &'a Path, interrupt: &'a Interrupt) -> Self {
        Self { archive, folder, interrupt, taken: Taken::default(), entries: 0, files: 0 }
    }

    fn run(mut self) -> Result<()> {
        let failed = |error| FileError::new(self.archive, "open", error);
        let file = File::open(self.archive).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let limit = SMALL_BYTES.saturating_add(bytes.saturating_mul(MAX_GROWTH));
        match kind(self.archive).map_err(failed)? {
            FileKind::Gzip => tgz::unpack(&mut self, file, bytes, limit)?,
            FileKind::Zip => zip::unpack(&mut self, file, limit)?,
            _ => {
                return Err(
                    BadArchive(format!("{} is no .tgz or .zip archive", ui::path(self.archive))).into()
                );
            }
        }
        match self.files {
            0 => Err(BadArchive(format!("{} holds no file", ui::path(self.archive))).into()),
            _ => Ok(()),
        }
    }

    /// Counts an entry.
    fn count(&mut self) -> Result<()> {
        self.go_on()?;
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(self.refuse(b"", &format!("it has more than {MAX_ENTRIES} entries")));
        }
        Ok(())
    }

    /// Takes a file of so many bytes, or a folder, unless it is hidden.
    fn take(&mut self, name: &[u8], is_folder: bool, bytes: u64, from: &mut impl Read) -> Result<()> {
        let path = EntryPath::parse(name).map_err(|why| self.refuse(name, &why))?;
        let Some(path) = path.filter(|path| !path.is_hidden()) else { return Ok(()) };
        self.taken.add(&path, is_folder).map_err(|why| self.refuse(name, &why))?;
        self.files += usize::from(!is_folder);
        self.write(&path, is_folder, name, bytes, from)
    }

    fn write(
        &self,
        path: &EntryPath,
        is_folder: bool,
        name: &[u8],
        bytes: u64,
        from: &mut impl Read,
    ) -> Result<()> {
        let target: PathBuf =
            path.names().iter().fold(self.folder.to_path_buf(), |path, name| path.join(name));
        let folder = if is_folder { Some(target.as_path()) } else { target.parent() };
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| FileError::new(folder, "create the folder", error))?;
        }
        if is_folder {
            return Ok(());
        }
        if bytes > MAX_FILE_BYTES {
            let why = format!("its {bytes} bytes are over the limit of {MAX_FILE_BYTES} for one file");
            return Err(self.refuse(name, &why));
        }
        let mut file = File::create_new(&target).map_err(|error| FileError::new(&target, "create", error))?;
        let copied = self.copy(from, &mut file, Some(&target))?;
        if copied != bytes {
            return Err(self.damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Copies to the end; how many bytes.
    fn copy(&self, from: &mut impl Read, to: &mut impl Write, target: Option<&Path>) -> Result<u64> {
        let (mut piece, mut copied) = (vec![0; PIECE_BYTES], 0);
        loop {
            self.go_on()?;
            let read = match from.read(&mut piece) {
                Ok(0) => return Ok(copied),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(error)),
            };
            to.write_all(&piece[..read])
                .map_err(|error| FileError::new(target.unwrap_or(self.folder), "write", error))?;
            copied += read as u64;
        }
    }

    fn go_on(&self) -> Result<()> {
        match self.interrupt.exit_code() {
            None => Ok(()),
            Some(_) => {
                let archive = ui::path(self.archive);
                Err(self
                    .interrupt
                    .error(format!("nothing was unpacked from {archive}; the same command begins with it")))
            }
        }
    }

    fn damaged(&self, error: io::Error) -> Error {
        let archive = ui::path(self.archive);
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("{archive} is cut off: remove it, and fetch it again"),
            _ => format!("{archive} can't be unpacked, and nothing of it was: {error}"),
        };
        BadArchive(message).into()
    }

    fn refuse(&self, entry: &[u8], why: &str) -> Error {
        let archive = ui::path(self.archive);
        let shown: String = String::from_utf8_lossy(entry).chars().take(200).collect();
        let entry =
            if shown.is_empty() { String::new() } else { format!(", because of {}", ui::escaped(&shown)) };
        BadArchive(format!("{archive} is not unpacked{entry}: {why}")).into()
    }
}

/// A reader that fails when more comes than may.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| {
            io::Error::other("it unpacks to far more than photos can: it is made to fill a disk")
        })?;
        Ok(read)
    }
}
