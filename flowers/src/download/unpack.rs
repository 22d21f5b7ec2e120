//! An archive (.tgz) to a folder of photos, which appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use floret::files::FileError;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::BadArchive;
use super::entry::{EntryPath, Taken, refused};
use crate::folder::Folder;
use crate::interrupt::Interrupt;
use crate::ui::{self, Progress, Unit, Watched};
use crate::{Error, Result};

/// The most files and folders.
const MAX_ENTRIES: usize = 200_000;
/// The largest file.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// The longest header of a long name.
const MAX_HEADER_BYTES: u64 = 1 << 16;
/// How many times as large as the archive its contents may be, besides [`SMALL_BYTES`]: photos are compressed already, and
/// what shrinks more is meant to fill the disk.
const MAX_GROWTH: u64 = 20;
const SMALL_BYTES: u64 = 16 << 20;
/// How a gzip stream begins.
const GZIP: [u8; 2] = [0x1F, 0x8B];
/// Bytes copied at a time.
const PIECE_BYTES: usize = 1 << 18;

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
        .and_then(|()| Unpacking { archive, folder: &temporary, interrupt }.run())
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
}

impl Unpacking<'_> {
    fn run(&self) -> Result<()> {
        let failed = |error| FileError::new(self.archive, "open", error);
        let mut file = File::open(self.archive).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut magic = Vec::new();
        (&file).take(GZIP.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        if !GZIP.starts_with(&magic) {
            return Err(BadArchive(format!("{} is no .tgz archive", ui::path(self.archive))).into());
        }
        file.rewind().map_err(failed)?;
        let progress = Progress::new("unpacking", bytes, Unit::Bytes);
        let watched = Watched { file, progress: &progress };
        let limit = SMALL_BYTES.saturating_add(bytes.saturating_mul(MAX_GROWTH));
        let unpacked = MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, watched));
        let mut contents = Archive::new(Limited { inner: unpacked, left: limit });
        // Raw: the library would read names of any length into memory.
        let (mut taken, mut long_name, mut files) = (Taken::default(), None, 0);
        for (number, entry) in contents.entries().map_err(|error| self.damaged(error))?.raw(true).enumerate()
        {
            self.go_on()?;
            let mut entry = entry.map_err(|error| self.damaged(error))?;
            if number >= MAX_ENTRIES {
                return Err(self.refuse(b"", &format!("it has more than {MAX_ENTRIES} entries")));
            }
            match entry.header().entry_type() {
                EntryType::GNULongName => long_name = Some(self.gnu_name(&mut entry)?),
                EntryType::XHeader => long_name = self.pax_name(&mut entry)?.or(long_name),
                // Of the whole archive, such as the time of its making; the name of a link, which will be refused.
                EntryType::XGlobalHeader | EntryType::GNULongLink => {}
                kind => {
                    let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                    let is_folder = kind == EntryType::Directory || name.ends_with(b"/");
                    if let Some(why) = refused(kind) {
                        return Err(self.refuse(&name, why));
                    }
                    let path = EntryPath::parse(&name).map_err(|why| self.refuse(&name, &why))?;
                    let Some(path) = path.filter(|path| !path.is_hidden()) else { continue };
                    taken.add(&path, is_folder).map_err(|why| self.refuse(&name, &why))?;
                    files += usize::from(!is_folder);
                    self.write(&path, is_folder, &name, &mut entry)?;
                }
            }
        }
        // To the end of the compressed data, whose check sum stands there.
        self.copy(&mut contents.into_inner(), &mut io::sink(), None)?;
        match files {
            0 => Err(BadArchive(format!("{} holds no file", ui::path(self.archive))).into()),
            _ => Ok(()),
        }
    }

    fn write(
        &self,
        path: &EntryPath,
        is_folder: bool,
        name: &[u8],
        entry: &mut Entry<'_, impl Read>,
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
        let bytes = entry.header().entry_size().map_err(|error| self.damaged(error))?;
        if bytes > MAX_FILE_BYTES {
            let why = format!("its {bytes} bytes are over the limit of {MAX_FILE_BYTES} for one file");
            return Err(self.refuse(name, &why));
        }
        let mut file = File::create_new(&target).map_err(|error| FileError::new(&target, "create", error))?;
        let copied = self.copy(entry, &mut file, Some(&target))?;
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

    /// The name in an entry of its own, for the next one.
    fn gnu_name(&self, entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
        let mut name = self.header(entry)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// The next entry's path, if its extended header names one.
    fn pax_name(&self, entry: &mut Entry<'_, impl Read>) -> Result<Option<Vec<u8>>> {
        let header = self.header(entry)?;
        let mut path = None;
        for extension in PaxExtensions::new(&header) {
            let extension = extension.map_err(|error| self.damaged(error))?;
            match extension.key_bytes() {
                b"path" => path = Some(extension.value_bytes().to_vec()),
                // It would have the next header elsewhere than where the plain one says.
                b"size" => return Err(self.refuse(b"", "an entry tells its size in two ways")),
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(self.refuse(b"", "an entry is a sparse file"));
                }
                _ => {}
            }
        }
        Ok(path)
    }

    fn header(&self, entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        entry.take(MAX_HEADER_BYTES + 1).read_to_end(&mut bytes).map_err(|error| self.damaged(error))?;
        if bytes.len() as u64 > MAX_HEADER_BYTES {
            return Err(
                self.refuse(b"", &format!("an entry's header is over the limit of {MAX_HEADER_BYTES} bytes"))
            );
        }
        Ok(bytes)
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
