//! Networks out of TensorFlow checkpoints and into them: names, shapes, and what optimizers remember.

use std::fs;

use floret::checkpoint::tensorflow::{
    Checkpoint, CheckpointWriter, Guess, NameMap, SlotOptimizer, TensorFlowError, guess_names, load_network,
    load_network_and_slots, save_network, save_network_and_slots, slim_network,
};
use floret::image::Normalize;
use floret::network::Network;
use floret::nn::{Dense, Flatten, Shape};
use floret::optim::{Adam, Optimizer, Sgd};
use ndarray::Array4;
use safetensors::SafeTensors;
use tempfile::tempdir;

use super::error_message as message;
use super::{bits, small_network};
use crate::common::{assert_close, fixture, tensors};

fn other_network() -> Network {
    small_network(0.0).seed(9).build().unwrap()
}

#[test]
fn a_network_goes_out_and_comes_back() {
    let folder = tempdir().unwrap();
    let network = small_network(0.0).build().unwrap();
    for (i, names) in [NameMap::same(&network), NameMap::creation_order(&network)].iter().enumerate() {
        let prefix = folder.path().join(format!("model-{i}"));
        save_network(&prefix, &network, names).unwrap();
        let checkpoint = Checkpoint::open(&prefix).unwrap();
        let mut loaded = other_network();
        load_network(&mut loaded, &checkpoint, names).unwrap();
        assert_eq!(bits(&loaded), bits(&network));
        let (guessed, guess) = guess_names(&loaded, &checkpoint).unwrap();
        let pairs = |names: &NameMap| {
            let mut pairs: Vec<_> =
                names.iter().map(|(array, tensor)| (array.to_owned(), tensor.to_owned())).collect();
            pairs.sort();
            pairs
        };
        assert_eq!(pairs(&guessed), pairs(names));
        assert_eq!(guess, [Guess::Names(String::new()), Guess::CreationOrder][i]);
    }
}

/// A Keras model's layers are found by their names, whichever lists its variables were saved under.
#[test]
fn a_keras_model_becomes_a_network() {
    let checkpoint = Checkpoint::open(fixture("tf_checkpoint_objects/model.ckpt")).unwrap();
    let bytes = fs::read(fixture("tf_checkpoint_objects/expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut network = other_network();
    let (names, guess) = guess_names(&network, &checkpoint).unwrap();
    assert_eq!(guess, Guess::Layers);
    load_network(&mut network, &checkpoint, &names).unwrap();
    let layers = [
        ("conv2d_1", "net/conv2d"),
        ("batch_norm_1", "net/batch_normalization"),
        ("dense_1", "net/dense"),
        ("dense_2", "net/dense_1"),
    ];
    let mut checked = 0;
    for (param, values) in network.arrays() {
        let (layer, leaf) = param.name.split_once('/').unwrap();
        let (_, keras) = layers.iter().find(|(floret, _)| *floret == layer).unwrap();
        let name = format!("{keras}/{leaf}");
        let key = checkpoint.find(&name).unwrap();
        assert!(key.ends_with("/.ATTRIBUTES/VARIABLE_VALUE") && checkpoint.readable_name(key) == name);
        let view = expected.tensor(&name).unwrap();
        assert_eq!(values.shape(), view.shape());
        let want = view.data().as_chunks().0.iter().map(|b| u32::from_le_bytes(*b));
        assert!(values.iter().map(|value| value.to_bits()).eq(want), "{name}");
        checked += 1;
    }
    assert_eq!(checked, expected.len());
    // Under their names in a map too.
    let renamed =
        names.iter().map(|(array, key)| (array.to_owned(), checkpoint.readable_name(key).to_owned()));
    let mut again = other_network();
    load_network(&mut again, &checkpoint, &NameMap::new(renamed).unwrap()).unwrap();
    assert_eq!(bits(&again), bits(&network));
}

type Change = fn(&mut Vec<(String, String)>);

#[test]
fn maps_of_names_that_do_not_fit_are_refused() {
    let folder = tempdir().unwrap();
    let network = small_network(0.0).build().unwrap();
    let prefix = folder.path().join("it");
    save_network(&prefix, &network, &NameMap::same(&network)).unwrap();
    let checkpoint = Checkpoint::open(&prefix).unwrap();
    let mut loaded = other_network();
    let before = bits(&loaded);
    let mut load = |change: Change| {
        let same = NameMap::same(&network);
        let mut pairs: Vec<_> =
            same.iter().map(|(array, tensor)| (array.to_owned(), tensor.to_owned())).collect();
        change(&mut pairs);
        let names = NameMap::new(pairs).map_err(TensorFlowError::from);
        message(names.and_then(|names| load_network(&mut loaded, &checkpoint, &names)))
    };
    let changes: [(Change, &str); 7] = [
        (|pairs| drop(pairs.remove(0)), "the map names no tensor for `conv2d_1/kernel`"),
        (|pairs| pairs[0].0 = "conv".into(), "the map names `conv`, but the network has `conv2d_1/kernel`, "),
        (|pairs| pairs[1].1 = "none".into(), "has no tensor `none`; it has _CHECKPOINTABLE_OBJECT_GRAPH, "),
        (
            |pairs| swap_tensors(pairs),
            "the array `conv2d_1/kernel` of the network has the shape [3, 3, 3, 4], but the tensor `conv2d_1/bias` in ",
        ),
        (|pairs| pairs[1].1 = pairs[0].1.clone(), "the map of names has `conv2d_1/kernel` twice"),
        (|pairs| pairs[1].0 = pairs[0].0.clone(), "the map of names has `conv2d_1/kernel` twice"),
        (|pairs| pairs[1].1.clear(), "a map of names holds an empty one"),
    ];
    for (change, reason) in changes {
        let message = load(change);
        assert!(message.contains(reason), "{message}");
    }
    let text = load(|pairs| pairs[1].1 = "_CHECKPOINTABLE_OBJECT_GRAPH".into());
    assert!(
        text.contains("but the tensor `_CHECKPOINTABLE_OBJECT_GRAPH` in ") && text.contains("has []"),
        "{text}"
    );
    assert_eq!(bits(&loaded), before, "an error leaves the network as it was");
}

/// Gives the first array the second one's tensor, and the other way round.
fn swap_tensors(pairs: &mut [(String, String)]) {
    let (first, others) = pairs.split_at_mut(1);
    std::mem::swap(&mut first[0].1, &mut others[0].1);
}

#[test]
fn a_map_is_read_from_a_file_or_refused_with_its_line() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("names.txt");
    let read = |text: &[u8]| {
        fs::write(&path, text).unwrap();
        NameMap::read(&path)
    };
    let names = read("\u{feff}# layers\r\nconv/kernel = Variable\r\n\n  a=b=c \n".as_bytes()).unwrap();
    assert_eq!(names.iter().collect::<Vec<_>>(), [("conv/kernel", "Variable"), ("a", "b=c")]);
    for (text, reason) in [
        (&b"a = b\nc d\n"[..], "names.txt: line 2: `ARRAY = TENSOR` is wanted, not `c d`"),
        (b"a = b\na = c", "names.txt: the map of names has `a` twice"),
        (b"a =\n", "names.txt: a map of names holds an empty one"),
        (b"\xff", "names.txt: it is not UTF-8 text"),
        (&[b'#'; (4 << 20) + 1], "names.txt: it is longer than a map of names can be (4194304 bytes)"),
    ] {
        let message = message(read(text));
        assert!(message.contains(reason), "{message}");
    }
}

/// What is found without a map must fit every array.
#[test]
fn names_are_not_guessed_where_they_do_not_fit() {
    let folder = tempdir().unwrap();
    let network = small_network(0.0).build().unwrap();
    let prefix = folder.path().join("it");
    let write = |change: &dyn Fn(&str) -> Option<String>| {
        let mut writer = CheckpointWriter::create(&prefix).unwrap();
        for (param, values) in network.arrays() {
            if let Some(name) = change(&param.name) {
                writer.add(&name, &param.shape, values.as_slice().unwrap()).unwrap();
            }
        }
        // Slots, and what is no array of a network's.
        if let Some(name) = change("dense_1/bias") {
            writer.add(&format!("{name}/Momentum"), &[8], &[0f32; 8]).unwrap();
        }
        writer.add("global_step", &[], &[7i64]).unwrap();
        writer.finish().unwrap();
        guess_names(&network, &Checkpoint::open(&prefix).unwrap())
    };
    let (names, guess) = write(&|name| Some(format!("model/net/{name}"))).unwrap();
    assert_eq!(guess, Guess::Names("model/net/".into()));
    assert_eq!(names.tensor("dense_1/bias"), Some("model/net/dense_1/bias"));
    // tf.keras' own names: the first of a kind has no number.
    let keras = |name: &str| {
        let (layer, leaf) = name.split_once('/').unwrap();
        let (kind, number) = layer.rsplit_once('_').unwrap();
        match number {
            "1" => format!("{kind}/{leaf}"),
            _ => format!("{kind}_{}/{leaf}", number.parse::<usize>().unwrap() - 1),
        }
    };
    let (names, guess) = write(&|name| Some(keras(name))).unwrap();
    assert_eq!((guess, names.tensor("dense_2/kernel")), (Guess::Layers, Some("dense_1/kernel")));
    for (change, reason) in [
        (
            (&|name: &str| (name != "dense_2/bias").then(|| keras(name))) as &dyn Fn(&str) -> Option<String>,
            "there is no layer with the arrays of `dense_2`",
        ),
        (&|_| None, "there is no layer with the arrays of `conv2d_1`"),
        (
            // The dense layers change their places.
            &|name| Some(name.replace("dense_1", "y").replace("dense_2", "x")),
            "`dense_1/kernel` has the shape [36, 8], and the layer in its place has",
        ),
        (&|name| Some(name.replace('/', "_")), "there are 0 called `Variable`"),
    ] {
        let message = message(write(change));
        assert!(message.contains(reason) && message.contains("give a map of names"), "{message}");
    }
}

/// Their variables tell the networks of slim, which answer as TensorFlow's own operations do.
#[test]
fn networks_of_slim_are_known_by_their_variables() {
    const SIDE: usize = 45;
    let images = Array4::from_shape_fn((2, SIDE, SIDE, 3), |(n, y, x, c)| {
        ((n * 7919 + y * 3571 + x * 1913 + c * 541) % 1024) as f32 / 512.0 - 1.0
    });
    let expected = tensors("tf_slim/expected.safetensors");
    for (name, scope) in
        [("mobilenet_v1", "MobilenetV1"), ("mobilenet_v2", "MobilenetV2"), ("resnet_v1_50", "resnet_v1_50")]
    {
        let checkpoint = Checkpoint::open(fixture(&format!("tf_slim/{name}.ckpt"))).unwrap();
        let slim = slim_network(&checkpoint, Some(SIDE)).unwrap().unwrap();
        assert_eq!((&*slim.scope, slim.network.outputs()), (scope, 4));
        assert_ne!(slim.normalize, Normalize::PerImage);
        let logits = slim.network.forward(images.view()).unwrap();
        assert_close(name, &logits, &expected[name], 2e-5);
        // 224 pixels where none are asked for.
        let usual = slim_network(&checkpoint, None).unwrap().unwrap().network;
        assert_eq!(usual.input(), Shape::from((224, 224, 3)));
    }
}

#[test]
fn what_a_network_of_slim_lacks_is_named() {
    let checkpoint = Checkpoint::open(fixture("tf_checkpoint_objects/model.ckpt")).unwrap();
    assert!(slim_network(&checkpoint, None).unwrap().is_none());
    let folder = tempdir().unwrap();
    let written = |name: &str, variables: &[(&str, &[usize])]| {
        let prefix = folder.path().join(name);
        let mut writer = CheckpointWriter::create(&prefix).unwrap();
        for (variable, shape) in variables {
            writer.add(variable, shape, &vec![0.5f32; shape.iter().product()]).unwrap();
        }
        writer.finish().unwrap();
        message(slim_network(&Checkpoint::open(&prefix).unwrap(), None))
    };
    let first = ("MobilenetV1/Conv2d_0/weights", &[3, 3, 3, 8][..]);
    let error = written("headless", &[first]);
    assert!(error.contains("no tensor `MobilenetV1/Logits/Conv2d_1c_1x1/weights`"), "{error}");
    let error = written("flat", &[("MobilenetV1/Conv2d_0/weights", &[27, 8])]);
    assert!(error.contains("has the shape [27, 8], and is a kernel"), "{error}");
    // No value, and room for millions of them.
    let wide = ("MobilenetV1/Conv2d_0/weights", &[3, 3, 0, 1 << 17][..]);
    let error = written("wide", &[wide, ("MobilenetV1/Logits/Conv2d_1c_1x1/weights", &[1, 1, 0, 2])]);
    assert!(error.contains("[3, 3, 0, 131072]"), "{error}");
    let head = ("MobilenetV1/Logits/Conv2d_1c_1x1/weights", &[1, 1, 9, 2][..]);
    let norm = ["beta", "moving_mean", "moving_variance"]
        .map(|array| format!("MobilenetV1/Conv2d_0/BatchNorm/{array}"));
    let norm = norm.iter().map(|variable| (variable.as_str(), &[8][..]));
    let error = written("unfit", &norm.chain([first, head]).collect::<Vec<_>>());
    assert!(error.contains("[8, 2]") && error.contains("[1, 1, 9, 2]"), "{error}");
}

/// TensorFlow made five steps; floret makes the next three and comes to TensorFlow's weights. And what floret writes instead,
/// TensorFlow could have written.
#[test]
fn training_goes_on_with_what_the_optimizer_remembers() {
    let bytes = fs::read(fixture("tf_checkpoint_slots/expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        expected.tensor(name).unwrap().data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let images = Array4::from_shape_vec((6, 2, 3, 1), floats("images")).unwrap();
    let labels = [0, 1, 2, 3, 0, 1];
    let sgd = || Sgd::new(0.1).momentum(0.9);
    let folder = tempdir().unwrap();
    for name in ["momentum", "nesterov", "adam"] {
        let (mut momentum, mut adam) =
            (if name == "nesterov" { sgd().nesterov() } else { sgd() }, Adam::new(0.01).epsilon(1e-8));
        let checkpoint = Checkpoint::open(fixture(&format!("tf_checkpoint_slots/{name}.ckpt"))).unwrap();
        let mut network = Network::builder((2, 3, 1)).add(Flatten).add(Dense::new(4)).build().unwrap();
        let names = NameMap::creation_order(&network);
        // Slots do not stand in the way of finding the names.
        assert_eq!(guess_names(&network, &checkpoint).unwrap(), (names.clone(), Guess::CreationOrder));
        let slots = match name {
            "adam" => SlotOptimizer::Adam(&mut adam),
            _ => SlotOptimizer::Momentum(&mut momentum),
        };
        load_network_and_slots(&mut network, &checkpoint, &names, slots).unwrap();
        let again = folder.path().join(name);
        let slots = match name {
            "adam" => SlotOptimizer::Adam(&mut adam),
            _ => SlotOptimizer::Momentum(&mut momentum),
        };
        save_network_and_slots(&again, &network, &names, slots).unwrap();
        let written = Checkpoint::open(&again).unwrap();
        for (key, info) in checkpoint.tensors() {
            let (got, want) = (written.read(key).unwrap(), checkpoint.read(key).unwrap());
            assert_eq!(got.shape(), info.shape);
            for (got, want) in got.to_f32().unwrap().iter().zip(&want.to_f32().unwrap()) {
                // By the learning rate and back; powers rounded at each of six steps.
                assert!(
                    (got - want).abs() <= 4.0 * f32::EPSILON * want.abs(),
                    "{name}, {key}: {got}, {want}"
                );
            }
        }
        let optimizer: &mut dyn Optimizer = if name == "adam" { &mut adam } else { &mut momentum };
        for _ in 0..3 {
            network.train_step(images.view(), &labels, optimizer).unwrap();
        }
        for (part, array) in [("kernel", "dense_1/kernel"), ("bias", "dense_1/bias")] {
            let want: Vec<_> = floats(&format!("{name}/{part}")).into_iter().map(f64::from).collect();
            // Three steps in another order of sums.
            assert_close(&format!("{name}, {array}"), network.array(array).unwrap(), want, 2e-6);
        }
    }
}

#[test]
fn optimizers_without_fitting_slots_are_refused() {
    let checkpoint = Checkpoint::open(fixture("tf_checkpoint_slots/adam.ckpt")).unwrap();
    let mut network = Network::builder((2, 3, 1)).add(Flatten).add(Dense::new(4)).build().unwrap();
    let (names, before) = (NameMap::creation_order(&network), bits(&network));
    let mut load = |mut sgd: Sgd| {
        let slots = SlotOptimizer::Momentum(&mut sgd);
        message(load_network_and_slots(&mut network, &checkpoint, &names, slots))
    };
    assert!(load(Sgd::new(0.1)).contains("plain gradient descent has no momentum"));
    assert!(load(Sgd::new(0.0).momentum(0.9)).contains("at the learning rate 0"));
    assert!(load(Sgd::new(0.1).momentum(0.9)).contains("has no tensor `Variable/Momentum`"));
    assert_eq!(bits(&network), before);
}
