//! What a user may choose, and the named values among it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::image::{Augment, ChannelOrder, Fit, Normalize, RandomCrop};
use crate::models;
use crate::network::NetworkBuilder;
use crate::nn::Init;
use crate::record::PixelFormat;

/// What was chosen of a run's settings; `None` is for the recipe to choose. [`SETTINGS`](super::SETTINGS) explains each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choices {
    /// How long it may all take; instead of `epochs`.
    pub minutes: Option<f64>,
    /// Passes over the training photos; instead of `minutes`.
    pub epochs: Option<usize>,
    /// Side of the images that the network is evaluated and used with.
    pub image_size: Option<usize>,
    /// The architecture.
    pub network: Option<Architecture>,
    /// Photos in a step.
    pub batch_size: Option<usize>,
    /// The rule that moves the weights.
    pub optimizer: Option<Rule>,
    /// The highest learning rate of the schedule.
    pub learning_rate: Option<f32>,
    /// How a photo becomes a square.
    pub fit: Option<Fit>,
    /// The share of the fitted photo's side that the network sees.
    pub crop_share: Option<f32>,
    /// How levels become the network's values.
    pub normalize: Option<Normalization>,
    /// The order of a pixel's values.
    pub channel_order: Option<ChannelOrder>,
    /// Whether a pretrained network gets a new head and no more.
    pub head_only: bool,
    /// Views of each training photo that its head is fitted to.
    pub head_views: Option<usize>,
    /// Random changes of training photos.
    pub augment: Option<Augmentation>,
    /// Whether photos of rare classes count more.
    pub class_weights: Option<ClassWeights>,
    /// What the defaults are.
    pub recipe: Option<Recipe>,
    /// The source of all randomness.
    pub seed: Option<u64>,
    /// Share of the features dropped before the last layer.
    pub dropout: Option<f32>,
    /// Share of each target spread over all classes.
    pub label_smoothing: Option<f32>,
    /// Decoupled weight decay.
    pub weight_decay: Option<f32>,
    /// Share of the photos blended with another one.
    pub mixup: Option<f32>,
    /// Share of the photos that get a rectangle of another one.
    pub cutmix: Option<f32>,
    /// Decay of the average of the weights; 0 for none.
    pub average: Option<f32>,
    /// Whether answers are the means of a photo's and its mirror image's.
    pub test_time_flip: Option<bool>,
    /// Whether a mirror image shows the same class, so that photos are mirrored in training and answers may be such means.
    pub mirror: Option<bool>,
    /// The label of the first class in the records.
    pub label_offset: Option<i64>,
    /// The feature that holds a record's photo.
    pub image_key: Option<String>,
    /// The feature that holds its label.
    pub label_key: Option<String>,
    /// Share of each class's training photos that is kept for evaluation.
    pub hold_out: Option<f32>,
    /// Most pixels of a photo: [`DecodeOptions::max_pixels`](crate::image::DecodeOptions::max_pixels).
    pub max_pixels: Option<u64>,
    /// How the feature holds photos as pixels, if not as files.
    pub pixels: Option<PixelFormat>,
    /// Whether bad records are left out.
    pub skip_bad: bool,
}

impl Choices {
    /// The weighting of classes that was chosen, or the recipe's.
    pub fn class_weights(&self) -> ClassWeights {
        let script = self.recipe == Some(Recipe::Script);
        self.class_weights.unwrap_or(if script { ClassWeights::None } else { ClassWeights::Auto })
    }
}

/// A setting that is one of a few named values.
pub trait Named: Copy + 'static {
    /// Every value, in the order in which help texts list them.
    const ALL: &'static [Self];

    /// Its name, as [`Display`](fmt::Display) writes and [`FromStr`] reads it.
    fn name(self) -> &'static str;

    /// What it is, in a few words.
    fn about(self) -> &'static str;
}

/// A name that none of the values has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown name {name:?}: wanted {wanted}")]
pub struct ParseNameError {
    name: String,
    wanted: String,
}

fn parse<T: Named>(text: &str) -> Result<T, ParseNameError> {
    let names: Vec<_> = T::ALL.iter().map(|value| value.name()).collect();
    place_among(&names, text).map(|place| T::ALL[place])
}

fn place_among(names: &[&str], name: &str) -> Result<usize, ParseNameError> {
    let place = names.iter().position(|other| *other == name);
    place.ok_or_else(|| ParseNameError { name: name.into(), wanted: names.join(", ") })
}

/// `Display` and `FromStr` by the names.
macro_rules! text_by_name {
    ($($named:ty),*) => { $(
        impl fmt::Display for $named {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $named {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                parse(text)
            }
        }
    )* };
}

text_by_name!(Recipe, Architecture, Augmentation, Rule, ClassWeights);

/// What decides where nothing was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Recipe {
    /// What learns photos best in the time there is.
    Default,
    /// Plain gradient descent of the reference network, as in the well-known TensorFlow script.
    Script,
}

impl Named for Recipe {
    const ALL: &'static [Self] = &[Recipe::Default, Recipe::Script];

    fn name(self) -> &'static str {
        match self {
            Recipe::Default => "default",
            Recipe::Script => "script",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Recipe::Default => "What learns photos best in the time there is",
            Recipe::Script => {
                "Plain gradient descent of the reference network, as in the well-known TensorFlow script"
            }
        }
    }
}

impl Recipe {
    /// How many times as large as those of the mean loss gradients are: the script sums the losses of a batch.
    pub fn gradient_scale(self, batch_size: usize) -> f32 {
        match self {
            Recipe::Default => 1.0,
            Recipe::Script => batch_size as f32,
        }
    }
}

/// A network of [`models`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Architecture {
    /// [`models::residual_small`], for images of about 64 pixels.
    Small,
    /// [`models::residual_large`], for larger images.
    Large,
    /// [`models::seed_with`], the script's.
    Reference,
}

impl Named for Architecture {
    const ALL: &'static [Self] = &[Architecture::Small, Architecture::Large, Architecture::Reference];

    fn name(self) -> &'static str {
        match self {
            Architecture::Small => "small",
            Architecture::Large => "large",
            Architecture::Reference => "reference",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Architecture::Small => {
                "Residual, with batch norm: 1.9 million weights, for images of about 64 pixels"
            }
            Architecture::Large => "The same with one stage more: 3.7 million weights, for larger images",
            Architecture::Reference => {
                "The script's five convolutions and four dense layers: 5.4 million weights at 64 pixels"
            }
        }
    }
}

/// The side in evaluation from which the larger network is worth its time.
const LARGE: usize = 128;

impl Architecture {
    /// The network for images of a side of `image_size`.
    pub fn network(self, image_size: usize, classes: usize, dropout: f32, kernels: Init) -> NetworkBuilder {
        match self {
            Architecture::Small => models::residual_small(image_size, classes, dropout),
            Architecture::Large => models::residual_large(image_size, classes, dropout),
            Architecture::Reference => models::seed_with(image_size, classes, dropout, kernels),
        }
    }

    /// Whether it can train on images of other sizes than it is evaluated with.
    pub fn is_sizeless(self) -> bool {
        self != Architecture::Reference
    }

    /// The one that suits images of this side in evaluation.
    pub fn for_size(image_size: usize) -> Self {
        if image_size < LARGE { Architecture::Small } else { Architecture::Large }
    }
}

/// Random changes of training photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Augmentation {
    /// None.
    None,
    /// Mirroring and small shifts.
    Light,
    /// Random crops, mirroring, rotation, colors: [`Augment::standard`].
    Standard,
    /// The same with smaller crops.
    Strong,
}

impl Named for Augmentation {
    const ALL: &'static [Self] =
        &[Augmentation::None, Augmentation::Light, Augmentation::Standard, Augmentation::Strong];

    fn name(self) -> &'static str {
        match self {
            Augmentation::None => "none",
            Augmentation::Light => "light",
            Augmentation::Standard => "standard",
            Augmentation::Strong => "strong",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Augmentation::None => "No changes",
            Augmentation::Light => "Mirroring and small shifts",
            Augmentation::Standard => "Random crops, mirroring, rotation, colors",
            Augmentation::Strong => "The same with smaller crops",
        }
    }
}

impl Augmentation {
    /// The changes, if any.
    pub fn changes(self) -> Option<Augment> {
        match self {
            Augmentation::None => None,
            Augmentation::Light => Some(Augment::none().flip(0.5).crop(RandomCrop::Shift(0.06))),
            Augmentation::Standard => Some(Augment::standard()),
            Augmentation::Strong => {
                let crop = RandomCrop::Resized { area: (0.2, 1.0), ratio: (0.75, 4.0 / 3.0) };
                Some(Augment::standard().crop(crop))
            }
        }
    }

    /// Side of the photos that images of `size` are cut from, where they are evaluated at `image_size`: room for crops.
    pub fn source_size(self, size: usize, image_size: usize) -> usize {
        match self {
            Augmentation::None | Augmentation::Light => image_size,
            Augmentation::Standard => (size * 5 / 4).max(image_size),
            Augmentation::Strong => (size * 3 / 2).max(image_size),
        }
    }
}

/// The rule that moves the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Rule {
    /// Plain gradient descent: [`Sgd`](crate::optim::Sgd).
    Sgd,
    /// The same with Nesterov's momentum, 0.9.
    Momentum,
    /// [`Adam`](crate::optim::Adam).
    Adam,
    /// [`AdamW`](crate::optim::AdamW).
    Adamw,
}

impl Named for Rule {
    const ALL: &'static [Self] = &[Rule::Sgd, Rule::Momentum, Rule::Adam, Rule::Adamw];

    fn name(self) -> &'static str {
        match self {
            Rule::Sgd => "sgd",
            Rule::Momentum => "momentum",
            Rule::Adam => "adam",
            Rule::Adamw => "adamw",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Rule::Sgd => "Plain gradient descent",
            Rule::Momentum => "Nesterov's momentum, 0.9",
            Rule::Adam => "Adam",
            Rule::Adamw => "Adam with decoupled weight decay",
        }
    }
}

impl Rule {
    /// Whether it applies weight decay.
    pub fn decays(self) -> bool {
        matches!(self, Rule::Momentum | Rule::Adamw)
    }
}

/// How levels become the network's values: `data`, or as a [`Normalize`] is written.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Normalization {
    /// In this way.
    Given(Normalize),
    /// Each channel by its mean and deviation over the training photos.
    Data,
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Normalization::Given(normalize) => normalize.fmt(f),
            Normalization::Data => f.pad("data"),
        }
    }
}

impl FromStr for Normalization {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "data" => Ok(Normalization::Data),
            _ => text.parse().map(Normalization::Given).map_err(|_| {
                format!(
                    "{text:?} is no normalization: wanted photo, data, imagenet, or MEAN/DEVIATION in levels of 0 to 255, each one \
                     number or three with commas between them, as in 127/128"
                )
            }),
        }
    }
}

impl Choices {
    /// How levels are normalized, if that was chosen and depends on no photos.
    pub fn given_normalize(&self) -> Option<Normalize> {
        match self.normalize {
            Some(Normalization::Given(normalize)) => Some(normalize),
            Some(Normalization::Data) | None => None,
        }
    }
}

/// Whether photos of rare classes count more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassWeights {
    /// Where the largest class has three times the photos of the smallest.
    Auto,
    /// In any case.
    Balanced,
    /// Never.
    None,
}

impl Named for ClassWeights {
    const ALL: &'static [Self] = &[ClassWeights::Auto, ClassWeights::Balanced, ClassWeights::None];

    fn name(self) -> &'static str {
        match self {
            ClassWeights::Auto => "auto",
            ClassWeights::Balanced => "balanced",
            ClassWeights::None => "none",
        }
    }

    fn about(self) -> &'static str {
        match self {
            ClassWeights::Auto => "Where the largest class has three times the photos of the smallest",
            ClassWeights::Balanced => "All classes count alike",
            ClassWeights::None => "All photos count alike",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_are_read_back<T: Named + FromStr<Err = ParseNameError> + PartialEq + fmt::Debug>() {
        for &value in T::ALL {
            assert_eq!(value.name().parse(), Ok(value));
        }
        let error = "of none".parse::<T>().unwrap_err().to_string();
        assert!(error.contains(T::ALL[0].name()), "{error}");
    }

    #[test]
    fn values_have_names() {
        names_are_read_back::<Recipe>();
        names_are_read_back::<Architecture>();
        names_are_read_back::<Augmentation>();
        names_are_read_back::<Rule>();
        names_are_read_back::<ClassWeights>();
        assert_eq!(serde_json::to_value(Rule::Adamw).unwrap(), Rule::Adamw.name());
    }
}
