//! Data folders, in the words of the program.

use std::path::Path;

use floret::data::convert::{ConvertOptions, ConvertReport};
use floret::data::{Loader, LoaderOptions};
use floret::recipe::{DataFolder, FIRST_LABEL, FolderFault, Note, RecipeError};

use crate::files::is_of_records;
use crate::folder::Folder;
use crate::interrupt::Interrupt;
use crate::photos::{self, report};
use crate::ui::say;
use crate::{Result, messages, words};

/// Opens a data folder whose labels count from `first_label`, `None` being the default; or photos, in class folders or a list, to be used
/// where they are: they are checked first, and split as `flowers convert` splits them. A photo may have so many pixels, `None` being the
/// default.
pub fn open(path: &Path, first_label: Option<i64>, max_pixels: Option<u64>) -> Result<DataFolder> {
    Ok(open_reported(path, first_label, max_pixels)?.0)
}

/// The same, with what was found where they are photos.
pub fn open_reported(
    path: &Path,
    first_label: Option<i64>,
    max_pixels: Option<u64>,
) -> Result<(DataFolder, Option<ConvertReport>)> {
    if is_list(path) {
        return of_photos(path, max_pixels);
    }
    match DataFolder::open_counting_from(path, first_label.unwrap_or(FIRST_LABEL)) {
        Err(RecipeError::Folder { fault: FolderFault::Unlabeled, .. }) if is_of_photos(path) => {
            of_photos(path, max_pixels)
        }
        opened => Ok((opened.map_err(messages::recipe)?, None)),
    }
}

/// Whether a file's name is that of a list of photos.
fn is_list(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let is_list = |extension: String| ["csv", "tsv", "txt", "json", "jsonl", "ndjson"].contains(&&*extension);
    path.is_file() && extension.is_some_and(is_list)
}

/// Whether a folder holds folders, and no records.
fn is_of_photos(path: &Path) -> bool {
    let has_records = |inside: &Folder| inside.files.iter().any(|file| is_of_records(file));
    let Ok(inside) = Folder::list(path) else { return false };
    !inside.folders.is_empty()
        && !has_records(&inside)
        && !inside.folders.iter().any(|folder| Folder::list(folder).is_ok_and(|inside| has_records(&inside)))
}

fn of_photos(path: &Path, max_pixels: Option<u64>) -> Result<(DataFolder, Option<ConvertReport>)> {
    let mut options = ConvertOptions::default();
    options.decode.max_pixels = max_pixels.unwrap_or(options.decode.max_pixels);
    let plan = photos::plan(path, path, None, options, &Interrupt::catch()?)?;
    let data = DataFolder::of_plan(path, &plan).map_err(messages::recipe)?;
    let report = plan.into_report();
    report::print(&report);
    report::note_doubts(&report);
    say!();
    Ok((data, Some(report)))
}

/// The examples of a split, in batches.
pub fn loader(data: &DataFolder, split: &str, options: LoaderOptions) -> Result<Loader> {
    tell_other_names(data, split)?;
    data.split(split, options).map_err(messages::recipe)
}

/// The same, but `None` where the folder has no shard of the split.
pub fn loader_if_any(data: &DataFolder, split: &str, options: LoaderOptions) -> Result<Option<Loader>> {
    tell_other_names(data, split)?;
    data.split_if_any(split, options).map_err(messages::recipe)
}

/// Says so if the split's shards go by another name.
fn tell_other_names(data: &DataFolder, split: &str) -> Result<()> {
    let shards = data.shards(split).map_err(messages::recipe)?;
    if let Some(set) = shards.and_then(|shards| shards.set) {
        words::tell(Note::OtherShards { split: split.into(), set });
    }
    Ok(())
}
