//! `train`: shards to a trained network.
//!
//! What decides the result is the library's: see [`floret::recipe`].
//!
//! | question | file |
//! | --- | --- |
//! | whose folder is it, and what is in it? | `folder.rs` |
//! | what happens before the first step and after the last? | `session.rs`, `conclusion.rs` |
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
mod table;
mod views;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use floret::recipe::{Settings, Training};

pub use self::folder::claim;
pub use self::logging::Logging;
pub use self::saving::Saving;
pub use self::session::train;
use crate::args::{Everything, Flags, Threads};
use crate::files::{MODEL, TRAIN};
use crate::ui::{self, Output, say};
use crate::{Result, copies, messages, reading};

/// Train a network on photos, or on a data folder.
///
/// By itself it trains for 5 minutes with what learns photos best in that time: docs/recipes.md tells how that was found.
///
/// The network is evaluated on the eval shards after each epoch, under --minutes some twelve times in all, and the one with the best
/// accuracy is saved as OUT/model.safetensors. Without eval shards it is the one with the lowest training loss.
///
/// The state of training is saved as OUT/training.safetensors after each epoch: `--resume` goes on from there. With the same number
/// of epochs (--epochs) it ends with the very weights that a run without interruption would have ended with; changing --epochs
/// changes the learning-rate curve from there on. Under --minutes the time of all parts together counts.
///
/// Ctrl-C (or SIGTERM) ends the step under way, saves, and exits with 130 (143); a second one ends the program at once.
/// Even a run that is killed can be resumed.
#[derive(clap::Args)]
#[command(after_long_help = ui::json_help())]
pub struct Args {
    /// Folder of photos, one sub-folder a class, or a list of photos, used where they are; or a folder of records, as with --data
    #[arg(value_name = "PHOTOS", required_unless_present = "data", conflicts_with = "data")]
    photos: Option<PathBuf>,
    /// Folder with train-*, eval-* and labels.txt, as `flowers convert` writes it
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags<Everything>,
    /// Begin with the network of this file, a model or an ONNX graph, instead of a new one. If its classes are not those of the data
    /// it gets a new last layer, fitted to what the rest makes of the photos; what time is left trains more of it
    #[arg(long, id = "start-from", value_name = "FILE", conflicts_with = "resume", help_heading = "Network")]
    start_from: Option<PathBuf>,
    /// Where the model and the training state go
    #[arg(long, value_name = "DIR", default_value = "run", help_heading = "Output")]
    out: PathBuf,
    /// Go on from OUT/training.safetensors, with the settings saved there
    #[arg(long, help_heading = "Output")]
    resume: bool,
    #[command(flatten, next_help_heading = "Output")]
    saving: Saving,
    #[command(flatten, next_help_heading = "Output")]
    logging: Logging,
    #[command(flatten, next_help_heading = "Output")]
    output: Output,
    #[command(flatten, next_help_heading = None)]
    threads: Threads,
}

pub fn run(args: &Args) -> Result<()> {
    let choices = &args.flags.choices;
    let begun = Instant::now();
    let path = args.data.as_ref().or(args.photos.as_ref()).expect("clap asks for one of them");
    args.output.apply();
    args.threads.apply()?;
    ui::outlive_reader();
    let resumed = match args.resume {
        true => Some(folder::resume(&args.out)?),
        // Found before many photos are checked, and again once the folder is held.
        false => folder::check_free(&args.out).map(|()| None)?,
    };
    // What the settings saved are, if they are no program's settings at all, is for training to say.
    let settings = resumed.as_ref().and_then(|(_, saved)| Settings::of(saved).ok());
    let first_label = settings.as_ref().map(|settings| settings.label_offset).or(choices.label_offset);
    let max_pixels = choices.max_pixels.or(settings.as_ref().and_then(|settings| settings.max_pixels));
    // Before there is a folder for a new run.
    let (data, found) = crate::data::open_reported(path, first_label, max_pixels)?;
    let mut choices = choices.clone();
    if !args.resume {
        reading::complete(&mut choices, &data, TRAIN)?;
    }
    let choices = &choices;
    let (run, saved) = match resumed {
        Some((run, saved)) => (run, Some(saved)),
        None => (folder::begin(&args.out)?, None),
    };
    if let Some(found) = found {
        copies::save(&found, &args.out)?;
    }
    let skips_bad = choices.skip_bad || settings.is_some_and(|settings| settings.skip_bad);
    let training = match data.is_in_shards() {
        // Opened again with the labels of the run.
        true => Training::new(path),
        false => Training::on(data),
    };
    let training = training
        .choose(choices.clone())
        .since(begun)
        .with_report(args.saving.report())
        .keep_features(&args.out);
    let training = match (saved, &args.start_from) {
        (Some(saved), _) => training.resume(saved),
        (None, Some(model)) => training.start_from(model),
        (None, None) => training,
    };
    let trained = train(training, run, args.saving, &args.logging);
    let look_closer = trained.map_err(|error| match skips_bad {
        true => error,
        false => messages::suggest_skipping(error),
    })?;
    let model = args.out.join(MODEL);
    let (data, model) = (ui::shell(path), ui::shell(&model));
    if look_closer {
        say!("\nLook closer:  flowers eval --data {data} --model {model}");
    }
    say!("Use it:       flowers predict --model {model} PHOTO...");
    Ok(())
}
