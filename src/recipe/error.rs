//! Why training can't be set up, or gave nothing.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::data::BatchError;
use crate::files::FileError;
use crate::image::ChannelOrder;
use crate::network::NetworkError;
use crate::nn::Shape;
use crate::record::ShardError;
use crate::train::TrainError;

/// What can keep a [`Training`](super::Training) from its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Photos to evaluate on that are there, and others that are to be held out for that.
    #[error(
        "the data have photos to evaluate on: none of those to train on is held out; leave out `hold_out`, or move the others away"
    )]
    HeldOut,
    /// Data sets to train and to evaluate on of other classes.
    #[error(
        "the data set to train on has the classes {train:?}, that to evaluate on {eval:?}: they must be the same, in the same order"
    )]
    EvalClasses {
        /// Those to train on.
        train: Vec<String>,
        /// Those to evaluate on.
        eval: Vec<String>,
    },
    /// A folder that is no data folder.
    #[error("{}: {fault}", path.display())]
    Folder {
        /// The folder, or the name of its shards.
        path: PathBuf,
        /// What is wrong with it.
        fault: FolderFault,
    },
    /// A value that a setting can't have.
    #[error("{setting} can't be {value}: {reason}")]
    Value {
        /// The name of the setting.
        setting: &'static str,
        /// What was wanted.
        value: String,
        /// What it can be.
        reason: String,
    },
    /// Choices that can't be had together.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Settings that were saved with a value that they can't have.
    #[error("the training state has an impossible {setting}: {reason}")]
    Saved {
        /// The name of the setting.
        setting: String,
        /// What is wrong.
        reason: String,
    },
    /// A training state that another program saved.
    #[error("the training state was not saved by this program: {0}")]
    Foreign(serde_json::Error),
    /// Choices for a run that goes on, which has other settings.
    #[error("a run goes on with the settings saved; leave out {}", clashes.iter().map(Clash::to_string).collect::<Vec<_>>().join(", "))]
    Clashes {
        /// Each of them.
        clashes: Vec<Clash>,
    },
    /// A run that goes on has taken its time already.
    #[error("{minutes} minutes are over: the run has taken {seconds:.0} seconds already")]
    TimeIsUp {
        /// The time asked for.
        minutes: f64,
        /// What it has taken.
        seconds: f64,
    },
    /// A run that goes on with data of other classes.
    #[error("the run knows the classes {}, but the data has {}", listed(run), listed(data))]
    RunClasses {
        /// Those of the run.
        run: Vec<String>,
        /// Those of the data.
        data: Vec<String>,
    },
    /// A model to begin with that does not suit the data or the choices.
    #[error("{}: {reason}", path.display())]
    Model {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ModelFault,
    },
    /// Training would take more memory than there is.
    #[error(
        "training on batches of {batch_size} images of {image_size} pixels needs about {needed} bytes of memory, and there are {available}: use smaller ones"
    )]
    Memory {
        /// Images in a step.
        batch_size: usize,
        /// Their side.
        image_size: usize,
        /// Bytes that training takes.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// No epoch was good enough to keep its network: no loss was a number, or the best epoch was before a run that went on.
    #[error(
        "no epoch ended with a loss that is a number and better than those before: train again with a lower learning rate"
    )]
    NoNetwork,
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The list of shards.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// The data.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A model or training file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An ONNX file.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] crate::onnx::OnnxError),
}

/// How many names a message lists.
const LISTED: usize = 30;

/// Names in a line, the first of many.
fn listed(names: &[String]) -> String {
    let first = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Why a folder is no data folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderFault {
    /// There is nothing of this name. A [`Conversion`](crate::data::convert::Conversion) makes a data folder from photos.
    #[error("there is no such data folder")]
    Missing,
    /// It is a file.
    #[error("it is no folder")]
    NotAFolder,
    /// A conversion into it did not end. It is to be made again.
    #[error("the conversion that wrote this data did not come to its end, so a part of it may be missing")]
    Unfinished {
        /// Whether it has class names all the same.
        labeled: bool,
    },
    /// It has no class names.
    #[error(
        "labels.txt is missing: write the names of the classes into it, one a line in the order of their labels"
    )]
    Unlabeled,
    /// The class names are not those that the records have.
    #[error(
        "line {line} names label {label} `{}`, but the record of that label at {record} is called `{}`: bring the lines into the order \
         of the labels, or give the label offset that fits",
        name.escape_debug(), text.escape_debug()
    )]
    Contradicted {
        /// The record's label.
        label: i64,
        /// Its name in the file.
        name: String,
        /// The line of it.
        line: usize,
        /// The name in the record, which is another class's in the file.
        text: String,
        /// Where the record is.
        record: String,
    },
    /// Several sets of shards could be those of a split.
    #[error("there are no shards named {split}-*, and more than one set that could be meant: {}, {}", sets[0], sets[1])]
    Ambiguous {
        /// The split.
        split: String,
        /// Two of the sets.
        sets: [String; 2],
    },
    /// Shards of a set are missing.
    #[error("{missing} of the {count} shards are missing, the first of them shard {first}")]
    Incomplete {
        /// How many there are by their names.
        count: u32,
        /// How many are missing.
        missing: usize,
        /// The first that is.
        first: u32,
    },
}

/// Choices that can't be had together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// A run lasts so many minutes or so many epochs.
    #[error("training lasts so many minutes or so many epochs, not both")]
    Budgets,
    /// The shares of mixed photos are over 1 together.
    #[error("mixup {mixup} and cutmix {cutmix} are shares of the photos, and over 1 together: lower one")]
    Mix {
        /// Share of photos blended.
        mixup: f32,
        /// Share of photos that get a rectangle.
        cutmix: f32,
    },
    /// The rule applies no weight decay.
    #[error("weight decay does nothing to this optimizer: leave it out, or use momentum or adamw")]
    Decay,
    /// A head alone is trained where a network begins with other classes.
    #[error("a head alone is trained only of a network that begins with other classes")]
    HeadOnly,
    /// A head is fitted to views of photos where a network begins with other classes.
    #[error("several views of photos are only for the head of a network that begins with other classes")]
    HeadViews,
    /// The model decides what was chosen too.
    #[error("the model that training begins with decides the {0}")]
    StartFrom(&'static str),
}

/// A choice that a run which goes on can't follow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Clash {
    /// The run has another value.
    #[error("{setting} {given} (it was {saved})")]
    Other {
        /// The name of the setting.
        setting: &'static str,
        /// The value chosen.
        given: String,
        /// The run's.
        saved: String,
    },
    /// The run's value has no name.
    #[error("{setting} (they are as they were)")]
    Unnamed {
        /// The name of the setting.
        setting: &'static str,
    },
    /// The run's length is measured in minutes.
    #[error("epochs (it trains for {0} minutes)")]
    Minutes(f64),
    /// The run's length is measured in epochs.
    #[error("minutes (it has {0} epochs)")]
    Epochs(usize),
}

/// Why training can't begin with a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFault {
    /// It takes images of no other size.
    #[error("it takes images of {side}x{side} alone, and {chosen}x{chosen} was chosen")]
    ImageSize {
        /// The model's.
        side: usize,
        /// The chosen one.
        chosen: usize,
    },
    /// Its images have another number of channels than the chosen order makes.
    #[error("it takes images of {input}, and channels in the order {order} were chosen")]
    Channels {
        /// What it takes.
        input: Shape,
        /// The chosen order.
        order: ChannelOrder,
    },
    /// It is an ONNX file, and this build reads none.
    #[error("ONNX files are read with the feature `onnx` alone, which this build does not have")]
    NoOnnx,
    /// It is no classifier that a new last layer could make one of these photos.
    #[error(
        "it does not end in a dense layer or a convolution that nothing else takes: its last layer can't be replaced"
    )]
    NoHead,
    /// It takes no square photos.
    #[error("it takes images of {0}: photos are made squares of one channel or three")]
    Input(crate::nn::Shape),
    /// Nothing tells how photos become its input.
    #[error(
        "the file does not say how photos become the network's input, and it is none of those that are known: choose `normalize`, as the network's documentation tells (imagenet for most of PyTorch's, 127.5/127.5 for many of TensorFlow's)"
    )]
    Normalization,
    /// It takes images of a size that can't be trained on.
    #[error("it takes images of {side}x{side}: {reason}")]
    Untrainable {
        /// The model's.
        side: usize,
        /// What is wrong with it.
        reason: String,
    },
}
