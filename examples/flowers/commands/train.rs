//! `train`: shards to a trained network.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use floret::batch::{Loader, LoaderOptions, Preprocess};
use floret::checkpoint::{ModelInfo, SavedTraining, Saver, load_model, load_training};
use floret::image::augment::RandomCrop;
use floret::image::{Augment, Fit};
use floret::loss::SoftmaxCrossEntropy;
use floret::models;
use floret::network::{Network, StepReport};
use floret::nn::Init;
use floret::optim::{Adam, AdamW, Optimizer, Schedule, Sgd};
use floret::train::{
    Callback, Ended, EpochRecord, Flow, Moment, TrainError, TrainOptions, Trainer, evaluate,
};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::{self, DataFolder};
use crate::report;
use crate::ui::{self, Progress};

/// Train the reference network on a data folder.
///
/// The network with the best accuracy on the eval shards is saved after each epoch as OUT/model.safetensors, and the
/// state of training as OUT/training.safetensors: `--resume` goes on from there, and ends with the very weights that a run
/// without interruption would have ended with.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with train-*, eval-* and labels.txt, as `flowers convert` writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Side of the square image that the network sees, in pixels [default: 64]
    #[arg(long, value_parser = data::image_size, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Photos in a step [default: 64]
    #[arg(long, value_parser = data::positive, value_name = "N")]
    batch_size: Option<usize>,
    /// Passes over the training photos [default: 20]
    #[arg(long, value_parser = data::positive, value_name = "N")]
    epochs: Option<usize>,
    /// The rule that moves the weights [default: momentum]
    #[arg(long, value_enum)]
    optimizer: Option<Rule>,
    /// Step size [default: sgd and momentum 0.02, adam and adamw 0.0005]
    #[arg(long, value_parser = data::positive_float, value_name = "X")]
    learning_rate: Option<f32>,
    /// How a photo becomes a square: resize the whole of it, its centre (resize-crop), or a cut from its middle at full
    /// resolution (crop) [default: resize]
    #[arg(long, value_name = "crop|resize|resize-crop")]
    fit: Option<Fit>,
    /// Change training photos at random, so that the network sees more than there are [default: standard]
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "standard")]
    augment: Option<Augmentation>,
    /// `default`, or `script`: plain gradient descent as in the well-known TensorFlow script, for comparison
    #[arg(long, value_enum)]
    recipe: Option<Recipe>,
    /// Source of all randomness: the same seed gives the same network [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_parser = data::positive, value_name = "N")]
    threads: Option<usize>,
    /// Where the model and the training state go
    #[arg(long, value_name = "DIR", default_value = "run")]
    out: PathBuf,
    /// Go on from OUT/training.safetensors, with the settings saved there
    #[arg(long)]
    resume: bool,
}

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

/// Everything that decides the result besides the data; kept in the training state.
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
}

impl Settings {
    /// The flags given, with the recipe's values for the others.
    fn new(args: &Args) -> Self {
        let recipe = args.recipe.unwrap_or(Recipe::Default);
        let script = recipe == Recipe::Script;
        let optimizer = args.optimizer.unwrap_or(if script { Rule::Sgd } else { Rule::Momentum });
        let learning_rate = match optimizer {
            // The script adds the losses of a batch up, which is as a mean with 64 times the rate.
            Rule::Sgd if script => 0.0005,
            Rule::Sgd | Rule::Momentum => 0.02,
            Rule::Adam | Rule::Adamw => 0.0005,
        };
        Self {
            image_size: args.image_size.unwrap_or(64),
            batch_size: args.batch_size.unwrap_or(64),
            epochs: args.epochs.unwrap_or(20),
            optimizer,
            learning_rate: args.learning_rate.unwrap_or(learning_rate),
            fit: args.fit.unwrap_or(if script { Fit::Crop } else { Fit::Resize }),
            augment: args.augment.unwrap_or(if script { Augmentation::None } else { Augmentation::Standard }),
            recipe,
            seed: args.seed.unwrap_or(1),
        }
    }

    /// The saved settings, if no flag contradicts them. More epochs may be asked for.
    fn resumed(saved: &SavedTraining, args: &Args) -> Result<Self> {
        let mut settings: Settings = serde_json::from_value(saved.settings.clone())
            .map_err(|error| format!("the training state was not saved by this program: {error}"))?;
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
        if !clashes.is_empty() {
            let clashes = clashes.join(", ");
            return Err(format!("--resume goes on with the settings saved; leave out {clashes}").into());
        }
        settings.epochs = args.epochs.unwrap_or(settings.epochs);
        Ok(settings)
    }

    fn optimizer(&self) -> Box<dyn Optimizer> {
        let rate = self.learning_rate;
        match self.optimizer {
            Rule::Sgd => Box::new(Sgd::new(rate)),
            Rule::Momentum => {
                Box::new(Sgd::new(rate).momentum(0.9).nesterov().weight_decay(5e-4).clip_norm(5.0))
            }
            Rule::Adam => Box::new(Adam::new(rate)),
            Rule::Adamw => Box::new(AdamW::new(rate).weight_decay(0.05)),
        }
    }

    fn network(&self, classes: usize) -> Result<Network> {
        let builder = match self.recipe {
            Recipe::Script => {
                models::seed(self.image_size, classes, 0.5).loss(SoftmaxCrossEntropy::default().sum())
            }
            Recipe::Default => models::seed_with(self.image_size, classes, 0.5, Init::HeNormal),
        };
        Ok(builder.seed(self.seed).build()?)
    }

    /// A rise over the first twentieth, then half a cosine; the script's rate never moves.
    fn schedule(&self, batches: usize) -> Schedule {
        let total = (self.epochs * batches) as u64;
        match self.recipe {
            Recipe::Script => Schedule::Constant,
            Recipe::Default => Schedule::cosine(total, total / 20),
        }
    }

    fn loader_options(&self, classes: usize) -> LoaderOptions {
        let preprocess = Preprocess::new(self.image_size).fit(self.fit);
        let mut options = LoaderOptions::new(preprocess, classes);
        (options.batch_size, options.seed) = (self.batch_size, self.seed);
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

pub fn run(args: &Args) -> Result<()> {
    data::use_threads(args.threads)?;
    let data = DataFolder::open(&args.data)?;
    let training_path = args.out.join("training.safetensors");
    let saved = match args.resume {
        true => Some(load_training(&training_path)?),
        false if training_path.exists() => {
            let out = args.out.display();
            return Err(format!(
                "{out} holds a training run already: go on with it (--resume), or choose another folder (--out)"
            )
            .into());
        }
        false => None,
    };
    let settings = match &saved {
        Some(saved) => Settings::resumed(saved, args)?,
        None => Settings::new(args),
    };
    train(&data, &settings, saved, &args.out)?;
    let model = args.out.join("model.safetensors");
    let (data, model) = (args.data.display(), model.display());
    println!("\nLook closer:  flowers eval --data {data} --model {model}");
    println!("Use it:       flowers predict --model {model} PHOTO...");
    Ok(())
}

/// Trains, or goes on training, in the folder `out`; prints what it does, and the best network's evaluation.
pub fn train(data: &DataFolder, settings: &Settings, saved: Option<SavedTraining>, out: &Path) -> Result<()> {
    let classes = data.classes.names();
    let options = settings.loader_options(classes.len());
    let train = data.loader("train", options.clone())?;
    let eval = data.loader("eval", options.clone().for_evaluation())?;
    println!(
        "{} photos to train on, {} to evaluate on, {} classes: {}",
        train.len(),
        eval.len(),
        classes.len(),
        classes.join(", ")
    );
    fs::create_dir_all(out).map_err(|error| format!("cannot create {}: {error}", out.display()))?;

    let train_options = TrainOptions {
        schedule: settings.schedule(train.batches()),
        ..TrainOptions::new(settings.epochs as u64, settings.learning_rate)
    };
    let mut optimizer = settings.optimizer();
    let (mut network, mut trainer) = match saved {
        None => (settings.network(classes.len())?, Trainer::new(train_options)),
        Some(mut saved) => {
            if saved.info.classes != classes {
                let message =
                    format!("the run knows the classes {:?}, the data {classes:?}", saved.info.classes);
                return Err(message.into());
            }
            saved.restore(optimizer.as_mut())?;
            println!("going on after {} epochs and {} batches", saved.progress.epoch, saved.progress.batch);
            (saved.network, Trainer::resume(train_options, saved.progress))
        }
    };
    println!("{}", network.summary());
    println!(
        "{} epochs of {} steps of {} photos, {} {}, seed {}, {} threads",
        settings.epochs,
        train.batches(),
        settings.batch_size,
        optimizer.settings(),
        settings.learning_rate,
        settings.seed,
        rayon::current_num_threads()
    );
    let info = ModelInfo { classes: classes.to_vec(), preprocess: options.preprocess };
    let mut saver = Saver::new(out, info, serde_json::to_value(settings)?).every_steps(SAVE_EVERY);
    let mut display = Display::new(&train, settings.epochs);
    let ended = trainer.run(
        &mut network,
        optimizer.as_mut(),
        &train,
        Some(&eval),
        &mut [&mut saver, &mut display],
    )?;
    if ended == Ended::Finished && display.epochs == 0 {
        println!("all {} epochs were done already", settings.epochs);
    }
    let Some(best) = trainer.progress().best else { return Ok(()) };

    // The best network is the one on disk.
    let (mut network, _) = load_model(saver.model_path())?;
    println!("\nepoch {} was the best; loaded back from {}:", best.epoch + 1, saver.model_path().display());
    println!("{}", report::evaluation(&evaluate(&mut network, &eval)?, classes));
    Ok(())
}

/// Steps between two saves of the training state: well under a minute of work lost, well under a hundredth of the time
/// spent on saving.
const SAVE_EVERY: u64 = 50;

/// The progress of training: a bar over each epoch, and a line at its end.
struct Display {
    bar: Option<Progress>,
    batches: u64,
    total_epochs: usize,
    epochs: usize,
    started: Instant,
}

impl Display {
    fn new(train: &Loader, total_epochs: usize) -> Self {
        Self { bar: None, batches: train.batches() as u64, total_epochs, epochs: 0, started: Instant::now() }
    }
}

impl Callback for Display {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> std::result::Result<Flow, TrainError> {
        let progress = moment.progress;
        let bar = self.bar.get_or_insert_with(|| Progress::new("", self.batches, "steps"));
        if let Some(running) = progress.running() {
            let epoch = progress.epoch + 1;
            bar.describe(format!("epoch {epoch}/{}, loss {:.3}", self.total_epochs, running.loss));
        }
        bar.set(progress.batch as u64);
        Ok(Flow::Continue)
    }

    fn on_epoch(&mut self, _: Moment<'_>, record: &EpochRecord) -> std::result::Result<Flow, TrainError> {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
        self.epochs += 1;
        let eval = record.eval.map_or_else(String::new, |eval| {
            format!("   eval loss {:.3} accuracy {:>6}", eval.loss, report::percent(Some(eval.accuracy)))
        });
        println!(
            "epoch {:3}/{}   loss {:.3} accuracy {:>6}{eval}   {}{}",
            record.epoch + 1,
            self.total_epochs,
            record.train_loss,
            report::percent(Some(record.train_accuracy)),
            ui::duration(self.started.elapsed().as_secs_f64()),
            if record.best { "   best so far, saved" } else { "" }
        );
        Ok(Flow::Continue)
    }
}
