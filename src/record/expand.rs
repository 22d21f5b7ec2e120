//! The files that a glob stands for.
//!
//! The `glob` crate tells whether a name matches; the walk is our own, since that crate's panics on names that are not
//! UTF-8 and follows links round and round.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{Pattern, PatternError};

use super::shard_error::ShardError;
use crate::files::{FileError, as_named};

/// The component that stands for any folders, however deep.
const ANY_FOLDERS: &str = "**";

/// Whether a path, or a part of one, has characters of globs.
pub(super) fn is_glob(text: &OsStr) -> bool {
    text.as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// The regular files that `pattern` stands for, in order. Where a link is followed: everywhere but in the folders that `**`
/// stands for, so that this ends whatever links there are.
///
/// # Errors
/// A glob that is not well formed; a folder that can't be listed.
pub(super) fn expand(pattern: &Path) -> Result<Vec<PathBuf>, ShardError> {
    let mut paths = vec![PathBuf::new()];
    for component in pattern.components() {
        paths = match component {
            Component::Normal(name) if name == ANY_FOLDERS => with_folders_in(paths)?,
            Component::Normal(name) if is_glob(name) => {
                matches_in(&paths, &NamePattern::new(pattern, name)?)?
            }
            _ => paths.iter().map(|path| path.join(component)).collect(),
        };
    }
    if pattern.ends_with(ANY_FOLDERS) {
        paths = matches_in(&paths, &NamePattern::new(pattern, OsStr::new("*"))?)?;
    }
    paths.retain(|path| path.is_file());
    Ok(paths)
}

/// A glob for one component of a path.
struct NamePattern {
    pattern: Pattern,
    /// Whether it is written with the dot that hidden files begin with.
    hidden: bool,
}

impl NamePattern {
    fn new(whole: &Path, name: &OsStr) -> Result<Self, ShardError> {
        let text = name.to_string_lossy();
        let bad = |error: PatternError| ShardError::BadGlob {
            pattern: whole.display().to_string(),
            reason: error.msg,
        };
        Ok(Self { hidden: text.starts_with('.'), pattern: Pattern::new(&text).map_err(bad)? })
    }

    /// Whether a file's name matches. What is not UTF-8 in it is a character like any other.
    fn matches(&self, name: &OsStr) -> bool {
        (self.hidden || !is_hidden(name)) && self.pattern.matches(&name.to_string_lossy())
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// What matches in each of the folders, in order.
fn matches_in(folders: &[PathBuf], pattern: &NamePattern) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    for folder in folders {
        let entries = entries(folder)?.into_iter();
        let matching = entries.filter(|entry| pattern.matches(&entry.file_name()));
        found.extend(matching.map(|entry| folder.join(entry.file_name())));
    }
    Ok(each_once(found))
}

/// The folders, and every folder in them that is no link and not hidden, in order.
fn with_folders_in(mut open: Vec<PathBuf>) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in entries(&folder)? {
            let kind = entry.file_type().map_err(|error| FileError::new(entry.path(), "open", error))?;
            if kind.is_dir() && !is_hidden(&entry.file_name()) {
                open.push(folder.join(entry.file_name()));
            }
        }
        found.push(folder);
    }
    Ok(each_once(found))
}

/// The paths in order, each once.
fn each_once(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// What is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, FileError> {
    match fs::read_dir(as_named(folder)).and_then(Iterator::collect) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        listed => listed.map_err(|error| FileError::new(folder, "list the folder", error)),
    }
}
