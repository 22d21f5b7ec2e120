//! `report`: a run as one page.

use std::path::PathBuf;

use crate::Result;
use crate::args::Threads;
use crate::files::REPORT;
use crate::report_html::{self, Run};
use crate::ui::{self, note, say};

/// Write the report of a run as one HTML file, which needs neither other files nor a network.
///
/// It shows curves, the confusion matrix, precision and recall, photos whose labels may be wrong, the most confident
/// mistakes, the most uncertain photos, augmentations, the first layer's filters, and what the run was made of and with.
/// `train` writes it at its end; this makes it anew, also while a run goes on.
///
/// The photos whose labels may be wrong, to train on and to evaluate on, are listed beside it in label-errors.csv, the
/// likeliest first: split, file, record (from 0), filename, label, answer, probability, loss.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of the run, the --out of `flowers train`
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// The folder of the run's data [default: where it was when the run was trained]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The file to write [default: RUN/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

pub fn run(args: &Args) -> Result<()> {
    args.threads.apply()?;
    let run = Run::load(&args.run)?;
    let data = run.data(args.data.as_deref())?;
    if let Err(why) = &data {
        note!("note: {}", ui::escaped(why));
    }
    let path = args.out.clone().unwrap_or_else(|| args.run.join(REPORT));
    let labels = report_html::write(&path, &run, data)?;
    say!("wrote {}", path.display());
    if let Some(labels) = labels {
        say!("labels: {labels}");
    }
    Ok(())
}
