//! Model and training files: what is loaded is what was saved, resumed training ends where it would have ended without an
//! interruption, and files that are something else are told apart.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::fixture;
use common::photos::{payloads, write_shards};
use floret::batch::{Loader, LoaderOptions, OnBadRecord, Preprocess};
use floret::checkpoint::{
    CheckpointError, ModelInfo, Saver, load_model, load_training, save_model, save_training,
};
use floret::image::Augment;
use floret::loss::SoftmaxCrossEntropy;
use floret::math::window::Padding;
use floret::network::{Network, NetworkBuilder, StepReport};
use floret::nn::{
    AvgPool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, Init, LeakyRelu, MaxPool2d, Relu,
    Residual,
};
use floret::optim::{Adam, AdamW, Optimizer, ReduceOnPlateau, RmsProp, Schedule, Sgd};
use floret::record::Compression;
use floret::train::{Callback, Ended, Flow, Moment, Progress, TrainError, TrainOptions, Trainer};
use ndarray::Array4;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

const SIZE: usize = 12;
const CLASSES: usize = 4;

fn info() -> ModelInfo {
    let classes = ["Gänseblümchen", "rose", "two words", "\"quoted\""];
    ModelInfo { classes: classes.map(String::from).to_vec(), preprocess: Preprocess::new(SIZE) }
}

fn random_images(batch: usize, seed: u64) -> Array4<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array4::from_shape_simple_fn((batch, SIZE, SIZE, 3), || rng.random_range(-2.0..2.0))
}

/// The bits of every array.
fn bits(network: &Network) -> Vec<(String, Vec<u32>)> {
    let bits = network
        .arrays()
        .map(|(param, values)| (param.name.clone(), values.iter().map(|v| v.to_bits()).collect()));
    bits.collect()
}

// ---------------------------------------------------------------- models

/// Every kind of layer, with hyper-parameters that no decimal fraction is equal to.
fn every_layer() -> Network {
    Network::builder((SIZE, SIZE, 3))
        .add_named("first", Conv2d::new(6, 5).stride(2).bias_init(Init::Constant(1.0 / 3.0)))
        .add(BatchNorm { momentum: 0.7, epsilon: 1e-3 / 3.0 })
        .add(LeakyRelu { slope: 0.1 })
        .add(MaxPool2d::new(2))
        .add(
            Residual::new()
                .body(Conv2d::new(5, 3).dilation(2).no_bias())
                .body(BatchNorm::default())
                .shortcut(Conv2d::new(5, 1).kernel_init(Init::HeNormal)),
        )
        .add(Relu {})
        .add(AvgPool2d::new(2).padding(Padding::Same))
        .add(Dropout::new(0.3))
        .add(Residual::new().body(Conv2d::new(5, 3)))
        .add(GlobalAvgPool {})
        .add(Flatten {})
        .add(Dense::new(CLASSES).kernel_init(Init::GlorotUniform))
        .loss(SoftmaxCrossEntropy::default().label_smoothing(0.1).class_weights(vec![1.0, 0.7, 1e-7, 3.0]))
        .seed(u64::MAX - 5)
        .build()
        .unwrap()
}

#[test]
fn a_loaded_model_is_the_one_that_was_saved() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut network = every_layer();
    let mut optimizer = Sgd::new(0.1);
    for step in 0..3 {
        network.train_step(random_images(5, step).view(), &[0, 1, 2, 3, 0], &mut optimizer).unwrap();
    }
    save_model(&path, &network, &info()).unwrap();
    let (mut loaded, loaded_info) = load_model(&path).unwrap();
    assert_eq!(loaded_info, info());
    assert_eq!(loaded.spec(), network.spec());
    assert_eq!((loaded.seed(), loaded.steps()), (u64::MAX - 5, 3));
    assert_eq!(bits(&loaded), bits(&network));
    let images = random_images(7, 9);
    assert_eq!(loaded.predict(images.view()).unwrap(), network.predict(images.view()).unwrap());
    assert_eq!(loaded.summary(), network.summary());

    // The same bytes again; and dropout goes on where it was.
    let again = folder.path().join("again.safetensors");
    save_model(&again, &loaded, &info()).unwrap();
    assert!(fs::read(&path).unwrap() == fs::read(again).unwrap());
    for network in [&mut network, &mut loaded] {
        network.train_step(images.view(), &[0; 7], &mut optimizer).unwrap();
    }
    assert_eq!(bits(&loaded), bits(&network));
}

#[test]
fn a_model_that_does_not_fit_its_classes_is_not_saved() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, "the old one").unwrap();
    let few = ModelInfo { classes: vec!["a".into()], ..info() };
    let message = save_model(&path, &every_layer(), &few).unwrap_err().to_string();
    assert!(
        message.ends_with("can't be saved: the network has 4 outputs, but there are 1 class names"),
        "{message}"
    );
    let larger = ModelInfo { preprocess: Preprocess::new(SIZE + 1), ..info() };
    let message = save_model(&path, &every_layer(), &larger).unwrap_err().to_string();
    let reason = "the network takes images of 12x12x3, but preprocessing makes 13x13x3";
    assert!(message.ends_with(reason), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"the old one");
    let message =
        save_model(folder.path().join("none/model"), &every_layer(), &info()).unwrap_err().to_string();
    assert!(message.contains("cannot create") && message.contains("none/model"), "{message}");
}

// ---------------------------------------------------------------- files that are something else

/// A small model, and a training state of it.
fn small_files() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempdir().unwrap();
    let [model, training] = ["model", "training"].map(|name| folder.path().join(name));
    let mut network = small_network(0.5).build().unwrap();
    let mut optimizer = Sgd::new(0.1).momentum(0.9);
    network.train_step(random_images(2, 1).view(), &[0, 1], &mut optimizer).unwrap();
    save_model(&model, &network, &info()).unwrap();
    let progress = Trainer::new(TrainOptions::new(1, 0.1)).progress().clone();
    save_training(&training, &network, &info(), &mut optimizer, &progress, &json!({"any": 1})).unwrap();
    (folder, model, training)
}

fn small_network(dropout: f32) -> NetworkBuilder {
    Network::builder((SIZE, SIZE, 3))
        .add(Conv2d::new(4, 3).stride(2).kernel_init(Init::HeNormal))
        .add(BatchNorm::default())
        .add(Relu {})
        .add(MaxPool2d::new(2))
        .add(Flatten {})
        .add(Dense::new(8).kernel_init(Init::HeNormal))
        .add(Relu {})
        .add(Dropout::new(dropout))
        .add(Dense::new(CLASSES).kernel_init(Init::HeNormal))
        .seed(3)
}

#[test]
fn files_of_another_kind_are_named_for_what_they_are() {
    let (folder, model, training) = small_files();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = fs::read(&model).unwrap();
    for (path, reason) in [
        (training.clone(), "is not a model file of floret: it is a training state"),
        (
            fixture("network.safetensors"),
            "is not a model file of floret: it is a safetensors file of another program",
        ),
        (file("empty", b""), "is not a model file of floret: it is no whole safetensors file"),
        (file("text", b"weights: none\n"), "is not a model file of floret: it is no whole safetensors file"),
        (fixture("train-00000-of-00002.tfrecord"), "it is no whole safetensors file"),
        (file("cut", &whole[..whole.len() - 1]), "it is no whole safetensors file"),
        (file("cut short", &whole[..50]), "it is no whole safetensors file"),
        (file("longer", &[&whole[..], b"more"].concat()), "it is no whole safetensors file"),
        (folder.path().join("none"), "none: No such file"),
        (folder.path().to_path_buf(), "Is a directory"),
    ] {
        let message = load_model(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
    let message = load_training(&model).unwrap_err().to_string();
    assert!(message.contains("is not a training state of floret: it is a model file"), "{message}");
}

/// Rewrites a file's metadata entry, and takes its checksum out as a program must that changes anything.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    edit_entry(path, |entry| {
        entry.as_object_mut().unwrap().remove("crc32c").unwrap();
        change(entry);
    })
}

/// Rewrites a file's metadata entry.
fn edit_entry(path: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    edit_header(path, |header| {
        let mut entry: Value =
            serde_json::from_str(header["__metadata__"]["floret"].as_str().unwrap()).unwrap();
        change(&mut entry);
        header["__metadata__"]["floret"] = entry.to_string().into();
    })
}

/// Rewrites the JSON in front of a file's arrays, in a copy.
fn edit_header(path: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, arrays) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    change(&mut header);
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let edited = path.with_extension("edited");
    fs::write(&edited, [&(header.len() as u64).to_le_bytes()[..], &header, arrays].concat()).unwrap();
    edited
}

#[test]
fn a_changed_file_is_refused_with_what_does_not_fit() {
    let (_folder, model, training) = small_files();
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 17] = [
        (|e| e["version"] = 2.into(), "it is of version 2, this program reads up to 1: use a newer floret"),
        (|e| e["kind"] = "cake".into(), "is damaged: its metadata: unknown variant `cake`"),
        (
            |e| drop(e.as_object_mut().unwrap().remove("network")),
            "is damaged: its metadata: missing field `network`",
        ),
        (|e| e["steps"] = u64::MAX.into(), "is damaged: it counts 18446744073709551615 steps"),
        (
            |e| e["classes"] = json!(["a"]),
            "is damaged: the network has 4 outputs, but there are 1 class names",
        ),
        (
            |e| e["preprocess"]["image_size"] = 64.into(),
            "is damaged: the network takes images of 12x12x3, but preprocessing makes 64x64x3",
        ),
        (|e| e["crc32c"] = 7.into(), "not the one it says"),
        (|e| e["crc32c"] = "none".into(), "not the one it says"),
        (|e| e["network"]["layers"][0]["layer"] = "cake".into(), "unknown variant `cake`"),
        (
            |e| e["network"]["layers"][5]["units"] = 9.into(),
            "`dense_1/kernel` has the shape [36, 8], the network wants [36, 9]",
        ),
        (|e| e["network"]["layers"][5]["name"] = "other".into(), "the array `other/kernel` is missing"),
        (
            |e| e["network"]["layers"][8]["name"] = "dense_1".into(),
            "`dense_1/kernel` has the shape [36, 8], the network wants [8, 4]",
        ),
        (
            |e| e["network"]["layers"][5]["units"] = (1u64 << 62).into(),
            "layer `dense_1`: a kernel of 36 x 4611686018427387904 values is over",
        ),
        (
            |e| e["network"]["layers"][0]["filters"] = (1u64 << 40).into(),
            "layer `conv2d_1`: a kernel of 3 x 3 x 3 x",
        ),
        (
            |e| e["network"]["layers"][0]["dilation"] = json!([u64::MAX, 1]),
            "layer `conv2d_1`: a kernel of 3x3",
        ),
        (
            |e| e["network"]["input"]["image"]["height"] = u64::MAX.into(),
            "an input of 18446744073709551615 x 12 x 3 values is over",
        ),
        (
            |e| e["network"]["layers"] = json!([]),
            "building the network: there is no layer that computes anything",
        ),
    ];
    for (change, reason) in changes {
        let message = load_model(edit(&model, change)).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("model.edited"), "{message}");
    }
    let changes: [(Change, &str); 4] = [
        (|e| e["progress"]["step"] = u64::MAX.into(), "it counts 18446744073709551615 steps"),
        (|e| e["progress"]["epoch"] = (-1).into(), "is damaged: its metadata: invalid value"),
        (|e| e["optimizer"]["common"]["steps"] = u64::MAX.into(), "it counts 18446744073709551615 updates"),
        (|e| drop(e["progress"].as_object_mut().unwrap().remove("sums")), "missing field `sums`"),
    ];
    for (change, reason) in changes {
        let message = load_training(edit(&training, change)).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("training.edited"), "{message}");
    }

    let rename = |from: &str, to: &str, path: &Path| {
        edit_header(&edit(path, |_| ()), |header| {
            let array = header.as_object_mut().unwrap().remove(from).unwrap();
            header[to] = array;
        })
    };
    let message = load_model(rename("dense_1/bias", "dense_7/bias", &model)).unwrap_err().to_string();
    assert!(message.contains("is damaged: the array `dense_1/bias` is missing"), "{message}");
    let message =
        load_training(rename("network/dense_1/bias", "dense_1/bias", &training)).unwrap_err().to_string();
    assert!(message.contains("is damaged: the array `dense_1/bias` belongs to nothing"), "{message}");
    // Whatever else is changed, the checksum tells.
    let changes: [Change; 4] = [
        |e| e["seed"] = 4.into(),
        |e| e["classes"][0] = "daisy".into(),
        |e| e["network"]["layers"][1]["epsilon"] = 0.5.into(),
        |e| e["new"] = 1.into(),
    ];
    for change in changes {
        let message = load_model(edit_entry(&model, change)).unwrap_err().to_string();
        assert!(message.contains("is damaged: its contents have the CRC32C"), "{message}");
    }
    let integers =
        edit_header(&edit(&model, |_| ()), |header| header["dense_1/bias"]["dtype"] = "I32".into());
    let message = load_model(integers).unwrap_err().to_string();
    assert!(message.contains("`dense_1/bias` holds I32 values, F32 is wanted"), "{message}");

    // Without the checksum, the file is taken as it is.
    assert!(load_model(edit(&model, |_| ())).is_ok());
}

/// What could not be read again is not written.
#[test]
fn a_description_over_the_limit_is_not_saved() {
    let (_folder, model, _) = small_files();
    let before = fs::read(&model).unwrap();
    let (network, info) = load_model(&model).unwrap();
    let classes = info.classes.iter().map(|name| name.repeat(5 << 20)).collect();
    let error = save_model(&model, &network, &ModelInfo { classes, ..info }).unwrap_err();
    assert!(error.to_string().contains("over the limit of 4194304"), "{error}");
    assert_eq!(fs::read(&model).unwrap(), before);
}

/// Sparse files that no memory could hold: what they are is told from their beginning.
#[test]
fn a_long_file_is_told_from_its_beginning() {
    let (folder, model, training) = small_files();
    let long = |name: &str, begin: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, begin).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(1 << 43).unwrap();
        load_model(&path).unwrap_err().to_string()
    };
    for (begin, reason) in [
        (&[0xFF; 8][..], "it does not begin with the length of a description"),
        (&[], "it is no whole safetensors file (EOF while parsing"),
        (&fs::read(&training).unwrap(), "it is a training state"),
        (&fs::read(&model).unwrap(), "it has 8796093022208 bytes, and should have"),
    ] {
        let message = long("long", begin);
        assert!(message.contains(reason), "{message}");
    }
}

/// Bytes all over the header and the arrays, one at a time: an error or the same network, never a panic.
#[test]
fn a_file_with_a_damaged_byte_is_an_error_or_the_same_model() {
    let (folder, model, _) = small_files();
    let whole = fs::read(&model).unwrap();
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let (network, info) = load_model(&model).unwrap();
    let wanted = (network.spec().clone(), network.seed(), info, bits(&network));
    let damaged = folder.path().join("damaged");
    let mut errors = 0;
    for place in (0..header).step_by(7).chain((header..whole.len()).step_by(97)) {
        for flip in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[place] ^= flip;
            fs::write(&damaged, bytes).unwrap();
            match load_model(&damaged) {
                Ok((network, info)) => {
                    assert!(place < header, "a changed weight goes unnoticed");
                    let got = (network.spec().clone(), network.seed(), info, bits(&network));
                    // The checksum's own name may be what changed.
                    assert_eq!(got, wanted, "byte {place}");
                }
                Err(error) => {
                    errors += 1;
                    let message = error.to_string();
                    assert!(message.contains("damaged") && !message.contains('\n'), "{message}");
                    assert!(place < header || message.contains("CRC32C"), "{message}");
                }
            }
        }
    }
    assert!(errors > 2 * header / 7 / 2, "{errors} of {}", 2 * header / 7);
}

// ---------------------------------------------------------------- resumed training

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
        let options = LoaderOptions {
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

/// What training leaves: the weights, the position and the history, and the optimizer's memory.
#[derive(PartialEq)]
struct Outcome {
    weights: Vec<(String, Vec<u32>)>,
    slots: Vec<Vec<u32>>,
    /// As text, in which a NaN is equal to itself.
    progress: String,
}

impl Outcome {
    fn of(network: &Network, optimizer: &mut dyn Optimizer, progress: &Progress) -> Self {
        let slots = optimizer.slots();
        let slots = slots.iter().map(|slot| slot.values.iter().map(|v| v.to_bits()).collect()).collect();
        Self { weights: bits(network), slots, progress: format!("{progress:?}") }
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

/// Trains with interruptions after these steps, each time with the next number of threads. Between two parts nothing
/// stays in memory: everything comes from the file.
fn train(data: &Data, make: MakeOptimizer, stops: &[u64], threads: &[usize]) -> Outcome {
    let folder = tempdir().unwrap();
    let path = folder.path().join("training");
    let mut optimizer = make();
    let mut network = small_network(0.4).build().unwrap();
    let mut trainer = Trainer::new(train_options());
    for (part, stop) in stops.iter().copied().chain([u64::MAX]).enumerate() {
        let (train, eval) = data.loaders();
        let pool = ThreadPoolBuilder::new().num_threads(threads[part % threads.len()]).build().unwrap();
        let run =
            || trainer.run(&mut network, &mut *optimizer, &train, Some(&eval), &mut [&mut StopAfter(stop)]);
        let ended = pool.install(run).unwrap();
        if stop == u64::MAX {
            assert_eq!(ended, Ended::Finished);
            break;
        }
        assert_eq!((ended, trainer.progress().step), (Ended::Stopped, stop));
        let settings = json!({ "stopped": stop });
        save_training(&path, &network, &info(), &mut *optimizer, trainer.progress(), &settings).unwrap();
        let mut saved = load_training(&path).unwrap();
        assert_eq!((&saved.settings, &saved.info), (&settings, &info()));
        optimizer = make();
        saved.restore(&mut *optimizer).unwrap();
        network = saved.network;
        trainer = Trainer::resume(train_options(), saved.progress);
    }
    assert_eq!(network.steps(), STEPS);
    Outcome::of(&network, &mut *optimizer, trainer.progress())
}

#[test]
fn resumed_training_ends_with_the_same_bits() {
    let data = Data::new();
    for (which, make) in OPTIMIZERS.into_iter().enumerate() {
        let wanted = train(&data, make, &[], &[2]);
        assert!(wanted == train(&data, make, &[], &[1]), "optimizer {which}, without a stop");
        // In the first epoch, at its last step, at the next one's first, in the last, and after the very last step.
        for stops in [&[1][..], &[5], &[6], &[7], &[13], &[18], &[4, 6, 12, 17]] {
            let got = train(&data, make, stops, &[3, 1, 2]);
            assert!(got.progress == wanted.progress, "{stops:?}: {} {}", got.progress, wanted.progress);
            assert!(got == wanted, "optimizer {which}, stops {stops:?}");
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
        Outcome::of(&network, &mut optimizer, trainer.progress())
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
    let data = Data::new();
    let make = OPTIMIZERS[1];
    let run = |folder: &Path, kills: &[u64]| {
        let settings = json!({ "epochs": EPOCHS });
        let mut saver = Saver::new(folder, info(), settings).every_steps(4);
        let mut optimizer = make();
        let mut network = small_network(0.4).build().unwrap();
        let mut trainer = Trainer::new(train_options());
        for kill in kills.iter().copied().chain([u64::MAX]) {
            let (train, eval) = data.loaders();
            let callbacks: &mut [&mut dyn Callback] = &mut [&mut saver, &mut FailAfter(kill)];
            match trainer.run(&mut network, &mut *optimizer, &train, Some(&eval), callbacks) {
                Ok(ended) => assert!(ended == Ended::Finished && kill == u64::MAX),
                Err(error) => assert_eq!(error.to_string(), "killed"),
            }
            let mut saved = load_training(saver.training_path()).unwrap();
            optimizer = make();
            saved.restore(&mut *optimizer).unwrap();
            network = saved.network;
            trainer = Trainer::resume(train_options(), saved.progress);
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
    save_training(&path, &network, &info(), &mut optimizer, progress, &Value::Null).unwrap();
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
        Network::builder((SIZE, SIZE, 3)).add(Flatten {}).add(Dense::new(CLASSES)).build().unwrap();
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
    let mut begun = Trainer::new(TrainOptions::new(1, 0.1));
    let mut network = small_network(0.5).build().unwrap();
    begun.run(&mut network, &mut optimizer, &train, Some(&eval), &mut [&mut StopAfter(2)]).unwrap();
    save_training(&training, &network, &info(), &mut optimizer, begun.progress(), &Value::Null).unwrap();
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
