//! What a training logs: which tags at which steps, with the numbers of the training itself; resumed, and where it can't be
//! written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use floret::data::{Loader, LoaderOptions, Preprocess};
use floret::image::{DecodeOptions, decode};
use floret::log::TensorBoard;
use floret::network::{Network, StepReport};
use floret::nn::{Conv2d, Dense, Flatten, MaxPool2d, Relu};
use floret::optim::{Optimizer, Sgd};
use floret::record::Compression;
use floret::train::{Callback, Ended, Flow, Moment, Progress, TrainError, TrainOptions, Trainer};
use serde_json::{Map, json};
use tempfile::{TempDir, tempdir};

use super::reading::{files, run, scalar, steps};
use crate::common::photos::{payloads, write_shards};

const SIZE: usize = 12;
const CLASSES: usize = 3;
const EPOCHS: u64 = 3;
/// Steps of an epoch: 24 examples in batches of 4.
const STEPS: i64 = 6;

struct Scene {
    folder: TempDir,
    train: Loader,
    eval: Loader,
}

impl Scene {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        let loader = |name: &str, payloads: &[Vec<u8>]| {
            let data = folder.path().join(name);
            fs::create_dir(&data).unwrap();
            let shards = write_shards(&data, payloads, 1, Compression::Plain);
            let options = LoaderOptions::new(Preprocess::new(SIZE), CLASSES);
            Loader::open(&shards, LoaderOptions { batch_size: 4, seed: 5, ..options }).unwrap()
        };
        let payloads = payloads(33, CLASSES);
        let (train, eval) = (loader("a", &payloads[..24]), loader("b", &payloads[24..]));
        Self { folder, train, eval }
    }

    fn log(&self) -> TensorBoard {
        let settings = Map::from_iter([("rate".to_owned(), json!(0.02))]);
        TensorBoard::new(self.log_folder(), &["a", "b", "c"].map(String::from))
            .every_steps(2)
            .hyper_parameters(settings)
    }

    fn log_folder(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The folder of a run.
    fn path(&self, run: &str) -> PathBuf {
        self.log_folder().join(run)
    }

    /// Trains a fresh network to the end, or what `stop` says.
    fn train(&self, callbacks: &mut [&mut dyn Callback]) -> (Result<Ended, TrainError>, Progress) {
        let mut run = Run::new();
        let ended = run.go_on(self, callbacks);
        (ended, run.trainer.progress().clone())
    }
}

/// A training that can be stopped and gone on with.
struct Run {
    network: Network,
    optimizer: Sgd,
    trainer: Trainer,
}

impl Run {
    fn new() -> Self {
        let network = Network::builder((SIZE, SIZE, 3));
        let network = network.add(Conv2d::new(4, 3)).add(Relu).add(MaxPool2d::new(2)).add(Flatten);
        let network = network.add(Dense::new(CLASSES)).seed(3).build().unwrap();
        let trainer = Trainer::new(TrainOptions::new(EPOCHS, 0.02));
        Self { network, optimizer: Sgd::new(0.02), trainer }
    }

    fn go_on(&mut self, scene: &Scene, callbacks: &mut [&mut dyn Callback]) -> Result<Ended, TrainError> {
        let Self { network, optimizer, trainer } = self;
        trainer.run(network, optimizer as &mut dyn Optimizer, &scene.train, Some(&scene.eval), callbacks)
    }
}

/// Stops after a step.
struct StopAfter(u64);

impl Callback for StopAfter {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        Ok(if moment.progress.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

/// Keeps what each step reported, with the norm of its gradients.
#[derive(Default)]
struct Reports(Vec<(StepReport, f64)>);

impl Callback for Reports {
    fn on_step(&mut self, moment: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        let values =
            moment.network.gradients().flat_map(|(_, values)| values.iter().copied().collect::<Vec<_>>());
        let squares: f64 = values.map(|v| f64::from(v) * f64::from(v)).sum();
        self.0.push((*report, squares.sqrt()));
        Ok(Flow::Continue)
    }
}

#[test]
fn every_part_is_logged_at_its_steps_with_the_numbers_of_the_training() {
    let scene = Scene::new();
    let (mut log, mut reports) = (scene.log(), Reports::default());
    let (ended, progress) = scene.train(&mut [&mut log, &mut reports]);
    assert_eq!(ended.unwrap(), Ended::Finished);
    let (train, eval) = (scene.path("train"), scene.path("eval"));

    let every_second: Vec<i64> = (1..=STEPS * EPOCHS as i64 / 2).map(|point| 2 * point).collect();
    let ends: Vec<i64> = (1..=EPOCHS as i64).map(|epoch| epoch * STEPS).collect();
    let with_start: Vec<i64> = [0].into_iter().chain(ends.clone()).collect();
    let begins: Vec<i64> = (0..EPOCHS as i64).map(|epoch| epoch * STEPS + 1).collect();
    for tag in ["loss", "accuracy", "learning_rate", "gradient_norm", "images_per_second"] {
        assert_eq!(steps(&train, tag), every_second, "{tag}");
    }
    for array in ["conv2d_1/kernel", "conv2d_1/bias", "dense_1/kernel", "dense_1/bias"] {
        assert_eq!(steps(&train, &format!("weights/{array}")), with_start);
        assert_eq!(steps(&train, &format!("gradients/{array}")), ends);
    }
    assert_eq!(steps(&train, "filters/conv2d_1/kernel"), with_start);
    assert_eq!(steps(&train, "batch"), begins);
    assert_eq!(steps(&train, "summary"), [0]);
    for tag in ["loss", "accuracy", "confusion_matrix", "mistakes"] {
        assert_eq!(steps(&eval, tag), ends, "{tag}");
    }

    // Each point sums up two steps of four examples.
    let pairs: Vec<_> = reports.0.chunks(2).collect();
    let near = |found: Vec<(i64, f32)>, wanted: Vec<f64>| {
        // Both are rounded to 32 bits once.
        found
            .iter()
            .zip(&wanted)
            .for_each(|((_, f), w)| assert!((f64::from(*f) - w).abs() < 1e-6 * w.abs().max(1.0)));
        assert_eq!(found.len(), wanted.len());
    };
    let mean =
        |part: fn(&StepReport) -> f64| pairs.iter().map(|p| (part(&p[0].0) + part(&p[1].0)) / 2.0).collect();
    near(scalar(&train, "loss"), mean(|report| report.mean_loss));
    near(scalar(&train, "accuracy"), mean(|report| report.correct as f64 / 4.0));
    near(scalar(&train, "learning_rate"), vec![0.02; pairs.len()]);
    near(scalar(&train, "gradient_norm"), pairs.iter().map(|pair| pair[1].1).collect());
    assert!(scalar(&train, "images_per_second").iter().all(|(_, rate)| *rate > 0.0));
    let scores: Vec<_> = progress.history.iter().map(|epoch| epoch.eval.unwrap()).collect();
    near(scalar(&eval, "loss"), scores.iter().map(|score| score.loss).collect());
    near(scalar(&eval, "accuracy"), scores.iter().map(|score| score.accuracy).collect());
    // Every image is one.
    for (folder, tag) in [(&train, "batch"), (&train, "filters/conv2d_1/kernel"), (&eval, "mistakes")] {
        for (_, tensor) in &run(folder)[tag] {
            decode(&tensor.string_val[2], &DecodeOptions::default()).unwrap();
        }
    }
    for tag in ["_hparams_/experiment", "_hparams_/session_end_info", "_hparams_/session_start_info"] {
        assert_eq!((steps(&eval, tag), steps(&train, tag)), (vec![0], vec![]));
    }
}

/// Every tag with its steps, and the values that do not depend on time.
fn contents(folder: &Path) -> Vec<(String, i64, Vec<u8>)> {
    let values = run(folder)
        .into_iter()
        .filter(|(tag, _)| tag != "images_per_second" && tag != "summary" && !tag.starts_with("_hparams_"));
    let values =
        values.flat_map(|(tag, values)| values.into_iter().map(move |(step, t)| (tag.clone(), step, t)));
    values.map(|(tag, step, tensor)| (tag, step, prost::Message::encode_to_vec(&tensor))).collect()
}

#[test]
fn a_resumed_run_logs_what_an_undisturbed_one_does() {
    let wanted = Scene::new();
    wanted.train(&mut [&mut wanted.log()]).0.unwrap();
    for stop in [1, 2, 5, 7, 8, 13, 14] {
        let scene = Scene::new();
        // The state is that of step `stop`; steps after it were logged too, and will come again.
        let mut run = Run::new();
        let lost = (stop + 3).min(17);
        scene.train(&mut [&mut scene.log(), &mut StopAfter(lost)]).0.unwrap();
        run.go_on(&scene, &mut [&mut StopAfter(stop)]).unwrap();
        // A point sums up the steps since the last one: they are whole where the run stopped at one.
        assert_eq!(run.go_on(&scene, &mut [&mut scene.log()]).unwrap(), Ended::Finished);
        for part in ["train", "eval"] {
            let (found, wanted) = (contents(&scene.path(part)), contents(&wanted.path(part)));
            let tags = |all: &[(String, i64, Vec<u8>)]| {
                all.iter().map(|(tag, step, _)| (tag.clone(), *step)).collect::<Vec<_>>()
            };
            // The session's first batch is shown too, wherever in the epoch it is.
            let shown = |all: Vec<(String, i64, Vec<u8>)>| -> Vec<_> {
                all.into_iter().filter(|(tag, step, _)| tag != "batch" || step % STEPS == 1).collect()
            };
            let (found, wanted) = (shown(found), shown(wanted));
            assert_eq!(tags(&found), tags(&wanted), "stopped after {stop}");
            if stop % 2 == 0 {
                assert!(found == wanted, "stopped after {stop}");
            }
        }
        assert_eq!(files(&scene.path("train")).len(), 2);
        assert!(run_ended(&scene), "stopped after {stop}");
    }
}

/// Whether the log says that the run came to its end.
fn run_ended(scene: &Scene) -> bool {
    let ends = |part: &str| run(&scene.path(part)).contains_key("_hparams_/session_end_info");
    ends("train") || scene.path("eval").is_dir() && ends("eval")
}

#[test]
fn without_evaluation_the_hyper_parameters_are_those_of_training() {
    let scene = Scene::new();
    let Run { mut network, mut optimizer, mut trainer } = Run::new();
    trainer.run(&mut network, &mut optimizer, &scene.train, None, &mut [&mut scene.log()]).unwrap();
    assert!(!scene.path("eval").exists());
    assert_eq!(steps(&scene.path("train"), "_hparams_/session_start_info"), [0]);
    assert!(run_ended(&scene));
}

#[test]
fn a_run_that_was_stopped_has_not_ended() {
    let scene = Scene::new();
    assert_eq!(scene.train(&mut [&mut scene.log(), &mut StopAfter(4)]).0.unwrap(), Ended::Stopped);
    assert!(!run_ended(&scene));
    assert!(!scene.path("eval").exists());
}

#[test]
fn the_log_changes_nothing_of_the_training() {
    let scene = Scene::new();
    let (mut with, mut without) = (Run::new(), Run::new());
    with.go_on(&scene, &mut [&mut scene.log()]).unwrap();
    without.go_on(&scene, &mut []).unwrap();
    for ((_, with), (_, without)) in with.network.arrays().zip(without.network.arrays()) {
        assert_eq!(with, without);
    }
}

#[test]
fn a_log_that_can_t_begin_keeps_training_from_beginning() {
    let scene = Scene::new();
    fs::write(scene.log_folder(), "no folder").unwrap();
    let mut log = scene.log().on_error(|_| panic!("nothing to decide"));
    let (ended, progress) = scene.train(&mut [&mut log]);
    let error = ended.unwrap_err().to_string();
    assert!(error.starts_with("cannot create the folder ") && error.contains("log"), "{error}");
    assert_eq!(progress.step, 0);
}

#[test]
fn a_write_that_fails_ends_training_unless_told_otherwise() {
    let scene = Scene::new();
    fs::create_dir(scene.log_folder()).unwrap();
    fs::write(scene.path("eval"), "in the way").unwrap();
    let (ended, progress) = scene.train(&mut [&mut scene.log()]);
    let error = ended.unwrap_err().to_string();
    assert!(error.starts_with("cannot create the folder ") && error.contains("eval"), "{error}");
    assert_eq!((progress.step as i64, progress.epoch), (STEPS, 0));
}

#[test]
fn a_failure_that_lasts_is_told_once_and_costs_only_what_it_kept_from_being_written() {
    let scene = Scene::new();
    fs::create_dir(scene.log_folder()).unwrap();
    fs::write(scene.path("eval"), "in the way").unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let mut log = scene.log().on_error(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Flow::Continue
    });
    assert_eq!(scene.train(&mut [&mut log]).0.unwrap(), Ended::Finished);
    assert_eq!(told.load(Ordering::Relaxed), 1);
    assert_eq!(steps(&scene.path("train"), "gradients/dense_1/bias").len(), EPOCHS as usize);
    assert!(run_ended(&scene));
}
