//! Copies among the photos of a data set as a list: `flowers convert` writes it beside the shards, `flowers train PHOTOS` into the run's
//! folder, and the report shows it.

use std::fs::remove_file;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf, absolute};

use floret::data::convert::{ConvertReport, Copies};
use floret::files::{FileError, write_atomically};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::files::COPIES;

/// A photo of which there is another one: a line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Those of one number show the same.
    pub group: usize,
    /// Whether all files of the group are the same, byte for byte.
    pub identical: bool,
    pub file: PathBuf,
    pub class: String,
    /// The part of the data set: train, eval or test.
    pub part: String,
}

/// Writes the list of what a conversion found into `folder`; without copies there is none.
pub fn save(report: &ConvertReport, folder: &Path) -> Result<()> {
    let path = folder.join(COPIES);
    if report.copies.is_empty() {
        return match remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(FileError::new(&path, "remove", error).into())
            }
            _ => Ok(()),
        };
    }
    let mut csv = csv::Writer::from_writer(Vec::new());
    for (group, Copies { photos, identical, .. }) in report.copies.iter().enumerate() {
        for photo in photos {
            csv.serialize(Copy {
                group,
                identical: *identical,
                // Whoever reads the list may be elsewhere.
                file: absolute(&photo.path).unwrap_or_else(|_| photo.path.clone()),
                class: report.classes.names()[photo.class].clone(),
                part: photo.part.to_string(),
            })?;
        }
    }
    let csv = csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(write_atomically(&path, |file| file.write_all(&csv))?)
}

/// The groups of the list in `folder`, if there is such a list.
///
/// # Errors
/// A file that can't be read, or that is no such list.
pub fn load(folder: &Path) -> Result<Option<Vec<Vec<Copy>>>> {
    let path = folder.join(COPIES);
    if !path.is_file() {
        return Ok(None);
    }
    let mut groups: Vec<Vec<Copy>> = Vec::new();
    for copy in csv::Reader::from_path(&path)?.deserialize() {
        let copy: Copy = copy.map_err(|error| format!("{}: {error}", path.display()))?;
        match groups.last_mut().filter(|group| group[0].group == copy.group) {
            Some(group) => group.push(copy),
            None => groups.push(vec![copy]),
        }
    }
    Ok(Some(groups))
}
