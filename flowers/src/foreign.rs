//! The shards of a split under the names that others give them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use floret::files::FileError;
use floret::record::{ShardError, ShardName, find_shards};

use crate::Result;
use crate::files::{EVAL, TRAIN};
use crate::ui::{self, note};

/// The shards of `split` in `folder`: those that [`find_shards`] finds by this name or, without any, the set whose name has
/// such a word (`tf_flowers-train.tfrecord-00000-of-00002`, `flowers_validation_00000-of-00005.tfrecord`); `None` if there are
/// none.
///
/// # Errors
/// A set that is not whole; several that the name could mean.
pub fn shards(folder: &Path, split: &str) -> Result<Option<Vec<PathBuf>>> {
    match find_shards(&[folder.join(split)]) {
        Ok(shards) => return Ok(Some(shards)),
        Err(ShardError::NoMatch { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for word in words_for(split) {
        let mut sets = sets(folder, word)?;
        let Some((name, set)) = sets.pop_first() else { continue };
        if let Some((other, _)) = sets.pop_first() {
            let (folder, name, other) = (ui::path(folder), ui::escaped(&name), ui::escaped(&other));
            return Err(format!(
                "{folder} has no shards named {split}-*, and more than one set that could be meant: {name}, {other}: move all \
                 but one away"
            )
            .into());
        }
        let shards = set.whole(&folder.join(&name))?;
        note!("note: reading {} as the {split} shards", ui::path(&folder.join(name)));
        return Ok(Some(shards));
    }
    Ok(None)
}

/// The words that say which part of the data a file holds, the first choice first.
fn words_for(split: &str) -> &[&str] {
    match split {
        TRAIN => &["train", "training"],
        EVAL => &["eval", "validation", "val", "valid", "test"],
        _ => &[],
    }
}

/// Files of a name with the shard's number left out.
#[derive(Default)]
struct Set {
    shards: BTreeMap<u32, PathBuf>,
    /// How many there are by their names.
    count: u32,
}

impl Set {
    fn whole(self, name: &Path) -> Result<Vec<PathBuf>> {
        match (0..self.count).find(|shard| !self.shards.contains_key(shard)) {
            Some(shard) => Err(format!(
                "{} of the {} shards {} are missing, the first of them shard {shard}",
                self.count as usize - self.shards.len(),
                self.count,
                ui::path(name)
            )
            .into()),
            None => Ok(self.shards.into_values().collect()),
        }
    }
}

/// The sets of shards in a folder whose name has this word.
fn sets(folder: &Path, word: &str) -> Result<BTreeMap<String, Set>> {
    let failed = |error| FileError::new(folder, "list the folder", error);
    let mut sets: BTreeMap<String, Set> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let os_name = entry.map_err(failed)?.file_name();
        let Some((name, shard, count)) = os_name.to_str().and_then(numbered) else { continue };
        if name.split(|c: char| !c.is_alphanumeric()).any(|part| part == word) {
            let set = sets.entry(name).or_default();
            set.count = count;
            set.shards.insert(shard, folder.join(os_name));
        }
    }
    Ok(sets)
}

/// A shard's name with `*` for its number, the number, and how many shards there are.
///
/// Beside `NAME-00000-of-00002` there is `NAME_00000-of-00002`, as TensorFlow's slim has it.
fn numbered(file: &str) -> Option<(String, u32, u32)> {
    let (left, right) = file.rsplit_once("-of-")?;
    let (stem, digits) = left.rsplit_once(['-', '_'])?;
    let separator = &left[stem.len()..=stem.len()];
    let parsed = ShardName::parse(&format!("{stem}-{digits}-of-{right}"))?;
    Some((format!("{stem}{separator}*-of-{right}"), parsed.shard, parsed.shards))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_others_are_found_by_a_word_in_their_name() {
        for (files, split, found) in [
            (&["tf_flowers-train.tfrecord-00000-of-00001"][..], TRAIN, Ok(Some(1))),
            (&["f_train_00000-of-00002.tfrecord", "f_train_00001-of-00002.tfrecord"], TRAIN, Ok(Some(2))),
            (&["f_train_00001-of-00002.tfrecord"], TRAIN, Err("1 of the 2 shards")),
            (&["a-test.tfrecord-00000-of-00001", "a-validation.tfrecord-00000-of-00001"], EVAL, Ok(Some(1))),
            (&["a-train-00000-of-00001", "b-train-00000-of-00001"], TRAIN, Err("more than one set")),
            (&["train-00000-of-00001", "b-train-00000-of-00001"], TRAIN, Ok(Some(1))),
            (&["trains-00000-of-00001", "train.txt", "train_-1-of-00001"], TRAIN, Ok(None)),
            (&["a-test-00000-of-00001"], "test", Ok(None)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|file| fs::write(folder.path().join(file), "").unwrap());
            match (shards(folder.path(), split), found) {
                (Ok(shards), Ok(wanted)) => {
                    assert_eq!(shards.map(|shards| shards.len()), wanted, "{files:?}")
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (got, _) => panic!("{files:?}: {got:?}"),
            }
        }
        let folder = tempfile::tempdir().unwrap();
        for file in ["a-test.tfrecord-00000-of-00001", "a-validation.tfrecord-00000-of-00001"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let found = shards(folder.path(), EVAL).unwrap().unwrap();
        assert!(found[0].ends_with("a-validation.tfrecord-00000-of-00001"), "validation before test");
    }
}
