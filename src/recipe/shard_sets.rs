//! Which files of a folder are the shards of a split, by whatever program they were written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::splits::{EVAL, TRAIN};
use super::{FolderFault, RecipeError};
use crate::files::FileError;
use crate::image;
use crate::record::{ShardError, ShardName, find_shards};

/// The shards of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// In the order of their numbers.
    pub files: Vec<PathBuf>,
    /// Their name, with `*` for the number, if it is another than the split's.
    pub set: Option<PathBuf>,
}

/// The shards of a split in a folder: those that [`find_shards`] finds by its name or, without any, the set whose name has such a word;
/// `None` if there are none.
pub(super) fn find(folder: &Path, split: &str) -> Result<Option<Shards>, RecipeError> {
    match find_shards(&[folder.join(split)]) {
        Ok(files) => return Ok(Some(Shards { files, set: None })),
        // A folder of this name is looked into below.
        Err(ShardError::NoMatch { .. } | ShardError::Folder { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for word in words_for(split) {
        let mut sets = sets(folder, word)?.into_iter();
        let Some(set) = sets.next() else { continue };
        if let Some(other) = sets.next() {
            let fault = FolderFault::Ambiguous { split: split.into(), sets: [set.name, other.name] };
            return Err(RecipeError::Folder { path: folder.into(), fault });
        }
        let name = folder.join(&set.name);
        return Ok(Some(Shards { files: set.whole(&name)?, set: Some(name) }));
    }
    Ok(None)
}

/// The words that say which part of the data a file holds, the first choice first.
fn words_for(split: &str) -> Vec<&str> {
    match split {
        TRAIN => vec!["train", "training"],
        EVAL => vec!["eval", "validation", "val", "valid", "test"],
        other => vec![other],
    }
}

/// Extensions of record files, in front of a `.gz`.
const EXTENSIONS: [&str; 5] = ["tfrecord", "tfrecords", "tfrec", "tfrecs", "record"];

/// Files of a name with the shard's number left out.
struct Set {
    name: String,
    /// How many there are by their names.
    count: u32,
    /// By number, each once.
    shards: Vec<(u32, PathBuf)>,
}

impl Set {
    fn whole(self, name: &Path) -> Result<Vec<PathBuf>, RecipeError> {
        let is_there =
            |shard: u32| self.shards.get(shard as usize).is_some_and(|(number, _)| *number == shard);
        match (0..self.count).find(|&shard| !is_there(shard)) {
            Some(first) => {
                let missing = self.count as usize - self.shards.len();
                let fault = FolderFault::Incomplete { count: self.count, missing, first };
                Err(RecipeError::Folder { path: name.into(), fault })
            }
            None => Ok(self.shards.into_iter().map(|(_, file)| file).collect()),
        }
    }
}

/// The sets of shards in a folder whose name has this word, by name: numbered shards, other record files (those whose names differ in
/// digits alone make one set), and folders of either.
fn sets(folder: &Path, word: &str) -> Result<Vec<Set>, FileError> {
    let has_word =
        |name: &str| name.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
    let mut sets: BTreeMap<(String, u32), Vec<(u32, PathBuf)>> = BTreeMap::new();
    for name in names_in(folder)? {
        let path = folder.join(&name);
        if let Some((set, shard, count)) = numbered(&name).filter(|(set, ..)| has_word(set)) {
            sets.entry((set, count)).or_default().push((shard, path));
        } else if has_word(&name) && path.is_dir() {
            let inside = names_in(&path)?.into_iter();
            let files = inside.filter(|name| is_record_name(name));
            let shards: Vec<_> = (0..).zip(files.map(|file| path.join(file))).collect();
            if !shards.is_empty() {
                sets.insert((format!("{name}/*"), shards.len() as u32), shards);
            }
        } else if has_word(&name) && is_record_file(&name) && numbered(&name).is_none() {
            let parts: Vec<&str> = name.split(|c: char| c.is_ascii_digit()).collect();
            let set = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("*");
            let shards = sets.entry((set, 0)).or_default();
            shards.push((shards.len() as u32, path));
        }
    }
    let sets = sets.into_iter().map(|((name, count), mut shards)| {
        shards.sort_unstable();
        let count = if count == 0 { shards.len() as u32 } else { count };
        Set { name, count, shards }
    });
    Ok(sets.collect())
}

/// The names of the files and folders in a folder, sorted; those that are no text are nobody's shards.
fn names_in(folder: &Path) -> Result<Vec<String>, FileError> {
    let failed = |error| FileError::new(folder, "list the folder", error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort_unstable();
    Ok(names)
}

/// Whether a file's name is usual for records: one with their extension (`train.tfrecords`, `00.tfrec.gz`), or a
/// shard's (`train-00000-of-00002`). Upper and lower case are alike.
pub fn is_record_name(name: &str) -> bool {
    let name = name.to_lowercase();
    // Photos may be numbered as shards are.
    let is_photo =
        || name.rsplit_once('.').is_some_and(|(_, extension)| image::EXTENSIONS.contains(&extension));
    is_record_file(&name) || (numbered(&name).is_some() && !is_photo())
}

fn is_record_file(name: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
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

    fn shards(folder: &Path, split: &str) -> Result<Option<Vec<PathBuf>>, RecipeError> {
        Ok(find(folder, split)?.map(|shards| shards.files))
    }

    #[test]
    fn records_are_known_by_their_names() {
        for name in [
            "train.tfrecord",
            "00-192x192-12.TFREC",
            "val.record.gz",
            "train-00000-of-00002",
            "f_train_00001-of-00002.tfrecord",
            "f-test.tfrecord-00000-of-00001",
        ] {
            assert!(is_record_name(name), "{name}");
        }
        for name in [
            "cats-of-friends",
            "best-of-2020.jpg",
            "a-00001-of-00003.jpg",
            "rose-1-of-3.jpg",
            "a.tfrecords.csv",
            "record",
            "x.gz",
        ] {
            assert!(!is_record_name(name), "{name}");
        }
    }

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
            (&["a-test-00000-of-00001"], "test", Ok(Some(1))),
            (&["train.tfrecords", "val.tfrecords", "trains.tfrecords", "train.csv"], TRAIN, Ok(Some(1))),
            (&["train.tfrecord", "Validation.tfrecord.gz"], EVAL, Ok(Some(1))),
            (&["train_1.tfrecord", "train_2.tfrecord", "train_10.tfrecord"], TRAIN, Ok(Some(3))),
            (&["a_train.tfrecord", "b_train.tfrecord"], TRAIN, Err("more than one set")),
            (
                &["train/00-192x192-12.tfrec", "train/01-192x192-9.tfrec", "train/notes.txt"],
                TRAIN,
                Ok(Some(2)),
            ),
            (&["train/00.tfrec", "train.tfrecords"], TRAIN, Err("more than one set")),
            (&["train/notes.txt"], TRAIN, Ok(None)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                let path = folder.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
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
