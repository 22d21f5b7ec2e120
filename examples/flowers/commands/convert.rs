//! `convert`: a folder of photos to TFRecord shards.

use std::ops::ControlFlow;
use std::path::PathBuf;

use floret::batch::{Conversion, ConvertError, ConvertOptions, ConvertReport};

use crate::args::{self, Threads};
use crate::interrupt::{Interrupt, Interrupted};
use crate::ui::{self, Progress, Unit, say};
use crate::{Error, Result, messages};

/// Turn a folder of photos, one sub-folder a class, into TFRecord shards.
///
/// Writes DATA_DIR/train-00000-of-00002.tfrecord and so on, eval-... likewise, and labels.txt with the names of the classes. Every
/// photo is decoded first; files that are no JPEG or PNG are listed at the end and left out. A shard appears under its name
/// only when it is complete.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with one sub-folder a class: PHOTOS_DIR/cats/*.jpg, PHOTOS_DIR/dogs/*.png, ...
    #[arg(value_name = "PHOTOS_DIR")]
    photos: PathBuf,
    /// Folder for the shards; made if it is missing
    #[arg(value_name = "DATA_DIR")]
    data: PathBuf,
    /// Shards of the training photos, and as many of the evaluation photos (up to 500: all are open at once)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500), value_name = "N", default_value = "2")]
    shards: u32,
    /// Share of each class's photos kept for evaluation
    #[arg(long, value_parser = args::fraction, value_name = "X", default_value = "0.2")]
    eval_fraction: f64,
    /// Source of the split: the same seed and photos give the same split
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Fail if any file can't be used, and write nothing
    #[arg(long)]
    strict: bool,
    /// Replace the data set that DATA_DIR holds already
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    threads: Threads,
}

pub fn run(args: &Args) -> Result<()> {
    args.threads.apply()?;
    let options = ConvertOptions {
        shards: args.shards,
        eval_fraction: args.eval_fraction,
        seed: args.seed,
        strict: args.strict,
        overwrite: args.overwrite,
        ..ConvertOptions::default()
    };
    let interrupt = Interrupt::catch()?;
    let converted = convert(args, options, &interrupt);
    print_report(&converted.map_err(|error| told(error, &interrupt, args))?);
    say!("\nNext:  flowers train --data {} --out run", ui::shell(&args.data));
    Ok(())
}

fn convert(
    args: &Args,
    options: ConvertOptions,
    interrupt: &Interrupt,
) -> std::result::Result<ConvertReport, ConvertError> {
    let conversion = Conversion::new(&args.photos, &args.data, options)?;
    let files = conversion.files() as u64;
    let plan = shown("checking", files, interrupt, |done| conversion.check(done))?;
    let photos = (plan.train().len() + plan.eval().len()) as u64;
    shown("writing", photos, interrupt, |done| plan.write(done))
}

/// Runs `work`, which tells how many files are done, behind a progress bar, and breaks it off when a signal came.
fn shown<T>(
    what: &str,
    total: u64,
    interrupt: &Interrupt,
    work: impl FnOnce(&(dyn Fn(usize) -> ControlFlow<()> + Sync)) -> std::result::Result<T, ConvertError>,
) -> std::result::Result<T, ConvertError> {
    let progress = Progress::new(what, total, Unit::Photos);
    work(&|done| {
        progress.set(done as u64);
        match interrupt.exit_code() {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    })
}

/// The error, in the words of a signal where one broke the conversion off.
fn told(error: ConvertError, interrupt: &Interrupt, args: &Args) -> Error {
    match (&error, interrupt.exit_code()) {
        (ConvertError::Interrupted, Some(exit_code)) => {
            let data = args.data.display();
            let message = format!("nothing was written to {data}; the same command begins again");
            Interrupted { exit_code, message }.into()
        }
        _ => error.into(),
    }
}

fn print_report(report: &ConvertReport) {
    let names = report.classes.names();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    say!("{:width$}  train   eval", "class");
    for ((name, train), eval) in names.iter().zip(&report.train).zip(&report.eval) {
        let fill = " ".repeat(width - name.chars().count());
        say!("{name}{fill}  {train:5}  {eval:5}");
    }
    let (train, eval) = (report.train.iter().sum::<usize>(), report.eval.iter().sum::<usize>());
    say!("{:width$}  {train:5}  {eval:5}", "total");
    say!();
    for shard in &report.shards {
        say!("wrote {}", shard.display());
    }
    if !report.bad.is_empty() {
        let files = ui::count(report.bad.len(), "file");
        say!("\nleft out {files} that can't be used:{}", messages::bad_photos(&report.bad));
    }
    if eval == 0 {
        say!(
            "\nno photo is kept for evaluation, so `flowers train` will go by the training loss, and `flowers eval` has"
        );
        say!(
            "nothing to evaluate on: for a share of each class's photos, see --eval-fraction; it takes two of a class"
        );
    }
}
