//! The folder that shards are written to: one data set, whole or marked as unfinished.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::ConvertError;
use super::part::Part;
use crate::data::ClassNames;
use crate::files::{FileError, open_regular, write_atomically};
use crate::record::{SyncedShards, remove_stale_shards, shards_in};

/// The file of class names.
const LABELS: &str = "labels.txt";
/// There while files take their names; hidden, so that nothing takes it for data. It names the files of the conversion,
/// a line each behind the first.
const MARKER: &str = ".conversion-unfinished";
/// The marker's first line.
const NOTICE: &str = "The conversion that wrote these files is not whole: convert again.";
/// The longest marker that is read: names of 200,000 shards.
const MAX_MARKER_BYTES: u64 = 16 << 20;

/// Whether a conversion into `folder` began to put its shards in their place and did not come to its end: what lies there is
/// a part of a data set, or of two.
pub fn is_unfinished(folder: impl AsRef<Path>) -> bool {
    folder.as_ref().join(MARKER).exists()
}

/// A folder for shards.
#[derive(Debug)]
pub(super) struct Target {
    pub folder: PathBuf,
    overwrite: bool,
}

impl Target {
    /// The folder, which need not exist yet, for photos of the folder `photos`.
    ///
    /// # Errors
    /// A folder among the photos, or one that holds a data set that must stay.
    pub fn beside(folder: &Path, photos: &Path, overwrite: bool) -> Result<Self, ConvertError> {
        let real_photos = fs::canonicalize(photos).map_err(|error| FileError::new(photos, "open", error))?;
        if real_path(folder)?.starts_with(real_photos) {
            return Err(ConvertError::DataAmongPhotos { data: folder.into(), photos: photos.into() });
        }
        Self::new(folder, overwrite)
    }

    /// The folder, which need not exist yet.
    ///
    /// # Errors
    /// One that holds a data set that must stay.
    pub fn new(folder: &Path, overwrite: bool) -> Result<Self, ConvertError> {
        let target = Target { folder: folder.into(), overwrite };
        target.check()?;
        Ok(target)
    }

    /// Fails if the folder holds a data set that must stay. One that a killed conversion left unfinished need not: shards
    /// without `labels.txt`, all of which its marker names.
    ///
    /// Fails as well if anything that is to be replaced is no file: to find that halfway would cost the old set.
    pub fn check(&self) -> Result<(), ConvertError> {
        let files = self.occupants()?;
        if files.is_empty() || self.overwrite {
            return files.iter().try_for_each(|file| Ok(must_be_file(file)?));
        }
        let own = self.unfinished()?;
        let is_own = |file: &PathBuf| name_of(file).is_some_and(|name| name != LABELS && own.contains(name));
        if files.iter().all(is_own) {
            return files.iter().try_for_each(|file| Ok(must_be_file(file)?));
        }
        Err(ConvertError::Occupied { folder: self.folder.clone(), files })
    }

    /// Puts shards in their place, instead of those that were there.
    ///
    /// `labels.txt` goes first and comes last, and all the while a marker stands: a folder with shards but without
    /// `labels.txt` is not whole, and the marker tells the next conversion which of them it may replace. New shards are
    /// renamed over old ones of their names before the others are removed.
    ///
    /// # Errors
    /// Another data set came meanwhile; a file that can't be removed, renamed or written.
    pub fn replace(
        &self,
        parts: Vec<SyncedShards>,
        classes: &ClassNames,
    ) -> Result<Vec<PathBuf>, ConvertError> {
        self.check()?;
        for part in Part::ALL {
            remove_stale_shards(&self.folder, part.prefix());
        }
        let marker = self.folder.join(MARKER);
        let old = self.occupants()?;
        let new = parts.iter().flat_map(SyncedShards::paths);
        let mut names: Vec<&str> = old.iter().map(PathBuf::as_path).chain(new).filter_map(name_of).collect();
        names.sort_unstable();
        names.dedup();
        write_atomically(&marker, |file| {
            writeln!(file, "{NOTICE}")?;
            names.iter().try_for_each(|name| writeln!(file, "{name}"))
        })?;
        let labels = self.folder.join(LABELS);
        if old.contains(&labels) {
            remove(&labels)?;
        }
        let mut shards = Vec::new();
        for part in parts {
            shards.extend(part.commit()?);
        }
        for file in old.iter().filter(|&file| *file != labels && !shards.contains(file)) {
            remove(file)?;
        }
        classes.write(labels).map_err(ConvertError::Labels)?;
        remove(&marker)?;
        Ok(shards)
    }

    /// The names in the marker of a conversion that did not end; none without one.
    fn unfinished(&self) -> Result<HashSet<String>, FileError> {
        let marker = self.folder.join(MARKER);
        let mut text = String::new();
        let file = match open_regular(&marker) {
            Ok((file, _)) => file,
            Err(error) if error.cause.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
            Err(error) => return Err(error),
        };
        match file.take(MAX_MARKER_BYTES).read_to_string(&mut text) {
            Ok(_) => Ok(text.lines().skip(1).map(str::to_owned).collect()),
            // Somebody else's file: it names nothing.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(HashSet::new()),
            Err(error) => Err(FileError::new(marker, "read", error)),
        }
    }

    /// The files of a data set that are there, `labels.txt` first.
    fn occupants(&self) -> Result<Vec<PathBuf>, ConvertError> {
        if !self.folder.try_exists().map_err(|error| FileError::new(&self.folder, "open", error))? {
            return Ok(Vec::new());
        }
        let mut shards: Vec<PathBuf> = shards_in(&self.folder)?
            .into_iter()
            .filter(|(name, _)| Part::ALL.iter().any(|part| part.prefix() == name.prefix))
            .map(|(_, path)| path)
            .collect();
        shards.sort_unstable();
        let labels = self.folder.join(LABELS);
        let named = labels.try_exists().map_err(|error| FileError::new(&labels, "open", error))?;
        Ok(named.then_some(labels).into_iter().chain(shards).collect())
    }
}

/// A file's name; those of a data set are UTF-8.
fn name_of(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()
}

/// Fails unless the path leads to a file, or is a link, which can be replaced as one.
fn must_be_file(path: &Path) -> Result<(), FileError> {
    let found = fs::symlink_metadata(path).map_err(|error| FileError::new(path, "replace", error))?;
    if found.is_file() || found.is_symlink() {
        return Ok(());
    }
    let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file: move it away");
    Err(FileError::new(path, "replace", error))
}

fn remove(file: &Path) -> Result<(), FileError> {
    fs::remove_file(file).map_err(|error| FileError::new(file, "remove", error))
}

/// The path of a folder that may not exist yet, without links.
fn real_path(folder: &Path) -> Result<PathBuf, FileError> {
    let failed = |error| FileError::new(folder, "open", error);
    let absolute = std::path::absolute(folder).map_err(failed)?;
    for ancestor in absolute.ancestors() {
        match fs::canonicalize(ancestor) {
            Ok(real) => {
                let rest = absolute.strip_prefix(ancestor).expect("an ancestor begins the path");
                return Ok(real.join(rest));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(absolute)
}
