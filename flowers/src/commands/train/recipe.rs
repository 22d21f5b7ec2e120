//! How to train, where no flag says: what learns photos well, by how many there are. docs/recipes.md has the experiments.

use clap::ValueEnum;
use floret::data::Mix;
use floret::image::Augment;
use floret::image::augment::RandomCrop;
use floret::models;
use floret::network::NetworkBuilder;
use floret::nn::Init;
use floret::train::Stage;
use serde::{Deserialize, Serialize};

use super::settings::{ADAMW_DECAY, Rule};
use crate::{Result, args};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// What learns photos best in the time there is
    Default,
    /// Plain gradient descent of the reference network, as in the well-known TensorFlow script
    Script,
}

impl Recipe {
    /// How many times as large as those of the mean loss gradients are: the script adds the losses of a batch up.
    pub fn gradient_scale(self, batch_size: usize) -> f32 {
        match self {
            Recipe::Default => 1.0,
            Recipe::Script => batch_size as f32,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Residual, with batch norm: 1.9 million weights, for images of about 64 pixels
    Small,
    /// The same with one stage more: 3.7 million weights, for larger images
    Large,
    /// The script's five convolutions and three dense layers: 5.4 million weights at 64 pixels
    Reference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    None,
    /// Mirroring and small shifts
    Light,
    /// Random crops, mirroring, rotation, colors
    Standard,
    /// The same with smaller crops
    Strong,
}

impl Augmentation {
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

/// What keeps the network from learning its photos by heart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Regularization {
    /// Share of the features dropped before the last layer (of the reference network, before its second dense one).
    pub dropout: f32,
    pub label_smoothing: f32,
    pub weight_decay: f32,
    /// Photos mixed with others.
    pub mix: Option<Mix>,
    /// Decay of the average of the weights that is evaluated and saved.
    pub average: Option<f32>,
    /// Whether answers are the means of a photo's and its mirror image's.
    pub test_time_flip: bool,
}

// No doc comment: clap would take it for the help of `train`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Regularization, where it is not to be what the number of photos suggests")]
pub struct Chosen {
    /// Share of the features dropped before the last layer
    #[arg(long, value_parser = args::share, value_name = "X", conflicts_with = "start_from")]
    dropout: Option<f32>,
    /// Share of each target spread over all classes
    #[arg(long, value_parser = args::share, value_name = "X")]
    label_smoothing: Option<f32>,
    /// What a step takes of each weight, times the learning rate; of momentum and adamw
    #[arg(long, value_parser = args::not_negative, value_name = "X")]
    weight_decay: Option<f32>,
    /// Share of the photos blended with another one
    #[arg(long, value_parser = args::share, value_name = "X")]
    mixup: Option<f32>,
    /// Share of the photos that get a rectangle of another one
    #[arg(long, value_parser = args::share, value_name = "X")]
    cutmix: Option<f32>,
    /// Decay of the average of the weights that is evaluated and saved; 0 for the weights themselves
    #[arg(long, value_parser = args::share, value_name = "X")]
    average: Option<f32>,
    /// Whether answers are the means of a photo's and its mirror image's
    #[arg(long, value_name = "true|false")]
    test_time_flip: Option<bool>,
}

impl Chosen {
    /// Fails if it can't be had together, or with this rule.
    pub fn check(&self, rule: Rule) -> Result<()> {
        let (mixup, cutmix) = (self.mixup.unwrap_or(0.0), self.cutmix.unwrap_or(0.0));
        if mixup + cutmix > 1.0 {
            return Err(format!(
                "--mixup {mixup} and --cutmix {cutmix} are shares of the photos, and over 1 together: lower one"
            )
            .into());
        }
        if self.weight_decay.is_some() && !rule.decays() {
            return Err(
                "--weight-decay does nothing to this --optimizer: leave it out, or use momentum or adamw"
                    .into(),
            );
        }
        Ok(())
    }
}

impl Regularization {
    /// The same with what this rule takes of the weights by itself.
    pub fn for_rule(self, rule: Rule) -> Self {
        let weight_decay = match rule {
            Rule::Momentum => self.weight_decay,
            Rule::Adamw => ADAMW_DECAY,
            Rule::Sgd | Rule::Adam => 0.0,
        };
        Self { weight_decay, ..self }
    }

    /// The same with what was chosen.
    pub fn with(self, chosen: &Chosen) -> Self {
        let mix = self.mix.unwrap_or(Mix::new(0.0, 0.0));
        // What was chosen goes first.
        let mixup = chosen.mixup.unwrap_or(mix.mixup.min(1.0 - chosen.cutmix.unwrap_or(0.0)));
        let cutmix = chosen.cutmix.unwrap_or(mix.cutmix.min(1.0 - mixup));
        Self {
            dropout: chosen.dropout.unwrap_or(self.dropout),
            label_smoothing: chosen.label_smoothing.unwrap_or(self.label_smoothing),
            weight_decay: chosen.weight_decay.unwrap_or(self.weight_decay),
            mix: (mixup + cutmix > 0.0).then_some(Mix { mixup, cutmix, ..mix }),
            average: chosen.average.or(self.average).filter(|decay| *decay > 0.0),
            test_time_flip: chosen.test_time_flip.unwrap_or(self.test_time_flip),
        }
    }

    /// None at all but the script's dropout.
    pub const SCRIPT: Self = Self {
        dropout: 0.5,
        label_smoothing: 0.0,
        weight_decay: 0.0,
        mix: None,
        average: None,
        test_time_flip: false,
    };

    /// What suits few photos, or enough of them.
    pub fn for_photos(few: bool) -> Self {
        Self {
            dropout: if few { 0.5 } else { 0.2 },
            label_smoothing: 0.1,
            weight_decay: if few { 1e-3 } else { 5e-4 },
            mix: Some(Mix::new(0.0, if few { 0.8 } else { 0.5 })),
            average: Some(0.998),
            test_time_flip: true,
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

/// Sides of the training images, each for an equal part of training, where evaluation is at `image_size`.
pub fn train_sizes(image_size: usize) -> Vec<usize> {
    let side = |share: f64| ((image_size as f64 * share / 8.0).round() as usize * 8).clamp(24, image_size);
    let mut sizes: Vec<usize> = SHARES.map(side).into();
    sizes.dedup();
    sizes
}

/// Of the side in evaluation. Crops make things look larger in training, so that the last is smaller too.
const SHARES: [f64; 3] = [4.0 / 7.0, 5.0 / 7.0, 6.0 / 7.0];

/// The stages of training on images of these sides.
pub fn stages(sizes: &[usize]) -> Vec<Stage> {
    let parts = sizes.len() as f64;
    let stage = |(part, &image_size): (usize, &usize)| Stage { from: part as f64 / parts, image_size };
    sizes.iter().enumerate().map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_grow_by_stages_and_stay_under_those_of_evaluation() {
        assert_eq!(train_sizes(112), [64, 80, 96]);
        assert_eq!(train_sizes(96), [56, 72, 80]);
        assert_eq!(train_sizes(32), [24]);
        let begins: Vec<_> =
            stages(&[64, 80, 96]).iter().map(|stage| (stage.from, stage.image_size)).collect();
        assert_eq!(begins, [(0.0, 64), (1.0 / 3.0, 80), (2.0 / 3.0, 96)]);
    }

    #[test]
    fn what_is_chosen_takes_the_place_of_what_is_usual() {
        let usual = Regularization::for_photos(false);
        assert_eq!(usual.with(&Chosen::default()), usual);
        let mixup = |share| Chosen { mixup: Some(share), ..Chosen::default() };
        let mixed = |chosen: &Chosen| usual.with(chosen).mix.map(|mix| (mix.mixup, mix.cutmix));
        assert_eq!(mixed(&mixup(0.2)), Some((0.2, 0.5)));
        assert_eq!(mixed(&mixup(0.75)), Some((0.75, 0.25)), "the usual cutmix makes room");
        assert_eq!(mixed(&Chosen { cutmix: Some(0.0), ..Chosen::default() }), None);
        assert!(mixup(0.75).check(Rule::Momentum).is_ok());
        let both = Chosen { cutmix: Some(0.5), ..mixup(0.75) };
        assert!(both.check(Rule::Momentum).unwrap_err().to_string().contains("over 1 together"));
        let decay = Chosen { weight_decay: Some(0.1), ..Chosen::default() };
        assert_eq!(
            [Rule::Momentum, Rule::Adamw, Rule::Sgd].map(|rule| decay.check(rule).is_ok()),
            [true, true, false]
        );
        assert_eq!(usual.for_rule(Rule::Adamw).with(&decay).weight_decay, 0.1);
        assert_eq!(
            [Rule::Adamw, Rule::Adam].map(|rule| usual.for_rule(rule).weight_decay),
            [ADAMW_DECAY, 0.0]
        );
    }
}
