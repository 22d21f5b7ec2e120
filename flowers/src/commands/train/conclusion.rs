//! The end of training: the best network's evaluation, and the report.

use std::path::{Path, PathBuf};

use floret::checkpoint::load_model;
use floret::data::Loader;
use floret::recipe::DataFolder;
use floret::train::Best;

use crate::files::{EVAL, MODEL, REPORT, TEST};
use crate::report_html::{self, Run, RunData, Tally};
use crate::ui::{self, Event, note, say, warning};
use crate::{Result, evaluation, messages, tables};

/// The photos of a run.
pub struct Parts {
    pub train: Loader,
    /// Those that the best network was chosen by.
    pub eval: Option<Loader>,
    /// Those that chose nothing.
    pub test: Option<Loader>,
}

/// Shows how good the best network of the run in `out` is, of so many that were evaluated, and writes its report if `report` says so; the report's path, if it
/// was written.
pub fn show_best(
    best: Best,
    evaluations: usize,
    out: &Path,
    data: &DataFolder,
    Parts { train, eval, test }: Parts,
    report: bool,
) -> Result<Option<PathBuf>> {
    let (epoch, path) = (best.epoch + 1, out.join(MODEL));
    let answers = match &eval {
        Some(eval) => {
            // The best network is the one on disk.
            let (network, info) = load_model(&path)?;
            say!("\nepoch {epoch} was the best; loaded back from {}:", path.display());
            let answers = evaluation::answers(&network, eval, "evaluating")?;
            Event::evaluation(EVAL, &answers.evaluation, &info.classes).print();
            say!("{}", tables::evaluation(&answers.evaluation, &info.classes));
            if let Some([one, other]) = tables::at_chance(&answers.evaluation) {
                note!(
                    "note: `{}` and `{}` are told apart no better than by guessing: if they are mirror images, try --mirror false; if they \
                     differ in brightness, --normalize data; if in small things, a larger --image-size",
                    ui::escaped(&info.classes[one]),
                    ui::escaped(&info.classes[other])
                );
            }
            if evaluations > 1 {
                let tell =
                    if test.is_some() { "" } else { ": test-* shards, which choose nothing, would tell" };
                say!(
                    "that is the best of {evaluations} evaluations on the same photos, so on others it will be a little less{tell}"
                );
            }
            Some(answers)
        }
        None => {
            say!("\nepoch {epoch} was the best by its training loss; its network is {}", path.display());
            None
        }
    };
    if let Some(test) = test {
        show_test(&path, &test)?;
    }
    let write = |path: &Path, run: &Run| {
        let data = RunData::new(data, &train, eval, run.info.preprocess)?;
        report_html::write_with(path, run, Ok(data), answers)
    };
    Ok(report.then(|| written(out, write)).flatten())
}

/// Evaluates the network in `model` on photos that chose nothing, once.
fn show_test(model: &Path, test: &Loader) -> Result<()> {
    let (network, info) = load_model(model)?;
    let evaluation = evaluation::evaluate(&network, test)?;
    Event::evaluation(TEST, &evaluation, &info.classes).print();
    say!(
        "\non the {} of the test part, which chose nothing: accuracy {}{}, loss {:.4}",
        ui::count(test.len(), "photo"),
        ui::percent(Some(evaluation.accuracy())),
        tables::doubt(&evaluation),
        evaluation.loss
    );
    evaluation::note_skipped(TEST, test, 0);
    Ok(())
}

/// Writes the report. The run is done and saved, so a failure is no more than a warning.
fn written(out: &Path, write: impl FnOnce(&Path, &Run) -> Result<Option<Tally>>) -> Option<PathBuf> {
    let path = out.join(REPORT);
    match Run::load(out).and_then(|run| write(&path, &run)) {
        Ok(labels) => {
            say!("The report:   {}", path.display());
            if let Some(labels) = labels {
                say!("The labels:   {labels}");
            }
            Some(path)
        }
        Err(error) => {
            let error = messages::message(error.as_ref());
            warning!("no report was written: {}; `flowers report` tries again", ui::escaped(&error));
            None
        }
    }
}
