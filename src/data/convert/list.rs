//! The photos of a list.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use super::error::{BadPhoto, ConvertError, PhotoFault};
use super::folders::FoundFiles;
use super::part::Part;
use super::photos::FoundFile;
use crate::data::{ClassNames, classes};

/// A photo of a list, to be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPhoto {
    /// Where it is.
    pub path: PathBuf,
    /// Its name: the record's `image/filename`, from which the split is drawn.
    pub name: String,
    /// Its class, from 0.
    pub class: usize,
    /// The part of the data set it belongs to, where the list says so; the split of the others is drawn.
    pub part: Option<Part>,
}

/// The files of a list; a file that is listed again is set aside.
pub(super) fn found(classes: ClassNames, photos: Vec<ListedPhoto>) -> Result<FoundFiles, ConvertError> {
    let classes = Vec::from(classes);
    if let Some(defect) = classes::defect(&classes) {
        return Err(ConvertError::Options(format!("the list of classes can't be used: {defect}")));
    }
    if let [class] = &classes[..] {
        return Err(ConvertError::Options(format!(
            "the list has only the class `{class}`: a classifier needs at least two"
        )));
    }
    let mut found = FoundFiles { classes, ..FoundFiles::default() };
    let mut seen = HashSet::with_capacity(photos.len());
    for ListedPhoto { path, name, class, part } in photos {
        assert!(class < found.classes.len(), "{name} is of class {class} of {}", found.classes.len());
        // One that can't be found is told as such when it is read.
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if seen.insert(real) {
            found.files.push(FoundFile { class, name, path, part });
        } else {
            found.bad.push(BadPhoto { path, fault: PhotoFault::ListedTwice });
        }
    }
    Ok(found)
}
