//! What decides a run's result besides its data: from flags, or as the run was saved.

use clap::ValueEnum;
use floret::batch::{LoaderOptions, Preprocess};
use floret::checkpoint::SavedTraining;
use floret::image::augment::RandomCrop;
use floret::image::{Augment, Fit};
use floret::loss::SoftmaxCrossEntropy;
use floret::models;
use floret::network::Network;
use floret::nn::Init;
use floret::optim::{Adam, AdamW, Optimizer, Schedule, Sgd};
use serde::{Deserialize, Serialize};

use super::Args;
use crate::args::{self, FIRST_LABEL, Keys};
use crate::ui::note;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    None,
    /// Mirroring and small shifts
    Light,
    /// Random crops, mirroring, rotation, colours
    Standard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    Default,
    Script,
}

impl Recipe {
    /// How many times as large as those of the mean loss gradients are: the script adds the losses of a batch up.
    fn gradient_scale(self, batch_size: usize) -> f32 {
        match self {
            Recipe::Default => 1.0,
            Recipe::Script => batch_size as f32,
        }
    }
}

/// Kept in the training state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub image_size: usize,
    pub batch_size: usize,
    pub epochs: usize,
    pub optimizer: Rule,
    pub learning_rate: f32,
    pub fit: Fit,
    pub augment: Augmentation,
    pub recipe: Recipe,
    pub seed: u64,
    pub label_offset: i64,
    pub skip_bad: bool,
    #[serde(flatten)]
    pub keys: Keys,
}

impl Settings {
    /// The flags given, with the recipe's values for the others.
    pub fn new(args: &Args) -> Self {
        let recipe = args.recipe.unwrap_or(Recipe::Default);
        let script = recipe == Recipe::Script;
        let batch_size = args.batch_size.unwrap_or(64);
        let optimizer = args.optimizer.unwrap_or(if script { Rule::Sgd } else { Rule::Momentum });
        let learning_rate = match optimizer {
            // The script's own.
            Rule::Sgd if script => 0.0005,
            Rule::Sgd | Rule::Momentum => 0.02 / recipe.gradient_scale(batch_size),
            // These divide by the gradients' size themselves.
            Rule::Adam | Rule::Adamw => 0.0005,
        };
        Self {
            image_size: args.image_size.unwrap_or(64),
            batch_size,
            epochs: args.epochs.unwrap_or(20),
            optimizer,
            learning_rate: args.learning_rate.unwrap_or(learning_rate),
            fit: args.fit.unwrap_or(if script { Fit::Crop } else { Fit::Resize }),
            augment: args.augment.unwrap_or(if script { Augmentation::None } else { Augmentation::Standard }),
            recipe,
            seed: args.seed.unwrap_or(1),
            label_offset: args.records.label_offset.unwrap_or(FIRST_LABEL),
            skip_bad: args.records.skip_bad,
            keys: args.records.keys.clone(),
        }
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
        if !clashes.is_empty() {
            let clashes = clashes.join(", ");
            return Err(format!("--resume goes on with the settings saved; leave out {clashes}").into());
        }
        settings.skip_bad |= args.records.skip_bad;
        if let Some(epochs) = args.epochs.filter(|epochs| *epochs != settings.epochs) {
            settings.change_epochs(epochs);
        }
        Ok(settings)
    }

    /// Fails if a value is none that its flag takes, as after a change by hand.
    fn check(&self) -> Result<()> {
        let Self { image_size, batch_size, epochs, learning_rate, .. } = self;
        let checked = [
            ("image size", args::image_size(&image_size.to_string()).err()),
            ("batch size", args::positive(&batch_size.to_string()).err()),
            ("number of epochs", args::positive(&epochs.to_string()).err()),
            ("learning rate", args::positive_float(&learning_rate.to_string()).err()),
        ];
        match checked.into_iter().find_map(|(what, error)| Some((what, error?))) {
            Some((what, error)) => {
                Err(format!("the training state has an impossible {what}: {error}").into())
            }
            None => Ok(()),
        }
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
                let sgd = Sgd::new(rate).momentum(0.9).nesterov();
                Box::new(sgd.weight_decay(5e-4 * scale).clip_norm(5.0 * scale))
            }
            Rule::Adam => Box::new(Adam::new(rate)),
            Rule::Adamw => Box::new(AdamW::new(rate).weight_decay(0.05)),
        }
    }

    /// What training makes small: the script's is the sum over the batch.
    pub fn loss(&self) -> SoftmaxCrossEntropy {
        match self.recipe {
            Recipe::Script => SoftmaxCrossEntropy::default().sum(),
            Recipe::Default => SoftmaxCrossEntropy::default(),
        }
    }

    /// The network for so many classes, if training it on so many photos fits into memory.
    pub fn network(&self, classes: usize, photos: usize) -> Result<Network> {
        let kernels = match self.recipe {
            Recipe::Script => Init::TRUNCATED_NORMAL,
            Recipe::Default => Init::HeNormal,
        };
        let builder = models::seed_with(self.image_size, classes, 0.5, kernels).loss(self.loss());
        memory::require(&builder, self.batch_size.min(photos), self.image_size)?;
        Ok(builder.seed(self.seed).build()?)
    }

    /// A rise over the first twentieth, then half a cosine; the script's rate never moves.
    pub fn schedule(&self, batches: usize) -> Schedule {
        let total = (self.epochs * batches) as u64;
        match self.recipe {
            Recipe::Script => Schedule::Constant,
            Recipe::Default => Schedule::cosine(total, total / 20),
        }
    }

    pub fn loader_options(&self, classes: usize) -> LoaderOptions {
        let preprocess = Preprocess::new(self.image_size).fit(self.fit);
        let mut options = LoaderOptions::new(preprocess, classes);
        (options.batch_size, options.seed) = (self.batch_size, self.seed);
        args::read_records(&mut options, &self.keys, Some(self.label_offset), self.skip_bad);
        match self.augment {
            Augmentation::None => {}
            Augmentation::Light => {
                options.augment = Some(Augment::none().flip(0.5).crop(RandomCrop::Shift(0.06)));
            }
            Augmentation::Standard => {
                options.augment = Some(Augment::standard());
                // Room for the random crops.
                options.source_size = self.image_size * 5 / 4;
            }
        }
        options
    }
}

/// The name of a choice, as on the command line.
fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            image_size: 64,
            batch_size: 64,
            epochs: 20,
            optimizer: Rule::Momentum,
            learning_rate: 0.02,
            fit: Fit::Resize,
            augment: Augmentation::Standard,
            recipe: Recipe::Default,
            seed: 1,
            label_offset: 1,
            skip_bad: false,
            keys: Keys::default(),
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
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(&format!("an impossible {what}: ")), "{error}");
        }
    }
}
