//! Training that begins with a network trained on other classes: its new head, its features, the whole of it; where it is
//! interrupted, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, Saver, load_model, load_training, save_model};
use floret::data::{ClassNames, Preprocess};
use floret::files::HeldFolder;
use floret::image::{ChannelOrder, DecodeOptions, Normalize};
use floret::network::{Network, NetworkError};
use floret::nn::{Add, BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, GlobalMaxPool, Init, Relu};
use floret::recipe::{Answers, Choices, Normalization, Note, Prepared, Training};
use floret::record::Compression;
use floret::train::{Callback, Ended, Flow, OpeningProgress};
use ndarray::Array4;
use tempfile::TempDir;

use crate::common::photos::{payload, write_shards};

mod views;

/// Side of the photos, which is that of the network's images.
const SIDE: usize = 32;

/// A photo of one of three textures that are as bright and as colored as each other: lying stripes, standing ones, checks.
fn texture(class: usize, number: usize) -> Vec<u8> {
    let (phase, period) = (number % 5, 3 + number / 5 % 3);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Rgb);
    let bright = |x: usize| ((x + phase) / period).is_multiple_of(2);
    let mut levels = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let on = match class {
                0 => bright(y),
                1 => bright(x),
                _ => bright(x) != bright(y),
            };
            let noise = (number * 31 + y * 17 + x * 7) % 40;
            levels.extend([if on { 150 } else { 60 } + noise as u8, 100, 60 + noise as u8]);
        }
    }
    encoder.write_header().unwrap().write_image_data(&levels).unwrap();
    file
}

/// A data folder of so many photos to train on and to evaluate on; the labels of `wrong` ones are those of the next class.
fn data(folder: &Path, train: usize, eval: usize, wrong: &[usize]) -> PathBuf {
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let photo = |number: usize| {
        let shift = usize::from(wrong.contains(&number));
        payload(texture(number % 3, number), ((number + shift) % 3) as i64 + 1)
    };
    let photos = |numbers: std::ops::Range<usize>| numbers.map(photo).collect::<Vec<_>>();
    if eval > 0 {
        let written = write_shards(&data, &photos(train..train + eval), 1, Compression::Plain);
        fs::rename(&written[0], data.join("eval-00000-of-00001")).unwrap();
    }
    write_shards(&data, &photos(0..train), 2, Compression::Plain);
    fs::write(data.join("labels.txt"), "lying\nstanding\nchecked\n").unwrap();
    data
}

/// A network of seven classes whose random filters tell textures apart well enough for a head.
fn network() -> Network {
    Network::builder((SIDE, SIDE, 3))
        .add_named("stem", Conv2d::new(24, 5).kernel_init(Init::HeNormal))
        .add(BatchNorm::new())
        .add(Relu)
        .add_named("middle", Conv2d::new(32, 3).stride(2).kernel_init(Init::HeNormal))
        .add(Relu)
        .add(GlobalAvgPool)
        .add(Dropout::new(0.2))
        .add_named("classes", Dense::new(7).kernel_init(Init::HeNormal))
        .seed(3)
        .build()
        .unwrap()
}

/// A network whose ways part and meet at the end, with two outputs.
fn forked() -> Network {
    Network::builder((SIDE, SIDE, 3))
        .add_named("a", Conv2d::new(2, 3))
        .add_named("means", GlobalAvgPool)
        .add_from("most", GlobalMaxPool, ["a"])
        .add_from("sum", Add, ["means", "most"])
        .build()
        .unwrap()
}

/// With a normalization other than each photo's own.
fn preprocess() -> Preprocess {
    Preprocess::new(SIDE).normalize(Normalize::Fixed { mean: [127.0; 3], deviation: [64.0; 3] })
}

fn model(folder: &Path) -> PathBuf {
    let path = folder.join("seven.safetensors");
    let classes = (0..7).map(|class| format!("class {class}")).collect();
    save_model(&path, &network(), &ModelInfo { classes, preprocess: preprocess() }).unwrap();
    path
}

/// The new layer alone, fitted to one view of each photo.
fn head_only() -> Choices {
    Choices { head_only: true, head_views: Some(1), ..Choices::default() }
}

fn arrays(network: &Network) -> Vec<(String, Vec<u32>)> {
    let bits = |values: ndarray::ArrayViewD<f32>| values.iter().map(|value| value.to_bits()).collect();
    network.arrays().map(|(param, values)| (param.name.clone(), bits(values))).collect()
}

fn images() -> Array4<f32> {
    Array4::from_shape_fn((3, SIDE, SIDE, 3), |(n, y, x, c)| {
        ((n * 7 + y * 5 + x * 3 + c) % 11) as f32 / 5.0 - 1.0
    })
}

#[test]
fn a_new_head_takes_what_the_old_one_took() {
    let before = network();
    let (after, head) = before.with_head(3).unwrap();
    assert_eq!((head.as_str(), after.outputs(), after.input()), ("classes", 3, before.input()));
    let kept = |arrays: Vec<(String, Vec<u32>)>| -> Vec<_> {
        arrays.into_iter().filter(|(name, _)| !name.starts_with("classes/")).collect()
    };
    assert_eq!(kept(arrays(&before)), kept(arrays(&after)));
    assert!(after.array("classes/kernel").unwrap().iter().all(|w| *w == 0.0));
    // As many classes as before are others all the same.
    let (same, _) = before.with_head(7).unwrap();
    assert!(same.array("classes/kernel").unwrap().iter().all(|w| *w == 0.0));

    let body = before.body().unwrap();
    let features = body.forward(&images()).unwrap();
    let kernel =
        before.array("classes/kernel").unwrap().into_dimensionality::<ndarray::Ix2>().unwrap().to_owned();
    let bias =
        before.array("classes/bias").unwrap().into_dimensionality::<ndarray::Ix1>().unwrap().to_owned();
    let wanted = before.forward(&images()).unwrap();
    let logits = features.dot(&kernel) + &bias;
    assert!(logits.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{logits} {wanted}");
}

/// As SqueezeNet's, in which a convolution answers.
#[test]
fn a_convolution_at_the_end_gives_way_to_means_and_a_dense_layer() {
    let network = Network::builder((8, 8, 3))
        .add(Conv2d::new(6, 3))
        .add(Relu)
        .add_named("answers", Conv2d::new(7, 1))
        .add(Relu)
        .add(GlobalAvgPool)
        .build()
        .unwrap();
    let (after, head) = network.with_head(2).unwrap();
    let names: Vec<_> = after.spec().layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!((names, head.as_str()), (vec!["conv2d_1", "relu_1", "head_means", "head"], "head"));
    assert_eq!(after.array("conv2d_1/kernel").unwrap(), network.array("conv2d_1/kernel").unwrap());
    assert!(matches!(network.body(), Err(NetworkError::NoHead)));
}

#[test]
fn a_last_layer_whose_outputs_others_take_stays() {
    assert!(matches!(forked().with_head(2), Err(NetworkError::NoHead)));
}

#[test]
fn a_head_alone_learns_other_classes_and_changes_nothing_else() {
    let folder = TempDir::new().unwrap();
    let data = data(folder.path(), 60, 30, &[]);
    let mut told = Vec::new();
    let training = Training::new(&data).start_from(model(folder.path())).choose(head_only());
    let prepared = training.prepare(&mut |note| told.push(note)).unwrap();
    let head = told.iter().find_map(|note| match note {
        Note::NewHead { layer, before, preprocess } => Some((layer.clone(), before.len(), *preprocess)),
        _ => None,
    });
    assert_eq!(head, Some(("classes".into(), 7, preprocess())));
    assert_eq!(prepared.info.preprocess, preprocess());

    let training = Training::new(&data).start_from(model(folder.path())).choose(head_only());
    let trained = training.run().unwrap();
    let evaluation = trained.evaluation.as_ref().unwrap();
    assert!(evaluation.accuracy() > 0.9, "{}", evaluation.accuracy());
    // What was found by the features is what the network says.
    let told = trained.progress.history[0].eval.unwrap();
    assert_eq!(told.accuracy, evaluation.accuracy());
    assert!((told.loss - evaluation.loss).abs() < 1e-4, "{} {}", told.loss, evaluation.loss);
    assert_eq!(
        (trained.progress.history.len(), trained.network.steps(), trained.ended),
        (1, 0, Ended::Finished)
    );
    for (name, bits) in arrays(&trained.network).iter().filter(|(name, _)| !name.starts_with("classes/")) {
        assert_eq!(
            Some(bits),
            arrays(&network()).iter().find(|(n, _)| n == name).map(|(_, bits)| bits),
            "{name}"
        );
    }
}

/// Batch norm keeps its averages; every other weight moves; the first epoch is the head's; the better one is kept.
#[test]
fn then_the_whole_network_trains() {
    let folder = TempDir::new().unwrap();
    let data = data(folder.path(), 420, 30, &[]);
    let choices = || Choices { epochs: Some(3), average: Some(0.0), ..Choices::default() };
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut prepared = Training::new(&data)
                .start_from(model(folder.path()))
                .choose(choices())
                .prepare(&mut |_| {})
                .unwrap();
            assert_eq!(prepared.run(&mut []).unwrap(), Ended::Finished);
            prepared
        })
    };
    let prepared = trained(1);
    let (history, batches) = (&prepared.progress().history, prepared.train.batches() as u64);
    assert_eq!(history.iter().map(|epoch| epoch.step).collect::<Vec<_>>(), [0, batches, 2 * batches]);
    assert!(history[0].best && history[0].learning_rate == 0.0 && history[1].learning_rate > 0.0);
    let before = arrays(&network());
    for (name, bits) in arrays(&prepared.network) {
        let same = before.iter().find(|(n, _)| *n == name).is_some_and(|(_, before)| *before == bits);
        assert_eq!(same, name.starts_with("batch_norm"), "{name}");
    }
    assert_eq!(arrays(&prepared.network), arrays(&trained(3).network));
}

/// Stops when so many photos have gone through.
struct StopAt(usize);

impl Callback for StopAt {
    fn on_opening(&mut self, progress: OpeningProgress) -> Flow {
        if progress.part == "features" && progress.done >= self.0 { Flow::Stop } else { Flow::Continue }
    }
}

/// How many photos were done when it began.
#[derive(Default)]
struct First(Option<usize>);

impl Callback for First {
    fn on_opening(&mut self, progress: OpeningProgress) -> Flow {
        self.0.get_or_insert(progress.done);
        Flow::Continue
    }
}

fn prepared(data: &Path, start: &Path, run: &Path, choices: Choices) -> Prepared {
    let training = Training::new(data).start_from(start).choose(choices).keep_features(run);
    training.prepare(&mut |_| {}).unwrap()
}

fn saver(prepared: &Prepared, run: &Path) -> Saver {
    let settings = serde_json::to_value(&prepared.settings).unwrap();
    Saver::holding(std::sync::Arc::new(HeldFolder::claim(run).unwrap()), prepared.info.clone(), settings)
}

#[test]
fn an_interrupted_run_goes_on_with_the_features_it_has() {
    let folder = TempDir::new().unwrap();
    let (data, start, run) =
        (data(folder.path(), 200, 60, &[]), model(folder.path()), folder.path().join("run"));
    fs::create_dir(&run).unwrap();
    let whole = Training::new(&data).start_from(&start).choose(head_only()).run().unwrap();
    // Among the photos to train on, and among those to evaluate on.
    let mut had = 0;
    for stop in [64, 230] {
        let saved = load_training(run.join("training.safetensors"));
        let mut prepared = match saved {
            Ok(saved) => Training::new(&data).resume(saved).keep_features(&run).prepare(&mut |_| {}).unwrap(),
            Err(_) => prepared(&data, &start, &run, head_only()),
        };
        let (mut saver, mut first, mut stop) = (saver(&prepared, &run), First::default(), StopAt(stop));
        assert_eq!(prepared.run(&mut [&mut saver, &mut first, &mut stop]).unwrap(), Ended::Stopped);
        assert_eq!(first.0, Some(had));
        had = stop.0.div_ceil(32) * 32;
        assert!(!run.join("model.safetensors").exists());
    }
    // A batch that was cut off, and one that is damaged, are computed again.
    let file = run.join("features-train");
    let bytes = fs::read(&file).unwrap();
    for damaged in [bytes[..bytes.len() - 5].to_vec(), {
        let mut bytes = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    }] {
        fs::write(&file, damaged).unwrap();
        let saved = load_training(run.join("training.safetensors")).unwrap();
        let mut prepared =
            Training::new(&data).resume(saved).keep_features(&run).prepare(&mut |_| {}).unwrap();
        let mut first = First::default();
        assert_eq!(prepared.run(&mut [&mut first]).unwrap(), Ended::Finished);
        // With those to evaluate on, which are whole.
        assert!(first.0.is_some_and(|had| had > 0 && had < 200 + 60), "{:?}", first.0);
        assert_eq!(arrays(&prepared.network), arrays(&whole.network));
        assert!(fs::read(&file).unwrap() == bytes, "it is whole again");
    }
}

/// Under a budget the time of an opening that was broken off counts.
#[test]
fn the_time_of_a_broken_off_opening_counts() {
    let folder = TempDir::new().unwrap();
    let (data, start, run) =
        (data(folder.path(), 64, 0, &[]), model(folder.path()), folder.path().join("run"));
    fs::create_dir(&run).unwrap();
    let minutes = Choices { minutes: Some(1.0), ..head_only() };
    let mut first = prepared(&data, &start, &run, minutes);
    let (mut saver, mut stop) = (saver(&first, &run), StopAt(64));
    assert_eq!(first.run(&mut [&mut saver, &mut stop]).unwrap(), Ended::Stopped);
    let spent = first.progress().seconds();
    drop(saver);
    let saved = load_training(run.join("training.safetensors")).unwrap();
    assert!(spent > 0.0 && saved.progress.seconds() == spent, "{spent}");
    let mut second = Training::new(&data).resume(saved).keep_features(&run).prepare(&mut |_| {}).unwrap();
    assert_eq!(second.run(&mut []).unwrap(), Ended::Finished);
    assert!(second.progress().seconds() > spent && second.progress().is_finished());
    // More epochs do not make more of a head alone.
    let saved = load_training(run.join("training.safetensors")).unwrap();
    let again = Training::new(&data).resume(saved).choose(Choices { epochs: None, ..Choices::default() });
    assert_eq!(again.prepare(&mut |_| {}).unwrap().settings.epochs, 1);
}

#[test]
fn features_of_other_photos_or_of_another_network_do_not_count() {
    let folder = TempDir::new().unwrap();
    let (data_path, start, run) =
        (data(folder.path(), 64, 0, &[]), model(folder.path()), folder.path().join("run"));
    fs::create_dir(&run).unwrap();
    let begin = |choices: Choices| {
        let mut first = First::default();
        prepared(&data_path, &start, &run, choices).run(&mut [&mut first]).unwrap();
        first.0.unwrap()
    };
    assert_eq!([begin(head_only()), begin(head_only())], [0, 64]);
    let imagenet = Choices { normalize: Some(Normalization::Given(Normalize::IMAGENET)), ..head_only() };
    assert_eq!([begin(imagenet.clone()), begin(imagenet)], [0, 64]);
    let blue_first = Choices { channel_order: Some(ChannelOrder::Bgr), ..head_only() };
    assert_eq!(begin(blue_first), 0);
    assert_eq!(begin(head_only()), 0);
    data(folder.path(), 64, 0, &[7]);
    assert_eq!(begin(head_only()), 0);
}

#[test]
fn what_heads_say_of_photos_held_out_finds_wrong_labels() {
    let folder = TempDir::new().unwrap();
    let wrong = [5, 40, 77];
    let (data, start, run) =
        (data(folder.path(), 120, 0, &wrong), model(folder.path()), folder.path().join("run"));
    fs::create_dir(&run).unwrap();
    let mut prepared = prepared(&data, &start, &run, head_only());
    prepared.run(&mut []).unwrap();
    let answers = Answers::held_out(&run, &prepared.train).unwrap();
    assert_eq!(answers.evaluation.examples, 120);
    // Shards are written in turn: the even photos first.
    let mut found: Vec<_> = answers.contradictions.iter().map(|answer| answer.record).collect();
    found.sort_unstable();
    let wanted: Vec<usize> = [40 / 2, 60 + 5 / 2, 60 + 77 / 2].into();
    assert!(wanted.iter().all(|record| found.contains(record)), "{found:?} {wanted:?}");
    assert!(found.len() <= 6, "{found:?}");
    assert!(answers.evaluation.accuracy() > 0.85);
    // Of other photos it says nothing.
    let other = TempDir::new().unwrap();
    let other = self::data(other.path(), 30, 0, &[]);
    let loader = Training::new(&other).epochs(1).prepare(&mut |_| {}).unwrap().train;
    assert!(Answers::held_out(&run, &loader).is_none());
}

/// A graph of another program, which tells neither classes nor preprocessing.
#[cfg(feature = "onnx")]
#[test]
fn an_onnx_graph_is_a_start_once_its_normalization_is_known() {
    let folder = TempDir::new().unwrap();
    let (data, path) = (data(folder.path(), 60, 30, &[]), folder.path().join("seven.onnx"));
    floret::onnx::export(&path, &network(), None, &Default::default()).unwrap();
    let training = |choices| Training::new(&data).start_from(&path).choose(choices).run();
    let error = training(head_only()).unwrap_err().to_string();
    assert!(error.contains("seven.onnx") && error.contains("choose `normalize`"), "{error}");
    let normalize = Normalize::Fixed { mean: [127.0; 3], deviation: [64.0; 3] };
    let trained =
        training(Choices { normalize: Some(Normalization::Given(normalize)), ..head_only() }).unwrap();
    assert!(trained.evaluation.unwrap().accuracy() > 0.9);
    assert_eq!((trained.info.preprocess.normalize, trained.info.preprocess.crop_share), (normalize, 0.875));
    assert_eq!(trained.info.classes, ["lying", "standing", "checked"]);
}

#[test]
fn what_does_not_suit_is_refused() {
    let folder = TempDir::new().unwrap();
    let (data, start) = (data(folder.path(), 12, 6, &[]), model(folder.path()));
    let refused = |start: &Path, choices: Choices| {
        Training::new(&data).start_from(start).choose(choices).run().unwrap_err().to_string()
    };
    let dropout = Choices { dropout: Some(0.1), ..Choices::default() };
    assert_eq!(refused(&start, dropout), "the model that training begins with decides the dropout");
    // One that knows these classes goes on with its own head.
    let same = folder.path().join("same.safetensors");
    let (network, _) = network().with_head(3).unwrap();
    let classes = ClassNames::read(data.join("labels.txt")).unwrap().names().to_vec();
    save_model(&same, &network, &ModelInfo { classes, preprocess: preprocess() }).unwrap();
    let error = refused(&same, head_only());
    assert!(error.contains("a network that begins with other classes"), "{error}");
    let path = folder.path().join("forked.safetensors");
    let two = || vec!["a".into(), "b".into()];
    save_model(&path, &forked(), &ModelInfo { classes: two(), preprocess: preprocess() }).unwrap();
    let error = refused(&path, head_only());
    assert!(
        error.contains("forked.safetensors") && error.contains("its last layer can't be replaced"),
        "{error}"
    );
    // Weights that are for one size.
    let flat = Network::builder((SIDE, SIDE, 3))
        .add(Conv2d::new(2, 3))
        .add(Flatten)
        .add(Dense::new(2))
        .build()
        .unwrap();
    let path = folder.path().join("flat.safetensors");
    save_model(&path, &flat, &ModelInfo { classes: two(), preprocess: preprocess() }).unwrap();
    let larger = Choices { image_size: Some(48), ..head_only() };
    let error = refused(&path, larger);
    assert!(error.contains("it takes images of 32x32 alone, and 48x48 was chosen"), "{error}");
}

#[test]
fn a_few_photos_without_any_to_evaluate_on_give_a_head() {
    let folder = TempDir::new().unwrap();
    let (data, start) = (data(folder.path(), 9, 0, &[]), model(folder.path()));
    let trained = Training::new(&data).start_from(start).minutes(1.0).run().unwrap();
    assert_eq!((trained.progress.history.len(), trained.evaluation.is_none()), (1, true));
    let (network, info) = (&trained.network, &trained.info);
    let photo = info.preprocess.input(&texture(1, 30), &DecodeOptions::default()).unwrap();
    let answer = network.predict(photo.view().insert_axis(ndarray::Axis(0))).unwrap();
    assert!(answer.iter().all(|p| p.is_finite()));
    let path = folder.path().join("model.safetensors");
    trained.save(&path).unwrap();
    let (loaded, loaded_info) = load_model(&path).unwrap();
    assert_eq!((arrays(&loaded), &loaded_info), (arrays(network), info));
}
