//! `eval`: how good a trained network is.

use std::path::PathBuf;

use floret::batch::LoaderOptions;
use floret::checkpoint::load_model;
use floret::train::evaluate;

use crate::data::{self, DataFolder};
use crate::{Result, report};

/// Evaluate a model on the eval shards of a data folder: accuracy, per class, confusion matrix.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with eval-* and labels.txt
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The shards to evaluate on
    #[arg(long, value_name = "NAME", default_value = "eval")]
    split: String,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_parser = data::positive, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: &Args) -> Result<()> {
    data::use_threads(args.threads)?;
    let (mut network, info) = load_model(&args.model)?;
    let data = DataFolder::open(&args.data)?;
    if data.classes.names() != info.classes {
        let (model, data) = (info.classes.join(", "), data.classes.names().join(", "));
        return Err(format!("the model knows the classes {model}, but the data has {data}").into());
    }
    let options = LoaderOptions::new(info.preprocess, info.classes.len());
    let loader = data.loader(&args.split, options.for_evaluation())?;
    print!("{}", report::evaluation(&evaluate(&mut network, &loader)?, &info.classes));
    Ok(())
}
