//! The end of training: the best network's evaluation, and the report.

use std::path::{Path, PathBuf};

use floret::batch::Loader;
use floret::checkpoint::load_model;
use floret::train::Best;

use crate::data::DataFolder;
use crate::files::{EVAL, MODEL, REPORT};
use crate::report_html::{self, Answers, Run, RunData};
use crate::ui::{self, Event, say, warning};
use crate::{Result, messages, tables};

/// Shows how good the best network of the run in `out` is, and writes its report if `report` says so; the report's path, if it
/// was written.
pub fn show_best(
    best: Best,
    out: &Path,
    data: &DataFolder,
    train: Loader,
    eval: Option<Loader>,
    report: bool,
) -> Result<Option<PathBuf>> {
    let (epoch, path) = (best.epoch + 1, out.join(MODEL));
    let Some(eval) = eval else {
        say!("\nepoch {epoch} was the best by its training loss; its network is {}", path.display());
        let write =
            |path: &Path, run: &mut Run| report_html::write(path, run, Ok(RunData::new(data, train, None)?));
        return Ok(report.then(|| written(out, write)).flatten());
    };
    // The best network is the one on disk.
    let (mut network, info) = load_model(&path)?;
    say!("\nepoch {epoch} was the best; loaded back from {}:", path.display());
    let answers = Answers::gather(&mut network, &eval)?;
    Event::evaluation(EVAL, &answers.evaluation, &info.classes).print();
    say!("{}", tables::evaluation(&answers.evaluation, &info.classes));
    let write = |path: &Path, run: &mut Run| {
        report_html::write_with(path, run, Ok((RunData::new(data, train, Some(eval))?, answers)))
    };
    Ok(report.then(|| written(out, write)).flatten())
}

/// Writes the report. The run is done and saved, so a failure is no more than a warning.
fn written(out: &Path, write: impl FnOnce(&Path, &mut Run) -> Result<()>) -> Option<PathBuf> {
    let path = out.join(REPORT);
    match Run::load(out).and_then(|mut run| write(&path, &mut run)) {
        Ok(()) => {
            say!("The report:   {}", path.display());
            Some(path)
        }
        Err(error) => {
            let error = messages::message(error.as_ref());
            warning!("no report was written: {}; `flowers report` tries again", ui::escaped(&error));
            None
        }
    }
}
