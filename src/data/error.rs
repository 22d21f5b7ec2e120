//! What can keep records from becoming batches.

use std::error::Error;
use std::path::PathBuf;
use std::str::Utf8Error;

use super::place::Place;
use crate::files::FileError;
use crate::image::{ImageError, PhotoError};
use crate::record::{RecordError, ShardError};

/// An error of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Shards that are missing.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// A record that can't be read, or is no image example.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file other than a shard.
    #[error(transparent)]
    File(#[from] FileError),
    /// A photo that can't be decoded.
    #[error("{at}: {error}")]
    Image {
        /// Where it is.
        at: Box<Place>,
        /// What is wrong with it.
        error: ImageError,
    },
    /// A label outside the classes. Just outside of them, another
    /// [`LoaderOptions::label_offset`](super::LoaderOptions::label_offset) [may fit](Self::fitting_label_offset).
    #[error(
        "{at}: label {label} is out of range: {classes} classes with labels from {first} to {last} are expected{}",
        hint(fitting_offset(*label, *first, *last))
    )]
    Label {
        /// Where it is.
        at: Box<Place>,
        /// The label as it stands in the record.
        label: i64,
        /// Number of classes.
        classes: usize,
        /// The first class's label.
        first: i64,
        /// The last class's label.
        last: i64,
    },
    /// An example that its data set can't give.
    #[error("{at}: {error}")]
    Example {
        /// Where it is.
        at: Box<Place>,
        /// What the data set says.
        error: Box<dyn Error + Send + Sync>,
    },
    /// A number of no example.
    #[error("there is no example {index}: there are {examples}, from 0")]
    NoSuchExample {
        /// The number.
        index: usize,
        /// How many examples there are.
        examples: usize,
    },
    /// A data set without an example.
    #[error("the data set has no example")]
    NoExample,
    /// Shards without a single record.
    #[error("the shards hold no record: {}", .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    Empty(Vec<PathBuf>),
    /// Every record of an epoch was bad.
    #[error("each of the {0} records was skipped as bad: there is nothing left; inspect the shards")]
    AllSkipped(usize),
    /// Options that make no sense.
    #[error(transparent)]
    Options(#[from] LoaderOptionsError),
    /// A file of class names that can't be one.
    #[error("{}: {reason}", path.display())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ClassNamesError,
    },
}

impl BatchError {
    /// The [`LoaderOptions::label_offset`](super::LoaderOptions::label_offset) that a label just outside of the classes suggests:
    /// 0 or 1, when the other was used.
    pub fn fitting_label_offset(&self) -> Option<i64> {
        match *self {
            BatchError::Label { label, first, last, .. } => fitting_offset(label, first, last),
            _ => None,
        }
    }

    /// Whether one record is to blame, and the others can still be used.
    pub(super) fn is_about_a_record(&self) -> bool {
        match self {
            BatchError::Record(error) => error.is_recoverable(),
            BatchError::Image { .. } | BatchError::Label { .. } => true,
            BatchError::Example { error, .. } => !matches!(error.downcast_ref(), Some(PhotoError::Io(_))),
            _ => false,
        }
    }
}

fn fitting_offset(label: i64, first: i64, last: i64) -> Option<i64> {
    match first {
        0 if Some(label) == last.checked_add(1) => Some(1),
        1 if label == 0 => Some(0),
        _ => None,
    }
}

fn hint(offset: Option<i64>) -> &'static str {
    match offset {
        Some(0) => {
            "; 0 is the background in TensorFlow's data sets; labels that count from 0 need a label offset of 0"
        }
        Some(_) => "; labels that count from 1 need a label offset of 1",
        None => "",
    }
}

/// Options that no batches can be made with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderOptionsError {
    /// A [`LoaderOptions::batch_size`](super::LoaderOptions::batch_size) of 0.
    #[error("the batch size must be at least 1, got 0")]
    BatchSize,
    /// [`LoaderOptions::classes`](super::LoaderOptions::classes) of 0.
    #[error("there must be at least 1 class, got 0")]
    Classes,
    /// Another number of classes than the data set has.
    #[error("the data set has {set} classes, and the options say {options}")]
    OtherClasses {
        /// Classes of the data set.
        set: usize,
        /// [`LoaderOptions::classes`](super::LoaderOptions::classes).
        options: usize,
    },
    /// A [`Preprocess::image_size`](super::Preprocess::image_size) of 0.
    #[error("the image size must be at least 1, got 0")]
    ImageSize,
    /// Preprocessing that no photo can go through.
    #[error("photos can't be brought to the network's input by {0}")]
    Preprocess(String),
    /// A [`LoaderOptions::source_size`](super::LoaderOptions::source_size) that leaves nothing to crop from.
    #[error("the source size ({source_size}) must not be under the image size ({image_size})")]
    SourceSize {
        /// Side of the photos in pixels, as they are cached.
        source_size: usize,
        /// Side of the network's images in pixels.
        image_size: usize,
    },
    /// Another image size than photos are cached at, without [`LoaderOptions::augment`](super::LoaderOptions::augment).
    #[error("images of another size ({0}) can only be made with augmentation")]
    OtherSize(usize),
    /// Shares of [`Mix`](super::Mix) outside [0, 1].
    #[error(
        "the shares of mixup and cutmix must be from 0 to 1, and together not over 1, got {mixup} and {cutmix}"
    )]
    MixShares {
        /// The share of batches mixed by mixup.
        mixup: f32,
        /// The share of batches mixed by CutMix.
        cutmix: f32,
    },
    /// A [`Mix::alpha`](super::Mix::alpha) that no beta distribution has.
    #[error("mixup's alpha must be over 0, got {0}")]
    MixAlpha(f32),
    /// A [`Shuffle::Buffer`](super::Shuffle::Buffer) that can't hold more than must remain in it.
    #[error(
        "the shuffle buffer's capacity ({capacity}) must be larger than what must remain in it ({min_after_dequeue})"
    )]
    ShuffleBuffer {
        /// Records in the full buffer.
        capacity: usize,
        /// Records that must remain in it.
        min_after_dequeue: usize,
    },
    /// Less than one batch of records, where [`LoaderOptions::drop_last`](super::LoaderOptions::drop_last) leaves short ones out.
    #[error(
        "the {records} records are less than one batch of {batch_size}, and short batches are dropped: nothing is left"
    )]
    NoFullBatch {
        /// Records in the shards.
        records: usize,
        /// Examples in a batch.
        batch_size: usize,
    },
}

/// Names that a file of class names can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassNamesError {
    /// A file that is too long to be one.
    #[error("it is longer than a list of class names can be ({limit} bytes)")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("it is not UTF-8 text ({0}): save it as UTF-8")]
    NotText(Utf8Error),
    /// A line with a control character.
    #[error("line {line} holds the control character {}, which no class name may: remove it", character.escape_unicode())]
    ControlCharacter {
        /// The line, from 1.
        line: usize,
        /// The first such character in it.
        character: char,
    },
    /// Lines with numbers in front that are not the labels.
    #[error(
        "it numbers its lines from {first}, but labels count from {wanted}: give the label offset {first}, or remove the numbers"
    )]
    Numbered {
        /// The least number.
        first: i64,
        /// The first label.
        wanted: i64,
    },
    /// Names that begin with numbers as labels do, where nothing in the file would tell them from labels.
    #[error(
        "the names, of which the first is {0:?}, all begin with numbers, which would be read as their labels: rename the classes"
    )]
    NumberedNames(String),
    /// No class at all.
    #[error("it names no class; write one name a line, in the order of the labels")]
    Empty,
    /// More classes than are taken.
    #[error("it names {classes} classes, over the limit of {limit}")]
    TooMany {
        /// Names in the list.
        classes: usize,
        /// The limit.
        limit: usize,
    },
    /// A name that would not be read back as it was written.
    #[error(
        "{0:?} can't be a class name: it must be one line without control characters and without space around it"
    )]
    Name(String),
    /// A name of two classes.
    #[error("it names the class `{}` twice", .0.escape_debug())]
    Twice(String),
}
