//! What can keep a folder of photos from becoming shards.

use std::path::{Path, PathBuf};

use crate::data::classes::is_control;
use crate::data::{BatchError, ClassNamesError};
use crate::files::{FileError, HoldError};
use crate::image::PhotoError;

/// How many classes an error names.
const LISTED: usize = 20;

/// A file or folder among the photos that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", in_a_line(path))]
#[non_exhaustive]
pub struct BadPhoto {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: PhotoFault,
}

/// What is wrong with a file among the photos.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhotoFault {
    /// It can't be read, or is no photo.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// It lies beside the class folders.
    #[error("lies in no class folder; move it into one")]
    NoClass,
    /// It is a link to a folder that holds the photos, or whose photos were found already.
    #[error("leads to a folder whose photos are found elsewhere; remove the link")]
    SeenFolder,
    /// It is in a list of photos more than once.
    #[error("is listed more than once; leave one line")]
    ListedTwice,
}

/// An error of a [`Conversion`](super::Conversion).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A file or folder that can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder for shards in which another conversion is at work.
    #[error(transparent)]
    Held(#[from] HoldError),
    /// `labels.txt` can't be written.
    #[error(transparent)]
    Labels(BatchError),
    /// Photos that are used where they are can't be written to shards.
    #[error("the photos are used where they are: there is no folder to write shards to")]
    InPlace,
    /// Options that make no sense.
    #[error(transparent)]
    Options(#[from] ConvertOptionsError),
    /// Classes of a list that `labels.txt` can't hold.
    #[error("the list of classes can't be used: {0}")]
    ListedClasses(ClassNamesError),
    /// A list of photos of a single class: there is nothing to tell apart.
    #[error("the list has only the class `{class}`: a classifier needs at least two")]
    OneListedClass {
        /// The class.
        class: String,
    },
    /// A folder without class folders.
    #[error(
        "{0} has no class folders: put the photos of each class into a folder of its name, such as {0}/roses",
        photos.display()
    )]
    NoClasses {
        /// The folder of photos.
        photos: PathBuf,
    },
    /// A single class folder: there is nothing to tell apart.
    #[error(
        "{} has only one class folder, `{class}`: a classifier needs at least two", photos.display()
    )]
    OneClass {
        /// The folder of photos.
        photos: PathBuf,
        /// The class.
        class: String,
    },
    /// A folder whose name `labels.txt` can't hold.
    #[error(
        "{folder:?} can't be a class: its name must be UTF-8, without control characters and without space around it; rename it"
    )]
    ClassName {
        /// The folder.
        folder: PathBuf,
    },
    /// Two folders of one part, as `val` and `validation`.
    #[error("{} and {} are both for evaluation or both for training: join them", .0.display(), .1.display())]
    SamePart(PathBuf, PathBuf),
    /// A folder beside those of the parts, `train` and another.
    #[error(
        "{} lies beside the folders `train` and others of a data set that is split already: move it away",
        folder.display()
    )]
    BesideParts {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder with a part's name where its class should be.
    #[error(
        "{0} is called like a part of a data set, so it is taken for no class: its photos need a folder for each class, in it and in \
         each other part, with no other folder beside the parts; or a list that tells the class of each",
        folder.display()
    )]
    PartAsClass {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that would be a class, and holds folders of the names of all the others.
    #[error(
        "{} holds folders of the classes beside it ({}), as a copy of {} would: move it away, or take each of the innermost \
         folders for a class of its own",
        folder.display(), named(classes), photos.display()
    )]
    NestedCopy {
        /// The folder.
        folder: PathBuf,
        /// The folder of photos.
        photos: PathBuf,
        /// The other classes.
        classes: Vec<String>,
    },
    /// Parts of different classes.
    #[error(
        "{} must have the class folders that {} has{}{}: rename, add or remove class folders",
        folder.display(), other.display(), some_classes(", but lacks ", missing), some_classes(", and has besides ", more)
    )]
    ClassesDiffer {
        /// The folder of a part.
        folder: PathBuf,
        /// That of another.
        other: PathBuf,
        /// The classes of the other that it lacks.
        missing: Vec<String>,
        /// Those that it has besides.
        more: Vec<String>,
    },
    /// A list of photos without a usable one of these classes to train on.
    #[error("{}: there is no usable photo of {} to train on{}", list.display(), named(classes), listed(bad))]
    EmptyListedClasses {
        /// The list.
        list: PathBuf,
        /// The classes.
        classes: Vec<String>,
        /// The photos that can't be used.
        bad: Vec<BadPhoto>,
    },
    /// Class folders without a usable photo.
    #[error(
        "{}: there is no usable photo of {}: add some, or remove the class's folder{}",
        photos.display(), named(classes), listed(bad)
    )]
    EmptyClasses {
        /// The folder of photos.
        photos: PathBuf,
        /// The classes.
        classes: Vec<String>,
        /// The files in their folders, none of which can be used.
        bad: Vec<BadPhoto>,
    },
    /// Files that can't be used, where [`ConvertOptions::strict`](super::ConvertOptions::strict) forbids them.
    #[error("{} of the files can't be used, so nothing was written{}", .0.len(), listed(.0))]
    BadPhotos(Vec<BadPhoto>),
    /// A folder for shards that lies among the photos, where it would be a class.
    #[error(
        "the shards' folder {} lies in the photos' folder {}, where it would be taken for a class: choose another",
        data.display(), photos.display()
    )]
    DataAmongPhotos {
        /// The folder for shards.
        data: PathBuf,
        /// The folder of photos.
        photos: PathBuf,
    },
    /// A folder that holds a data set already.
    #[error(
        "{} already holds a data set ({}): choose another folder, or have this one overwritten",
        folder.display(), some(files)
    )]
    Occupied {
        /// The folder for shards.
        folder: PathBuf,
        /// The files that would be replaced or mixed with those of the new set.
        files: Vec<PathBuf>,
    },
    /// A photo that is not what it was when it was checked.
    #[error("{} changed while the photos were converted: start again", in_a_line(.0))]
    Changed(PathBuf),
    /// A conversion that its progress broke off.
    #[error("the conversion was broken off, and nothing was written: start again")]
    Interrupted,
}

/// Options that photos can't be converted with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertOptionsError {
    /// [`ConvertOptions::shards`](super::ConvertOptions::shards) of 0.
    #[error("the number of shards must be at least 1, got 0")]
    Shards,
    /// A [`ConvertOptions::eval_fraction`](super::ConvertOptions::eval_fraction) that leaves nothing to train on, or is no share.
    #[error("the evaluation fraction must be at least 0 and under 1, got {0}")]
    EvalFraction(f64),
}

fn named(classes: &[String]) -> String {
    let names: Vec<_> = classes.iter().take(LISTED).map(|class| format!("`{class}`")).collect();
    let more = if classes.len() > LISTED { ", ..." } else { "" };
    format!("{}{more}", names.join(", "))
}

/// What is said of classes, if there are any.
fn some_classes(said: &str, classes: &[String]) -> String {
    if classes.is_empty() { String::new() } else { format!("{said}{}", named(classes)) }
}

/// `:` and the files, a line each.
fn listed(bad: &[BadPhoto]) -> String {
    let lines: String = bad.iter().map(|photo| format!("\n  {photo}")).collect();
    if lines.is_empty() { lines } else { format!(":{lines}") }
}

/// A path in one line, whatever the names of the photos' files hold.
fn in_a_line(path: &Path) -> String {
    let escape = |c: char| if is_control(c) { c.escape_default().to_string() } else { c.to_string() };
    path.to_string_lossy().chars().map(escape).collect()
}

/// The first file's name, and how many there are besides.
fn some(files: &[PathBuf]) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match files {
        [] => String::new(),
        [one] => name(one),
        [first, more @ ..] => format!("{} and {} more", name(first), more.len()),
    }
}
