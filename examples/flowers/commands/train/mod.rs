//! `train`: shards to a trained network.
//!
//! | question | file |
//! | --- | --- |
//! | what decides the result? | `settings.rs` |
//! | whose folder is it, and what is in it? | `folder.rs` |
//! | what does training begin with, and what follows it? | `session.rs`, `start.rs`, `conclusion.rs` |
//! | what is saved and logged? | `saving.rs`, `recorder.rs`, `logging.rs` |
//! | what is shown? | `watch.rs` gathers it; `live.rs`, `table.rs`, `objects.rs` show it, as `views.rs` chooses |

mod conclusion;
mod folder;
mod live;
mod logging;
mod objects;
mod recorder;
mod saving;
mod session;
mod settings;
mod start;
mod table;
mod views;
mod watch;

use std::path::PathBuf;

use floret::image::Fit;

pub use self::folder::claim;
pub use self::logging::Logging;
pub use self::saving::Saving;
pub use self::session::{Begin, train};
pub use self::settings::{Augmentation, Recipe, Rule, Settings};
use crate::args::{self, Records, Threads};
use crate::data::DataFolder;
use crate::files::MODEL;
use crate::ui::{self, Output, say};
use crate::{Result, messages};

/// Train the reference network on a data folder.
///
/// The network with the best accuracy on the eval shards is saved after each epoch as OUT/model.safetensors, and the
/// state of training as OUT/training.safetensors: `--resume` goes on from there. With the same number of epochs it ends with
/// the very weights that a run without interruption would have ended with; with another, the curve of the learning rate is
/// another from there on.
///
/// Without eval shards the network of the lowest training loss is saved.
///
/// Ctrl-C (or SIGTERM) ends the step under way, saves, and exits with 130 (143); a second one ends the program at once.
/// Even a run that is killed can be resumed: it ends with the very same weights.
#[derive(clap::Args)]
#[command(after_long_help = ui::JSON_HELP)]
pub struct Args {
    /// Folder with train-*, eval-* and labels.txt, as `flowers convert` writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Side of the square image that the network sees, in pixels [default: 64]
    #[arg(long, value_parser = args::image_size, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Photos in a step [default: 64]
    #[arg(long, value_parser = args::positive, value_name = "N")]
    batch_size: Option<usize>,
    /// Passes over the training photos [default: 20]
    #[arg(long, value_parser = args::positive, value_name = "N")]
    epochs: Option<usize>,
    /// The rule that moves the weights [default: momentum; with --recipe script sgd]
    #[arg(long, value_enum)]
    optimizer: Option<Rule>,
    /// Step size [default: sgd and momentum 0.02, adam and adamw 0.0005; with --recipe script, where the loss is a sum over
    /// the batch, sgd 0.0005 and momentum 0.02 / batch size]
    #[arg(long, value_parser = args::positive_float, value_name = "X")]
    learning_rate: Option<f32>,
    /// How a photo becomes a square: resize the whole of it, its centre (resize-crop), or a cut from its middle at full
    /// resolution (crop) [default: resize; with --recipe script crop]
    #[arg(long, value_name = "crop|resize|resize-crop")]
    fit: Option<Fit>,
    /// Change training photos at random, so that the network sees more than there are; `--augment` alone is
    /// `--augment standard` [default: standard; with --recipe script none]
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "standard")]
    augment: Option<Augmentation>,
    /// `default`, or `script`: plain gradient descent as in the well-known TensorFlow script, for comparison
    #[arg(long, value_enum)]
    recipe: Option<Recipe>,
    /// Source of all randomness: the same seed gives the same network [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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

pub fn run(args: &Args) -> Result<()> {
    args.output.apply();
    args.threads.apply()?;
    ui::outlive_reader();
    let data = DataFolder::open(&args.data)?;
    let (run, saved) = folder::open(&args.out, args.resume)?;
    let mut settings = match &saved {
        Some(saved) => Settings::resumed(saved, args)?,
        None => Settings::new(args),
    };
    let begin = match &args.start_from {
        Some(model) => Begin::Model(Box::new(start::read(model, &mut settings, args, data.classes.names())?)),
        None => saved.into(),
    };
    let trained = train(&data, &settings, begin, run, args.saving, &args.logging);
    let evaluated = trained.map_err(|error| match settings.skip_bad {
        true => error,
        false => messages::suggest_skipping(error),
    })?;
    let model = args.out.join(MODEL);
    let (data, model) = (ui::shell(&args.data), ui::shell(&model));
    if evaluated {
        say!("\nLook closer:  flowers eval --data {data} --model {model}");
    }
    say!("Use it:       flowers predict --model {model} PHOTO...");
    Ok(())
}
