//! The folder that shards are written to: one data set, whole or marked as unfinished.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::ConvertError;
use crate::atomic_file::{FileError, write_atomically};
use crate::batch::ClassNames;
use crate::record::{SyncedShards, shards_in};

/// Prefix of the training shards.
pub(super) const TRAIN: &str = "train";
/// Prefix of the evaluation shards.
pub(super) const EVAL: &str = "eval";
/// The file of class names.
const LABELS: &str = "labels.txt";
/// There while files take their names; hidden, so that nothing takes it for data.
const MARKER: &str = ".conversion-unfinished";

/// A folder for shards.
#[derive(Debug)]
pub(super) struct Target {
    pub folder: PathBuf,
    overwrite: bool,
}

impl Target {
    /// The folder, which need not exist yet.
    ///
    /// # Errors
    /// A folder among the photos, or one that holds a data set that must stay.
    pub fn new(folder: &Path, photos: &Path, overwrite: bool) -> Result<Self, ConvertError> {
        let real_photos = fs::canonicalize(photos).map_err(|error| FileError::new(photos, "open", error))?;
        if real_path(folder)?.starts_with(real_photos) {
            return Err(ConvertError::DataAmongPhotos { data: folder.into(), photos: photos.into() });
        }
        let target = Target { folder: folder.into(), overwrite };
        target.check()?;
        Ok(target)
    }

    /// Fails if the folder holds a data set that must stay. One that a killed conversion left unfinished need not.
    pub fn check(&self) -> Result<(), ConvertError> {
        let files = self.occupants()?;
        if files.is_empty() || self.overwrite || self.folder.join(MARKER).exists() {
            return Ok(());
        }
        Err(ConvertError::Occupied { folder: self.folder.clone(), files })
    }

    /// Puts shards in their place, instead of those that were there.
    ///
    /// `labels.txt` goes first and comes last, and all the while a marker stands: a folder with shards but without
    /// `labels.txt` is not whole, and the marker tells the next conversion that it may replace them.
    ///
    /// # Errors
    /// Another data set came meanwhile; a file that can't be removed, renamed or written.
    pub fn replace(
        &self,
        parts: Vec<SyncedShards>,
        classes: &ClassNames,
    ) -> Result<Vec<PathBuf>, ConvertError> {
        self.check()?;
        let marker = self.folder.join(MARKER);
        write_atomically(&marker, |file| {
            file.write_all(b"A conversion that ended while this file was here is not whole: convert again.\n")
        })?;
        for file in self.occupants()? {
            remove(&file)?;
        }
        let mut shards = Vec::new();
        for part in parts {
            shards.extend(part.commit()?);
        }
        classes.write(self.folder.join(LABELS)).map_err(ConvertError::Labels)?;
        remove(&marker)?;
        Ok(shards)
    }

    /// The files of a data set that are there, `labels.txt` first.
    fn occupants(&self) -> Result<Vec<PathBuf>, ConvertError> {
        if !self.folder.try_exists().map_err(|error| FileError::new(&self.folder, "open", error))? {
            return Ok(Vec::new());
        }
        let mut shards: Vec<PathBuf> = shards_in(&self.folder)?
            .into_iter()
            .filter(|(name, _)| [TRAIN, EVAL].contains(&name.prefix.as_str()))
            .map(|(_, path)| path)
            .collect();
        shards.sort();
        let labels = self.folder.join(LABELS);
        Ok(labels.exists().then_some(labels).into_iter().chain(shards).collect())
    }
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
