//! Saving while training: what stands on the disk at each moment, and what a save that fails costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::photos::{payloads, write_shards};
use floret::checkpoint::{ModelInfo, OnSaveError, Saver, load_model, load_training};
use floret::data::{Loader, LoaderOptions, Preprocess};
use floret::network::{Network, StepReport};
use floret::nn::{Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, MaxPool2d, Relu};
use floret::optim::{Optimizer, Sgd};
use floret::record::Compression;
use floret::train::{Callback, Ended, EpochRecord, Flow, Moment, TrainError, TrainOptions, Trainer};
use tempfile::{TempDir, tempdir};

const SIZE: usize = 12;
const CLASSES: usize = 3;
/// Of six steps each.
const EPOCHS: u64 = 4;
const FILES: [&str; 2] = ["model.safetensors", "training.safetensors"];

/// The data, and a folder `run` to save into.
struct Scene {
    folder: TempDir,
    train: Loader,
    eval: Loader,
}

impl Scene {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        let loader = |name: &str, payloads: &[Vec<u8>]| {
            let data = folder.path().join(name);
            fs::create_dir(&data).unwrap();
            let shards = write_shards(&data, payloads, 1, Compression::Plain);
            let options = LoaderOptions::new(Preprocess::new(SIZE), CLASSES);
            Loader::open(&shards, LoaderOptions { batch_size: 4, seed: 5, ..options }).unwrap()
        };
        let payloads = payloads(33, CLASSES);
        let (train, eval) = (loader("train", &payloads[..24]), loader("eval", &payloads[24..]));
        Self { folder, train, eval }
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Where `run` is while it is away.
    fn away(&self) -> PathBuf {
        self.folder.path().join("away")
    }

    fn saver(&self) -> Saver {
        let info = ModelInfo {
            classes: ["a", "b", "c"].map(String::from).to_vec(),
            preprocess: Preprocess::new(SIZE),
        };
        Saver::new(self.run(), info, serde_json::Value::Null).every_steps(4)
    }

    /// Trains with `saver` from the state in `run`, if there is one; `first` is told of everything before the saver, and
    /// `last` after it.
    fn train(
        &self,
        saver: &mut Saver,
        first: &mut dyn Callback,
        last: &mut dyn Callback,
    ) -> Result<Ended, TrainError> {
        let mut optimizer = Sgd::new(0.02).momentum(0.9);
        let options = TrainOptions::new(EPOCHS, 0.02);
        let (mut network, mut trainer) = match load_training(self.run().join(FILES[1])) {
            Err(_) => (network(), Trainer::new(options)),
            Ok(mut saved) => {
                saved.restore(&mut optimizer).unwrap();
                (saved.network, Trainer::resume(options, saved.progress))
            }
        };
        let callbacks: &mut [&mut dyn Callback] = &mut [first, saver, last];
        trainer.run(
            &mut network,
            &mut optimizer as &mut dyn Optimizer,
            &self.train,
            Some(&self.eval),
            callbacks,
        )
    }

    fn files(&self) -> [Vec<u8>; 2] {
        FILES.map(|name| fs::read(self.run().join(name)).unwrap())
    }
}

fn network() -> Network {
    let network = Network::builder((SIZE, SIZE, 3));
    let network = network.add(Conv2d::new(4, 3)).add(Relu).add(MaxPool2d::new(2)).add(Flatten);
    network.add(Dropout::new(0.3)).add(Dense::new(CLASSES)).seed(3).build().unwrap()
}

/// What a run that nothing happened to leaves.
fn undisturbed() -> [Vec<u8>; 2] {
    let scene = Scene::new();
    assert_eq!(scene.train(&mut scene.saver(), &mut Nothing, &mut Nothing).unwrap(), Ended::Finished);
    scene.files()
}

struct Nothing;

impl Callback for Nothing {}

/// Does something after some steps; `Err` ends training as a kill would.
struct After<F>(F);

impl<F: FnMut(u64) -> Result<Flow, &'static str>> Callback for After<F> {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        self.0(moment.progress.step).map_err(|error| TrainError::Callback(error.into()))
    }
}

/// Goes on after failed saves, and counts them.
fn going_on(saver: Saver) -> (Saver, Arc<AtomicUsize>) {
    let failures = Arc::new(AtomicUsize::new(0));
    let count = failures.clone();
    let saver = saver.on_error(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        OnSaveError::Continue
    });
    (saver, failures)
}

/// A network of any size can't tell by itself: its weights fit, but the best network could never be saved.
#[test]
fn preprocessing_of_another_size_is_refused_before_the_first_step() {
    let scene = Scene::new();
    let network = Network::builder((SIZE, SIZE, 3)).add(Conv2d::new(4, 3)).add(GlobalAvgPool);
    let mut network = network.add(Dense::new(CLASSES)).build().unwrap();
    let info = ModelInfo {
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        preprocess: Preprocess::new(SIZE + 4),
    };
    let mut saver =
        Saver::new(scene.run(), info, serde_json::Value::Null).on_error(|_| OnSaveError::Continue);
    let mut trainer = Trainer::new(TrainOptions::new(EPOCHS, 0.02));
    let error =
        trainer.run(&mut network, &mut Sgd::new(0.02), &scene.train, None, &mut [&mut saver]).unwrap_err();
    let reason = "the network takes images of 12x12x3, but preprocessing makes 16x16x3";
    assert!(error.to_string().contains(reason), "{error}");
    assert_eq!((network.steps(), fs::read_dir(scene.run()).unwrap().count()), (0, 0));
}

#[test]
fn a_folder_that_is_away_for_a_while_costs_nothing() {
    let wanted = undisturbed();
    for (leaves, returns) in [(1, 3), (3, 4), (1, 7), (5, 13), (1, 23), (7, 20), (11, 19)] {
        let scene = Scene::new();
        let (mut saver, failures) = going_on(scene.saver());
        let mut moving = After(|step| {
            match step {
                _ if step == leaves => fs::rename(scene.run(), scene.away()).unwrap(),
                _ if step == returns => fs::rename(scene.away(), scene.run()).unwrap(),
                _ => {}
            }
            Ok(Flow::Continue)
        });
        assert_eq!(scene.train(&mut saver, &mut moving, &mut Nothing).unwrap(), Ended::Finished);
        assert!(scene.files() == wanted, "away from step {leaves} to {returns}");
        // After every fourth step, and after every sixth with its epoch.
        let saves = (leaves..returns).map(|step| usize::from(step % 4 == 0) + usize::from(step % 6 == 0));
        assert_eq!(failures.load(Ordering::Relaxed), saves.sum::<usize>(), "away from {leaves} to {returns}");
    }
}

#[test]
fn a_run_killed_after_failed_saves_goes_on_from_the_last_that_succeeded() {
    let wanted = undisturbed();
    for (leaves, killed, left) in [(1, 3, 0), (5, 11, 4), (7, 18, 6), (13, 24, 12)] {
        let scene = Scene::new();
        let (mut saver, _) = going_on(scene.saver());
        let mut moving = After(|step| match step {
            _ if step == leaves => {
                fs::rename(scene.run(), scene.away()).unwrap();
                Ok(Flow::Continue)
            }
            _ if step == killed => Err("killed"),
            _ => Ok(Flow::Continue),
        });
        let error = scene.train(&mut saver, &mut moving, &mut Nothing).unwrap_err();
        assert_eq!(error.to_string(), "killed");
        fs::rename(scene.away(), scene.run()).unwrap();
        assert_eq!(load_training(scene.run().join(FILES[1])).unwrap().progress.step, left);
        scene.train(&mut scene.saver(), &mut Nothing, &mut Nothing).unwrap();
        assert!(scene.files() == wanted, "away from step {leaves}, killed at {killed}");
    }
}

/// The state on the disk, after everything that was saved.
struct StateFits(PathBuf);

impl StateFits {
    fn check(&self) {
        let state = load_training(self.0.join(FILES[1])).unwrap().progress;
        let Some(best) = state.best else { return };
        // The network may be newer: then the steps up to it are repeated.
        let step = state.history[best.epoch as usize].step;
        assert!(load_model(self.0.join(FILES[0])).unwrap().0.steps() >= step);
    }
}

impl Callback for StateFits {
    fn on_step(&mut self, _: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        self.check();
        Ok(Flow::Continue)
    }

    fn on_epoch(&mut self, _: Moment<'_>, _: &EpochRecord) -> Result<Flow, TrainError> {
        self.check();
        Ok(Flow::Continue)
    }
}

#[test]
fn the_state_never_tells_of_a_best_network_that_is_not_there() {
    let wanted = undisturbed();
    for freed in [7, 9, 13, 23] {
        let scene = Scene::new();
        let (mut saver, failures) = going_on(scene.saver());
        let in_the_way = scene.run().join(FILES[0]);
        fs::create_dir(&in_the_way).unwrap();
        let mut freeing = After(|step| {
            if step == freed {
                fs::remove_dir(&in_the_way).unwrap();
            }
            Ok(Flow::Continue)
        });
        scene.train(&mut saver, &mut freeing, &mut StateFits(scene.run())).unwrap();
        assert!(failures.load(Ordering::Relaxed) > 0);
        assert!(scene.files() == wanted, "freed at {freed}");
    }
}

#[test]
fn a_save_that_fails_stops_training_unless_told_otherwise() {
    let scene = Scene::new();
    let mut steps = 0;
    let mut leaving = After(|step| {
        steps = step;
        if step == 5 {
            fs::rename(scene.run(), scene.away()).unwrap();
        }
        Ok(Flow::Continue)
    });
    let error = scene.train(&mut scene.saver(), &mut leaving, &mut Nothing).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") || error.contains("training.safetensors"), "{error}");
    assert_eq!(steps, 6, "the first save after step 5 is that of the epoch");
    assert_eq!(load_training(scene.away().join(FILES[1])).unwrap().progress.step, 4);
}

#[test]
fn the_first_save_and_the_last_must_succeed() {
    let scene = Scene::new();
    let mut leaving = After(|step| {
        if step == 20 {
            fs::rename(scene.run(), scene.away()).unwrap();
        }
        Ok(Flow::Continue)
    });
    let (mut saver, failures) = going_on(scene.saver());
    let error = scene.train(&mut saver, &mut leaving, &mut Nothing).unwrap_err().to_string();
    assert!(error.contains(".safetensors"), "{error}");
    assert!(failures.load(Ordering::Relaxed) > 0);

    let mut steps = 0;
    let mut counting = After(|_| {
        steps += 1;
        Ok(Flow::Continue)
    });
    let (mut saver, failures) = going_on(scene.saver());
    let error = scene.train(&mut saver, &mut counting, &mut Nothing).unwrap_err().to_string();
    assert!(error.contains("training.safetensors"), "{error}");
    assert_eq!((steps, failures.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn a_run_that_a_callback_stops_is_saved_where_it_stopped() {
    let wanted = undisturbed();
    let scene = Scene::new();
    for stop in [1, 2, 6, 11, 23] {
        let mut stopping = After(|step| Ok(if step == stop { Flow::Stop } else { Flow::Continue }));
        let ended = scene.train(&mut scene.saver(), &mut Nothing, &mut stopping).unwrap();
        assert_eq!(ended, Ended::Stopped);
        assert_eq!(load_training(scene.run().join(FILES[1])).unwrap().progress.step, stop);
    }
    scene.train(&mut scene.saver(), &mut Nothing, &mut Nothing).unwrap();
    assert!(scene.files() == wanted);
}

/// Stops before the first step.
struct NotAtAll;

impl Callback for NotAtAll {
    fn on_start(&mut self, _: Moment<'_>) -> Result<Flow, TrainError> {
        Ok(Flow::Stop)
    }
}

#[test]
fn a_run_can_be_resumed_from_before_its_first_step() {
    let scene = Scene::new();
    assert_eq!(scene.train(&mut scene.saver(), &mut Nothing, &mut NotAtAll).unwrap(), Ended::Stopped);
    let saved = load_training(Path::new(&scene.run()).join(FILES[1])).unwrap();
    assert_eq!((saved.progress.step, saved.network.steps()), (0, 0));
    scene.train(&mut scene.saver(), &mut Nothing, &mut Nothing).unwrap();
    assert!(scene.files() == undisturbed());
}
