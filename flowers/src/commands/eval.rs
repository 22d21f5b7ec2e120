//! `eval`: how good a trained network is.

use std::path::{Path, PathBuf};

use floret::checkpoint::load_model;
use floret::data::{ClassNames, LoaderOptions};
use floret::recipe::{Choices, DataFolder, TFDS_LABELS};

use crate::args::{Flags, OfRecords, Threads};
use crate::evaluation::{evaluate, note_skipped};
use crate::files::{EVAL, LABELS};
use crate::ui::{self, Event, Output, note, say};
use crate::{Result, data, messages, reading, tables};

/// Evaluate a model on the eval shards of a data folder: accuracy, per class, confusion matrix.
#[derive(clap::Args)]
#[command(after_long_help = ui::json_help())]
pub struct Args {
    /// Folder with eval-* and labels.txt
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The shards to evaluate on
    #[arg(long, value_name = "NAME", default_value = EVAL)]
    split: String,
    #[command(flatten)]
    records: Flags<OfRecords>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    threads: Threads,
}

pub fn run(args: &Args) -> Result<()> {
    args.output.apply();
    args.threads.apply()?;
    let (network, info) = load_model(&args.model)?;
    let mut choices = args.records.choices.clone();
    let mut data = open(args, &choices, &info.classes)?;
    if data.is_in_shards() && !names_classes(&args.data) {
        let missing = args.data.join(LABELS);
        note!(
            "note: {} is missing: the classes are taken to be the model's, in its order",
            ui::path(&missing)
        );
    }
    reading::complete(&mut choices, &data, &args.split)?;
    if choices.label_offset != args.records.choices.label_offset {
        data = open(args, &choices, &info.classes)?;
    }
    if data.classes.names() != info.classes {
        let (model, classes) = (ui::names(&info.classes), ui::names(data.classes.names()));
        let labels = args.data.join(LABELS);
        return Err(format!(
            "the model knows the classes {model}, but {} names {classes}: evaluate on data of the model's classes, in \
             their order, or train a model on this data",
            ui::path(&labels)
        )
        .into());
    }
    let mut options = LoaderOptions::new(info.preprocess, info.classes.len()).for_evaluation();
    choices.read_records(&mut options);
    let evaluated = data::loader_if_any(&data, &args.split, options).and_then(|loader| {
        let Some(loader) = loader else {
            return Err(nothing_to_evaluate_on(args).into());
        };
        data.check_names(&loader).map_err(messages::recipe)?;
        let evaluation = evaluate(&network, &loader)?;
        note_skipped(&args.split, &loader, 0);
        Ok(evaluation)
    });
    let evaluation = evaluated.map_err(messages::suggest_skipping)?;
    Event::evaluation(&args.split, &evaluation, &info.classes).print();
    say!("{}", tables::evaluation(&evaluation, &info.classes).trim_end());
    Ok(())
}

fn names_classes(path: &Path) -> bool {
    [LABELS, TFDS_LABELS].iter().any(|labels| path.join(labels).exists())
}

/// Opens the data; where they name no classes, those of the model are taken.
fn open(args: &Args, choices: &Choices, of_model: &[String]) -> Result<DataFolder> {
    let opened = data::open(&args.data, choices.label_offset, choices.max_pixels);
    if opened.is_ok() || names_classes(&args.data) {
        return opened;
    }
    let data = DataFolder::with_classes(&args.data, ClassNames::new(of_model.to_vec()));
    match data.shards(&args.split) {
        Ok(Some(_)) => Ok(data),
        _ => opened,
    }
}

fn nothing_to_evaluate_on(args: &Args) -> String {
    format!(
        "there is nothing to evaluate on: {} has no shards named {}-*; convert the photos with a larger --eval-fraction, or \
         choose other shards with --split",
        ui::path(&args.data),
        ui::escaped(&args.split)
    )
}
