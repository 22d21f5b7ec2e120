//! Training from its beginning, or where it was, to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floret::checkpoint::{Arithmetic, ModelInfo, RunFolder, SavedTraining, Saver};
use floret::data::{Loader, LoaderOptions};
use floret::train::{Budget, Callback, Ended, Progress, TrainError, Trainer};

use super::recorder::Recorder;
use super::settings::batch_size as batch_size_for;
use super::start::Start;
use super::watch::{View, Watch};
use super::{Logging, Saving, Settings, conclusion, saving, views};
use crate::data::DataFolder;
use crate::files::{EVAL, TRAIN, TRAINING};
use crate::interrupt::{Interrupt, Interrupted};
use crate::run_file::RunFile;
use crate::ui::{self, Event, note, say, warning};
use crate::{Error, Result};

/// When training is to end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    pub at: Instant,
    /// About how many epochs the run has, from its very beginning.
    pub epochs: u64,
}

impl Deadline {
    /// The budget of a run that has taken `spent` seconds until now.
    fn budget(self, spent: f64) -> Budget {
        let left = self.at.saturating_duration_since(Instant::now());
        Budget { time: Duration::from_secs_f64(spent) + left, epochs: self.epochs }
    }
}

/// What training begins with.
pub enum Begin {
    /// A new network.
    New,
    /// That of a model.
    Model(Box<Start>),
    /// Where a run was.
    Saved(Box<SavedTraining>),
}

impl Begin {
    /// Fails if it knows other classes than the data has.
    pub fn require_classes(&self, data: &[String]) -> Result<()> {
        let Begin::Saved(saved) = self else { return Ok(()) };
        let run = &saved.info.classes;
        if run == data {
            return Ok(());
        }
        let (run, data) = (ui::names(run), ui::names(data));
        Err(format!(
            "the run knows the classes {run}, but the data has {data}: go on with the data it began with (--data), or begin \
             a new run in another folder (--out, without --resume)"
        )
        .into())
    }

    /// Whether it is a run under a budget that has come to its end.
    pub fn is_finished(&self) -> bool {
        matches!(self, Begin::Saved(saved) if saved.progress.is_finished())
    }

    /// The epochs that are done.
    pub fn epochs_done(&self) -> u64 {
        match self {
            Begin::Saved(saved) => saved.progress.epoch,
            Begin::New | Begin::Model(_) => 0,
        }
    }

    /// Seconds that the run has taken, if it has a deadline.
    pub fn spent(&self) -> f64 {
        match self {
            Begin::Saved(saved) => saved.progress.seconds(),
            Begin::New | Begin::Model(_) => 0.0,
        }
    }
}

impl From<Option<SavedTraining>> for Begin {
    fn from(saved: Option<SavedTraining>) -> Self {
        saved.map_or(Begin::New, |saved| Begin::Saved(Box::new(saved)))
    }
}

/// Trains, or goes on training, in the folder `run`; prints what it does, and the best network's evaluation. Whether there
/// was anything to evaluate on.
pub fn train(
    data: &DataFolder,
    settings: &Settings,
    deadline: Option<Deadline>,
    begin: Begin,
    run: RunFolder,
    saves: Saving,
    logging: &Logging,
) -> Result<bool> {
    let begun = Instant::now();
    let classes = data.classes.names();
    let options = settings.loader_options(classes.len());
    let train = data.loader(TRAIN, options.clone())?;
    let eval = data.loader_if_any(EVAL, options.clone().for_evaluation())?;
    describe_data(&train, eval.as_ref(), classes);

    let train_options =
        settings.train_options(train.batches(), deadline.map(|deadline| deadline.budget(begin.spent())));
    let mut optimizer = settings.optimizer();
    let mut run_file = RunFile::default();
    let (mut network, mut trainer) = match begin {
        Begin::New => {
            suggest_smaller_batches(&train);
            (settings.network(classes.len(), train.len())?, Trainer::new(train_options))
        }
        Begin::Model(start) => {
            suggest_smaller_batches(&train);
            (start.network(settings, train.len())?, Trainer::new(train_options))
        }
        Begin::Saved(mut saved) => {
            saved.restore(optimizer.as_mut())?;
            run_file = recorded(run.path());
            let (epochs, batches) = (saved.progress.epoch as usize, saved.progress.batch);
            say!("going on after {} and {} batches", ui::count(epochs, "epoch"), batches);
            let here = Arithmetic::here();
            if let Some(before) = saved.arithmetic.filter(|before| *before != here) {
                note!(
                    "note: the run was computed by {before} and goes on with {here}, which may round otherwise: it will not \
                     end with the very same weights"
                );
            }
            (saved.network, Trainer::resume(train_options, saved.progress).with_average(saved.average))
        }
    };
    say!("{}", network.summary());
    let expected = trainer.progress().expected_epochs().or(deadline.map(|deadline| deadline.epochs));
    let epochs = match expected {
        Some(epochs) => format!("about {}", ui::count(epochs as usize, "epoch")),
        None => ui::count(settings.epochs, "epoch"),
    };
    say!(
        "{epochs} of {} of {}, {}, learning rate {}, seed {}, {}",
        ui::count(train.batches(), "step"),
        ui::count(settings.batch_size.min(train.len()), "photo"),
        optimizer.settings(),
        settings.learning_rate,
        settings.seed,
        ui::count(rayon::current_num_threads(), "thread")
    );
    let info = ModelInfo { classes: classes.to_vec(), preprocess: options.preprocess };
    let out = run.path().to_owned();
    Event::Start {
        floret: env!("CARGO_PKG_VERSION"),
        data: &data.path.to_string_lossy(),
        out: &out.to_string_lossy(),
        classes,
        train_photos: train.len(),
        eval_photos: eval.as_ref().map_or(0, Loader::len),
        image_size: settings.image_size,
        parameters: network.gradients().map(|(param, _)| param.len()).sum(),
        batch_size: settings.batch_size,
        steps_per_epoch: train.batches(),
        epochs: expected.map_or(settings.epochs, |epochs| epochs as usize),
        minutes: settings.minutes,
        epochs_done: trainer.progress().epoch,
        optimizer: &optimizer.settings(),
        learning_rate: settings.learning_rate,
        seed: settings.seed,
        threads: rayon::current_num_threads(),
    }
    .print();
    let run = Arc::new(run);
    let mut saver = saves.apply(Saver::holding(run.clone(), info, serde_json::to_value(settings)?));
    run_file.begin_session(&data.path);
    let mut views: Vec<Box<dyn View>> = vec![Box::new(Recorder::new(run, run_file))];
    views.extend(views::shown(eval.is_some()));
    let ends = deadline.map(|deadline| deadline.at);
    let mut watch = Watch::new(&train, eval.as_ref(), settings, ends, views);
    let mut log = logging.callback(&out, settings, classes, &train)?;
    let mut interrupt = Interrupt::catch()?;
    let mut callbacks: Vec<&mut dyn Callback> = vec![&mut saver, &mut watch, &mut interrupt];
    // Behind the saver: what is logged is saved, and a resumed run does not repeat it.
    callbacks.extend(log.as_mut().map(|log| log as &mut dyn Callback));
    let ended = trainer.run(&mut network, optimizer.as_mut(), &train, eval.as_ref(), &mut callbacks);
    let watched = watch.finish();
    if let Err(TrainError::Batch(_)) = ended
        && trainer.progress().step > 0
    {
        note!("{}", how_to_go_on(trainer.progress(), data, &out, logging));
    }
    let ended = ended.map_err(|error| saving::explain(error, &out))?;
    if let Some(exit_code) = interrupt.exit_code() {
        let message = how_to_go_on(trainer.progress(), data, &out, logging);
        return Err(Interrupted { exit_code, message }.into());
    }
    drop(interrupt);
    if ended == Ended::Finished && watched == 0 {
        say!("all {} were done already", ui::count(trainer.progress().epoch as usize, "epoch"));
    }
    let Some(best) = trainer.progress().best else {
        return Err(no_network(trainer.progress(), &out));
    };
    let reason = if ended == Ended::NoImprovement { "no_improvement" } else { "finished" };
    let evaluated = eval.is_some();
    let report = conclusion::show_best(best, &out, data, train, eval, !saves.no_report)?;
    Event::End {
        reason,
        epochs_done: trainer.progress().epoch,
        best_epoch: best.epoch + 1,
        model: &saver.model_path().to_string_lossy(),
        report: report.as_deref().map(|path| path.to_string_lossy()).as_deref(),
        seconds: begun.elapsed().as_secs_f64(),
    }
    .print();
    Ok(evaluated)
}

/// What is known of the earlier processes of the run in this folder.
fn recorded(folder: &Path) -> RunFile {
    let loaded = RunFile::load(folder);
    let loaded = loaded.inspect_err(|error| warning!("{error}; how long the epochs took is forgotten"));
    loaded.ok().flatten().unwrap_or_default()
}

/// Why a run that has ended has no best network.
fn no_network(progress: &Progress, out: &Path) -> Error {
    let out = out.display();
    if progress.history.iter().any(|epoch| epoch.best) {
        return format!(
            "all epochs are done, and the best network is no longer in {out}: begin a new run in another folder (--out), or go \
             on with more --epochs if the run was given that many"
        )
        .into();
    }
    format!(
        "no epoch ended with a loss that is a number, so there is no network in {out}: train again with a lower \
         --learning-rate"
    )
    .into()
}

/// What an interrupted run leaves in the folder `out`.
fn how_to_go_on(progress: &Progress, data: &DataFolder, out: &Path, logging: &Logging) -> String {
    format!(
        "{} and {} of the next are saved in {}\nGo on:        flowers train --data {} --out {} --resume{}",
        ui::count(progress.epoch as usize, "epoch"),
        ui::count(progress.batch, "step"),
        out.join(TRAINING).display(),
        ui::shell(&data.path),
        ui::shell(out),
        logging.flag()
    )
}

fn describe_data(train: &Loader, eval: Option<&Loader>, classes: &[String]) {
    let photos = ui::count(train.len(), "photo");
    let eval_photos = eval.map_or(0, Loader::len);
    let (count, names) = (classes.len(), ui::names(classes));
    say!("{photos} to train on, {eval_photos} to evaluate on, {count} classes: {names}");
    if eval.is_none() {
        note!("note: there are no {EVAL} shards, so the best network is the one of the lowest training loss");
    }
}

/// Says so if the photos do not fill a single batch: training then makes hardly any steps.
fn suggest_smaller_batches(train: &Loader) {
    let LoaderOptions { batch_size, .. } = *train.options();
    let photos = train.len();
    let smaller = batch_size_for(photos);
    if photos < batch_size && smaller < photos {
        note!(
            "note: {} do not fill a batch of {batch_size}, so each epoch is a single step: --batch-size {smaller} would \
             make it {}",
            ui::count(photos, "photo"),
            photos.div_ceil(smaller)
        );
    }
}
