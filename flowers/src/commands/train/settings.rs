//! What decides a run's result besides its data: from flags, or as the run was saved.

use clap::ValueEnum;
use floret::checkpoint::SavedTraining;
use floret::data::{LoaderOptions, Preprocess};
use floret::image::Fit;
use floret::loss::SoftmaxCrossEntropy;
use floret::network::{Network, NetworkBuilder};
use floret::nn::Init;
use floret::optim::{Adam, AdamW, Optimizer, Schedule, Sgd};
use floret::train::{Budget, TrainOptions};
use serde::{Deserialize, Serialize};

use super::Args;
use super::census::Census;
use super::recipe::{self, Architecture, Augmentation, Recipe, Regularization};
use crate::args::{self, FIRST_LABEL, Keys};
use crate::ui::{self, note};
use crate::{Result, memory};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    Sgd,
    /// Nesterov's momentum, 0.9
    Momentum,
    Adam,
    Adamw,
}

impl Rule {
    /// Whether it takes something of the weights in each step.
    pub fn decays(self) -> bool {
        matches!(self, Rule::Momentum | Rule::Adamw)
    }
}

/// Photos in a step, where there are enough of them.
const BATCH_SIZE: usize = 64;
/// Steps that an epoch has at least, if that takes no batches under [`LEAST_BATCH`].
const LEAST_STEPS: usize = 8;
/// Batch norm needs some photos to take a mean of.
const LEAST_BATCH: usize = 8;
/// The weight decay of AdamW, whose learning rate is so much lower.
pub const ADAMW_DECAY: f32 = 0.05;

/// The batch size that suits so many photos: the largest power of two that leaves an epoch its steps.
pub fn batch_size(photos: usize) -> usize {
    (1 << (photos / LEAST_STEPS).max(1).ilog2()).clamp(LEAST_BATCH, BATCH_SIZE)
}

/// Whether the last batch of an epoch has so few photos that batch norm's mean of them says little, and that they are not
/// missed.
fn leaves_tiny_batch(photos: usize, batch_size: usize) -> bool {
    photos > LEAST_STEPS * batch_size && (1..LEAST_BATCH).contains(&(photos % batch_size))
}

/// The time that training takes by itself.
pub const MINUTES: f64 = 5.0;
/// The most epochs in any time: more would add little.
const MOST_EPOCHS: usize = 300;
/// The side in evaluation of training for so many epochs, whose result must not depend on the machine's speed.
pub const IMAGE_SIZE: usize = 96;

/// Kept in the training state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub network: Architecture,
    /// Side of the images that the network is evaluated and used with.
    pub image_size: usize,
    /// Sides of those it trains on, each for an equal part of training.
    pub train_sizes: Vec<usize>,
    pub batch_size: usize,
    /// Whether each epoch leaves out a few photos, other ones each time, that would make a tiny batch.
    pub drop_last: bool,
    /// Under a budget of time the most there may be.
    pub epochs: usize,
    /// The budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Epochs from one evaluation to the next.
    pub evaluate_every: usize,
    pub optimizer: Rule,
    pub learning_rate: f32,
    pub fit: Fit,
    pub augment: Augmentation,
    #[serde(flatten)]
    pub regularization: Regularization,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    pub recipe: Recipe,
    pub seed: u64,
    pub label_offset: i64,
    pub skip_bad: bool,
    #[serde(flatten)]
    pub keys: Keys,
}

impl Settings {
    /// The flags given, with the recipe's values for the others.
    pub fn new(args: &Args, census: &Census) -> Self {
        let recipe = args.recipe.unwrap_or(Recipe::Default);
        let script = recipe == Recipe::Script;
        let batch_size =
            args.batch_size.unwrap_or(if script { BATCH_SIZE } else { batch_size(census.photos()) });
        let optimizer = args.optimizer.unwrap_or(if script { Rule::Sgd } else { Rule::Momentum });
        let image_size = args.image_size.unwrap_or(if script { 64 } else { IMAGE_SIZE });
        let usual = if script { Architecture::Reference } else { Architecture::for_size(image_size) };
        let network = args.network.unwrap_or(usual);
        let learning_rate = learning_rate(recipe, optimizer, network, batch_size, census.photos());
        let minutes = match (args.minutes, args.epochs) {
            (None, None) if !script => Some(MINUTES),
            (minutes, _) => minutes,
        };
        let augment = args.augment.unwrap_or(if script { Augmentation::None } else { Augmentation::Strong });
        let mut settings = Self {
            network,
            image_size,
            train_sizes: Vec::new(),
            batch_size,
            drop_last: !script && leaves_tiny_batch(census.photos(), batch_size),
            epochs: args.epochs.unwrap_or(if minutes.is_some() { MOST_EPOCHS } else { 20 }),
            minutes,
            evaluate_every: 1,
            optimizer,
            learning_rate: args.learning_rate.unwrap_or(learning_rate),
            fit: args.fit.unwrap_or(if script { Fit::Crop } else { Fit::Resize }),
            augment,
            regularization: match recipe {
                Recipe::Script => Regularization::SCRIPT,
                Recipe::Default => Regularization::for_photos(census.is_small()),
            }
            .for_rule(optimizer)
            .with(&args.chosen),
            class_weights: args.class_weights().weights(census),
            recipe,
            seed: args.seed.unwrap_or(1),
            label_offset: args.records.label_offset.unwrap_or(FIRST_LABEL),
            skip_bad: args.records.skip_bad,
            keys: args.records.keys.clone(),
        };
        settings.set_network(network, image_size);
        settings
    }

    /// Sets the network and the side of the images that it is evaluated with, and with it those it trains on.
    pub fn set_network(&mut self, network: Architecture, image_size: usize) {
        (self.network, self.image_size) = (network, image_size);
        let shrinks = self.network.is_sizeless() && self.augment == Augmentation::Strong;
        self.train_sizes = if shrinks { recipe::train_sizes(image_size) } else { vec![image_size] };
    }

    /// Those that a run was saved with.
    pub fn of(saved: &SavedTraining) -> Result<Self> {
        let settings: Settings = serde_json::from_value(saved.settings.clone())
            .map_err(|error| format!("the training state was not saved by this program: {error}"))?;
        settings.check()?;
        Ok(settings)
    }

    /// The saved settings, if no flag contradicts them. Another number of epochs may be asked for, and bad records be
    /// skipped from now on.
    pub fn resumed(saved: &SavedTraining, args: &Args) -> Result<Self> {
        let mut settings = Self::of(saved)?;
        let mut clashes = Vec::new();
        let mut same = |flag: &str, given: Option<String>, saved: String| {
            if let Some(given) = given.filter(|given| *given != saved) {
                clashes.push(format!("--{flag} {given} (it was {saved})"));
            }
        };
        same("network", args.network.map(|v| name(&v)), name(&settings.network));
        same("image-size", args.image_size.map(|v| v.to_string()), settings.image_size.to_string());
        same("batch-size", args.batch_size.map(|v| v.to_string()), settings.batch_size.to_string());
        same("optimizer", args.optimizer.map(|v| name(&v)), name(&settings.optimizer));
        same("learning-rate", args.learning_rate.map(|v| v.to_string()), settings.learning_rate.to_string());
        same("fit", args.fit.map(|v| v.to_string()), settings.fit.to_string());
        same("augment", args.augment.map(|v| name(&v)), name(&settings.augment));
        same("recipe", args.recipe.map(|v| name(&v)), name(&settings.recipe));
        same("seed", args.seed.map(|v| v.to_string()), settings.seed.to_string());
        let label_offset = args.records.label_offset.map(|v| v.to_string());
        same("label-offset", label_offset, settings.label_offset.to_string());
        let (given, schema) = (&args.records.keys, settings.keys.schema());
        same("image-key", given.image_key.clone(), schema.encoded);
        same("label-key", given.label_key.clone(), schema.label);
        if settings.regularization.with(&args.chosen) != settings.regularization {
            clashes.push("the flags of its regularization".into());
        }
        if args.class_weights.is_some() {
            clashes.push("--class-weights (they are as they were)".into());
        }
        match (args.epochs, args.minutes, settings.minutes) {
            (Some(_), _, Some(minutes)) => {
                clashes.push(format!("--epochs (it trains for --minutes {minutes})"))
            }
            (_, Some(_), None) => clashes.push(format!("--minutes (it has --epochs {})", settings.epochs)),
            _ => {}
        }
        if !clashes.is_empty() {
            let clashes = clashes.join(", ");
            return Err(format!("--resume goes on with the settings saved; leave out {clashes}").into());
        }
        settings.skip_bad |= args.records.skip_bad;
        if let Some(minutes) = args.minutes {
            settings.change_minutes(minutes, saved)?;
        }
        if let Some(epochs) = args.epochs.filter(|epochs| *epochs != settings.epochs) {
            settings.change_epochs(epochs);
        }
        Ok(settings)
    }

    /// Fails if a value is none that its flag takes, as after a change by hand.
    fn check(&self) -> Result<()> {
        let Self { image_size, batch_size, epochs, learning_rate, evaluate_every, .. } = self;
        let sizes = &self.train_sizes;
        let fit = !sizes.is_empty() && sizes.iter().all(|size| (1..=*image_size).contains(size));
        let checked = [
            ("image size", args::image_size(&image_size.to_string()).err()),
            ("batch size", args::positive(&batch_size.to_string()).err()),
            ("number of epochs", args::positive(&epochs.to_string()).err()),
            ("learning rate", args::positive_float(&learning_rate.to_string()).err()),
            ("number of epochs between evaluations", args::positive(&evaluate_every.to_string()).err()),
            ("time", self.minutes.and_then(|minutes| args::minutes(&minutes.to_string()).err())),
            (
                "size of training images",
                (!fit).then(|| format!("{sizes:?}, with {image_size} in evaluation")),
            ),
        ];
        match checked.into_iter().find_map(|(what, error)| Some((what, error?))) {
            Some((what, error)) => {
                Err(format!("the training state has an impossible {what}: {error}").into())
            }
            None => Ok(()),
        }
    }

    fn change_minutes(&mut self, minutes: f64, saved: &SavedTraining) -> Result<()> {
        let spent = saved.progress.seconds();
        if saved.progress.is_finished() {
            note!(
                "note: the run is complete, and more time changes nothing: for a longer one begin anew in another folder (--out)"
            );
        } else if 60.0 * minutes <= spent {
            return Err(format!(
                "--minutes {minutes} are over: the run has taken {} already. Give it more, or leave --minutes out",
                ui::duration(spent)
            )
            .into());
        } else {
            self.minutes = Some(minutes);
        }
        Ok(())
    }

    fn change_epochs(&mut self, epochs: usize) {
        if self.recipe == Recipe::Default {
            note!(
                "note: with {epochs} epochs instead of {} the learning rate follows another curve from here on: \
                 the result is not that of a run of {epochs} epochs from its start",
                self.epochs
            );
        }
        self.epochs = epochs;
    }

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

    /// What training makes small: the script's is the sum over the batch.
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

    /// The network for so many classes, if training it on so many photos fits into memory.
    pub fn network(&self, classes: usize, photos: usize) -> Result<Network> {
        let builder = self.builder(classes);
        memory::require(&builder, self.batch_size.min(photos), self.image_size)?;
        Ok(builder.build()?)
    }

    /// Whether it does.
    pub fn fits_memory(&self, classes: usize, photos: usize) -> bool {
        memory::require(&self.builder(classes), self.batch_size.min(photos), self.image_size).is_ok()
    }

    fn builder(&self, classes: usize) -> NetworkBuilder {
        let kernels = match self.recipe {
            Recipe::Script => Init::TRUNCATED_NORMAL,
            Recipe::Default => Init::HeNormal,
        };
        let Regularization { dropout, test_time_flip, .. } = self.regularization;
        let builder = self.network.network(self.image_size, classes, dropout, kernels);
        builder.loss(self.loss()).test_time_flip(test_time_flip).seed(self.seed)
    }

    /// How the trainer goes through epochs of so many batches. Under a budget it has so much time, which is taken for so many
    /// epochs at first.
    pub fn train_options(&self, batches: usize, budget: Option<Budget>) -> TrainOptions {
        TrainOptions {
            schedule: self.schedule(batches),
            evaluate_every: self.evaluate_every as u64,
            average: self.regularization.average,
            stages: recipe::stages(&self.train_sizes),
            budget,
            ..TrainOptions::new(self.epochs as u64, self.learning_rate)
        }
    }

    /// A rise over the first tenth, then half a cosine; the script's rate never moves.
    fn schedule(&self, batches: usize) -> Schedule {
        let total = (self.epochs * batches) as u64;
        match self.recipe {
            Recipe::Script => Schedule::Constant,
            Recipe::Default => Schedule::cosine(total, total / 10),
        }
    }

    pub fn loader_options(&self, classes: usize) -> LoaderOptions {
        let preprocess = Preprocess::new(self.image_size).fit(self.fit);
        let mut options = LoaderOptions::new(preprocess, classes);
        (options.batch_size, options.drop_last, options.seed) = (self.batch_size, self.drop_last, self.seed);
        args::read_records(&mut options, &self.keys, Some(self.label_offset), self.skip_bad);
        options.augment = self.augment.changes();
        options.mix = self.regularization.mix;
        let largest = self.train_sizes.iter().copied().max().unwrap_or(self.image_size);
        options.source_size = self.augment.source_size(largest, self.image_size);
        options
    }
}

/// The learning rate that suits batches of this size, if there are so many photos.
pub fn learning_rate(
    recipe: Recipe,
    rule: Rule,
    network: Architecture,
    batch_size: usize,
    photos: usize,
) -> f32 {
    let rate = match network {
        Architecture::Reference => 0.02,
        // A step's noise grows as its batch shrinks (Goyal et al. 2017).
        Architecture::Small | Architecture::Large => 0.05 * batch_size.min(photos) as f32 / BATCH_SIZE as f32,
    };
    match (rule, recipe) {
        // The script's own.
        (Rule::Sgd, Recipe::Script) => 0.0005,
        (Rule::Sgd | Rule::Momentum, _) => rate / recipe.gradient_scale(batch_size),
        // These divide by the gradients' size themselves.
        (Rule::Adam | Rule::Adamw, _) => 0.0005,
    }
}

/// The name of a choice, as on the command line.
fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
impl Settings {
    /// Those of a run that nothing is peculiar about.
    pub fn sample() -> Self {
        Self {
            network: Architecture::Small,
            image_size: 64,
            train_sizes: recipe::train_sizes(64),
            batch_size: 64,
            drop_last: false,
            epochs: 20,
            minutes: None,
            evaluate_every: 1,
            optimizer: Rule::Momentum,
            learning_rate: 0.02,
            fit: Fit::Resize,
            augment: Augmentation::Standard,
            regularization: Regularization::for_photos(false),
            class_weights: None,
            recipe: Recipe::Default,
            seed: 1,
            label_offset: 1,
            skip_bad: false,
            keys: Keys::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings::sample()
    }

    #[test]
    fn few_photos_make_small_batches() {
        assert_eq!([1, 48, 64, 130, 300, 512, 5000].map(batch_size), [8, 8, 8, 16, 32, 64, 64]);
        assert!(leaves_tiny_batch(2434, 64) && !leaves_tiny_batch(2432, 64) && !leaves_tiny_batch(2440, 64));
        assert!(!leaves_tiny_batch(65, 64));
    }

    #[test]
    fn the_learning_rate_is_that_of_the_mean_loss_whatever_the_script_adds_up() {
        use Architecture::{Reference, Small};
        let rate = |recipe, rule, network| learning_rate(recipe, rule, network, 32, 1000);
        assert_eq!(rate(Recipe::Script, Rule::Sgd, Reference), 0.0005);
        for network in [Small, Reference] {
            let mean = rate(Recipe::Default, Rule::Momentum, network);
            assert_eq!(rate(Recipe::Script, Rule::Momentum, network), mean / 32.0);
            assert_eq!(rate(Recipe::Default, Rule::Adam, network), 0.0005);
        }
        assert_eq!(rate(Recipe::Default, Rule::Sgd, Small), 0.025);
        // A batch has no more photos than there are.
        assert_eq!(learning_rate(Recipe::Default, Rule::Momentum, Small, 1024, 32), 0.025);
    }

    #[test]
    fn settings_come_back_as_they_were_saved() {
        for settings in [
            good(),
            Settings {
                minutes: Some(2.5),
                class_weights: Some(vec![0.5, 2.0]),
                regularization: Regularization::SCRIPT,
                ..good()
            },
        ] {
            let saved = serde_json::to_value(&settings).unwrap();
            assert_eq!(serde_json::from_value::<Settings>(saved).unwrap(), settings);
        }
    }

    /// States saved before there were keys load, and those without any are as they were.
    #[test]
    fn keys_are_saved_where_they_are_not_the_usual_ones() {
        let saved = serde_json::to_value(good()).unwrap();
        assert!(saved.get("image_key").is_none() && saved.get("label_key").is_none(), "{saved}");
        assert_eq!(serde_json::from_value::<Settings>(saved).unwrap(), good());
        let keys = Keys { image_key: Some("image".into()), label_key: Some("label".into()) };
        let settings = Settings { keys, ..good() };
        let saved = serde_json::to_value(&settings).unwrap();
        assert_eq!(saved["image_key"], "image");
        assert_eq!(serde_json::from_value::<Settings>(saved).unwrap(), settings);
    }

    #[test]
    fn saved_settings_are_held_to_what_flags_take() {
        let good = good();
        good.check().unwrap();
        for (settings, what) in [
            (Settings { image_size: 7, ..good.clone() }, "image size"),
            (Settings { batch_size: 0, ..good.clone() }, "batch size"),
            (Settings { epochs: 0, ..good.clone() }, "number of epochs"),
            (Settings { learning_rate: -5.0, ..good.clone() }, "learning rate"),
            (Settings { learning_rate: f32::NAN, ..good.clone() }, "learning rate"),
            (Settings { evaluate_every: 0, ..good.clone() }, "number of epochs between evaluations"),
            (Settings { minutes: Some(-1.0), ..good.clone() }, "time"),
            (Settings { train_sizes: vec![65], ..good.clone() }, "size of training images"),
            (Settings { train_sizes: Vec::new(), ..good.clone() }, "size of training images"),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(&format!("an impossible {what}: ")), "{error}");
        }
    }
}
