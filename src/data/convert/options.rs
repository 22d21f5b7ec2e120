//! How photos become shards.

use super::error::ConvertOptionsError;
use super::layout::ClassFolders;
use crate::image::DecodeOptions;
use crate::record::Compression;

/// How photos become shards.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertOptions {
    /// Shards of the training photos, and as many of the evaluation photos; default 2.
    pub shards: u32,
    /// Share of each class's photos that is for evaluation, in [0, 1); default 0.2. A class of two photos or more has at
    /// least one on each side, unless they are copies of each other; 0 writes no evaluation shards. Photos that are split already stay so.
    pub eval_fraction: f64,
    /// The source of the split and of the records' order.
    pub seed: u64,
    /// Whether a file that can't be used is an error, and nothing is written.
    pub strict: bool,
    /// Whether a data set in the folder for shards is replaced.
    pub overwrite: bool,
    /// The shards' compression. Photos are compressed already.
    pub compression: Compression,
    /// Which folders are classes.
    pub class_folders: ClassFolders,
    /// Limits on photos.
    pub decode: DecodeOptions,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            shards: 2,
            eval_fraction: 0.2,
            seed: 0,
            strict: false,
            overwrite: false,
            compression: Compression::Plain,
            class_folders: ClassFolders::default(),
            decode: DecodeOptions::default(),
        }
    }
}

/// Fails if they make no sense.
pub(super) fn check_options(options: &ConvertOptions) -> Result<(), ConvertOptionsError> {
    if options.shards == 0 {
        return Err(ConvertOptionsError::Shards);
    }
    if !(0.0..1.0).contains(&options.eval_fraction) {
        return Err(ConvertOptionsError::EvalFraction(options.eval_fraction));
    }
    Ok(())
}
