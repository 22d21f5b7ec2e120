//! Why no list of shards can be made.

use std::path::PathBuf;

use crate::files::FileError;

/// Why a list of files could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A named file does not exist, or a folder cannot be listed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The list of patterns is empty.
    #[error("no file was named")]
    NoPattern,
    /// A glob or prefix that stands for no file.
    #[error("{} stands for no file: {reason}", pattern.display())]
    NoMatch {
        /// The pattern.
        pattern: PathBuf,
        /// What was looked for.
        reason: String,
    },
    /// A folder, which may hold more than one set.
    #[error(
        "{0} is a folder: name the shards in it by a prefix, such as {0}/train, or by a glob, such as \
         {0}/*.tfrecord",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
    },
    /// A glob that is not well formed.
    #[error("{pattern} is not a valid glob: {reason}")]
    BadGlob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A set of which some shards do not exist.
    #[error("{count} of the {shards} shards {} are missing: {}", set.display(), list(missing, *count))]
    MissingShards {
        /// The set, such as `data/train-*-of-00003.tfrecord`.
        set: PathBuf,
        /// How many shards the set has by its name.
        shards: u32,
        /// How many of them do not exist.
        count: u32,
        /// The first of those.
        missing: Vec<String>,
    },
    /// Two sets of the same prefix: of two runs of a converter, or copies of the same records.
    #[error(
        "{} has more than one set of shards ({}): remove all but one, or name one by a glob",
        prefix.display(),
        sets.join(", ")
    )]
    MixedSets {
        /// The folder and prefix.
        prefix: PathBuf,
        /// The sets found, such as `train-*-of-00003.tfrecord`.
        sets: Vec<String>,
    },
}

fn list(named: &[String], count: u32) -> String {
    let more = if (named.len() as u32) < count { ", ..." } else { "" };
    named.join(", ") + more
}
