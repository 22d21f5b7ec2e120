//! The report of a run: one page that needs nothing else, neither files beside it nor a network.
//!
//! | question | file |
//! | --- | --- |
//! | what does a run's folder hold, and where are its data? | `run.rs` |
//! | which photos are worth a look? | `answers.rs` |
//! | how are photos and numbers drawn? | `photos.rs`, `picture.rs`, `chart.rs` |
//! | what stands on the page? | `sections/`, `style.css` |

mod answers;
mod chart;
mod photos;
mod picture;
mod run;
mod sections;

use std::io::Write;
use std::path::Path;

use floret::atomic_file::write_atomically;
use floret::metrics::ClassMetrics;
use floret::network::Network;
use floret::train::EpochRecord;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ndarray::Ix4;

pub use answers::Answers;
use photos::{Augmented, Shown};
use picture::Picture;
pub use run::{Run, RunData};
use sections::{augmentation, classes, curves, details, epochs, filters, gallery, overview};

use crate::Result;
use crate::run_file::{EpochTime, Session};

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
    eval_classes: Option<Vec<u64>>,
    /// Whether the answers are those to the photos kept for evaluation.
    has_eval: bool,
    bad: usize,
    answers: Answers,
    mistakes: Vec<Shown>,
    uncertain: Vec<Shown>,
    augmented: Vec<Augmented>,
}

/// Writes the report of `run` to `path`; `data` are its data, or why there are none.
pub fn write(path: &Path, run: &mut Run, data: std::result::Result<RunData, String>) -> Result<()> {
    let seen = match data {
        Ok(data) => {
            let Some(network) = &mut run.best else {
                return write_with(
                    path,
                    run,
                    Err("There is no best network to ask about the photos.".into()),
                );
            };
            let answers = Answers::gather(network, &data.asked)?;
            Ok((data, answers))
        }
        Err(why) => Err(why),
    };
    write_with(path, run, seen)
}

/// The same, when it is known what the best network says of the data: of those for evaluation, or where there are none of
/// those to train on.
pub fn write_with(
    path: &Path,
    run: &Run,
    seen: std::result::Result<(RunData, Answers), String>,
) -> Result<()> {
    let report = Report::new(run, seen.map(|(data, answers)| Seen::new(run, &data, answers)));
    let page = page(&report).into_string();
    Ok(write_atomically(path, |file| file.write_all(page.as_bytes()))?)
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
    fn new(run: &Run, data: &RunData, answers: Answers) -> Self {
        let RunData { path, train, asked, has_eval } = data;
        let examples = |of: ClassMetrics| of.examples;
        Self {
            path: path.display().to_string(),
            train_photos: train.len(),
            train_classes: photos::count_classes(train),
            eval_classes: has_eval
                .then(|| answers.evaluation.per_class().into_iter().map(examples).collect()),
            has_eval: *has_eval,
            bad: train.skipped().count + if *has_eval { asked.skipped().count } else { 0 },
            mistakes: if *has_eval { photos::shown(&answers.mistakes, asked) } else { Vec::new() },
            uncertain: photos::shown(&answers.uncertain, asked),
            augmented: photos::augmented(train, &run.settings.loader_options(run.info.classes.len())),
            answers,
        }
    }
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

/// The filters of the first convolution, if it sees colours.
fn first_filters(network: &Network) -> Option<Filters> {
    let (param, kernel) = network.arrays().find(|(param, _)| param.shape.len() == 4)?;
    let kernel = kernel.into_dimensionality::<Ix4>().ok()?;
    let (height, width, channels, _) = kernel.dim();
    (channels == 3).then(|| Filters {
        layer: param.name.clone(),
        size: (height, width),
        pictures: picture::filters(kernel),
    })
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
