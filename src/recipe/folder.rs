//! What is trained on: shards of one or more splits and the names of the classes, or other data sets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::rules::{IMAGE_SIZE, LEAST_SIDE};
use super::shard_sets::{self, Shards};
use super::splits::{EVAL, TEST, TRAIN};
use super::{FolderFault, RecipeError};
use crate::data::convert::{ConvertPlan, Part, eval_count, is_unfinished};
use crate::data::{BatchError, ClassNames, Dataset, Loader, LoaderOptions};
use crate::files::FileError;
use crate::record::find_shards;

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

/// Examples other than shards of each split.
#[derive(Clone)]
struct Sets {
    train: Examples,
    eval: Option<Examples>,
    test: Option<Examples>,
    /// See [`Dataset::side`].
    side: Option<usize>,
}

#[derive(Clone)]
enum Examples {
    Set(Arc<dyn Dataset>),
    /// The examples of these numbers, ascending.
    Part(Loader, Arc<[usize]>),
}

impl Examples {
    fn len(&self) -> usize {
        match self {
            Examples::Set(set) => set.len(),
            Examples::Part(_, examples) => examples.len(),
        }
    }
}

impl fmt::Debug for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let eval = self.eval.as_ref().map_or(0, Examples::len);
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
            .and_then(|sets| sets.side)
            .filter(|side| *side <= IMAGE_SIZE)
            .map(|side| side.max(LEAST_SIDE))
    }

    /// With a share of the training photos of each class to evaluate on, drawn from the seed: the nearest number, but one at least of two
    /// photos or more, and never all. A share of 0 holds out none.
    ///
    /// Records are read by `options`, and shards are opened once, by their limits and what they say of damage.
    ///
    /// # Errors
    /// [`RecipeError::HeldOut`]; a folder without photos to train on; shards or options that make no sense.
    pub fn hold_out(self, share: f32, seed: u64, options: LoaderOptions) -> Result<Self, RecipeError> {
        let has_eval = match &self.sets {
            Some(sets) => sets.eval.is_some(),
            None => self.shards(EVAL)?.is_some(),
        };
        if has_eval {
            return Err(RecipeError::HeldOut);
        }
        let train = self.train(options)?;
        let (kept, held) = drawn(&train, share, seed);
        let part = |examples: Vec<usize>| Examples::Part(train.clone(), examples.into());
        let sets = Sets {
            train: part(kept),
            eval: (!held.is_empty()).then(|| part(held)),
            test: None,
            side: self.sets.as_ref().and_then(|sets| sets.side),
        };
        Ok(Self { sets: Some(sets), ..self })
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
        let side = train.side();
        let sets = Sets { train: Examples::Set(train), eval: eval.map(Examples::Set), test: None, side };
        Ok(Self { path: PathBuf::new(), classes, sets: Some(sets) })
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
        data.sets = data.sets.map(|sets| Sets { test: test.map(Examples::Set), ..sets });
        Ok(data)
    }

    /// Fails where one of the first thousand records names its class as another than its label's.
    ///
    /// # Errors
    /// [`FolderFault::Contradicted`].
    pub fn check_names(&self, photos: &Loader) -> Result<(), RecipeError> {
        let first: Vec<usize> = (0..photos.len().min(1000)).collect();
        let names = self.names();
        for (&record, label) in first.iter().zip(photos.each_label(&first)) {
            let Ok((label, text)) = label else { continue };
            if let Some(class) = photos.class(record, label) {
                self.check_name(&names, photos, record, class, text.as_deref())?;
            }
        }
        Ok(())
    }

    /// The names of the classes, to look them up.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.classes.names().iter().map(String::as_str).collect()
    }

    /// Fails where a record of this class names another of the classes as its own.
    pub(super) fn check_name(
        &self,
        names: &HashSet<&str>,
        photos: &Loader,
        record: usize,
        class: usize,
        text: Option<&str>,
    ) -> Result<(), RecipeError> {
        let name = &self.classes.names()[class];
        let Some(text) = text.map(str::trim) else { return Ok(()) };
        // What is in no list may be said otherwise there.
        if text == name || !names.contains(text) {
            return Ok(());
        }
        let path = labels_file(&self.path);
        // Data sets that are in no folder have no such file.
        let has_folder = !self.path.as_os_str().is_empty();
        let file = if has_folder { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        let of_line = |line: &str| {
            line.trim()
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .trim_start_matches([':', ',', ' ', '\t'])
                .to_owned()
        };
        let line = file.lines().position(|line| line.trim() == name || of_line(line) == *name);
        let fault = FolderFault::Contradicted {
            label: photos.options().label_offset.saturating_add_unsigned(class as u64),
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
        if let Some(Sets { train, eval, test, .. }) = &self.sets {
            let set = match split {
                TRAIN => Some(train),
                EVAL => eval.as_ref(),
                TEST => test.as_ref(),
                _ => None,
            };
            let Some(set) = set else { return Ok(None) };
            return Ok(Some(match set {
                Examples::Set(set) => Loader::of_shared(Arc::clone(set), options)?,
                Examples::Part(all, examples) => all.part(examples, self.named(options))?,
            }));
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
        shard_sets::find(&self.path, split)
    }
}

/// The examples that are kept to train on, and those that are held out, in their order: of each class this share. What can't be read is
/// kept, for training to tell.
fn drawn(photos: &Loader, share: f32, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let all: Vec<usize> = (0..photos.len()).collect();
    let mut of_class = vec![Vec::new(); photos.options().classes];
    for (&example, label) in all.iter().zip(photos.each_label(&all)) {
        let class = label.ok().and_then(|(label, _)| photos.class(example, label));
        if let Some(class) = class {
            of_class[class].push(example);
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut is_held = vec![false; photos.len()];
    for mut examples in of_class {
        examples.shuffle(&mut rng);
        let count = eval_count(examples.len(), f64::from(share));
        examples[..count].iter().for_each(|&example| is_held[example] = true);
    }
    all.into_iter().partition(|&example| !is_held[example])
}

/// The file of class names in a data folder.
fn labels_file(folder: &Path) -> PathBuf {
    let names = [LABELS, TFDS_LABELS].map(|name| folder.join(name));
    names.iter().find(|path| path.exists()).unwrap_or(&names[0]).clone()
}
