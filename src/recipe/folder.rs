//! What is trained on: shards of one or more splits and the names of the classes, or other data sets.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::rules::{IMAGE_SIZE, LEAST_SIDE};
use super::{FolderFault, RecipeError};
use crate::data::convert::{ConvertPlan, Part, is_unfinished};
use crate::data::{BatchError, ClassNames, Dataset, Example, Loader, LoaderOptions, Records, Subset};
use crate::files::FileError;
use crate::record::{ImageSchema, ShardError, ShardName, find_shards};

/// The split to train on: shards named `train-*`.
pub const TRAIN: &str = "train";
/// The split to evaluate on: shards named `eval-*`.
pub const EVAL: &str = "eval";
/// The split to test on once, when all is chosen: shards named `test-*`.
pub const TEST: &str = "test";
/// The label of the first class, where no other is chosen. Labels count from 1 in TensorFlow's image data sets and in those that
/// [`Conversion`](crate::data::convert::Conversion) writes. A wrong one is an error.
///
/// It is not guessed from `labels.txt`: not every program writes a line `background` for the label 0 there.
pub const FIRST_LABEL: i64 = 1;
/// The file of class names, as [`Conversion`](crate::data::convert::Conversion) writes it.
pub const LABELS: &str = "labels.txt";
/// The file of class names beside the shards of TensorFlow Datasets.
pub const TFDS_LABELS: &str = "label.labels.txt";

/// What is trained and evaluated on: a folder of shards with `labels.txt`, or [other data sets](Self::of_sets).
///
/// A folder may have been written by [`Conversion`](crate::data::convert::Conversion), by TensorFlow Datasets or by TensorFlow's slim, which
/// name shards in other ways.
#[derive(Debug, Clone)]
pub struct DataFolder {
    /// The folder; empty for data sets that lie in none.
    pub path: PathBuf,
    /// The names of its classes.
    pub classes: ClassNames,
    sets: Option<Sets>,
}

/// Data sets other than shards.
#[derive(Clone)]
struct Sets {
    train: Arc<dyn Dataset>,
    eval: Option<Arc<dyn Dataset>>,
    test: Option<Arc<dyn Dataset>>,
}

impl fmt::Debug for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let eval = self.eval.as_ref().map_or(0, |eval| eval.len());
        write!(f, "{} examples to train on and {eval} to evaluate on", self.train.len())
    }
}

impl DataFolder {
    /// Reads the names of the classes, whose labels count from 1.
    ///
    /// # Errors
    /// [`RecipeError::Folder`]; a file of class names that makes no sense.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecipeError> {
        Self::open_counting_from(path, FIRST_LABEL)
    }

    /// Reads the names of the classes, whose labels count from `first_label`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_counting_from(path: impl AsRef<Path>, first_label: i64) -> Result<Self, RecipeError> {
        let path = path.as_ref();
        let exists = |path: &Path| path.try_exists().map_err(|error| FileError::new(path, "open", error));
        let fault = |fault| Err(RecipeError::Folder { path: path.into(), fault });
        if !exists(path)? {
            return fault(FolderFault::Missing);
        }
        if !path.is_dir() {
            return fault(FolderFault::NotAFolder);
        }
        if is_unfinished(path) {
            return fault(FolderFault::Unfinished { labeled: exists(&path.join(LABELS))? });
        }
        let labels = labels_file(path);
        if !exists(&labels)? {
            return fault(FolderFault::Unlabeled);
        }
        let classes = ClassNames::read_counting_from(labels, first_label)?;
        Ok(Self { path: path.into(), classes, sets: None })
    }

    /// The side of small pictures of one size, if it is of such.
    pub(super) fn side(&self) -> Option<usize> {
        self.sets
            .as_ref()
            .and_then(|sets| sets.train.side())
            .filter(|side| *side <= IMAGE_SIZE)
            .map(|side| side.max(LEAST_SIDE))
    }

    /// With a share of the training photos of each class, of one at least, to evaluate on: drawn from the seed, as `schema` and
    /// `first_label` read the records.
    ///
    /// # Errors
    /// [`RecipeError::HeldOut`]; a folder without photos to train on.
    pub fn hold_out(
        self,
        share: f32,
        seed: u64,
        schema: ImageSchema,
        first_label: i64,
    ) -> Result<Self, RecipeError> {
        let train: Arc<dyn Dataset> = match &self.sets {
            Some(Sets { eval: None, train, .. }) => Arc::clone(train),
            None if self.shards(EVAL)?.is_none() => {
                let shards = self.shards(TRAIN)?.map(|shards| shards.files);
                let files = shards.map_or_else(|| find_shards(&[self.path.join(TRAIN)]), Ok)?;
                let schema =
                    ImageSchema { label_names: (self.classes.names().to_vec(), first_label), ..schema };
                Arc::new(Records::open(&files, self.classes.clone(), schema, first_label)?)
            }
            _ => return Err(RecipeError::HeldOut),
        };
        let (kept, held) = drawn(&*train, share, seed);
        let part = |examples| Arc::new(Subset::new(Arc::clone(&train), examples)) as Arc<dyn Dataset>;
        let eval = (!held.is_empty()).then(|| part(held));
        Ok(Self { path: self.path, ..Self::of_sets(part(kept), eval)? })
    }

    /// Whether it is a folder of shards.
    pub fn is_in_shards(&self) -> bool {
        self.sets.is_none()
    }

    /// A folder of shards whose classes are known otherwise than by its file of their names.
    pub fn with_classes(path: impl Into<PathBuf>, classes: ClassNames) -> Self {
        Self { path: path.into(), classes, sets: None }
    }

    /// Data sets to train and to evaluate on, of the same classes.
    ///
    /// # Errors
    /// [`RecipeError::EvalClasses`].
    pub fn of_sets(train: Arc<dyn Dataset>, eval: Option<Arc<dyn Dataset>>) -> Result<Self, RecipeError> {
        if let Some(eval) = eval.as_ref().filter(|eval| eval.classes() != train.classes()) {
            return Err(RecipeError::EvalClasses {
                train: train.classes().into(),
                eval: eval.classes().into(),
            });
        }
        let classes = ClassNames::new(train.classes().to_vec());
        Ok(Self { path: PathBuf::new(), classes, sets: Some(Sets { train, eval, test: None }) })
    }

    /// The photos of a plan, where they are: those of its part for evaluation, or else for a test, to evaluate on. They lie in `path`.
    ///
    /// # Errors
    /// A plan without photos to train on.
    pub fn of_plan(path: impl Into<PathBuf>, plan: &ConvertPlan) -> Result<Self, RecipeError> {
        let set = |part| plan.photos(part).map(|photos| Arc::new(photos) as Arc<dyn Dataset>);
        let train = set(Part::Train).ok_or(BatchError::NoExample)?;
        // Photos for a test choose, too, where there are no others to choose by.
        let (eval, test) = match (set(Part::Eval), set(Part::Test)) {
            (None, test) => (test, None),
            parts => parts,
        };
        let mut data = Self { path: path.into(), ..Self::of_sets(train, eval)? };
        data.sets = data.sets.map(|sets| Sets { test, ..sets });
        Ok(data)
    }

    /// Fails where one of the first thousand examples names its class as another than its label's.
    ///
    /// # Errors
    /// [`FolderFault::Contradicted`].
    pub fn check_names(&self, photos: &Loader) -> Result<(), RecipeError> {
        let first: Vec<usize> = (0..photos.len().min(1000)).collect();
        let names = self.names();
        for (&record, example) in first.iter().zip(photos.each_example(&first)) {
            let Ok(example) = example else { continue };
            if let Some(class) = photos.class(record, example.label) {
                self.check_name(&names, photos, record, class, &example)?;
            }
        }
        Ok(())
    }

    /// The names of the classes, to look them up.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.classes.names().iter().map(String::as_str).collect()
    }

    /// Fails where an example of this class names another of the classes as its own.
    pub(super) fn check_name(
        &self,
        names: &HashSet<&str>,
        photos: &Loader,
        record: usize,
        class: usize,
        example: &Example,
    ) -> Result<(), RecipeError> {
        let name = &self.classes.names()[class];
        let Some(text) = example.class_text.as_deref().map(str::trim) else { return Ok(()) };
        // What is in no list may be said otherwise there.
        if text == name || !names.contains(text) {
            return Ok(());
        }
        let path = labels_file(&self.path);
        let file = fs::read_to_string(&path).unwrap_or_default();
        let of_line = |line: &str| {
            line.trim()
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .trim_start_matches([':', ',', ' ', '\t'])
                .to_owned()
        };
        let line = file.lines().position(|line| line.trim() == name || of_line(line) == *name);
        let fault = FolderFault::Contradicted {
            label: example.label,
            name: name.clone(),
            line: line.map_or(0, |line| line + 1),
            text: text.to_owned(),
            record: photos.place(record).map(|at| at.to_string()).unwrap_or_default(),
        };
        Err(RecipeError::Folder { path, fault })
    }

    /// The examples to train on, in batches.
    ///
    /// # Errors
    /// A folder without such shards; shards or options that make no sense.
    pub fn train(&self, options: LoaderOptions) -> Result<Loader, RecipeError> {
        self.split(TRAIN, options)
    }

    /// The examples to evaluate on; `None` where the folder has no such shards.
    ///
    /// # Errors
    /// Shards or options that make no sense.
    pub fn eval(&self, options: LoaderOptions) -> Result<Option<Loader>, RecipeError> {
        self.split_if_any(EVAL, options)
    }

    /// The examples for a test, which are to choose nothing; `None` where the folder has no such shards, or none but those that are
    /// evaluated on.
    ///
    /// # Errors
    /// Shards or options that make no sense.
    pub fn test(&self, options: LoaderOptions) -> Result<Option<Loader>, RecipeError> {
        let shards = |split| Ok::<_, RecipeError>(self.shards(split)?.map(|shards| shards.files));
        if self.sets.is_none() && shards(TEST)? == shards(EVAL)? {
            return Ok(None);
        }
        self.split_if_any(TEST, options)
    }

    /// The examples of any split, in batches.
    ///
    /// # Errors
    /// A folder without such shards; shards or options that make no sense.
    pub fn split(&self, split: &str, options: LoaderOptions) -> Result<Loader, RecipeError> {
        if self.sets.is_some() {
            let none = || BatchError::NoExample.into();
            return self.split_if_any(split, options).and_then(|loader| loader.ok_or_else(none));
        }
        let files = match self.shards(split)? {
            Some(shards) => shards.files,
            // Its error says what was looked for.
            None => find_shards(&[self.path.join(split)])?,
        };
        Ok(Loader::open(&files, self.named(options))?)
    }

    /// The same, but `None` where the folder has no shards of the split.
    ///
    /// # Errors
    /// Shards or options that make no sense.
    pub fn split_if_any(&self, split: &str, options: LoaderOptions) -> Result<Option<Loader>, RecipeError> {
        if let Some(Sets { train, eval, test }) = &self.sets {
            let set = match split {
                TRAIN => Some(train),
                EVAL => eval.as_ref(),
                TEST => test.as_ref(),
                _ => None,
            };
            return Ok(set.map(|set| Loader::of_shared(Arc::clone(set), options)).transpose()?);
        }
        match self.shards(split)? {
            Some(shards) => Ok(Some(Loader::open(&shards.files, self.named(options))?)),
            None => Ok(None),
        }
    }

    /// Options by which records may tell their classes by name.
    fn named(&self, mut options: LoaderOptions) -> LoaderOptions {
        options.schema.label_names = (self.classes.names().to_vec(), options.label_offset);
        options
    }

    /// The shards of a split: those that [`find_shards`] finds by this name or, without any, the set whose name has such a
    /// word (`tf_flowers-train.tfrecord-00000-of-00002`, `flowers_validation_00000-of-00005.tfrecord`, `train.tfrecords`,
    /// `val/00-192x192-12.tfrec`); `None` if there are none.
    ///
    /// # Errors
    /// A set that is not whole; several that the name could mean.
    pub fn shards(&self, split: &str) -> Result<Option<Shards>, RecipeError> {
        if self.sets.is_some() {
            return Ok(None);
        }
        let folder = &self.path;
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
                return Err(RecipeError::Folder { path: folder.clone(), fault });
            }
            let name = folder.join(&set.name);
            return Ok(Some(Shards { files: set.whole(&name)?, set: Some(name) }));
        }
        Ok(None)
    }
}

/// The examples that are kept to train on, and those that are held out, in their order: of each class this share, of two or more one at
/// least. What can't be read is kept, for training to tell.
fn drawn(set: &dyn Dataset, share: f32, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut of_class: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for example in 0..set.len() {
        if let Ok(Example { label, .. }) = set.example(example) {
            of_class.entry(label).or_default().push(example);
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut is_held = vec![false; set.len()];
    for mut examples in of_class.into_values() {
        examples.shuffle(&mut rng);
        let count = (share as f64 * examples.len() as f64).round() as usize;
        let count = count.max(1).min(examples.len().saturating_sub(1));
        examples[..count].iter().for_each(|&example| is_held[example] = true);
    }
    (0..set.len()).partition(|&example| !is_held[example])
}

/// The file of class names in a data folder.
fn labels_file(folder: &Path) -> PathBuf {
    let names = [LABELS, TFDS_LABELS].map(|name| folder.join(name));
    names.iter().find(|path| path.exists()).unwrap_or(&names[0]).clone()
}

/// The shards of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// In the order of their numbers.
    pub files: Vec<PathBuf>,
    /// Their name, with `*` for the number, if it is another than the split's.
    pub set: Option<PathBuf>,
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
            let files = inside.filter(|name| is_record_file(name) || numbered(name).is_some());
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

fn is_record_file(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
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
        let folder = DataFolder { path: folder.into(), classes: ClassNames::new(Vec::new()), sets: None };
        Ok(folder.shards(split)?.map(|shards| shards.files))
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
