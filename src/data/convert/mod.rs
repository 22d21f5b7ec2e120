//! Photos, in folders or a list, to shards.
//!
//! ```text
//! PHOTOS/daisy/1.jpg        DATA/train-00000-of-00002.tfrecord   DATA/eval-00000-of-00002.tfrecord
//! PHOTOS/daisy/more/2.png   DATA/train-00001-of-00002.tfrecord   DATA/eval-00001-of-00002.tfrecord
//! PHOTOS/rose/1.jpg    ->   DATA/labels.txt
//! ```
//!
//! Where `PHOTOS` holds `train` and `val` (or `test`, or both), with class folders in each, the photos are split as they are.
//! A list of photos is converted likewise.
//!
//! Every file is read and decoded before the first byte is written, and what can't be used is set aside: so the split
//! is made of sound photos alone, and is the same whether the others are there or not.

mod copies;
mod error;
mod folders;
mod layout;
mod list;
mod look;
mod options;
mod part;
mod photos;
mod plan;
mod split;
mod target;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

pub use copies::{Copies, Copy};
pub use error::{BadPhoto, ConvertError, ConvertOptionsError, PhotoFault};
use folders::FoundFiles;
pub use layout::{ClassFolders, PassedOver, WhyPassedOver};
pub use list::ListedPhoto;
pub use options::ConvertOptions;
use options::check_options;
use rayon::prelude::*;

use super::ClassNames;
pub use part::Part;
use photos::{FoundFile, Photo};
use plan::go_on;
pub use plan::{ConvertPlan, ConvertReport, PlannedPhoto};
use split::Split;
pub(crate) use split::eval_count;
use target::Target;
pub use target::is_unfinished;

/// A conversion that has found its files.
///
/// ```no_run
/// use std::ops::ControlFlow::Continue;
///
/// use floret::data::convert::{Conversion, ConvertOptions};
///
/// let conversion = Conversion::new("photos", "data", ConvertOptions::default())?;
/// let report = conversion.check(|_| Continue(()))?.write(|_| Continue(()))?;
/// for bad in &report.bad {
///     println!("skipped {bad}");
/// }
/// # Ok::<(), floret::data::convert::ConvertError>(())
/// ```
#[derive(Debug)]
pub struct Conversion {
    /// The folder, or the list.
    photos: PathBuf,
    is_list: bool,
    target: Option<Target>,
    options: ConvertOptions,
    found: FoundFiles,
}

impl Conversion {
    /// Finds the files in the class folders of `photos`, to be written as shards to the folder `data`.
    ///
    /// Each folder in `photos` is a class, named after it, or as [`ConvertOptions::class_folders`] says; classes are sorted by
    /// name. Files are looked for in the folders in it too.
    ///
    /// `photos` may hold the parts of a split instead: a folder `train` (or `training_set`, `seg_train` and the like), and one for
    /// evaluation (`val`, `validation`, `eval`, ...), for a test (`test`, `testing`, ...) or both. These hold folders and few photos
    /// themselves. The folders in them are then the classes, and the split is taken as it is. Where `train` alone holds
    /// folders and the others photos without a class, those are passed over. A folder that holds nothing but one folder of class folders
    /// is opened. [`class_roots`](Self::class_roots) tells where classes were found.
    ///
    /// Links are followed, but no folder is gone through twice, nor one that `photos` lies in. Hidden files and folders are
    /// passed over. Nothing is written or decoded yet.
    ///
    /// # Errors
    /// Options that make no sense; fewer than two class folders, or one without any file; parts of different classes; a folder called like a part, or with a copy of the others in it, where a class
    /// should be; a `data`
    /// that lies in `photos` or, without [`overwrite`](ConvertOptions::overwrite), holds a data set already: shards named `train-`, `eval-` or `test-`,
    /// or `labels.txt`. Any name of shards counts, since two numbers of shards would be two sets of one prefix.
    pub fn new(
        photos: impl AsRef<Path>,
        data: impl AsRef<Path>,
        options: ConvertOptions,
    ) -> Result<Self, ConvertError> {
        let photos = photos.as_ref();
        check_options(&options)?;
        let target = Target::beside(data.as_ref(), photos, options.overwrite)?;
        Self::search(photos, Some(target), options)
    }

    /// Finds the files in the class folders of `photos`, to be used where they are: [`ConvertPlan::photos`] gives them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn in_place(photos: impl AsRef<Path>, options: ConvertOptions) -> Result<Self, ConvertError> {
        check_options(&options)?;
        Self::search(photos.as_ref(), None, options)
    }

    fn search(photos: &Path, target: Option<Target>, options: ConvertOptions) -> Result<Self, ConvertError> {
        let found = FoundFiles::search(photos, options.class_folders)?;
        match found.classes.as_slice() {
            [] => return Err(ConvertError::NoClasses { photos: photos.into() }),
            [class] => return Err(ConvertError::OneClass { photos: photos.into(), class: class.clone() }),
            _ => {}
        }
        Self { photos: photos.into(), is_list: false, target, options, found }.with_every_class()
    }

    /// Takes the photos of a list, such as a program reads from the file `list`, to be written as shards to the folder `data`.
    ///
    /// # Errors
    /// Options that make no sense; fewer than two classes, or more than there may be; one without a photo to train on; a `data`
    /// as [`new`](Self::new) refuses it.
    ///
    /// # Panics
    /// If a photo's class is not among `classes`.
    pub fn of_list(
        list: impl AsRef<Path>,
        classes: ClassNames,
        photos: Vec<ListedPhoto>,
        data: impl AsRef<Path>,
        options: ConvertOptions,
    ) -> Result<Self, ConvertError> {
        check_options(&options)?;
        let target = Target::new(data.as_ref(), options.overwrite)?;
        Self::listed(list.as_ref(), classes, photos, Some(target), options)
    }

    /// Takes the photos of a list, to be used where they are.
    ///
    /// # Errors
    /// As [`of_list`](Self::of_list).
    ///
    /// # Panics
    /// As [`of_list`](Self::of_list).
    pub fn of_list_in_place(
        list: impl AsRef<Path>,
        classes: ClassNames,
        photos: Vec<ListedPhoto>,
        options: ConvertOptions,
    ) -> Result<Self, ConvertError> {
        check_options(&options)?;
        Self::listed(list.as_ref(), classes, photos, None, options)
    }

    fn listed(
        list: &Path,
        classes: ClassNames,
        photos: Vec<ListedPhoto>,
        target: Option<Target>,
        options: ConvertOptions,
    ) -> Result<Self, ConvertError> {
        let found = list::found(classes, photos)?;
        Self { photos: list.into(), is_list: true, target, options, found }.with_every_class()
    }

    /// Fails if a class has no file to train on.
    fn with_every_class(mut self) -> Result<Self, ConvertError> {
        let empty = self.without(self.found.files.iter());
        if empty.is_empty() {
            return Ok(self);
        }
        let bad = std::mem::take(&mut self.found.bad);
        Err(self.empty(empty, bad))
    }

    /// The folders whose folders are the classes: several where the photos are split already, none for a list.
    pub fn class_roots(&self) -> &[PathBuf] {
        &self.found.roots
    }

    /// The classes, in the order of their labels.
    pub fn classes(&self) -> &[String] {
        &self.found.classes
    }

    /// Files to check.
    pub fn files(&self) -> usize {
        self.found.files.len()
    }

    /// Reads and decodes every file in parallel, and decides which photos are for evaluation.
    ///
    /// Of each class the same share, drawn from the seed and the photos' own names: the order of folders and the files that
    /// can't be used make no difference, and a photo added later moves one other at most, with its copies, from part to part. Photos that show the
    /// same, as far as their small pictures tell, are all in one part. Records are
    /// shuffled over the classes in the same way, so that shards read in order are not sorted by class.
    ///
    /// `progress` is told how many files are done, from several threads, and may break off.
    ///
    /// # Errors
    /// [`ConvertError::Interrupted`] if `progress` breaks off; a class without a usable photo; any file that can't be used, where
    /// [`ConvertOptions::strict`] says so.
    pub fn check(
        mut self,
        progress: impl Fn(usize) -> ControlFlow<()> + Sync,
    ) -> Result<ConvertPlan, ConvertError> {
        let done = AtomicUsize::new(0);
        let check = |file: FoundFile| {
            let checked = Photo::check(file, &self.options.decode);
            go_on(progress(done.fetch_add(1, Ordering::Relaxed) + 1))?;
            Ok(checked)
        };
        let files = std::mem::take(&mut self.found.files);
        let checked: Vec<_> = files.into_par_iter().map(check).collect::<Result<_, ConvertError>>()?;
        let mut bad = std::mem::take(&mut self.found.bad);
        let mut photos = Vec::with_capacity(checked.len());
        for checked in checked {
            match checked {
                Ok(photo) => photos.push(photo),
                Err(fault) => bad.push(fault),
            }
        }
        bad.sort_by(|a, b| a.path.cmp(&b.path));
        if self.options.strict && !bad.is_empty() {
            return Err(ConvertError::BadPhotos(bad));
        }
        let empty = self.without(photos.iter().map(|photo| &photo.file));
        if !empty.is_empty() {
            return Err(self.empty(empty, bad));
        }
        let Self { target, options, found: FoundFiles { classes, passed, .. }, .. } = self;
        let groups = copies::groups(&photos);
        photos.iter_mut().zip(groups).for_each(|(photo, group)| photo.group = group);
        let split = Split::draw(photos, &classes, options.eval_fraction, options.seed);
        Ok(ConvertPlan {
            target,
            options,
            classes: ClassNames::new(classes),
            split,
            bad,
            passed_over: passed,
        })
    }

    /// The classes of which no file is there to train on.
    fn without<'a>(&self, files: impl Iterator<Item = &'a FoundFile>) -> Vec<String> {
        let mut missing: Vec<_> = self.found.classes.iter().map(Some).collect();
        let to_train_on = |file: &&FoundFile| matches!(file.part, None | Some(Part::Train));
        files.filter(to_train_on).for_each(|file| missing[file.class] = None);
        missing.into_iter().flatten().cloned().collect()
    }

    fn empty(&self, classes: Vec<String>, mut bad: Vec<BadPhoto>) -> ConvertError {
        let photos = self.photos.clone();
        if self.is_list {
            return ConvertError::EmptyListedClasses { list: photos, classes, bad };
        }
        let of_class = |path: &Path| {
            let mut within = self.found.roots.iter().filter_map(|root| path.strip_prefix(root).ok());
            within.any(|path| classes.iter().any(|class| path.starts_with(class)))
        };
        bad.retain(|bad| of_class(&bad.path));
        ConvertError::EmptyClasses { photos, classes, bad }
    }
}
