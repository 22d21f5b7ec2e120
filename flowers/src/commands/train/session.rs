//! Training from its beginning, or where it was, to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use floret::checkpoint::Saver;
use floret::data::Loader;
use floret::files::HeldFolder;
use floret::recipe::{Prepared, Training};
use floret::train::{Callback, Ended, Progress, TrainError};

use super::conclusion::Parts;
use super::recorder::Recorder;
use super::watch::{View, Watch};
use super::{Logging, Saving, conclusion, views};
use crate::files::TRAINING;
use crate::interrupt::{Interrupt, Interrupted};
use crate::run_file::RunFile;
use crate::ui::{self, Event, note, say, warning};
use crate::{Error, Result, messages, words};

/// Trains, or goes on training, in the folder `run`; prints what it does, and the best network's evaluation. Returns whether
/// `flowers eval` finds photos to evaluate on: it holds none out.
pub fn train(training: Training, run: HeldFolder, saves: Saving, logging: &Logging) -> Result<bool> {
    let begun = Instant::now();
    let mut prepared = training.prepare(&mut words::tell).map_err(messages::recipe)?;
    let out = run.path().to_owned();
    describe(&prepared);
    start_event(&prepared, &out).print();
    let run = Arc::new(run);
    let settings = serde_json::to_value(&prepared.settings)?;
    let mut saver = saves.apply(Saver::holding(run.clone(), prepared.info.clone(), settings));
    let mut run_file = if prepared.progress().epoch > 0 || prepared.progress().step > 0 {
        recorded(run.path())
    } else {
        RunFile::default()
    };
    run_file.begin_session(&prepared.data.path);
    let mut shown: Vec<Box<dyn View>> = vec![Box::new(Recorder::new(run, run_file))];
    shown.extend(views::shown(prepared.eval.is_some()));
    let mut watch = Watch::new(&prepared, shown);
    let mut log = logging.callback(&out, &prepared)?;
    let mut interrupt = Interrupt::catch()?;
    let mut callbacks: Vec<&mut dyn Callback> = vec![&mut saver, &mut watch, &mut interrupt];
    // Behind the saver: what is logged is saved, and a resumed run does not repeat it.
    callbacks.extend(log.as_mut().map(|log| log as &mut dyn Callback));
    let ended = prepared.run(&mut callbacks);
    let watched = watch.finish();
    let (data, progress) = (&prepared.data, prepared.progress());
    if let Err(TrainError::Batch(_)) = ended
        && progress.step > 0
    {
        note!("{}", how_to_go_on(progress, &data.path, &out, logging));
    }
    let ended = ended.map_err(|error| messages::training(error, &out))?;
    if let Some(exit_code) = interrupt.exit_code() {
        let message = how_to_go_on(progress, &data.path, &out, logging);
        return Err(Interrupted { exit_code, message }.into());
    }
    drop(interrupt);
    let epochs_done = progress.epoch;
    if ended == Ended::Finished && watched == 0 {
        say!("all {} were done already", ui::count(epochs_done as usize, "epoch"));
    }
    let Some(best) = progress.best else {
        return Err(no_network(progress, &out));
    };
    let reason = if ended == Ended::NoImprovement { "no_improvement" } else { "finished" };
    let look_closer = prepared.eval.is_some() && prepared.settings.hold_out.is_none();
    let evaluations = progress.history.iter().filter(|epoch| epoch.eval.is_some()).count();
    let Prepared { data, settings, train, eval, .. } = prepared;
    let test = data.test(settings.loader_options(data.classes.len()).for_evaluation());
    let test = test.map_err(messages::recipe).unwrap_or_else(|error| {
        conclusion::warn_not_tested(&error);
        None
    });
    let report =
        conclusion::show_best(best, evaluations, &out, &data, Parts { train, eval, test }, saves.report())?;
    Event::End {
        reason,
        epochs_done,
        best_epoch: best.epoch + 1,
        model: &saver.model_path().to_string_lossy(),
        report: report.as_deref().map(|path| path.to_string_lossy()).as_deref(),
        seconds: begun.elapsed().as_secs_f64(),
    }
    .print();
    Ok(look_closer)
}

/// Says what is trained on what, and how.
fn describe(prepared: &Prepared) {
    let Prepared { settings, train, eval, network, optimizer, info, .. } = prepared;
    let photos = ui::count(train.len(), "photo");
    let eval_photos = eval.as_ref().map_or(0, Loader::len);
    let (count, names) = (info.classes.len(), ui::names(&info.classes));
    say!("{photos} to train on, {eval_photos} to evaluate on, {count} classes: {names}");
    match &settings.head {
        // Of a known network, whose layers nobody chose.
        Some(_) => {
            let millions = |values: usize| values as f64 / 1e6;
            let all = millions(network.arrays().map(|(param, _)| param.len()).sum());
            let trained = millions(network.gradients().map(|(param, _)| param.len()).sum());
            let layers = ui::count(network.spec().layers.len(), "layer");
            match settings.head_only {
                true => say!("{layers}, {all:.1} million weights"),
                false => say!("{layers}, {all:.1} million weights, of which {trained:.1} million train"),
            }
        }
        None => say!("{}", network.summary()),
    }
    if settings.head_only {
        return;
    }
    let epochs = match prepared.expected_epochs() {
        Some(epochs) => format!("about {}", ui::count(epochs as usize, "epoch")),
        None => ui::count(settings.epochs, "epoch"),
    };
    // With a new head it is known once that is fitted.
    let epochs = if settings.head.is_some() { "then epochs".to_owned() } else { epochs };
    say!(
        "{epochs} of {} of {}, {}, learning rate {}, seed {}, {}",
        ui::count(train.batches(), "step"),
        ui::count(settings.batch_size.min(train.len()), "photo"),
        optimizer.settings(),
        settings.learning_rate,
        settings.seed,
        ui::count(rayon::current_num_threads(), "thread")
    );
}

/// The same for scripts.
fn start_event<'a>(prepared: &'a Prepared, out: &Path) -> Event<'a> {
    let Prepared { settings, train, eval, network, optimizer, info, .. } = prepared;
    Event::Start {
        floret: env!("CARGO_PKG_VERSION"),
        data: prepared.data.path.to_string_lossy().into_owned(),
        out: out.to_string_lossy().into_owned(),
        classes: &info.classes,
        train_photos: train.len(),
        eval_photos: eval.as_ref().map_or(0, Loader::len),
        parameters: network.gradients().map(|(param, _)| param.len()).sum(),
        steps_per_epoch: train.batches(),
        epochs: prepared.expected_epochs().map_or(settings.epochs, |epochs| epochs as usize),
        epochs_done: prepared.progress().epoch,
        optimizer: optimizer.settings(),
        threads: rayon::current_num_threads(),
        settings: ui::settings_fields(settings),
    }
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
fn how_to_go_on(progress: &Progress, data: &Path, out: &Path, logging: &Logging) -> String {
    format!(
        "{} and {} of the next are saved in {}\nGo on:        flowers train --data {} --out {} --resume{}",
        ui::count(progress.epoch as usize, "epoch"),
        ui::count(progress.batch, "step"),
        out.join(TRAINING).display(),
        ui::shell(data),
        ui::shell(out),
        logging.flag()
    )
}
