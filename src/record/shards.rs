//! The names of shards, and the files that a list of paths, prefixes and globs stands for.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::expand::{expand, is_glob};
use super::shard_error::ShardError;
use crate::files::{FileError, as_named, folder_of, remove_stale};

/// The digits a shard's number is padded to.
const DIGITS: usize = 5;
/// How many missing shards an error names.
const NAMED_MISSING: usize = 8;

/// The name of shard `shard` (from 0) of `shards`: `PREFIX-00000-of-00002.tfrecord`.
///
/// ```
/// assert_eq!(floret::record::shard_name("train", 1, 2), "train-00001-of-00002.tfrecord");
/// ```
pub fn shard_name(prefix: &str, shard: u32, shards: u32) -> String {
    ShardName { prefix: prefix.to_string(), shard, shards, suffix: ".tfrecord".to_string() }.to_string()
}

/// The parts of a file name of the form `PREFIX-00000-of-00002SUFFIX`.
///
/// ```
/// use floret::record::ShardName;
///
/// let name = ShardName::parse("train-00001-of-00002.tfrecord").unwrap();
/// assert_eq!((name.prefix.as_str(), name.shard, name.shards), ("train", 1, 2));
/// assert_eq!(name.suffix, ".tfrecord");
/// assert_eq!(ShardName::parse("train.tfrecord"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardName {
    /// What stands before the numbers; not empty.
    pub prefix: String,
    /// The shard's number, from 0.
    pub shard: u32,
    /// The number of shards, more than `shard`.
    pub shards: u32,
    /// What stands behind the numbers: empty, or an extension with its dot.
    pub suffix: String,
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShardName { prefix, shard, shards, suffix } = self;
        write!(f, "{prefix}-{shard:0DIGITS$}-of-{shards:0DIGITS$}{suffix}")
    }
}

impl ShardName {
    /// Takes a file's name apart; `None` if it is no shard's name.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (left, right) = file_name.rsplit_once("-of-")?;
        let (prefix, shard) = left.rsplit_once('-')?;
        let (shards, suffix) = right.split_at(right.find('.').unwrap_or(right.len()));
        let name = ShardName {
            prefix: prefix.to_string(),
            shard: shard.parse().ok()?,
            shards: shards.parse().ok()?,
            suffix: suffix.to_string(),
        };
        // Names with fewer or more digits, or signs, are someone else's convention.
        let canonical = name.to_string() == file_name;
        (canonical && !prefix.is_empty() && name.shard < name.shards).then_some(name)
    }

    /// The names of all shards of the set: `PREFIX-*-of-00002SUFFIX`.
    fn set(&self) -> String {
        let ShardName { prefix, shards, suffix, .. } = self;
        format!("{prefix}-*-of-{shards:0DIGITS$}{suffix}")
    }

    /// The name of another shard of the same set.
    fn with_shard(&self, shard: u32) -> Self {
        ShardName { shard, ..self.clone() }
    }

    fn of(path: &Path) -> Option<Self> {
        Self::parse(path.file_name()?.to_str()?)
    }
}

/// Finds the files that `patterns` stand for, sorted, each once.
///
/// A pattern is
/// - the path of a file (whatever characters it has),
/// - a folder and a prefix, `data/train`, for the shards `data/train-00000-of-NNNNN` with any extension (the folder's
///   name may have whatever characters if it exists, the prefix none of a glob's), or
/// - a glob with `*`, `?`, `[...]` or `**` (hidden files only where the dot is written out). `**` stands for any folders
///   however deep, but not for links to folders, which could lead round in circles.
///
/// # Errors
/// When a pattern stands for no file; when a named file does not exist; when a shard of a set found by a glob
/// or prefix is missing from its folder (a glob may choose some of the shards, and files named one by one are
/// taken as they are); when the files belong to several sets of one prefix.
pub fn find_shards<P: AsRef<Path>>(patterns: &[P]) -> Result<Vec<PathBuf>, ShardError> {
    if patterns.is_empty() {
        return Err(ShardError::NoPattern);
    }
    let mut files = Vec::new();
    for pattern in patterns {
        files.extend(find(pattern.as_ref())?);
    }
    files.sort_unstable();
    // Two spellings of a path are one file.
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(fs::canonicalize(file).unwrap_or_else(|_| file.clone())));
    reject_mixed_sets(&files)?;
    Ok(files)
}

/// The files of one pattern.
fn find(pattern: &Path) -> Result<Vec<PathBuf>, ShardError> {
    match fs::metadata(pattern) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(ShardError::Folder { folder: pattern.to_path_buf() });
        }
        Ok(_) => return Ok(vec![pattern.to_path_buf()]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(FileError::new(pattern, "open", error).into()),
    }
    let files = if is_glob(pattern.as_os_str()) && !is_prefix_in_a_folder(pattern) {
        find_by_glob(pattern)?
    } else {
        find_by_prefix(pattern)?
    };
    require_whole_sets(&files)?;
    Ok(files)
}

/// Whether only the folder's name has characters of globs, and there is a folder of that very name.
fn is_prefix_in_a_folder(pattern: &Path) -> bool {
    pattern.file_name().is_some_and(|name| !is_glob(name)) && folder_of(pattern).is_dir()
}

fn find_by_glob(pattern: &Path) -> Result<Vec<PathBuf>, ShardError> {
    let files = expand(pattern)?;
    if files.is_empty() {
        let reason = "no file name matches the glob".to_string();
        return Err(ShardError::NoMatch { pattern: pattern.into(), reason });
    }
    Ok(files)
}

fn find_by_prefix(pattern: &Path) -> Result<Vec<PathBuf>, ShardError> {
    let not_found = || FileError::new(pattern, "open", io::ErrorKind::NotFound.into());
    let prefix = pattern.file_name().and_then(|name| name.to_str()).ok_or_else(not_found)?;
    let files: Vec<_> = shards_in(folder_of(pattern))?
        .into_iter()
        .filter(|(name, _)| name.prefix == prefix)
        .map(|(_, path)| path)
        .collect();
    if !files.is_empty() {
        return Ok(files);
    }
    // With an extension or a shard's number, a file was meant and not a prefix.
    if pattern.extension().is_some() || ShardName::of(pattern).is_some() {
        return Err(not_found().into());
    }
    let reason = format!("there is neither a file of that name nor shards {prefix}-00000-of-NNNNN");
    Err(ShardError::NoMatch { pattern: pattern.to_path_buf(), reason })
}

/// The shards that lie in `folder`, of whatever set, with their paths.
pub(crate) fn shards_in(folder: &Path) -> Result<Vec<(ShardName, PathBuf)>, FileError> {
    let failed = |error| FileError::new(folder, "list the folder", error);
    let mut shards = Vec::new();
    for entry in fs::read_dir(as_named(folder)).map_err(failed)? {
        // `folder.join` keeps the paths as the user writes them.
        let path = folder.join(entry.map_err(failed)?.file_name());
        if let Some(name) = ShardName::of(&path) {
            shards.push((name, path));
        }
    }
    Ok(shards)
}

/// Removes the hidden files that killed writers of shards of this prefix left in `folder`.
pub(crate) fn remove_stale_shards(folder: &Path, prefix: &str) {
    remove_stale(folder, &|name| {
        let shard = str::from_utf8(name).ok().and_then(ShardName::parse);
        shard.is_some_and(|shard| shard.prefix == prefix)
    });
}

/// Checks that every shard of the sets that `files` belong to exists.
fn require_whole_sets(files: &[PathBuf]) -> Result<(), ShardError> {
    let mut sets: Vec<_> =
        files.iter().filter_map(|file| Some((folder_of(file), ShardName::of(file)?.with_shard(0)))).collect();
    sets.sort_unstable();
    sets.dedup();
    for (folder, set) in sets {
        let there: HashSet<u32> = shards_in(folder)?
            .into_iter()
            .filter(|(name, _)| name.with_shard(0) == set)
            .map(|(name, _)| name.shard)
            .collect();
        let count = set.shards - there.len() as u32;
        if count > 0 {
            let missing = (0..set.shards).filter(|shard| !there.contains(shard)).take(NAMED_MISSING);
            let missing = missing.map(|shard| set.with_shard(shard).to_string()).collect();
            let (shards, set) = (set.shards, folder.join(set.set()));
            return Err(ShardError::MissingShards { set, shards, count, missing });
        }
    }
    Ok(())
}

fn reject_mixed_sets(files: &[PathBuf]) -> Result<(), ShardError> {
    let set = |file: &PathBuf| {
        let name = ShardName::of(file)?;
        Some((folder_of(file).join(&name.prefix), name.set()))
    };
    let mut sets: Vec<(PathBuf, String)> = files.iter().filter_map(set).collect();
    sets.sort_unstable();
    sets.dedup();
    match sets.chunk_by(|(a, _), (b, _)| a == b).find(|same| same.len() > 1) {
        Some(same) => Err(ShardError::MixedSets {
            prefix: same[0].0.clone(),
            sets: same.iter().map(|(_, set)| set.clone()).collect(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_put_together() {
        for (file, parts) in [
            ("train-00000-of-00002.tfrecord", Some(("train", 0, 2, ".tfrecord"))),
            ("flowers-eval-00012-of-00100", Some(("flowers-eval", 12, 100, ""))),
            ("mnist.tfrecord-00000-of-00001", Some(("mnist.tfrecord", 0, 1, ""))),
            ("a-00000-of-00001.tfrecord.gz", Some(("a", 0, 1, ".tfrecord.gz"))),
            ("a-123456-of-200000", Some(("a", 123_456, 200_000, ""))),
            ("a-of-b-00000-of-00001", Some(("a-of-b", 0, 1, ""))),
            ("a-00002-of-00002", None),
            ("a-00000-of-00000", None),
            ("a-0-of-2", None),
            ("a-000001-of-00002", None),
            ("a-+0001-of-00002", None),
            ("a-00000-of-99999999999", None),
            ("a-00000-of-00002-old", None),
            ("-00000-of-00002", None),
            ("-of-", None),
            ("train.tfrecord", None),
            ("", None),
        ] {
            let name = ShardName::parse(file);
            let got = name.as_ref().map(|n| (n.prefix.as_str(), n.shard, n.shards, n.suffix.as_str()));
            assert_eq!(got, parts, "{file}");
            if let Some(name) = name {
                assert_eq!(name.to_string(), file);
            }
        }
    }
}
