//! Data folders, in the words of the program.

use std::path::Path;

use floret::data::{Loader, LoaderOptions};
use floret::recipe::{DataFolder, FIRST_LABEL, Note};

use crate::{Result, messages, words};

/// Opens a data folder whose labels count from `first_label`; `None` is the default.
pub fn open(path: &Path, first_label: Option<i64>) -> Result<DataFolder> {
    DataFolder::open_counting_from(path, first_label.unwrap_or(FIRST_LABEL)).map_err(messages::recipe)
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
