//! The report of a run: one page that needs nothing else, neither files beside it nor a network.
//!
//! | question | file |
//! | --- | --- |
//! | what does a run's folder hold, and where are its data? | `run.rs` |
//! | which labels may be wrong, and where are their photos? | `label_errors.rs` |
//! | how are photos and numbers drawn? | `photos.rs`, `picture.rs`, `chart.rs` |
//! | what stands on the page? | `sections/`, `style.css` |

mod chart;
mod label_errors;
mod photos;
mod picture;
mod run;
mod sections;

use std::io::Write;
use std::path::Path;

use floret::data::convert::Copies;
use floret::files::write_atomically;
use floret::metrics::{ClassMetrics, Evaluation};
use floret::network::Network;
use floret::recipe::Answers;
use floret::train::EpochRecord;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ndarray::Ix4;

pub use label_errors::Tally;
use label_errors::{LabelErrors, Split};
use photos::{Augmented, Shown};
use picture::Picture;
pub use run::{Run, RunData};
use sections::{augmentation, classes, copies, curves, details, epochs, filters, gallery, labels, overview};

use crate::files::{EVAL, LABEL_ERRORS, TRAIN};
use crate::run_file::{EpochTime, Session};
use crate::{Result, evaluation};

/// All that the page tells.
struct Report {
    title: String,
    classes: Vec<String>,
    history: Vec<EpochRecord>,
    /// Epochs that the run is to have.
    epochs: usize,
    /// How long each epoch of the history took, where that was noted.
    times: Vec<Option<EpochTime>>,
    /// The best epoch, from 0.
    best: Option<u64>,
    /// The network as a table.
    summary: String,
    settings: Vec<(String, String)>,
    /// The processes that trained, without those that ended no epoch where there are others.
    sessions: Vec<Session>,
    filters: Option<Filters>,
    /// What the data show; why there is nothing, else.
    seen: std::result::Result<Seen, String>,
}

/// The first layer.
struct Filters {
    layer: String,
    /// Height and width.
    size: (usize, usize),
    pictures: Vec<Picture>,
}

/// What is known from the data.
struct Seen {
    path: String,
    train_photos: usize,
    train_classes: Vec<u64>,
    train_accuracy: f64,
    /// Whether the answers to training photos are those of heads that were fitted without them.
    is_held_out: bool,
    eval_classes: Option<Vec<u64>>,
    /// Whether the evaluation, the mistakes and the uncertain ones are of the photos kept for evaluation; of those to train on,
    /// where none are.
    has_eval: bool,
    bad: usize,
    evaluation: Evaluation,
    label_errors: LabelErrors,
    mistakes: Vec<Shown>,
    uncertain: Vec<Shown>,
    augmented: Vec<Augmented>,
    /// With a picture of each, as far as they are shown.
    copies: Vec<(Copies, Option<Picture>)>,
}

/// Writes the report of `run` to `path`, and its list of likely label errors beside it; `data` are its data, or why there are
/// none. What it says of labels, if there was anything to say.
pub fn write(path: &Path, run: &Run, data: std::result::Result<RunData, String>) -> Result<Option<Tally>> {
    write_with(path, run, data, None)
}

/// The same, when it may be known what the best network says of the photos for evaluation.
pub fn write_with(
    path: &Path,
    run: &Run,
    data: std::result::Result<RunData, String>,
    eval: Option<Answers>,
) -> Result<Option<Tally>> {
    let seen = match (data, &run.best) {
        (Ok(data), Some(best)) => Ok(Seen::new(run, best, &data, eval, path)?),
        (Ok(_), None) => Err("There is no best network to ask about the photos.".into()),
        (Err(why), _) => Err(why),
    };
    let report = Report::new(run, seen);
    let label_errors = report.seen.as_ref().ok().map(|seen| &seen.label_errors);
    if let Some(label_errors) = label_errors {
        label_errors.save(&report.classes)?;
    }
    let page = page(&report).into_string();
    write_atomically(path, |file| file.write_all(page.as_bytes()))?;
    Ok(label_errors.map(|label_errors| label_errors.tally.clone()))
}

impl Report {
    fn new(run: &Run, seen: std::result::Result<Seen, String>) -> Self {
        let progress = &run.state.progress;
        let time = |epoch: &EpochRecord| run.file.as_ref()?.epoch(epoch.epoch);
        let folder = std::path::absolute(&run.folder).unwrap_or_else(|_| run.folder.clone());
        let sessions = run.file.as_ref().map_or(&[][..], |file| &file.sessions);
        let trained = |session: &&Session| !session.epochs.is_empty();
        let network = run.best.as_ref().unwrap_or(&run.state.network);
        Self {
            title: folder
                .file_name()
                .map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned()),
            classes: run.info.classes.clone(),
            history: progress.history.clone(),
            epochs: progress.expected_epochs().map_or(run.settings.epochs, |epochs| epochs as usize),
            times: progress.history.iter().map(time).collect(),
            best: progress.best.map(|best| best.epoch),
            summary: network.summary(),
            settings: named_settings(&run.state.settings),
            sessions: match sessions.iter().any(|session| trained(&session)) {
                true => sessions.iter().filter(trained).cloned().collect(),
                false => sessions.last().cloned().into_iter().collect(),
            },
            filters: first_filters(network),
            seen,
        }
    }
}

impl Seen {
    /// What `best` says of `data`; `eval` is what it says of those for evaluation, if that is known.
    fn new(run: &Run, best: &Network, data: &RunData, eval: Option<Answers>, page: &Path) -> Result<Self> {
        let RunData { path, train, eval: eval_photos } = data;
        let eval_answers = match (eval, eval_photos) {
            (None, Some(photos)) => Some(evaluation::answers(best, photos, "evaluating")?),
            (known, _) => known,
        };
        let held_out = Answers::held_out(&run.folder, train);
        let is_held_out = held_out.is_some();
        let train_answers = match held_out {
            Some(answers) => answers,
            None => evaluation::answers(best, train, "looking at the labels")?,
        };
        let train_split = Split { name: TRAIN, photos: train, answers: &train_answers };
        let eval_split = eval_photos.as_ref().zip(eval_answers.as_ref());
        let eval_split = eval_split.map(|(photos, answers)| Split { name: EVAL, photos, answers });
        let Split { photos: asked, answers, .. } = eval_split.unwrap_or(train_split);
        let has_eval = eval_split.is_some();
        let splits: Vec<Split> = [train_split].into_iter().chain(eval_split).collect();
        let bad = splits.iter().map(|split| split.photos.skipped().count).sum();
        Ok(Self {
            path: path.display().to_string(),
            train_photos: train.len(),
            train_classes: count_classes(&train_answers.evaluation),
            train_accuracy: train_answers.evaluation.accuracy(),
            is_held_out,
            eval_classes: has_eval.then(|| count_classes(&answers.evaluation)),
            has_eval,
            bad,
            evaluation: answers.evaluation.clone(),
            label_errors: LabelErrors::find(&splits, page.with_file_name(LABEL_ERRORS)),
            mistakes: if has_eval { photos::shown(&answers.mistakes, asked) } else { Vec::new() },
            uncertain: photos::shown(&answers.uncertain, asked),
            copies: photos::copies([&run.folder, path], &run.info.classes, train),
            augmented: photos::augmented(train, &run.settings.loader_options(run.info.classes.len())),
        })
    }
}

/// Photos of each class.
fn count_classes(evaluation: &Evaluation) -> Vec<u64> {
    let examples = |of: ClassMetrics| of.examples;
    evaluation.per_class().into_iter().map(examples).collect()
}

/// The settings as they are saved, by name.
fn named_settings(settings: &serde_json::Value) -> Vec<(String, String)> {
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        // Of 32 bits, whose digits beyond are no one's.
        serde_json::Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |number| (number as f32).to_string())
        }
        other => other.to_string(),
    };
    let named = |(name, value): (&String, &serde_json::Value)| (name.replace('_', " "), shown(value));
    settings.as_object().map(|settings| settings.iter().map(named).collect()).unwrap_or_default()
}

/// The filters of the first convolution, if it sees colors or gray levels.
fn first_filters(network: &Network) -> Option<Filters> {
    let (param, kernel) = network.arrays().find(|(param, _)| param.shape.len() == 4)?;
    let kernel = kernel.into_dimensionality::<Ix4>().ok()?;
    let (height, width, channels, filters) = kernel.dim();
    let in_colors = match channels {
        1 => kernel.broadcast((height, width, 3, filters)).expect("a gray level is that of each color"),
        3 => kernel.view(),
        _ => return None,
    };
    Some(Filters { layer: param.name.clone(), size: (height, width), pictures: picture::filters(in_colors) })
}

/// Nothing is fetched, whatever names would have the page do.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (crate::ui::escaped(&report.title)) " · floret" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (overview::render(report))
                    (curves::render(report))
                    @if let Ok(seen) = &report.seen {
                        (classes::render(report, seen))
                        (labels::render(report, seen))
                        (copies::render(report, seen))
                        (gallery::render(report, seen))
                        (augmentation::render(report, seen))
                    }
                    (filters::render(report))
                    (epochs::render(report))
                    (details::render(report))
                }
                footer { "Made by floret " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    }
}
