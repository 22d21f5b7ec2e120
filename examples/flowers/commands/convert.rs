//! `convert`: a folder of photos to TFRecord shards.

use std::path::PathBuf;
use std::sync::Mutex;

use floret::batch::{BadPhoto, Conversion, ConvertOptions, ConvertReport};

use crate::Result;
use crate::data;
use crate::ui::Progress;

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
    /// Shards of the training photos, and as many of the evaluation photos
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99_999), value_name = "N", default_value = "2")]
    shards: u32,
    /// Share of each class's photos kept for evaluation
    #[arg(long, value_parser = fraction, value_name = "X", default_value = "0.2")]
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
    /// Threads to work with [default: one a core]
    #[arg(long, value_parser = data::positive, value_name = "N")]
    threads: Option<usize>,
}

fn fraction(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to under 1 is wanted".into()),
    }
}

/// Files left out that are listed one by one.
const LISTED: usize = 20;

pub fn run(args: &Args) -> Result<()> {
    data::use_threads(args.threads)?;
    let options = ConvertOptions {
        shards: args.shards,
        eval_fraction: args.eval_fraction,
        seed: args.seed,
        strict: args.strict,
        overwrite: args.overwrite,
        ..ConvertOptions::default()
    };
    let conversion = Conversion::new(&args.photos, &args.data, options)?;
    let files = conversion.files() as u64;
    let plan = shown("checking", files, |done| conversion.check(done))?;
    let photos = (plan.train().len() + plan.eval().len()) as u64;
    let report = shown("writing", photos, |done| plan.write(done))?;
    print_report(&report);
    println!("\nNext:  flowers train --data {} --out run", args.data.display());
    Ok(())
}

/// Runs `work`, which tells how many files are done, behind a progress bar.
fn shown<T, E>(
    what: &str,
    total: u64,
    work: impl FnOnce(&(dyn Fn(usize) + Sync)) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let progress = Mutex::new(Progress::new(what, total, "photos"));
    let done = work(&|done| {
        if let Ok(mut progress) = progress.lock() {
            progress.set(done as u64);
        }
    });
    if let Ok(progress) = progress.into_inner() {
        progress.finish();
    }
    done
}

fn print_report(report: &ConvertReport) {
    let names = report.classes.names();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    println!("{:width$}  train   eval", "class");
    for ((name, train), eval) in names.iter().zip(&report.train).zip(&report.eval) {
        let fill = " ".repeat(width - name.chars().count());
        println!("{name}{fill}  {train:5}  {eval:5}");
    }
    let (train, eval) = (report.train.iter().sum::<usize>(), report.eval.iter().sum::<usize>());
    println!("{:width$}  {train:5}  {eval:5}", "total");
    println!();
    for shard in &report.shards {
        println!("wrote {}", shard.display());
    }
    print_bad(&report.bad);
}

fn print_bad(bad: &[BadPhoto]) {
    if bad.is_empty() {
        return;
    }
    println!("\nleft out {} files that can't be used:", bad.len());
    for bad in bad.iter().take(LISTED) {
        println!("  {bad}");
    }
    if bad.len() > LISTED {
        println!("  and {} more (--strict lists all)", bad.len() - LISTED);
    }
}
