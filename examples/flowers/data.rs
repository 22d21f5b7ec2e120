//! What several subcommands ask of a data folder, and of the command line.

use std::path::{Path, PathBuf};

use floret::batch::{ClassNames, Loader, LoaderOptions};
use floret::record::find_shards;

use crate::Result;

/// A data folder as `convert` writes it: `train-*`, `eval-*` and `labels.txt`.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
    pub classes: ClassNames,
}

impl DataFolder {
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let hint = "make one from photos with `flowers convert PHOTOS_DIR DATA_DIR`";
            return Err(format!("{}: there is no such data folder; {hint}", path.display()).into());
        }
        Ok(Self { path: path.into(), classes: ClassNames::read(path.join("labels.txt"))? })
    }

    /// The shards of a split, `train` or `eval`.
    pub fn shards(&self, split: &str) -> Result<Vec<PathBuf>> {
        Ok(find_shards(&[self.path.join(split)])?)
    }

    /// The split's examples in batches.
    pub fn loader(&self, split: &str, options: LoaderOptions) -> Result<Loader> {
        Ok(Loader::open(&self.shards(split)?, options)?)
    }
}

/// Sets the number of threads of everything that follows; `None` leaves rayon's choice, one a core.
pub fn use_threads(threads: Option<usize>) -> Result<()> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    Ok(())
}

/// An image side: the reference network halves it five times, so under 32 little would be left.
pub fn image_size(text: &str) -> std::result::Result<usize, String> {
    in_range(text, 32, 1024)
}

/// A count of at least one.
pub fn positive(text: &str) -> std::result::Result<usize, String> {
    in_range(text, 1, 1 << 20)
}

fn in_range(text: &str, least: usize, most: usize) -> std::result::Result<usize, String> {
    let value: usize = text.parse().map_err(|_| "a whole number is wanted".to_string())?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("a number from {least} to {most} is wanted"))
    }
}

/// A number over 0.
pub fn positive_float(text: &str) -> std::result::Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number over 0 is wanted".into()),
    }
}
