//! What decides a run's result besides its data, and what is made of it.

use serde::{Deserialize, Serialize};

use super::rules::{self, BATCH_SIZE, IMAGE_SIZE, MINUTES, MOST_EPOCHS, leaves_tiny_batch, train_sizes};
use super::tuning;
use super::{
    Architecture, Augmentation, Census, Choices, Conflict, DataFolder, FIRST_LABEL, Recipe, RecipeError,
    Regularization, Rule, require_memory,
};
use crate::data::{LoaderOptions, OnBadRecord, Preprocess, is_default, is_whole, whole};
use crate::image::{ChannelOrder, Fit, Normalize};
use crate::loss::SoftmaxCrossEntropy;
use crate::network::{Network, NetworkBuilder};
use crate::nn::Init;
use crate::optim::{Adam, AdamW, Optimizer, Schedule, Sgd};
use crate::record::ImageSchema;
use crate::train::{TimeBudget, TrainOptions};

/// The settings of a run. They are kept in its training state, as JSON of this form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settings {
    /// The architecture.
    pub network: Architecture,
    /// Side of the images that the network is evaluated and used with.
    pub image_size: usize,
    /// Sides of those it trains on, each for an equal part of training.
    pub train_sizes: Vec<usize>,
    /// Photos in a step.
    pub batch_size: usize,
    /// Whether each epoch leaves out a few photos, other ones each time, that would make a tiny batch.
    pub drop_last: bool,
    /// Passes over the training photos. Under a budget of time the most there may be.
    pub epochs: usize,
    /// The budget of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Epochs from one evaluation to the next.
    pub evaluate_every: usize,
    /// The rule that moves the weights.
    pub optimizer: Rule,
    /// The highest learning rate of the schedule.
    pub learning_rate: f32,
    /// How a photo becomes a square.
    pub fit: Fit,
    /// The share of the fitted photo's side that the network sees.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub crop_share: f32,
    /// How levels become the network's values.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize: Normalize,
    /// The order of a pixel's values.
    #[serde(default, skip_serializing_if = "is_default")]
    pub channel_order: ChannelOrder,
    /// The new last layer of a network that was trained on other classes, if training began with such a one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: Option<String>,
    /// Whether it alone trains.
    #[serde(default, skip_serializing_if = "is_default")]
    pub head_only: bool,
    /// Views of each training photo that it is fitted to, the ordinary one among them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub head_views: usize,
    /// Random changes of training photos.
    pub augment: Augmentation,
    /// Whether photos are mirrored, in what changes them and in answers.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub mirror: bool,
    /// What keeps the network from learning its photos by heart.
    #[serde(flatten)]
    pub regularization: Regularization,
    /// What the losses of each class are multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// What the defaults were.
    pub recipe: Recipe,
    /// The source of all randomness.
    pub seed: u64,
    /// The label of the first class in the records.
    pub label_offset: i64,
    /// Whether bad records are left out.
    pub skip_bad: bool,
    /// Most pixels of a photo, if other than by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// Share of each class's training photos that is kept for evaluation, where the data have none for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<f32>,
    /// The features of the records.
    #[serde(flatten)]
    pub keys: Keys,
}

/// The seed where none is chosen.
pub(super) const SEED: u64 = 1;

fn one() -> usize {
    1
}

fn is_one(views: &usize) -> bool {
    *views == 1
}

fn yes() -> bool {
    true
}

fn is_yes(mirror: &bool) -> bool {
    *mirror
}

/// The features of records that others made; `None` for TensorFlow's usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The feature that holds a record's photo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_key: Option<String>,
    /// The feature that holds its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_key: Option<String>,
    /// How it holds the photo as pixels, if not as a file: a [`PixelFormat`](crate::record::PixelFormat) in text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<String>,
}

impl Keys {
    /// The names of all features, where the others are as their makers have them.
    pub fn schema(&self) -> ImageSchema {
        let tfds = ImageSchema::tfds();
        let mut schema = match &self.image_key {
            Some(key) if *key == tfds.encoded => tfds,
            _ => ImageSchema::default(),
        };
        schema.label = self.label_key.clone().unwrap_or(ImageSchema::default().label);
        if let Some(key) = &self.image_key {
            schema.encoded.clone_from(key);
        }
        // What is no format was refused when it was chosen.
        schema.pixels = self.pixels.as_deref().and_then(|pixels| pixels.parse().ok());
        schema
    }
}

impl Choices {
    /// The features of records.
    pub fn keys(&self) -> Keys {
        let pixels = self.pixels.map(|pixels| pixels.to_string());
        Keys { image_key: self.image_key.clone(), label_key: self.label_key.clone(), pixels }
    }

    /// Sets how `options` read records.
    pub fn read_records(&self, options: &mut LoaderOptions) {
        read_records(options, &self.keys(), self.label_offset.unwrap_or(FIRST_LABEL), self.skip_bad);
        set_max_pixels(options, self.max_pixels);
    }
}

fn read_records(options: &mut LoaderOptions, keys: &Keys, label_offset: i64, skip_bad: bool) {
    options.schema = keys.schema();
    options.label_offset = label_offset;
    options.on_bad_record = if skip_bad { OnBadRecord::Skip } else { OnBadRecord::Error };
}

fn set_max_pixels(options: &mut LoaderOptions, max_pixels: Option<u64>) {
    options.decode.max_pixels = max_pixels.unwrap_or(options.decode.max_pixels);
}

impl Settings {
    /// What was chosen, with the recipe's values for the rest.
    ///
    /// # Errors
    /// Choices that can't be had together.
    pub fn new(choices: &Choices, census: &Census) -> Result<Self, Conflict> {
        let recipe = choices.recipe.unwrap_or(Recipe::Default);
        let (script, photos) = (recipe == Recipe::Script, census.photos());
        let batch_size =
            choices.batch_size.unwrap_or(if script { BATCH_SIZE } else { rules::batch_size(photos) });
        let optimizer = choices.optimizer.unwrap_or(if script { Rule::Sgd } else { Rule::Momentum });
        let image_size = choices.image_size.unwrap_or(if script { 64 } else { IMAGE_SIZE });
        let usual = if script { Architecture::Reference } else { Architecture::for_size(image_size) };
        let network = choices.network.unwrap_or(usual);
        let learning_rate = rules::learning_rate(recipe, optimizer, network, batch_size, photos);
        let minutes = match (choices.minutes, choices.epochs) {
            (Some(_), Some(_)) => return Err(Conflict::Budgets),
            (None, None) if !script => Some(MINUTES),
            (minutes, _) => minutes,
        };
        require_possible(choices, optimizer)?;
        let mut settings = Self {
            network,
            image_size,
            train_sizes: Vec::new(),
            batch_size,
            drop_last: !script && leaves_tiny_batch(photos, batch_size),
            epochs: choices.epochs.unwrap_or(if minutes.is_some() { MOST_EPOCHS } else { 20 }),
            minutes,
            evaluate_every: 1,
            optimizer,
            learning_rate: choices.learning_rate.unwrap_or(learning_rate),
            fit: choices.fit.unwrap_or(if script { Fit::Crop } else { Fit::Resize }),
            crop_share: choices.crop_share.unwrap_or(1.0),
            normalize: choices.given_normalize().unwrap_or_default(),
            channel_order: choices.channel_order.unwrap_or_default(),
            head: None,
            head_only: choices.head_only,
            head_views: choices.head_views.unwrap_or(1),
            augment: choices.augment.unwrap_or(if script {
                Augmentation::None
            } else {
                Augmentation::Strong
            }),
            mirror: choices.mirror.unwrap_or(true),
            regularization: match recipe {
                Recipe::Script => Regularization::SCRIPT,
                Recipe::Default => Regularization::for_photos(census.is_small()),
            }
            .for_rule(optimizer)
            .with(choices),
            class_weights: choices.class_weights().weights(census),
            recipe,
            seed: choices.seed.unwrap_or(SEED),
            label_offset: choices.label_offset.unwrap_or(FIRST_LABEL),
            skip_bad: choices.skip_bad,
            max_pixels: choices.max_pixels,
            hold_out: choices.hold_out,
            keys: choices.keys(),
        };
        settings.set_network(network, image_size);
        settings.flip_as_trained(choices);
        Ok(settings)
    }

    /// Leaves mirror images out of answers where they were left out of training, unless that was chosen.
    fn flip_as_trained(&mut self, choices: &Choices) {
        let trained = self.mirror && choices.augment != Some(Augmentation::None);
        if choices.test_time_flip.is_none() {
            self.regularization.test_time_flip &= trained;
        }
    }

    /// Leaves mirror images out of training and of answers.
    pub(super) fn set_no_mirror(&mut self, choices: &Choices) {
        self.mirror = false;
        self.flip_as_trained(choices);
    }

    /// Sets the network and the side of the images that it is evaluated with, and with it those it trains on.
    pub fn set_network(&mut self, network: Architecture, image_size: usize) {
        (self.network, self.image_size) = (network, image_size);
        let shrinks = self.network.is_sizeless() && self.augment == Augmentation::Strong;
        self.train_sizes = if shrinks { train_sizes(image_size) } else { vec![image_size] };
    }

    /// Sets what suits a network that was trained before and has the new last layer `head`, for these photos.
    pub(super) fn set_head(&mut self, head: &str, choices: &Choices, census: &Census) {
        let photos = census.photos();
        self.head = Some(head.into());
        self.train_sizes = vec![self.image_size];
        self.batch_size = choices.batch_size.unwrap_or(rules::batch_size(photos).min(tuning::BATCH_SIZE));
        self.drop_last = leaves_tiny_batch(photos, self.batch_size);
        let rate = tuning::learning_rate(self.recipe, self.optimizer, self.batch_size);
        self.learning_rate = choices.learning_rate.unwrap_or(rate);
        self.augment = choices.augment.unwrap_or(tuning::AUGMENTATION);
        self.regularization = tuning::REGULARIZATION.for_rule(self.optimizer).with(choices);
        self.flip_as_trained(choices);
        // Without photos to evaluate on nothing would say which is the better one.
        self.head_only |= photos < tuning::FEWEST_PHOTOS || census.eval == 0;
        self.evaluate_every = 1;
        if choices.epochs.is_none() {
            self.epochs = tuning::MOST_EPOCHS;
        }
        if self.head_only {
            self.epochs = 1;
        }
    }

    /// Whether there are steps of an optimizer at all.
    pub(super) fn trains_steps(&self) -> bool {
        self.head.is_none() || (!self.head_only && self.epochs > 1)
    }

    /// The optimizer.
    pub fn optimizer(&self) -> Box<dyn Optimizer> {
        let rate = self.learning_rate;
        let scale = self.recipe.gradient_scale(self.batch_size);
        match self.optimizer {
            Rule::Sgd => Box::new(Sgd::new(rate)),
            Rule::Momentum => {
                // Both limits keep their effect when the gradient is larger and the rate so much lower.
                let decay = self.regularization.weight_decay * scale;
                Box::new(Sgd::new(rate).momentum(0.9).nesterov().weight_decay(decay).clip_norm(5.0 * scale))
            }
            Rule::Adam => Box::new(Adam::new(rate)),
            Rule::Adamw => Box::new(AdamW::new(rate).weight_decay(self.regularization.weight_decay)),
        }
    }

    /// The loss: the script's is the sum over the batch.
    pub fn loss(&self) -> SoftmaxCrossEntropy {
        let loss = SoftmaxCrossEntropy {
            class_weights: self.class_weights.clone(),
            ..SoftmaxCrossEntropy::default().label_smoothing(self.regularization.label_smoothing)
        };
        match self.recipe {
            Recipe::Script => loss.sum(),
            Recipe::Default => loss,
        }
    }

    /// A new network for so many classes.
    ///
    /// # Errors
    /// [`RecipeError::Memory`] if training it on so many photos takes too much.
    pub fn network(&self, classes: usize, photos: usize) -> Result<Network, RecipeError> {
        let builder = self.builder(classes);
        require_memory(&builder, self.batch_size.min(photos), self.image_size)?;
        Ok(builder.build()?)
    }

    /// Whether training the network on so many photos fits into memory.
    pub fn fits_memory(&self, classes: usize, photos: usize) -> bool {
        require_memory(&self.builder(classes), self.batch_size.min(photos), self.image_size).is_ok()
    }

    fn builder(&self, classes: usize) -> NetworkBuilder {
        let kernels = match self.recipe {
            Recipe::Script => Init::TRUNCATED_NORMAL,
            Recipe::Default => Init::HeNormal,
        };
        let Regularization { dropout, test_time_flip, .. } = self.regularization;
        let builder = self.network.network(self.image_size, classes, dropout, kernels);
        let builder = builder.input(self.preprocess().shape());
        builder.loss(self.loss()).test_time_flip(test_time_flip).seed(self.seed)
    }

    /// How the trainer goes through epochs of so many batches, and under a budget with how much time.
    pub fn train_options(&self, batches: usize, budget: Option<TimeBudget>) -> TrainOptions {
        TrainOptions {
            schedule: self.schedule(batches),
            evaluate_every: self.evaluate_every as u64,
            average: self.regularization.average,
            stages: rules::stages(&self.train_sizes),
            budget,
            opening: self.head.is_some(),
            ..TrainOptions::new(self.epochs as u64, self.learning_rate)
        }
    }

    /// A rise over the first tenth, then half a cosine; the script's rate never moves.
    fn schedule(&self, batches: usize) -> Schedule {
        let total = ((self.epochs - usize::from(self.head.is_some())) * batches) as u64;
        match self.recipe {
            Recipe::Script => Schedule::Constant,
            Recipe::Default => Schedule::cosine(total, total / 10),
        }
    }

    /// From a photo to the network's input.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess::new(self.image_size)
            .fit(self.fit)
            .crop_share(self.crop_share)
            .normalize(self.normalize)
            .channel_order(self.channel_order)
    }

    /// Takes the way from a photo to the input from a model, where nothing else was chosen.
    pub(super) fn set_preprocess(&mut self, choices: &Choices, of_model: Preprocess) {
        self.fit = choices.fit.unwrap_or(of_model.fit);
        self.crop_share = choices.crop_share.unwrap_or(of_model.crop_share);
        // By the photos it is chosen already.
        if choices.normalize.is_none() {
            self.normalize = of_model.normalize;
        }
        self.channel_order = choices.channel_order.unwrap_or(of_model.channel_order);
    }

    /// How training batches are made of photos of so many classes.
    pub fn loader_options(&self, classes: usize) -> LoaderOptions {
        let mut options = LoaderOptions::new(self.preprocess(), classes);
        (options.batch_size, options.drop_last, options.seed) = (self.batch_size, self.drop_last, self.seed);
        read_records(&mut options, &self.keys, self.label_offset, self.skip_bad);
        set_max_pixels(&mut options, self.max_pixels);
        let changes = self.augment.changes();
        options.augment = if self.mirror { changes } else { changes.map(|changes| changes.flip(0.0)) };
        options.mix = self.regularization.mix;
        let largest = self.train_sizes.iter().copied().max().unwrap_or(self.image_size);
        options.source_size = self.augment.source_size(largest, self.image_size);
        if self.head.is_some() {
            // Photos of this size are decoded again each epoch, in an eighth of its time: kept, they would take more memory than all else.
            (options.cache_bytes, options.prefetch) = (0, 1);
        }
        options
    }

    /// The data as a run with these settings has them: with photos held out for evaluation, where that was chosen.
    ///
    /// # Errors
    /// As [`DataFolder::hold_out`].
    pub fn hold_out_of(&self, data: DataFolder) -> Result<DataFolder, RecipeError> {
        let Some(share) = self.hold_out else { return Ok(data) };
        let options = self.loader_options(data.classes.names().len());
        data.hold_out(share, self.seed, options)
    }
}

/// Fails if something chosen can't be had together, or with this rule.
fn require_possible(choices: &Choices, rule: Rule) -> Result<(), Conflict> {
    let (mixup, cutmix) = (choices.mixup.unwrap_or(0.0), choices.cutmix.unwrap_or(0.0));
    if mixup + cutmix > 1.0 {
        return Err(Conflict::Mix { mixup, cutmix });
    }
    if choices.weight_decay.is_some() && !rule.decays() {
        return Err(Conflict::Decay);
    }
    Ok(())
}

#[cfg(test)]
impl Settings {
    /// Those of a run that nothing is peculiar about.
    pub(super) fn sample() -> Self {
        let choices = Choices {
            epochs: Some(20),
            image_size: Some(64),
            augment: Some(Augmentation::Standard),
            learning_rate: Some(0.02),
            ..Choices::default()
        };
        let census = Census::new(vec![1000; 5]);
        let settings = Self::new(&choices, &census).unwrap();
        Self { train_sizes: train_sizes(64), ..settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_saved() {
        for settings in [
            Settings::sample(),
            Settings {
                minutes: Some(2.5),
                class_weights: Some(vec![0.5, 2.0]),
                mirror: true,
                regularization: Regularization::SCRIPT,
                ..Settings::sample()
            },
        ] {
            let saved = serde_json::to_value(&settings).unwrap();
            assert_eq!(serde_json::from_value::<Settings>(saved).unwrap(), settings);
        }
    }

    /// The form that training states have had, which must not change.
    #[test]
    fn settings_keep_their_form() {
        let saved = serde_json::to_value(Settings::sample()).unwrap();
        let names: Vec<_> = saved.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "augment",
                "average",
                "batch_size",
                "drop_last",
                "dropout",
                "epochs",
                "evaluate_every",
                "fit",
                "image_size",
                "label_offset",
                "label_smoothing",
                "learning_rate",
                "mix",
                "network",
                "optimizer",
                "recipe",
                "seed",
                "skip_bad",
                "test_time_flip",
                "train_sizes",
                "weight_decay"
            ]
        );
        let words = ["network", "optimizer", "fit", "augment", "recipe"].map(|name| saved[name].clone());
        assert_eq!(words, ["small", "momentum", "resize", "standard", "default"]);
    }

    /// States saved before there were keys load, and those without any are as they were.
    #[test]
    fn keys_are_saved_where_they_are_not_the_usual_ones() {
        let saved = serde_json::to_value(Settings::sample()).unwrap();
        assert!(saved.get("image_key").is_none() && saved.get("label_key").is_none(), "{saved}");
        assert_eq!(serde_json::from_value::<Settings>(saved).unwrap(), Settings::sample());
        let keys = Keys { image_key: Some("image".into()), label_key: Some("label".into()), pixels: None };
        let settings = Settings { keys, ..Settings::sample() };
        let saved = serde_json::to_value(&settings).unwrap();
        assert_eq!(saved["image_key"], "image");
        assert_eq!(serde_json::from_value::<Settings>(saved).unwrap(), settings);
    }

    #[test]
    fn choices_that_exclude_each_other_are_refused() {
        let census = Census::new(vec![10, 10]);
        let refused = |choices: &Choices| Settings::new(choices, &census).err();
        let mixed = |mixup, cutmix| Choices { mixup, cutmix, ..Choices::default() };
        assert_eq!(refused(&mixed(Some(0.75), None)), None);
        let (mixup, cutmix) = (0.75, 0.5);
        assert_eq!(refused(&mixed(Some(mixup), Some(cutmix))), Some(Conflict::Mix { mixup, cutmix }));
        let decay = |rule| Choices { weight_decay: Some(0.1), optimizer: Some(rule), ..Choices::default() };
        assert_eq!(
            [Rule::Momentum, Rule::Adamw, Rule::Sgd].map(|rule| refused(&decay(rule))),
            [None, None, Some(Conflict::Decay)]
        );
        let both = Choices { minutes: Some(1.0), epochs: Some(1), ..Choices::default() };
        assert_eq!(refused(&both), Some(Conflict::Budgets));
    }
}
