//! Resumed training ends where it would have ended without an interruption.

use std::fs;
use std::path::{Path, PathBuf};

use floret::checkpoint::{CheckpointError, Saver, load_model, load_training, save_model, save_training};
use floret::data::{Loader, LoaderOptions, Mix, OnBadRecord, Preprocess};
use floret::image::Augment;
use floret::network::{Network, NetworkBuilder, StepReport};
use floret::nn::{BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, Init, MaxPool2d, Relu};
use floret::optim::{Adam, AdamW, Optimizer, ReduceOnPlateau, RmsProp, Schedule, Sgd};
use floret::record::{Compression, ImageExample, ImageSchema};
use floret::train::{Callback, Ended, Flow, Moment, Progress, Stage, TrainError, TrainOptions, Trainer};
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::{CLASSES, SIZE, bits, edit, edit_header, info, moment, small_files, small_network};
use crate::common::photos::{payloads, write_shards};

/// 22 photos to train on, 9 to evaluate on.
struct Data {
    _folders: [TempDir; 2],
    train: Vec<PathBuf>,
    eval: Vec<PathBuf>,
}

impl Data {
    fn new() -> Self {
        Self::of(&payloads(22, CLASSES))
    }

    fn of(train: &[Vec<u8>]) -> Self {
        Self::in_shards(train, 2, &payloads(31, CLASSES)[22..])
    }

    fn in_shards(train: &[Vec<u8>], shards: usize, eval: &[Vec<u8>]) -> Self {
        let folders = [tempdir().unwrap(), tempdir().unwrap()];
        let train = write_shards(folders[0].path(), train, shards, Compression::Plain);
        let eval = write_shards(folders[1].path(), eval, 1, Compression::Plain);
        Self { _folders: folders, train, eval }
    }

    /// Loaders that have seen nothing yet, as in a new process.
    fn loaders(&self) -> (Loader, Loader) {
        self.loaders_with(u64::MAX, None)
    }

    fn loaders_with(&self, cache_bytes: u64, mix: Option<Mix>) -> (Loader, Loader) {
        let options = LoaderOptions {
            cache_bytes,
            mix,
            batch_size: 4,
            seed: 11,
            augment: Some(Augment::standard()),
            source_size: SIZE + 4,
            on_bad_record: OnBadRecord::Skip,
            ..LoaderOptions::new(Preprocess::new(SIZE), CLASSES)
        };
        let eval = Loader::open(&self.eval, options.clone().for_evaluation()).unwrap();
        (Loader::open(&self.train, options).unwrap(), eval)
    }
}

/// Six batches an epoch.
const EPOCHS: u64 = 3;
const STEPS: u64 = 18;

fn train_options() -> TrainOptions {
    TrainOptions {
        schedule: Schedule::cosine(STEPS, 3),
        reduce_on_plateau: Some(ReduceOnPlateau::new(0.3, 1)),
        ..TrainOptions::new(EPOCHS, 0.01)
    }
}

/// How a run trains.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Plain,
    /// Keeps an average, begins with smaller images, mixes them, and evaluates every other epoch.
    Averaged,
}

impl Way {
    fn network(self) -> Network {
        let network = match self {
            Way::Plain => small_network(0.4),
            Way::Averaged => sizeless_network(),
        };
        network.build().unwrap()
    }

    fn options(self) -> TrainOptions {
        match self {
            Way::Plain => train_options(),
            Way::Averaged => TrainOptions {
                average: Some(0.9),
                stages: vec![
                    Stage { from: 0.0, image_size: SIZE - 4 },
                    Stage { from: 0.3, image_size: SIZE - 2 },
                    Stage { from: 0.6, image_size: SIZE },
                ],
                evaluate_every: 2,
                ..train_options()
            },
        }
    }

    fn mix(self) -> Option<Mix> {
        (self == Way::Averaged).then(|| Mix::new(0.3, 0.3))
    }
}

/// A network for images of any size.
fn sizeless_network() -> NetworkBuilder {
    Network::builder((SIZE, SIZE, 3))
        .add(Conv2d::new(4, 3).kernel_init(Init::HeNormal))
        .add(BatchNorm::default())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(GlobalAvgPool)
        .add(Dropout::new(0.2))
        .add(Dense::new(CLASSES))
        .test_time_flip(true)
        .seed(4)
}

/// What training leaves: the weights, the position and the history, and the optimizer's memory.
#[derive(PartialEq)]
struct Outcome {
    weights: Vec<(String, Vec<u32>)>,
    average: Option<Vec<(String, Vec<u32>)>>,
    slots: Vec<Vec<u32>>,
    /// As text, in which a NaN is equal to itself.
    progress: String,
}

impl Outcome {
    fn of(network: &Network, optimizer: &dyn Optimizer, trainer: &Trainer) -> Self {
        let slots = optimizer.slots();
        let slots = slots.iter().map(|slot| slot.values.iter().map(|v| v.to_bits()).collect()).collect();
        let (average, progress) = (trainer.average().map(bits), trainer.progress());
        Self { weights: bits(network), average, slots, progress: format!("{progress:?}") }
    }
}

/// Stops after the step with this number.
struct StopAfter(u64);

impl Callback for StopAfter {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        Ok(if moment.progress.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

type MakeOptimizer = fn() -> Box<dyn Optimizer>;

const OPTIMIZERS: [MakeOptimizer; 5] = [
    || Box::new(Sgd::new(0.5)),
    || Box::new(Sgd::new(0.5).momentum(0.9).nesterov().weight_decay(1e-3).clip_norm(1.0)),
    || Box::new(Adam::new(0.5).clip_norm(0.3)),
    || Box::new(AdamW::new(0.5)),
    || Box::new(RmsProp::new(0.5)),
];

/// Trains with interruptions after these steps, each time with the next number of threads and size of the cache. Between two
/// parts nothing stays in memory: everything comes from the file.
fn train(data: &Data, way: Way, make: MakeOptimizer, stops: &[u64], machines: &[(usize, u64)]) -> Outcome {
    let folder = tempdir().unwrap();
    let path = folder.path().join("training");
    let mut optimizer = make();
    let mut network = way.network();
    let mut trainer = Trainer::new(way.options());
    for (part, stop) in stops.iter().copied().chain([u64::MAX]).enumerate() {
        let (threads, cache_bytes) = machines[part % machines.len()];
        let (train, eval) = data.loaders_with(cache_bytes, way.mix());
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run =
            || trainer.run(&mut network, &mut *optimizer, &train, Some(&eval), &mut [&mut StopAfter(stop)]);
        let ended = pool.install(run).unwrap();
        if stop == u64::MAX {
            assert_eq!(ended, Ended::Finished);
            break;
        }
        assert_eq!((ended, trainer.progress().step), (Ended::Stopped, stop));
        let settings = json!({ "stopped": stop });
        let moment = Moment::new(&network, trainer.average(), &*optimizer, trainer.progress());
        save_training(&path, moment, &info(), &settings).unwrap();
        let mut saved = load_training(&path).unwrap();
        assert_eq!((&saved.settings, &saved.info), (&settings, &info()));
        optimizer = make();
        saved.restore(&mut *optimizer).unwrap();
        network = saved.network;
        trainer = Trainer::resume(way.options(), saved.progress).with_average(saved.average);
    }
    assert_eq!(network.steps(), STEPS);
    Outcome::of(&network, &*optimizer, &trainer)
}

/// No photo in the cache, about half of them, and all.
const CACHES: [u64; 3] = [0, (11 * (SIZE + 4) * (SIZE + 4) * 3) as u64, u64::MAX];

#[test]
fn training_does_not_depend_on_threads_or_the_cache() {
    let data = Data::new();
    for way in [Way::Plain, Way::Averaged] {
        let wanted = train(&data, way, OPTIMIZERS[1], &[], &[(1, CACHES[2])]);
        for threads in [1, 2, 3, 8] {
            for cache_bytes in CACHES {
                let got = train(&data, way, OPTIMIZERS[1], &[], &[(threads, cache_bytes)]);
                assert!(got == wanted, "{way:?}: {threads} threads, a cache of {cache_bytes} bytes");
            }
        }
    }
}

#[test]
fn resumed_training_ends_with_the_same_bits() {
    let data = Data::new();
    let ways = OPTIMIZERS.map(|make| (Way::Plain, make)).into_iter().chain([(Way::Averaged, OPTIMIZERS[1])]);
    for (which, (way, make)) in ways.enumerate() {
        let wanted = train(&data, way, make, &[], &[(2, CACHES[2])]);
        assert_eq!(wanted.average.is_some(), way == Way::Averaged);
        // In the first epoch, at its last step, at the next one's first, in the last, and after the very last step.
        for stops in [&[1][..], &[5], &[6], &[7], &[13], &[18], &[4, 6, 12, 17]] {
            let got = train(&data, way, make, stops, &[(3, CACHES[1]), (1, CACHES[0]), (8, CACHES[2])]);
            assert!(got.progress == wanted.progress, "{stops:?}: {} {}", got.progress, wanted.progress);
            assert!(got == wanted, "{way:?}, optimizer {which}, stops {stops:?}");
        }
    }
}

/// The records of the second batch of some epoch are all bad, so that batches given and places in the epoch differ.
#[test]
fn resuming_behind_a_batch_that_was_skipped_whole_repeats_nothing() {
    let mut records = payloads(22, CLASSES);
    for place in [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 20] {
        records[place] = b"bad".to_vec();
    }
    let data = Data::of(&records);
    let run = |stops: &[u64]| {
        let (train, _) = data.loaders();
        let options = LoaderOptions { batch_size: 1, ..train.options().clone() };
        let mut optimizer = Sgd::new(0.5).momentum(0.9);
        let mut network = small_network(0.4).build().unwrap();
        let mut trainer = Trainer::new(TrainOptions::new(2, 0.01));
        for stop in stops.iter().copied().chain([u64::MAX]) {
            let train = Loader::open(&data.train, options.clone()).unwrap();
            trainer.run(&mut network, &mut optimizer, &train, None, &mut [&mut StopAfter(stop)]).unwrap();
        }
        assert_eq!(network.steps(), 22);
        Outcome::of(&network, &optimizer, &trainer)
    };
    let wanted = run(&[]);
    for stop in 1..22 {
        assert!(run(&[stop]) == wanted, "stopped after {stop}");
    }
}

/// Fails after the step with this number, as a process that is killed there.
struct FailAfter(u64);

impl Callback for FailAfter {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        if moment.progress.step == self.0 {
            return Err(TrainError::Callback("killed".into()));
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn a_killed_run_goes_on_from_what_the_saver_left() {
    for way in [Way::Plain, Way::Averaged] {
        a_killed_run_goes_on(way);
    }
}

fn a_killed_run_goes_on(way: Way) {
    let data = Data::new();
    let make = OPTIMIZERS[1];
    let run = |folder: &Path, kills: &[u64]| {
        let settings = json!({ "epochs": EPOCHS });
        let mut saver = Saver::new(folder, info(), settings).every_steps(4);
        let mut optimizer = make();
        let mut network = way.network();
        let mut trainer = Trainer::new(way.options());
        for kill in kills.iter().copied().chain([u64::MAX]) {
            let (train, eval) = data.loaders_with(u64::MAX, way.mix());
            let callbacks: &mut [&mut dyn Callback] = &mut [&mut saver, &mut FailAfter(kill)];
            match trainer.run(&mut network, &mut *optimizer, &train, Some(&eval), callbacks) {
                Ok(ended) => assert!(ended == Ended::Finished && kill == u64::MAX),
                Err(error) => assert_eq!(error.to_string(), "killed"),
            }
            let mut saved = load_training(saver.training_path()).unwrap();
            optimizer = make();
            saved.restore(&mut *optimizer).unwrap();
            network = saved.network;
            trainer = Trainer::resume(way.options(), saved.progress).with_average(saved.average);
        }
        assert_eq!(trainer.progress().epoch, EPOCHS);
    };
    let [whole, killed] = [tempdir().unwrap(), tempdir().unwrap()];
    run(whole.path(), &[]);
    run(killed.path(), &[7, 11, 17, 18]);
    for name in ["model.safetensors", "training.safetensors"] {
        assert!(
            fs::read(whole.path().join(name)).unwrap() == fs::read(killed.path().join(name)).unwrap(),
            "{name}"
        );
    }
    // The model is that of the best epoch, the training state that of the last.
    let progress = load_training(whole.path().join("training.safetensors")).unwrap().progress;
    let best = progress.history.iter().rfind(|record| record.best).unwrap();
    assert_eq!(load_model(whole.path().join("model.safetensors")).unwrap().0.steps(), best.step);
    assert_eq!(Some(best.epoch), progress.best.map(|best| best.epoch));
}

/// A batch norm whose moving averages are lost: training is well, evaluation gives NaN.
#[test]
fn a_loss_that_is_no_number_can_be_saved_and_resumed() {
    let data = Data::new();
    let folder = tempdir().unwrap();
    let path = folder.path().join("training");
    let mut network = small_network(0.0).build().unwrap();
    let lost = network.array("batch_norm_1/moving_mean").unwrap().mapv(|_| f32::NAN);
    network.set_array("batch_norm_1/moving_mean", lost.view()).unwrap();
    let mut optimizer = Sgd::new(0.1);
    let mut trainer = Trainer::new(train_options());
    let (train, eval) = data.loaders();
    trainer.run(&mut network, &mut optimizer, &train, Some(&eval), &mut [&mut StopAfter(8)]).unwrap();
    let progress = trainer.progress();
    assert!(progress.history[0].eval.unwrap().loss.is_nan() && progress.best.is_none());
    save_training(&path, moment(&network, &optimizer, progress), &info(), &Value::Null).unwrap();
    let saved = load_training(&path).unwrap();
    assert_eq!(format!("{:?}", saved.progress), format!("{progress:?}"));

    // Once evaluation is well, there is a best epoch.
    let mut network = saved.network;
    network.set_array("batch_norm_1/moving_mean", lost.mapv(|_| 0.0).view()).unwrap();
    let mut trainer = Trainer::resume(train_options(), saved.progress);
    trainer.run(&mut network, &mut optimizer, &train, Some(&eval), &mut []).unwrap();
    let best = trainer.progress().best.unwrap();
    assert!(best.epoch > 0 && best.score.loss.is_finite(), "{best:?}");
}

#[test]
fn a_run_that_lost_patience_stays_ended() {
    let data = Data::new();
    let (train, eval) = data.loaders();
    let options = TrainOptions { patience: Some(2), ..TrainOptions::new(50, 0.0) };
    let mut network =
        Network::builder((SIZE, SIZE, 3)).add(Flatten).add(Dense::new(CLASSES)).build().unwrap();
    let mut optimizer = Sgd::new(0.0);
    let mut trainer = Trainer::new(options.clone());
    let mut run = |trainer: &mut Trainer| {
        trainer.run(&mut network, &mut optimizer, &train, Some(&eval), &mut []).unwrap()
    };
    // The first epoch is the best, and nothing changes after it.
    assert_eq!(run(&mut trainer), Ended::NoImprovement);
    assert_eq!(trainer.progress().epoch, 3);
    let mut resumed = Trainer::resume(options, trainer.progress().clone());
    assert_eq!(run(&mut resumed), Ended::NoImprovement);
    assert_eq!(format!("{:?}", resumed.progress()), format!("{:?}", trainer.progress()));
}

#[test]
fn training_goes_on_only_with_the_optimizer_and_the_data_it_had() {
    let (_folder, _, training) = small_files();
    for (mut other, name) in [
        (Box::new(Adam::new(0.1)) as Box<dyn Optimizer>, "adam"),
        (Box::new(Sgd::new(0.1)), "sgd momentum=0 "),
        (Box::new(Sgd::new(0.1).momentum(0.8)), "sgd momentum=0.8"),
    ] {
        let error = load_training(&training).unwrap().restore(&mut *other).unwrap_err();
        assert!(matches!(error, CheckpointError::Optimizer { .. }));
        let message = error.to_string();
        assert!(
            message.contains("was trained with `sgd momentum=0.9") && message.contains(name),
            "{message}"
        );
    }
    let mut rate = Sgd::new(7.0).momentum(0.9);
    load_training(&training).unwrap().restore(&mut rate).unwrap();
    assert_eq!(rate.learning_rate(), 0.1, "the saved rate, not the given one");

    let changed = edit_header(&edit(&training, |_| ()), |header| {
        let array = header.as_object_mut().unwrap().remove("optimizer/momentum").unwrap();
        header["optimizer/m"] = array;
    });
    let mut optimizer = Sgd::new(0.1).momentum(0.9);
    let message = load_training(changed).unwrap().restore(&mut optimizer).unwrap_err().to_string();
    assert!(message.contains("is damaged: the optimizer's array `momentum` is missing"), "{message}");

    let data = Data::new();
    let (train, eval) = data.loaders();
    let mut begun = Trainer::new(TrainOptions::new(2, 0.1));
    let mut network = small_network(0.5).build().unwrap();
    begun.run(&mut network, &mut optimizer, &train, Some(&eval), &mut [&mut StopAfter(8)]).unwrap();
    save_training(&training, moment(&network, &optimizer, begun.progress()), &info(), &Value::Null).unwrap();
    let records = payloads(31, CLASSES);
    let (records, other_eval) = records.split_at(22);
    let reversed: Vec<_> = records.iter().rev().cloned().collect();
    let fewer = "train-00000-of-00002.tfrecord (10 records in ";
    let other_shard = "train-00000-of-00001.tfrecord (22 records in ";
    for (train, shards, eval, part, difference) in [
        (&records[..20], 2, other_eval, "training", fewer),
        (records, 1, other_eval, "training", other_shard),
        (&reversed, 2, other_eval, "training", "stands where train-00000-of-00002.tfrecord (11 records in "),
        (records, 2, &other_eval[1..], "evaluation", "train-00000-of-00001.tfrecord (8 records in "),
        (records, 2, other_eval, "", ""),
    ] {
        let data = Data::in_shards(train, shards, eval);
        let (train, eval) = data.loaders();
        let mut saved = load_training(&training).unwrap();
        saved.restore(&mut optimizer).unwrap();
        let mut trainer = Trainer::resume(TrainOptions::new(1, 0.1), saved.progress);
        let ended = trainer.run(&mut saved.network, &mut optimizer, &train, Some(&eval), &mut []);
        match ended {
            Ok(_) => assert_eq!(part, "", "{difference}"),
            Err(error) => {
                let message = error.to_string();
                assert!(
                    !part.is_empty() && message.contains(&format!("the {part} data are not")),
                    "{message}"
                );
                assert!(message.contains(difference), "{message}");
            }
        }
    }

    let (_folder, _, training) = small_files();
    let changed = edit(&training, |entry| entry["progress"]["batch"] = 7.into());
    let mut saved = load_training(changed).unwrap();
    saved.restore(&mut optimizer).unwrap();
    let mut trainer = Trainer::resume(TrainOptions::new(1, 0.1), saved.progress);
    let message =
        trainer.run(&mut saved.network, &mut optimizer, &train, None, &mut []).unwrap_err().to_string();
    assert!(message.contains("stopped at batch 7") && message.contains("have 6 batches"), "{message}");
}

/// Records of other labels, of the same lengths in the same places.
#[test]
fn photos_with_other_labels_are_other_data() {
    let data = Data::new();
    let (train, _) = data.loaders();
    let mut progress = Trainer::new(train_options()).progress().clone();
    progress.check_data(&train, None).unwrap();
    let relabeled: Vec<_> = payloads(22, CLASSES)
        .iter()
        .map(|payload| {
            let mut example = ImageExample::parse(payload, &ImageSchema::default()).unwrap();
            example.label = CLASSES as i64 + 1 - example.label;
            example.encode(&ImageSchema::default())
        })
        .collect();
    let (other, _) = Data::of(&relabeled).loaders();
    let error = progress.check_data(&other, None).unwrap_err().to_string();
    assert!(
        error.contains("the training data are not those") && error.contains("of other records"),
        "{error}"
    );
    progress.check_data(&data.loaders().0, None).unwrap();
}

/// Scores on evaluation data are compared with each other alone.
#[test]
fn evaluation_data_may_come_before_the_first_evaluation_and_never_go() {
    let data = Data::new();
    let (train, eval) = data.loaders();
    let mut network = small_network(0.4).build().unwrap();
    let mut optimizer = Sgd::new(0.01);
    let mut train_to = |epochs: u64, progress: Progress, eval: Option<&Loader>| {
        let options = TrainOptions::new(epochs, 0.01);
        let mut trainer = Trainer::resume(options, progress);
        let ended = trainer.run(&mut network, &mut optimizer, &train, eval, &mut []);
        (ended, trainer.progress().clone())
    };
    let (_, alone) = train_to(2, Trainer::new(train_options()).progress().clone(), None);
    assert!(alone.best.is_some());
    let (_, evaluated) = train_to(3, alone, Some(&eval));
    let best = evaluated.best.unwrap();
    assert_eq!((best.epoch, Some(best.score)), (2, evaluated.history[2].eval));
    for other in [None, Some(Data::in_shards(&payloads(22, CLASSES), 2, &payloads(30, CLASSES)[22..]))] {
        let other = other.map(|data| data.loaders().1);
        let (ended, progress) = train_to(4, evaluated.clone(), other.as_ref());
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("the evaluation data are not those that training began with"), "{error}");
        assert_eq!(progress, evaluated);
    }
}

#[test]
fn the_best_network_on_the_disk_is_the_one_the_state_tells_of() {
    let data = Data::new();
    let folder = tempdir().unwrap();
    let (train, eval) = data.loaders();
    let mut saver = Saver::new(folder.path(), info(), Value::Null);
    let (state, model) = (saver.training_path(), saver.model_path());
    let mut network = small_network(0.4).build().unwrap();
    let mut optimizer = Sgd::new(0.01);
    let mut trainer = Trainer::new(TrainOptions::new(1, 0.01));
    trainer.run(&mut network, &mut optimizer, &train, Some(&eval), &mut [&mut saver]).unwrap();
    let best = trainer.progress().best;
    assert!(best.is_some());
    let confirmed = || {
        let mut saved = load_training(&state).unwrap();
        saved.confirm_best(&model).map(|lost| (lost, saved.progress.best))
    };
    assert_eq!(confirmed().unwrap(), (None, best));
    // As by a crash after a better network was saved, and before the state was.
    let batch = train.epoch(1).next().unwrap().unwrap();
    network.train_step(batch.images.view(), &batch.labels, &mut optimizer).unwrap();
    save_model(&model, &network, &info()).unwrap();
    assert_eq!(confirmed().unwrap(), (None, None));
    for other in [small_network(0.4).build().unwrap(), small_network(0.4).seed(99).build().unwrap()] {
        save_model(&model, &other, &info()).unwrap();
        let error = confirmed().unwrap_err();
        assert!(matches!(error, CheckpointError::OtherModel { epoch: 1, .. }), "{error}");
    }
    fs::remove_file(&model).unwrap();
    assert_eq!(confirmed().unwrap(), (best, None));
}

/// The evaluation data go away in the middle of the second epoch.
#[test]
fn steps_before_an_error_of_the_data_are_saved() {
    let data = Data::new();
    let folder = tempdir().unwrap();
    let (train, eval) = data.loaders_with(0, None);
    let mut saver = Saver::new(folder.path(), info(), Value::Null);
    let mut network = small_network(0.4).build().unwrap();
    let mut optimizer = Sgd::new(0.01);
    let mut go_away = RunAt(9, || fs::rename(&data.eval[0], data.eval[0].with_extension("away")).unwrap());
    let mut trainer = Trainer::new(TrainOptions::new(EPOCHS, 0.01));
    let callbacks: &mut [&mut dyn Callback] = &mut [&mut saver, &mut go_away];
    let ended = trainer.run(&mut network, &mut optimizer, &train, Some(&eval), callbacks);
    assert!(matches!(ended, Err(TrainError::Batch(_))), "{ended:?}");
    let saved = load_training(saver.training_path()).unwrap();
    assert_eq!((saved.progress.step, saved.progress.epoch), (12, 1));
    assert_eq!(bits(&saved.network), bits(&network));
    assert_eq!(saved.progress, *trainer.progress());
}

/// Does something after the step with this number.
struct RunAt<F>(u64, F);

impl<F: FnMut()> Callback for RunAt<F> {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        if moment.progress.step == self.0 {
            (self.1)();
        }
        Ok(Flow::Continue)
    }
}
