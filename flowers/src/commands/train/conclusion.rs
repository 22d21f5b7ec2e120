//! The end of training: the best network's evaluation, and the report.

use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, load_model};
use floret::data::Loader;
use floret::network::Network;
use floret::recipe::DataFolder;
use floret::train::Best;

use crate::files::{EVAL, MODEL, REPORT, TEST};
use crate::report_html::{self, Run, RunData, Tally};
use crate::ui::{self, Event, note, say, warning};
use crate::{Error, Result, evaluation, messages, tables};

/// The photos of a run.
pub struct Parts {
    pub train: Loader,
    /// Those that the best network was chosen by.
    pub eval: Option<Loader>,
    /// Those that chose nothing.
    pub test: Option<Loader>,
}

/// Shows how good the best network of the run in `out` is, the best of so many `evaluations`, and writes its report if `report` says so;
/// returns the report's path, if it was written.
pub fn show_best(
    best: Best,
    evaluations: usize,
    out: &Path,
    data: &DataFolder,
    Parts { train, eval, test }: Parts,
    report: bool,
) -> Result<Option<PathBuf>> {
    let (epoch, path) = (best.epoch + 1, out.join(MODEL));
    // The best network is the one on disk.
    let (network, info) = load_model(&path)?;
    let answers = match &eval {
        Some(eval) => {
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
        show_test(&network, &info, &test).unwrap_or_else(|error| warn_not_tested(&error));
    }
    let write = |path: &Path, run: &Run| {
        let data = RunData::new(data, &train, eval, run.info.preprocess)?;
        report_html::write_with(path, run, Ok(data), answers)
    };
    Ok(report.then(|| written(out, write)).flatten())
}

/// Evaluates the network on photos that chose nothing, once.
fn show_test(network: &Network, info: &ModelInfo, test: &Loader) -> Result<()> {
    let evaluation = evaluation::evaluate(network, test)?;
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

/// Says why the test part was not evaluated: the run is done and saved, so that is no more than a warning.
pub fn warn_not_tested(error: &Error) {
    warning!("the test part was not evaluated: {}", ui::escaped(&messages::message(error.as_ref())));
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
