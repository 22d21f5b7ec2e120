//! A data folder as `convert` writes it.

use std::path::{Path, PathBuf};

use floret::data::convert::is_unfinished;
use floret::data::{ClassNames, Loader, LoaderOptions};
use floret::files::FileError;
use floret::record::find_shards;

use crate::files::{LABELS, TFDS_LABELS};
use crate::ui::shell;
use crate::{Result, foreign};

/// Shards of one or more splits, and `labels.txt`.
#[derive(Debug, Clone)]
pub struct DataFolder {
    pub path: PathBuf,
    pub classes: ClassNames,
}

impl DataFolder {
    pub fn open(path: &Path) -> Result<Self> {
        let exists = |path: &Path| path.try_exists().map_err(|error| FileError::new(path, "open", error));
        if exists(path)? && !path.is_dir() {
            return Err(format!("{} is no folder", path.display()).into());
        }
        if !exists(path)? {
            let hint = "make one from photos with `flowers convert PHOTOS_DIR DATA_DIR`";
            return Err(format!("{}: there is no such data folder; {hint}", path.display()).into());
        }
        let mut labels = path.join(LABELS);
        if is_unfinished(path) {
            // The next conversion replaces by itself what is without class names.
            let overwrite = if exists(&labels)? { " with --overwrite" } else { "" };
            return Err(format!(
                "{}: the conversion that wrote this data did not come to its end, so a part of it may be missing: run \
                 `flowers convert PHOTOS_DIR {}` again{overwrite}",
                path.display(),
                shell(path)
            )
            .into());
        }
        if !exists(&labels)? && exists(&path.join(TFDS_LABELS))? {
            labels = path.join(TFDS_LABELS);
        }
        if !exists(&labels)? {
            return Err(format!(
                "{} is missing: write the names of the classes into it, one a line in the order of their labels \
                 (`flowers inspect FILE` shows what the records say), or make the data from photos with `flowers convert \
                 PHOTOS_DIR DATA_DIR`",
                labels.display()
            )
            .into());
        }
        Ok(Self { path: path.into(), classes: ClassNames::read(labels)? })
    }

    /// The examples of a split, `train` or `eval`, in batches.
    pub fn loader(&self, split: &str, options: LoaderOptions) -> Result<Loader> {
        let shards = match foreign::shards(&self.path, split)? {
            Some(shards) => shards,
            // Its error says what was looked for.
            None => find_shards(&[self.path.join(split)])?,
        };
        Ok(Loader::open(&shards, options)?)
    }

    /// The same, but `None` where the folder has no shard of the split.
    pub fn loader_if_any(&self, split: &str, options: LoaderOptions) -> Result<Option<Loader>> {
        match foreign::shards(&self.path, split)? {
            Some(shards) => Ok(Some(Loader::open(&shards, options)?)),
            None => Ok(None),
        }
    }
}
