//! `train`: shards to a trained network.
//!
//! | question | file |
//! | --- | --- |
//! | what decides the result? | `settings.rs`; by itself `recipe.rs`, `balance.rs`, and in so many minutes `plan.rs` |
//! | whose folder is it, and what is in it? | `folder.rs` |
//! | what does training begin with, and what follows it? | `session.rs`, `start.rs`, `conclusion.rs` |
//! | what is saved and logged? | `saving.rs`, `recorder.rs`, `logging.rs` |
//! | what is shown? | `watch.rs` gathers it; `live.rs`, `table.rs`, `objects.rs` show it, as `views.rs` chooses |

mod balance;
mod census;
mod conclusion;
mod folder;
mod live;
mod logging;
mod objects;
mod plan;
mod recipe;
mod recorder;
mod saving;
mod session;
mod settings;
mod start;
mod table;
mod views;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use floret::image::Fit;

use self::balance::ClassWeights;
use self::census::Census;
pub use self::folder::claim;
pub use self::logging::Logging;
use self::plan::Plan;
use self::recipe::Chosen;
pub use self::recipe::{Architecture, Augmentation, Recipe, Regularization};
pub use self::saving::Saving;
pub use self::session::{Begin, Deadline, train};
pub use self::settings::{Rule, Settings};
use crate::args::{self, Records, Threads};
use crate::data::DataFolder;
use crate::files::MODEL;
use crate::ui::{self, Output, note, say};
use crate::{Error, Result, messages};

/// Train a network on a data folder.
///
/// By itself it trains for 5 minutes with what learns photos best in that time: docs/recipes.md tells how that was found.
///
/// After each evaluation (some twelve of them under --minutes, else one an epoch) the network with the best accuracy on the eval
/// shards is saved as OUT/model.safetensors, and after each epoch the state of training as OUT/training.safetensors: `--resume`
/// goes on from there. With the same number of epochs (--epochs) it ends with the very weights that a run without interruption
/// would have ended with; with another, the curve of the learning rate is another from there on. Under --minutes the time of all
/// parts together counts.
///
/// Without eval shards the network of the lowest training loss is saved.
///
/// Ctrl-C (or SIGTERM) ends the step under way, saves, and exits with 130 (143); a second one ends the program at once.
/// Even a run that is killed can be resumed.
#[derive(clap::Args)]
#[command(after_long_help = ui::JSON_HELP)]
pub struct Args {
    /// Folder with train-*, eval-* and labels.txt, as `flowers convert` writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// How long it may all take, report included: image size and epochs are fitted to the speed of this machine
    /// [default: 5, unless --epochs or --recipe script is given]
    #[arg(long, value_parser = args::minutes, value_name = "N", conflicts_with = "epochs")]
    minutes: Option<f64>,
    /// Passes over the training photos, however long they take; then the same seed gives the same network on every machine
    /// of its kind [default with --recipe script: 20]
    #[arg(long, value_parser = args::positive, value_name = "N")]
    epochs: Option<usize>,
    /// Side of the square image that the finished network sees, in pixels; small and large networks train on smaller ones, if
    /// changes are strong [default: what there is time for; with --epochs 96, with --recipe script 64]
    #[arg(long, value_parser = args::image_size, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// The network's architecture [default: small, for images of 128 pixels and more large; with --recipe script
    /// reference]
    #[arg(long, value_enum, conflicts_with = "start_from")]
    network: Option<Architecture>,
    /// Photos in a step [default: 64, fewer where there are few photos]
    #[arg(long, value_parser = args::positive, value_name = "N")]
    batch_size: Option<usize>,
    /// The rule that moves the weights [default: momentum; with --recipe script sgd]
    #[arg(long, value_enum)]
    optimizer: Option<Rule>,
    /// Step size [default: sgd and momentum 0.05 x batch size / 64, for the reference network 0.02; adam and adamw 0.0005; with
    /// --recipe script, where the loss is a sum over the batch, sgd 0.0005 and momentum 0.02 / batch size]
    #[arg(long, value_parser = args::positive_float, value_name = "X")]
    learning_rate: Option<f32>,
    /// How a photo becomes a square: resize the whole of it, its centre (resize-crop), or a cut from its middle at full
    /// resolution (crop) [default: resize; with --recipe script crop]
    #[arg(long, value_name = "crop|resize|resize-crop")]
    fit: Option<Fit>,
    /// Change training photos at random, so that the network sees more than there are; `--augment` alone is
    /// `--augment standard` [default: strong; with --recipe script none]
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "standard")]
    augment: Option<Augmentation>,
    /// Whether photos of rare classes count more [default: auto; with --recipe script none]
    #[arg(long, value_enum)]
    class_weights: Option<ClassWeights>,
    /// What the defaults are [default: default]
    #[arg(long, value_enum)]
    recipe: Option<Recipe>,
    /// Source of all randomness: with the same --epochs the same seed gives the same network [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    records: Records,
    #[command(flatten)]
    saving: Saving,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    logging: Logging,
    #[command(flatten)]
    threads: Threads,
    /// Where the model and the training state go
    #[arg(long, value_name = "DIR", default_value = "run")]
    out: PathBuf,
    /// Begin with the network of this model, such as one imported, instead of a new one
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    start_from: Option<PathBuf>,
    /// Go on from OUT/training.safetensors, with the settings saved there
    #[arg(long)]
    resume: bool,
}

impl Args {
    fn class_weights(&self) -> ClassWeights {
        let usual = if self.recipe == Some(Recipe::Script) { ClassWeights::None } else { ClassWeights::Auto };
        self.class_weights.unwrap_or(usual)
    }
}

pub fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    args.output.apply();
    args.threads.apply()?;
    ui::outlive_reader();
    let data = DataFolder::open(&args.data)?;
    let (run, saved) = folder::open(&args.out, args.resume)?;
    let (mut settings, census) = match &saved {
        Some(saved) => (Settings::resumed(saved, args)?, None),
        None => recipe_for(&data, args).map(|(settings, census)| (settings, Some(census)))?,
    };
    let begin = match (&args.start_from, &census) {
        (Some(model), Some(census)) => {
            let start = start::read(model, &mut settings, args, data.classes.names(), census.photos())?;
            Begin::Model(Box::new(start))
        }
        _ => saved.into(),
    };
    begin.require_classes(data.classes.names())?;
    let deadline = match settings.minutes {
        Some(_) if begin.is_finished() => Some(Deadline { at: begun, epochs: begin.epochs_done() }),
        Some(minutes) => {
            let census = census.map_or_else(|| Census::of_run(&data, &settings), Ok);
            let census = census.map_err(|error| explained(error, settings.skip_bad))?;
            Some(fit_into(minutes, begun, &census, &mut settings, args, &begin)?)
        }
        None => None,
    };
    let trained = train(&data, &settings, deadline, begin, run, args.saving, &args.logging);
    let evaluated = trained.map_err(|error| explained(error, settings.skip_bad))?;
    let model = args.out.join(MODEL);
    let (data, model) = (ui::shell(&args.data), ui::shell(&model));
    if evaluated {
        say!("\nLook closer:  flowers eval --data {data} --model {model}");
    }
    say!("Use it:       flowers predict --model {model} PHOTO...");
    Ok(())
}

fn explained(error: Error, skip_bad: bool) -> Error {
    if skip_bad { error } else { messages::suggest_skipping(error) }
}

/// The settings of a new run, by its flags and its photos, which are counted.
fn recipe_for(data: &DataFolder, args: &Args) -> Result<(Settings, Census)> {
    let census = Census::of(data, args).map_err(|error| explained(error, args.records.skip_bad))?;
    let settings = Settings::new(args, &census);
    args.chosen.check(settings.optimizer)?;
    if settings.recipe == Recipe::Default {
        let weights = settings.class_weights.as_deref();
        balance::tell(args.class_weights(), weights, &census, data.classes.names());
        census::tell_few(&census);
    }
    Ok((settings, census))
}

/// Fits the settings to the time there is, and says what will be done in it.
fn fit_into(
    minutes: f64,
    begun: Instant,
    census: &Census,
    settings: &mut Settings,
    args: &Args,
    begin: &Begin,
) -> Result<Deadline> {
    let mut plan = Plan::measure(settings, begin, census)?;
    let (seconds, report) = (60.0 * minutes, !args.saving.no_report);
    // The script is its own network at its own size.
    if let (Begin::New, None, Recipe::Default) = (begin, args.image_size, settings.recipe) {
        let training = seconds - begun.elapsed().as_secs_f64() - plan.conclusion(settings, report);
        plan.choose(settings, args.network, training);
        plan = Plan::measure(settings, begin, census)?;
    }
    let training = seconds * (1.0 - plan::RESERVE) - plan.conclusion(settings, report);
    let fit = plan.epochs(settings, training - begun.elapsed().as_secs_f64());
    let epochs = fit.clamp(1.0, settings.epochs as f64);
    if !matches!(begin, Begin::Saved(_)) {
        let takes = begun.elapsed().as_secs_f64() + plan.seconds(settings, epochs) + seconds - training;
        settings.evaluate_every = plan::evaluate_every(epochs);
        // Where photos are few or many it is another time.
        plan::tell(settings, if fit == epochs { seconds } else { takes }, epochs);
        if fit < 1.0 {
            note!(
                "note: that is a single pass over the photos, longer than {}: more --minutes would do more",
                ui::duration(seconds)
            );
        }
    }
    let left = Duration::from_secs_f64((training - begin.spent()).max(0.0));
    // The last epoch is begun if it nearly fits.
    Ok(Deadline { at: begun + left, epochs: (epochs + 0.1) as u64 })
}
