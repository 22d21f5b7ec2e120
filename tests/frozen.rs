//! Frozen layers: what they give and let through against layers of constants, what training leaves alone, what it keeps; rates of
//! single layers.

use std::collections::BTreeMap;

use floret::checkpoint::{ModelInfo, load_model, save_model};
use floret::data::Preprocess;
use floret::network::{Network, NetworkError};
use floret::nn::{
    Add, BatchNorm, Clip, Conv2d, Dense, Dropout, GlobalAvgPool, Init, Input, NamedLayer, Relu, Residual,
    Sequential, Shape, StochasticDepth,
};
use floret::optim::{Adam, Optimizer, Sgd};
use ndarray::Array4;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::assert_close;
use crate::graphs::{CHANNELS, SMOOTH, input, random};

const EPSILON: f32 = 1e-3;

/// A random graph in which batch norms stand behind some of the convolutions and at the end.
fn with_norms(rng: &mut ChaCha8Rng) -> Vec<NamedLayer> {
    let mut layers = Vec::new();
    for mut layer in random(rng, SMOOTH) {
        let (name, kind) = (layer.name.clone(), layer.layer.kind().to_owned());
        if ["conv2d", "add"].contains(&kind.as_str()) && rng.random_bool(0.6) {
            layer.name = format!("{name}_before");
            let from = [layer.name.clone()];
            layers.push(layer);
            let relu = rng.random_bool(0.5);
            let norm = if relu { format!("{name}_norm") } else { name.clone() };
            layers.push(NamedLayer::new(&norm, BatchNorm::new().epsilon(EPSILON)).from(from));
            if relu {
                layers.push(NamedLayer::new(name, Relu).from([norm]));
            }
        } else {
            layers.push(layer);
        }
    }
    layers
}

/// Draws every value of a network's arrays.
fn draw(net: &mut Sequential, rng: &mut ChaCha8Rng) {
    let arrays: Vec<(String, usize)> =
        net.arrays().map(|(param, values)| (param.name.clone(), values.len())).collect();
    for (name, len) in arrays {
        // Variances are over 0.
        let from = if name.ends_with("variance") { 0.5 } else { -1.0 };
        let values: Vec<f32> = (0..len).map(|_| rng.random_range(from..1.5)).collect();
        net.set_array(&name, &values).unwrap();
    }
}

fn values(net: &Sequential) -> BTreeMap<String, Vec<f32>> {
    net.arrays().map(|(param, values)| (param.name.clone(), values.iter().copied().collect())).collect()
}

fn gradients(net: &Sequential) -> BTreeMap<String, Vec<f32>> {
    net.gradients().map(|(param, values)| (param.name.clone(), values.iter().copied().collect())).collect()
}

/// The same network with each batch norm as a depthwise convolution of constants, which has nothing in common with how a frozen
/// one is computed, and nothing frozen.
fn constants(layers: &[NamedLayer], input: Shape, arrays: &BTreeMap<String, Vec<f32>>) -> Sequential {
    let norms: Vec<&str> =
        layers.iter().filter(|l| l.layer.kind() == "batch_norm").map(|l| l.name.as_str()).collect();
    let plain: Vec<NamedLayer> = layers
        .iter()
        .map(|layer| match layer.layer.kind() {
            "batch_norm" => {
                NamedLayer::new(&layer.name, Conv2d::depthwise(CHANNELS, 1)).from(layer.from.clone())
            }
            _ => layer.clone().frozen(false),
        })
        .collect();
    let mut net = Sequential::new(input, &plain, 0).unwrap();
    for norm in &norms {
        let of = |name: &str| &arrays[&format!("{norm}/{name}")];
        let (mut scale, mut shift) = (Vec::new(), Vec::new());
        for c in 0..CHANNELS {
            let s = of("gamma")[c] / (of("moving_variance")[c] + EPSILON).sqrt();
            scale.push(s);
            shift.push(of("beta")[c] - of("moving_mean")[c] * s);
        }
        net.set_array(&format!("{norm}/kernel"), &scale).unwrap();
        net.set_array(&format!("{norm}/bias"), &shift).unwrap();
    }
    for (name, values) in arrays {
        if !norms.iter().any(|norm| name.starts_with(&format!("{norm}/"))) {
            net.set_array(name, values).unwrap();
        }
    }
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_trains_around_frozen_layers_has_its_gradients((input, batch) in input(), seed: u64, share in 0.0f64..1.0) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut layers = with_norms(&mut rng);
        // All up to one, as people freeze, or any.
        let first = rng.random_range(0..=layers.len());
        for (index, layer) in layers.iter_mut().enumerate() {
            let norm = layer.layer.kind() == "batch_norm";
            layer.frozen = norm || if share < 0.5 { index < first } else { rng.random_bool(share) };
        }
        let mut net = Sequential::new(input, &layers, seed).unwrap();
        draw(&mut net, &mut rng);
        let before = values(&net);
        let mut plain = constants(&layers, input, &before);

        let mut draw = |len| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (x, dy) = (draw(batch * net.input().len()), draw(batch * net.output().len()));
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let want = wide(plain.forward(&x, 1));
        assert_close("training", net.forward(&x, 1), &want, 1e-4);
        let mut inferred = vec![0.0; want.len()];
        net.infer(&x, &mut inferred);
        assert_close("inference", &inferred, &want, 1e-4);

        net.backward(Input::Given(&x), &dy).unwrap();
        plain.backward(Input::Given(&x), &dy).unwrap();
        let (got, all) = (gradients(&net), gradients(&plain));
        let trains: Vec<&NamedLayer> = layers.iter().filter(|layer| !layer.frozen).collect();
        let wanted = all.iter().filter(|(name, _)| {
            trains.iter().any(|layer| name.rsplit_once('/').is_some_and(|(of, _)| of == layer.name))
        });
        let mut count = 0;
        for (name, want) in wanted {
            assert_close(name, &got[name], wide(want), 2e-4);
            count += 1;
        }
        assert_eq!(got.len(), count, "gradients of frozen layers");
        assert_eq!(values(&net), before);
    }

    #[test]
    fn inference_folds_any_batch_norm((input, batch) in input(), seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers = with_norms(&mut rng);
        let mut net = Sequential::new(input, &layers, seed).unwrap();
        draw(&mut net, &mut rng);
        let plain = constants(&layers, input, &values(&net));
        let batch = if seed % 2 == 0 { batch } else { batch + 4 };
        let x: Vec<f32> = (0..batch * input.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let [mut got, mut want] = [(); 2].map(|()| vec![0.0; batch * net.output().len()]);
        net.infer(&x, &mut got);
        plain.infer(&x, &mut want);
        let want: Vec<f64> = want.into_iter().map(f64::from).collect();
        assert_close("outputs", &got, &want, 1e-4);
    }
}

/// Convolution, batch norm, ReLU three times, with dropout in between; a new head.
fn network() -> Network {
    let block = |filters| Conv2d::new(filters, 3).kernel_init(Init::HeNormal).no_bias();
    Network::builder((12, 12, 3))
        .add_named("stem", block(8))
        .add_named("stem_norm", BatchNorm::new())
        .add_named("stem_relu", Relu)
        .add_named("drop", Dropout::new(0.5))
        .add_named(
            "block",
            Residual::new().body(block(8)).body(BatchNorm::new()).body(StochasticDepth::new(0.5)),
        )
        .add_named("block_relu", Relu)
        .add_named("means", GlobalAvgPool)
        .add_named("head_drop", Dropout::new(0.2))
        .add_named("head", Dense::new(3))
        .seed(2)
        .build()
        .unwrap()
}

fn photos() -> (Array4<f32>, [usize; 6]) {
    let images = Array4::from_shape_fn((6, 12, 12, 3), |(n, y, x, c)| {
        ((7 * n + 3 * y + 5 * x + c) % 11) as f32 / 5.0 - 1.0
    });
    (images, [0, 1, 2, 0, 1, 2])
}

fn of(network: &Network) -> BTreeMap<String, Vec<f32>> {
    network.arrays().map(|(param, values)| (param.name.clone(), values.iter().copied().collect())).collect()
}

#[test]
fn steps_change_what_trains_and_nothing_else() {
    let optimizers: [fn() -> Box<dyn Optimizer>; 3] = [
        || Box::new(Sgd::new(0.1).momentum(0.9).weight_decay(0.1)),
        || Box::new(Adam::new(0.1).clip_norm(0.5)),
        || Box::new(Sgd::new(0.1)),
    ];
    let (images, labels) = photos();
    for optimizer in optimizers {
        for frozen in [&["stem", "stem_norm", "stem_relu", "drop"][..], &["block"], &["head"], &[]] {
            let (mut network, mut optimizer) = (network(), optimizer());
            // Memory of the optimizer from before must not move frozen weights either.
            network.train_step(&images, &labels, &mut *optimizer).unwrap();
            network.freeze(|name| frozen.contains(&name)).unwrap();
            let before = of(&network);
            for _ in 0..2 {
                network.train_step(&images, &labels, &mut *optimizer).unwrap();
            }
            for (name, values) in of(&network) {
                let layer = name.split('/').next().unwrap();
                assert_eq!(values == before[&name], frozen.contains(&layer), "{name} with {frozen:?} frozen");
            }
        }
    }
}

/// A frozen layer drops nothing: two passes of training from different seeds agree.
#[test]
fn frozen_dropout_drops_nothing() {
    let (images, _) = photos();
    let mut network = network();
    let outputs = |network: &mut Network, seed| {
        network.resume_at(0, seed);
        network.forward_train(&images).unwrap().outputs().to_owned()
    };
    network.freeze(|name| name.contains("norm") || name.starts_with("block")).unwrap();
    assert_ne!(outputs(&mut network, 1), outputs(&mut network, 2));
    network.freeze(|name| name != "head").unwrap();
    assert_eq!(outputs(&mut network, 1), outputs(&mut network, 2));
    let inferred = network.forward(&images).unwrap();
    let trained = outputs(&mut network, 3);
    assert_close("outputs", &trained, inferred.iter().map(|&v| f64::from(v)), 1e-4);
}

/// What only a head trains for is computed as in inference: its memory does not grow with its depth.
#[test]
fn frozen_layers_before_the_first_that_trains_keep_nothing() {
    let memory = |blocks: usize, frozen: bool| {
        let builder = (0..blocks).fold(Network::builder((32, 32, 8)), |builder, _| {
            builder.add(Conv2d::new(8, 3)).add(BatchNorm::new()).add(Relu)
        });
        let mut network = builder.add(GlobalAvgPool).add_named("head", Dense::new(2)).build().unwrap();
        network.freeze(|name| frozen && name != "head").unwrap();
        let spec = network.spec().clone();
        floret::network::NetworkBuilder::from_spec(spec).training_memory(4).unwrap()
    };
    let weights = |blocks: u64| blocks * 4 * (8 * 8 * 9 + 8 + 6 * 8);
    assert!(memory(20, true) < memory(2, true) + weights(20));
    assert!(memory(20, false) > memory(2, false) + 18 * 2 * 4 * 4 * 32 * 32 * 8);
}

#[test]
fn what_is_frozen_and_the_rates_stay_with_the_network() {
    let mut network = network();
    network.freeze(|name| name != "head").unwrap();
    network.scale_learning_rates(|name| if name == "head" { 10.0 } else { 1.0 }).unwrap();
    let summary = network.summary();
    assert!(summary.contains("conv2d, frozen") && summary.contains("27 parameters train"), "{summary}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net");
    let classes = ["a", "b", "c"].map(String::from).into();
    let info = ModelInfo { classes, preprocess: Preprocess::new(12) };
    save_model(&path, &network, &info).unwrap();
    let (loaded, _) = load_model(&path).unwrap();
    assert_eq!(loaded.spec(), network.spec());
    assert_eq!(loaded.summary(), summary);
}

/// A rate of a layer's own is that of an optimizer with this rate, decay included.
#[test]
fn rates_of_layers_multiply_the_optimizers() {
    let (images, labels) = photos();
    let train = |rate: f32, factor: f32| {
        let mut network = network();
        network.scale_learning_rates(|_| factor).unwrap();
        let mut optimizer = Sgd::new(rate).momentum(0.5).weight_decay(0.1);
        for _ in 0..3 {
            network.train_step(&images, &labels, &mut optimizer).unwrap();
        }
        of(&network)
    };
    assert_eq!(train(0.25, 2.0), train(0.5, 1.0));
    assert_ne!(train(0.25, 1.0), train(0.5, 1.0));
}

#[test]
fn what_cannot_train_is_told() {
    let (images, labels) = photos();
    let mut network = network();
    network.freeze(|_| true).unwrap();
    let error = network.train_step(&images, &labels, &mut Sgd::new(0.1)).unwrap_err();
    assert_eq!(error, NetworkError::Frozen);
    for factor in [-1.0, f32::NAN, f32::INFINITY] {
        let before = network.spec().clone();
        let error = network.scale_learning_rates(|_| factor).unwrap_err().to_string();
        assert!(error.contains("layer `stem`: what the learning rate is multiplied by"), "{error}");
        assert_eq!(network.spec(), &before);
    }
    let layers =
        [NamedLayer::new("a", Conv2d::new(2, 1)).frozen(true), NamedLayer::new("b", Conv2d::new(2, 1))];
    let mut net = Sequential::new((2, 2, 2).into(), &layers, 0).unwrap();
    let mut x = vec![1.0; 8];
    net.forward(&x, 0);
    let error = net.backward(Input::Activation(&mut x), &[1.0; 8]).unwrap_err();
    assert!(error.to_string().contains("only where no layer is frozen"), "{error}");
}

/// An image large enough that inference computes the three convolutions of an inverted residual block together, as frozen layers of
/// training are; convolutions that train are computed one after another.
#[test]
fn a_block_computed_together_gives_what_its_convolutions_give() {
    let input = Shape::Image { height: 64, width: 66, channels: 4 };
    let relu6 = || Clip::new(0.0, 6.0);
    let mut layers: Vec<NamedLayer> = vec![
        NamedLayer::new("expand", Conv2d::new(32, 1).no_bias()),
        NamedLayer::new("expand_norm", BatchNorm::new()),
        NamedLayer::new("expand_relu", relu6()),
        NamedLayer::new("depthwise", Conv2d::depthwise(32, 3)),
        NamedLayer::new("depthwise_norm", BatchNorm::new()),
        NamedLayer::new("depthwise_relu", relu6()),
        NamedLayer::new("project", Conv2d::new(4, 1)),
        NamedLayer::new("project_norm", BatchNorm::new()),
        NamedLayer::new("sum", Add).from(["project_norm", "input"]),
        NamedLayer::new("pool", GlobalAvgPool),
        NamedLayer::new("head", Dense::new(3)),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let x: Vec<f32> = (0..3 * input.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
    let freeze = |layers: &mut [NamedLayer], which: &dyn Fn(&str) -> bool| {
        layers.iter_mut().for_each(|layer| layer.frozen = which(&layer.name));
    };
    freeze(&mut layers, &|name| name.ends_with("norm"));
    let mut trains = Sequential::new(input, &layers, 0).unwrap();
    draw(&mut trains, &mut rng);
    freeze(&mut layers, &|name| name != "head");
    let mut frozen = Sequential::new(input, &layers, 0).unwrap();
    for (name, values) in values(&trains) {
        frozen.set_array(&name, &values).unwrap();
    }
    let mut inferred = vec![0.0; 9];
    trains.infer(&x, &mut inferred);
    let one_by_one: Vec<f64> = trains.forward(&x, 0).iter().map(|&v| f64::from(v)).collect();
    assert_close("inference", &inferred, &one_by_one, 1e-5);
    assert_close("frozen layers of training", frozen.forward(&x, 0), &one_by_one, 1e-5);
}
