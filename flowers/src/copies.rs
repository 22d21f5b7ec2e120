//! Copies among the photos of a data set as a list: `flowers convert` writes it beside the shards, `flowers train PHOTOS` into the run's
//! folder, and the report shows it.

use std::fs::remove_file;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf, absolute};

use floret::data::convert::{ConvertReport, Copies, Copy, Part};
use floret::files::{FileError, write_atomically};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::files::COPIES;

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Row {
    /// Photos of one number show the same.
    group: usize,
    /// Whether all files of the group are the same, byte for byte.
    identical: bool,
    file: PathBuf,
    class: String,
    /// The part of the data set: train, eval or test.
    part: String,
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
            csv.serialize(Row {
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

/// The copies of the list in `folder`, whose classes are these; `None` without a list.
///
/// # Errors
/// A file that can't be read, or that is no such list.
pub fn load(folder: &Path, classes: &[String]) -> Result<Option<Vec<Copies>>> {
    let path = folder.join(COPIES);
    if !path.is_file() {
        return Ok(None);
    }
    let (mut groups, mut last): (Vec<Copies>, _) = (Vec::new(), None);
    for row in csv::Reader::from_path(&path)?.deserialize() {
        let Row { group, identical, file, class, part } =
            row.map_err(|error| format!("{}: {error}", path.display()))?;
        let known = classes.iter().position(|name| *name == class);
        let part = Part::ALL.into_iter().find(|known| known.to_string() == part);
        let Some((class, part)) = known.zip(part) else {
            return Err(format!(
                "{}: {} is of another class or part than the data have",
                path.display(),
                file.display()
            )
            .into());
        };
        let copy = Copy::new(file, class, part);
        match groups.last_mut().filter(|_| last == Some(group)) {
            Some(copies) => copies.photos.push(copy),
            None => groups.push(Copies::new(vec![copy], identical)),
        }
        last = Some(group);
    }
    Ok(Some(groups))
}
