//! Data folders, in the words of the program.

use std::path::Path;

use floret::data::{Loader, LoaderOptions};
use floret::recipe::{DataFolder, Note};

use crate::{Result, messages, words};

/// Opens a data folder.
pub fn open(path: &Path) -> Result<DataFolder> {
    DataFolder::open(path).map_err(messages::recipe)
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
