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
mod part;
mod photos;
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
use rayon::prelude::*;

use super::{ClassNames, Photos};
use crate::files::{HeldFolder, create_folder};
use crate::image::DecodeOptions;
use crate::record::{Compression, ImageSchema, ShardWriter};
pub use part::Part;
use photos::{FoundFile, Photo};
use split::Split;
use target::Target;
pub use target::is_unfinished;

/// Bytes of photos in memory while they are written: enough to read in parallel.
const CHUNK_BYTES: u64 = 32 << 20;

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

/// A conversion that has read every photo and knows where each goes.
#[derive(Debug)]
pub struct ConvertPlan {
    target: Option<Target>,
    options: ConvertOptions,
    classes: ClassNames,
    split: Split,
    bad: Vec<BadPhoto>,
    passed_over: Vec<PassedOver>,
}

/// A photo of a [`ConvertPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedPhoto<'a> {
    /// Its class, from 0.
    pub class: usize,
    /// Its path within the class folder, with `/` between folders: the record's `image/filename`. Bytes that are not
    /// UTF-8 are replaced by U+FFFD.
    pub name: &'a str,
    /// Where it is.
    pub path: &'a Path,
}

/// What was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConvertReport {
    /// The classes, in the order of their labels.
    pub classes: ClassNames,
    /// Training records of each class.
    pub train: Vec<usize>,
    /// Evaluation records of each class.
    pub eval: Vec<usize>,
    /// Test records of each class: none, unless the photos were split so.
    pub test: Vec<usize>,
    /// The shards, training first.
    pub shards: Vec<PathBuf>,
    /// Files left out, sorted by path.
    pub bad: Vec<BadPhoto>,
    /// Folders that were taken for no part of the data set.
    pub passed_over: Vec<PassedOver>,
    /// As [`ConvertPlan::copies`] tells.
    pub copies: Vec<Copies>,
    /// Photos all of whose pixels are of one color, such as 16-bit samples under 256 become: nothing is to be learned from them.
    pub uniform: Vec<PathBuf>,
    /// JPEG files that lack their end marker, and nothing else. They are used.
    pub without_end: Vec<PathBuf>,
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

fn check_options(options: &ConvertOptions) -> Result<(), ConvertOptionsError> {
    if options.shards == 0 {
        return Err(ConvertOptionsError::Shards);
    }
    if !(0.0..1.0).contains(&options.eval_fraction) {
        return Err(ConvertOptionsError::EvalFraction(options.eval_fraction));
    }
    Ok(())
}

impl ConvertPlan {
    /// The classes, in the order of their labels.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// The photos to train on, in the order of their records, which is shuffled over the classes.
    pub fn train(&self) -> impl ExactSizeIterator<Item = PlannedPhoto<'_>> {
        self.part(Part::Train)
    }

    /// The photos to evaluate on, in the order of their records.
    pub fn eval(&self) -> impl ExactSizeIterator<Item = PlannedPhoto<'_>> {
        self.part(Part::Eval)
    }

    /// The photos of a part, in the order of their records.
    pub fn part(&self, part: Part) -> impl ExactSizeIterator<Item = PlannedPhoto<'_>> {
        self.split.part(part).iter().map(PlannedPhoto::of)
    }

    /// The photos of a part, as a data set that reads them where they are; `None` if the part has none.
    pub fn photos(&self, part: Part) -> Option<Photos> {
        let photos: Vec<_> = self.part(part).map(|photo| (photo.path.to_path_buf(), photo.class)).collect();
        (!photos.is_empty()).then(|| Photos::new(photos, self.classes.names().to_vec()))
    }

    /// Files left out, sorted by path.
    pub fn bad(&self) -> &[BadPhoto] {
        &self.bad
    }

    /// Folders that were taken for no part of the data set.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Photos that are there more than once, sorted by path: the same file, or at another size or quality. They count as any; of
    /// photos that were not split before, copies are all in one part.
    pub fn copies(&self) -> Vec<Copies> {
        copies::found(self.parts())
    }

    /// The photos of which this is true, sorted.
    fn paths_of(&self, is: fn(&Photo) -> bool) -> Vec<PathBuf> {
        let photos = self.parts().flat_map(|(_, photos)| photos);
        let mut paths: Vec<_> =
            photos.filter(|photo| is(photo)).map(|photo| photo.file.path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    fn parts(&self) -> impl Iterator<Item = (Part, &[Photo])> {
        Part::ALL.into_iter().map(|part| (part, self.split.part(part)))
    }

    /// Writes the shards and `labels.txt`; creates their folder where it is missing.
    ///
    /// Records hold every feature of [`ImageSchema`]: the file's bytes as they are, labels from 1. All shards are on the
    /// disk before the first takes its name, and `labels.txt` comes last. A conversion killed before that leaves nothing,
    /// or a folder without `labels.txt` that [`is_unfinished`], which a conversion started again completes without
    /// [`overwrite`](ConvertOptions::overwrite).
    ///
    /// The folder is [held](HeldFolder) meanwhile: of two conversions into one folder the second is refused.
    ///
    /// `progress` is told how many photos are done, from several threads, and may break off.
    ///
    /// # Errors
    /// [`ConvertError::InPlace`]; [`ConvertError::Interrupted`] if `progress` breaks off; a folder that another holds; a photo that is not as it was when it
    /// was checked; a folder or file that can't be written. The folder is as it was then, unless files could not take their names.
    pub fn write(
        self,
        progress: impl Fn(usize) -> ControlFlow<()> + Sync,
    ) -> Result<ConvertReport, ConvertError> {
        let target = self.target.as_ref().ok_or(ConvertError::InPlace)?;
        let folder = &target.folder;
        create_folder(folder)?;
        // Declared before the shards, so that their hidden files are gone before another may write here.
        let held = HeldFolder::claim(folder)?.without_trace();
        target.check()?;
        let done = AtomicUsize::new(0);
        let progress = || go_on(progress(done.fetch_add(1, Ordering::Relaxed) + 1));
        let mut parts = Vec::new();
        for part in Part::ALL {
            let photos = self.split.part(part);
            if photos.is_empty() {
                continue;
            }
            let mut shards =
                ShardWriter::create(folder, part.prefix(), self.options.shards, self.options.compression)?;
            self.write_part(photos, &mut shards, &progress)?;
            parts.push(shards.into_synced()?);
        }
        held.check()?;
        let shards = target.replace(parts, &self.classes)?;
        Ok(ConvertReport { shards, ..self.into_report() })
    }

    /// What would be written, without shards.
    pub fn into_report(self) -> ConvertReport {
        let copies = self.copies();
        let [uniform, without_end] =
            [|photo: &Photo| photo.look.uniform, |photo: &Photo| photo.lacks_its_end]
                .map(|is| self.paths_of(is));
        let Self { classes, split, bad, passed_over, .. } = self;
        let [train, eval, test] = Part::ALL.map(|part| of_each(split.part(part), &classes));
        let shards = Vec::new();
        ConvertReport { classes, train, eval, test, shards, bad, passed_over, copies, uniform, without_end }
    }

    /// Writes photos in order; they are read in parallel, a chunk at a time.
    fn write_part(
        &self,
        photos: &[Photo],
        shards: &mut ShardWriter,
        progress: &(impl Fn() -> Result<(), ConvertError> + Sync),
    ) -> Result<(), ConvertError> {
        let schema = ImageSchema::default();
        let payload = |photo: &Photo| {
            let example = photo.example(&self.classes.names()[photo.file.class])?;
            progress()?;
            Ok(example.encode(&schema))
        };
        let mut rest = photos;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_len(rest));
            let payloads: Vec<Result<_, ConvertError>> = chunk.par_iter().map(payload).collect();
            for payload in payloads {
                shards.write(&payload?)?;
            }
            rest = after;
        }
        Ok(())
    }
}

fn go_on(flow: ControlFlow<()>) -> Result<(), ConvertError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ConvertError::Interrupted),
    }
}

/// How many photos make a chunk of at most [`CHUNK_BYTES`]; one at least.
fn chunk_len(photos: &[Photo]) -> usize {
    let mut bytes = 0;
    let fits = |photo: &&Photo| {
        bytes += photo.bytes;
        bytes <= CHUNK_BYTES
    };
    photos.iter().take_while(fits).count().max(1)
}

/// Photos of each class.
fn of_each(photos: &[Photo], classes: &ClassNames) -> Vec<usize> {
    let mut counts = vec![0; classes.len()];
    photos.iter().for_each(|photo| counts[photo.file.class] += 1);
    counts
}

impl<'a> PlannedPhoto<'a> {
    fn of(photo: &'a Photo) -> Self {
        let FoundFile { class, name, path, .. } = &photo.file;
        PlannedPhoto { class: *class, name, path }
    }
}
