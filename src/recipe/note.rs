//! What is decided, and what is worth knowing of it.

use std::path::PathBuf;

use super::census::MOST_WEIGHT;
use super::{Census, ClassWeights, Settings};
use crate::checkpoint::Arithmetic;
use crate::data::Preprocess;
use crate::image::Normalize;

/// Something worth knowing that was found or decided before training began.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// A split's shards go by another name than its own.
    OtherShards {
        /// The split.
        split: String,
        /// The name of its shards, with `*` for the number.
        set: PathBuf,
    },
    /// How many photos to train on there are of each class.
    Counted {
        /// The classes and their photos.
        classes: Vec<(String, u64)>,
    },
    /// Classes without photos to train on, which will never be the answer.
    EmptyClasses {
        /// Their names.
        classes: Vec<String>,
        /// Whether there are records of unknown classes.
        has_others: bool,
    },
    /// The losses of each class are weighted.
    ClassesWeighted {
        /// Photos of the smallest class, and its name.
        fewest: (u64, String),
        /// Photos of the largest class, and its name.
        most: (u64, String),
        /// The least weight and the greatest.
        weights: (f32, f32),
        /// Whether all classes count alike now: no weight is at its limit.
        alike: bool,
    },
    /// Classes whose photos are each other's mirror images: nothing is mirrored.
    MirrorClasses {
        /// The names of each two.
        pairs: Vec<[String; 2]>,
    },
    /// Brightness or contrast tells these two classes apart, which standardizing each photo by itself would take away.
    BrightnessTells {
        /// The names of the two that it tells best.
        classes: [String; 2],
        /// How levels are normalized instead.
        normalize: Normalize,
    },
    /// No photo that was looked at has color: the network has one channel.
    Gray,
    /// There are few photos to train on.
    FewPhotos {
        /// In all.
        photos: usize,
        /// Of the smallest class.
        fewest: u64,
    },
    /// There are few photos to evaluate on.
    FewToEvaluate {
        /// How many.
        photos: usize,
        /// How far the accuracy may be off: two standard deviations of a share of about a half.
        margin: f64,
    },
    /// What will be done in the time there is.
    Planned {
        /// The time.
        seconds: f64,
        /// About so many epochs.
        epochs: usize,
        /// Sides of the training images, one after the other.
        train_sizes: Vec<usize>,
        /// Side of the images that the network is evaluated with.
        image_size: usize,
    },
    /// Even a single pass over the photos is longer than the time there is.
    SinglePass {
        /// The time there is.
        seconds: f64,
    },
    /// The model knows other classes, or none: its last layer is a new one.
    NewHead {
        /// The layer.
        layer: String,
        /// The classes that it knew, if its file tells.
        before: Vec<String>,
        /// From a photo to its input.
        preprocess: Preprocess,
    },
    /// First the photos' features, then the head; and what time is left is for the whole network.
    PlannedHead {
        /// Photos, to train on and to evaluate on.
        photos: usize,
        /// Views of each photo to train on.
        views: usize,
        /// About how long the features take.
        features_seconds: f64,
        /// The time, if there is a budget.
        seconds: Option<f64>,
        /// Whether the later layers of the network train then.
        tunes: bool,
    },
    /// There is nothing to evaluate on: the best network is that of the lowest training loss.
    NoEvaluation,
    /// The photos do not fill a single batch.
    SmallerBatches {
        /// Photos to train on.
        photos: usize,
        /// The batch size.
        batch_size: usize,
        /// One that makes more steps.
        smaller: usize,
    },
    /// Training goes on.
    GoingOn {
        /// Epochs that are done.
        epochs: u64,
        /// Batches that are done of the next.
        batches: usize,
    },
    /// Training goes on with other arithmetic, which may round otherwise.
    OtherArithmetic {
        /// That before.
        before: Arithmetic,
        /// The one now.
        now: Arithmetic,
    },
    /// The learning rate follows another curve from here on.
    OtherEpochs {
        /// The number of epochs now.
        epochs: usize,
        /// The number before.
        before: usize,
    },
    /// The run is complete, and more time changes nothing.
    Complete,
}

/// What is worth knowing of the photos of a new run.
pub(super) fn of_photos(
    census: &Census,
    asked: ClassWeights,
    settings: &Settings,
    classes: &[String],
) -> Vec<Note> {
    let mut notes = Vec::new();
    let empty = classes.iter().zip(&census.classes).filter(|(_, photos)| **photos == 0);
    let empty: Vec<String> = empty.map(|(class, _)| class.clone()).collect();
    if !empty.is_empty() {
        notes.push(Note::EmptyClasses { classes: empty, has_others: census.has_others });
    }
    if let (Some(weights), ClassWeights::Auto) = (&settings.class_weights, asked) {
        let of = |photos: u64| {
            let class = census.classes.iter().position(|&of| of == photos);
            (photos, class.map_or_else(String::new, |class| classes[class].clone()))
        };
        let [least, most] =
            [f32::min, f32::max].map(|pick| weights.iter().copied().reduce(pick).unwrap_or(1.0));
        notes.push(Note::ClassesWeighted {
            fewest: of(census.fewest()),
            most: of(census.most()),
            weights: (least, most),
            alike: most < MOST_WEIGHT,
        });
    }
    if census.is_small() {
        notes.push(Note::FewPhotos { photos: census.photos(), fewest: census.fewest() });
    }
    if census.has_few_to_evaluate() {
        let margin = 1.0 / (census.eval as f64).sqrt();
        notes.push(Note::FewToEvaluate { photos: census.eval, margin });
    }
    notes
}
