//! Networks whose ways part and meet: outputs against those of the layers one by one, gradients against differences, memory, and
//! what is refused.

use std::collections::BTreeMap;

use floret::network::Network;
use floret::nn::{
    Add, AvgPool2d, BatchNorm, Concat, Conv2d, Dense, Flatten, GlobalAvgPool, HardSwish, Init, Input,
    LayerSpec, LeakyRelu, Multiply, NamedLayer, Relu, Relu6, Residual, Sequential, Shape, Silu,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::assert_close;
use crate::gradients::check_named;

/// Channels of every value that several may take.
pub const CHANNELS: usize = 3;

fn conv(kernel: usize) -> Conv2d {
    Conv2d::new(CHANNELS, kernel).kernel_init(Init::HeNormal).bias_init(Init::TruncatedNormal { stddev: 0.5 })
}

/// Kinds of layers that [`random`] draws whose outputs have no kinks, and all.
pub const SMOOTH: usize = 8;
const KINDS: usize = 12;

/// A graph of layers that take any values before them, also twice, and in which every value is taken; of the first
/// `kinds` kinds.
pub fn random(rng: &mut ChaCha8Rng, kinds: usize) -> Vec<NamedLayer> {
    let mut layers = Vec::new();
    let mut values = vec!["input".to_owned()];
    let mut unused: Vec<String> = Vec::new();
    for index in 0..rng.random_range(3..9) {
        // One of them, and not as often those long past.
        let any = |rng: &mut ChaCha8Rng| {
            values[rng.random_range(0..values.len()).max(rng.random_range(0..values.len()))].clone()
        };
        let name = format!("v{index}");
        let mut add = |name: &str, layer: LayerSpec, from: Vec<String>| {
            unused.retain(|value| !from.contains(value));
            layers.push(NamedLayer::new(name, layer).from(from));
        };
        match rng.random_range(0..kinds) {
            0 | 1 => {
                let kernel = [1, 3][rng.random_range(0..2)];
                add(&name, conv(kernel).into(), vec![any(rng)]);
            }
            2 => add(&name, AvgPool2d::new(3).stride(1).into(), vec![any(rng)]),
            3 => {
                let from = (0..rng.random_range(2..4)).map(|_| any(rng)).collect();
                add(&name, Add.into(), from);
            }
            // A convolution with a sum and an activation behind it; those with kinks are not among the smooth.
            7..12 if kinds == KINDS || rng.random_bool(0.7) => {
                let activations: [LayerSpec; 5] =
                    [Silu.into(), Relu.into(), Relu6.into(), HardSwish.into(), LeakyRelu::new(0.1).into()];
                let drawn = rng.random_range(0..if kinds == KINDS { 5 } else { 1 });
                let mut at = format!("{name}_conv");
                let conv =
                    if rng.random_bool(0.3) { conv(3).groups(CHANNELS) } else { conv([1, 3][drawn % 2]) };
                add(&at, conv.into(), vec![any(rng)]);
                if rng.random_bool(0.6) {
                    let (sum, mut from) = (format!("{name}_sum"), vec![at, any(rng)]);
                    from.rotate_left(rng.random_range(0..2));
                    add(&sum, Add.into(), from);
                    at = sum;
                }
                add(&name, activations[drawn].clone(), vec![at]);
            }
            7 => {
                let (sum, from) = (format!("{name}_sum"), vec![any(rng), any(rng)]);
                add(&sum, Add.into(), from);
                add(&name, Silu.into(), vec![sum]);
            }
            4 => {
                let joined = format!("{name}_all");
                add(&joined, Concat.into(), vec![any(rng), any(rng), any(rng)]);
                add(&name, conv(1).into(), vec![joined]);
            }
            5 => {
                // Squeeze-and-excitation: a gate of the channels' means.
                let (x, means, gate) = (format!("{name}_x"), format!("{name}_means"), format!("{name}_gate"));
                add(&x, conv(1).into(), vec![any(rng)]);
                add(&means, GlobalAvgPool.into(), vec![x.clone()]);
                add(&gate, Dense::new(CHANNELS).kernel_init(Init::HeNormal).into(), vec![means]);
                add(&name, Multiply.into(), vec![x, gate]);
            }
            _ => {
                let [a, b] = ["a", "b"].map(|part| format!("{name}_{part}"));
                add(&a, conv(3).into(), vec![any(rng)]);
                add(&b, AvgPool2d::new(2).stride(1).into(), vec![any(rng)]);
                add(&name, Multiply.into(), vec![b, a]);
            }
        }
        unused.push(name.clone());
        values.push(name);
    }
    // The last value is the output; the sum takes whatever nothing has taken.
    if unused.len() > 1 {
        layers.push(NamedLayer::new("sum", Add).from(unused));
    }
    layers
}

pub fn input() -> impl Strategy<Value = (Shape, usize)> {
    ((1usize..6, 1usize..6).prop_map(|(h, w)| Shape::from((h, w, CHANNELS))), 1usize..4)
}

/// The output of each layer by its name, computed one by one: layers of one input alone, what joins several here.
fn one_by_one(layers: &[NamedLayer], net: &Sequential, x: &[f32], batch: usize) -> Vec<f32> {
    let mut values = BTreeMap::from([("input".to_owned(), (net.input(), x.to_vec()))]);
    let mut last = "input".to_owned();
    for layer in layers {
        let from = if layer.from.is_empty() { vec![last.clone()] } else { layer.from.clone() };
        let inputs: Vec<&(Shape, Vec<f32>)> = from.iter().map(|name| &values[name]).collect();
        let (shape, x) = inputs[0];
        let rows = |shape: &Shape| batch * shape.len() / shape.channels();
        let output = match layer.layer {
            LayerSpec::Add(_) => {
                let sum = |index| inputs.iter().map(|(_, values)| values[index]).sum();
                (*shape, (0..x.len()).map(sum).collect())
            }
            LayerSpec::Multiply(_) => {
                let (of_gate, gate) = inputs[1];
                let each = x.len() / batch;
                let factor = |index: usize| match of_gate {
                    Shape::Vector(c) => gate[index / each * c + index % c],
                    _ => gate[index],
                };
                (*shape, x.iter().enumerate().map(|(index, x)| x * factor(index)).collect())
            }
            LayerSpec::Concat(_) => {
                let Shape::Image { height, width, .. } = *shape else { panic!("{shape}") };
                let channels = inputs.iter().map(|(shape, _)| shape.channels()).sum();
                let row = |row: usize| {
                    inputs.iter().flat_map(move |(shape, values)| {
                        let c = shape.channels();
                        values[row * c..(row + 1) * c].to_vec()
                    })
                };
                (Shape::from((height, width, channels)), (0..rows(shape)).flat_map(row).collect())
            }
            _ => {
                let alone = [NamedLayer::new(layer.name.as_str(), layer.layer.clone())];
                let mut alone = Sequential::new(*shape, &alone, 0).unwrap();
                for (param, values) in net.arrays() {
                    if param.name.rsplit_once('/').is_some_and(|(name, _)| name == layer.name) {
                        alone.set_array(&param.name, values.as_slice().unwrap()).unwrap();
                    }
                }
                let mut y = vec![0.0; batch * alone.output().len()];
                alone.infer(x, &mut y);
                (alone.output(), y)
            }
        };
        values.insert(layer.name.clone(), output);
        last.clone_from(&layer.name);
    }
    values.remove(&last).unwrap().1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn gradients_of_any_graph((input, batch) in input(), seed: u64) {
        let layers = random(&mut ChaCha8Rng::seed_from_u64(seed), SMOOTH);
        check_named(&layers, input, batch, seed);
    }

    #[test]
    fn outputs_of_any_graph_are_those_of_its_layers((input, batch) in input(), seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers = random(&mut rng, KINDS);
        let mut net = Sequential::new(input, &layers, seed).unwrap();
        let x: Vec<f32> = (0..batch * input.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let want: Vec<f64> = one_by_one(&layers, &net, &x, batch).into_iter().map(f64::from).collect();
        let mut inferred = vec![0.0; want.len()];
        net.infer(&x, &mut inferred);
        assert_close("inference", &inferred, &want, 1e-4);
        assert_close("training", net.forward(&x, 1), &want, 1e-4);
    }
}

/// A ReLU that is computed with the sum before it, against one that is not: a leaky one of slope 0. Both of a sum that is written
/// over one of its inputs, and of one that may not be.
#[test]
fn a_sum_with_its_relu_has_the_gradients_of_both() {
    for shared in [false, true] {
        let gradients = |relu: LayerSpec| {
            let mut layers = vec![
                NamedLayer::new("a", conv(3)),
                NamedLayer::new("b", conv(3)).from(["input"]),
                NamedLayer::new("sum", Add).from(["a", "b"]),
                NamedLayer::new("relu", relu),
                NamedLayer::new("y", conv(1)),
            ];
            if shared {
                layers.push(NamedLayer::new("all", Add).from(["y", "a", "b"]));
            }
            let mut net = Sequential::new((6, 5, 3).into(), &layers, 4).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let mut draw = |len| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
            let (mut x, dy) = (draw(2 * net.input().len()), draw(2 * net.output().len()));
            let y = net.forward(&x, 0).to_vec();
            net.backward(Input::Activation(&mut x), &dy).unwrap();
            let dw = net.gradients().flat_map(|(_, values)| values.iter().copied().collect::<Vec<_>>());
            [y, x, dw.collect()].concat().into_iter().map(f64::from).collect::<Vec<f64>>()
        };
        let (fused, apart) = (gradients(Relu.into()), gradients(LeakyRelu::new(0.0).into()));
        let fused: Vec<f32> = fused.iter().map(|&value| value as f32).collect();
        assert_close("outputs and gradients", &fused, &apart, 1e-6);
        assert!(fused.iter().any(|value| *value != 0.0));
    }
}

/// A block and the layers it stands for are the same network: the same arrays, and the same outputs.
#[test]
fn a_residual_block_is_its_layers() {
    let block = Residual::new().body(conv(3)).body(Relu).body(conv(3)).shortcut(conv(1));
    let short = Network::builder((5, 5, 3)).add_named("block", block).add(Flatten).add(Dense::new(2));
    let long = Network::builder((5, 5, 3))
        .add_from("block/body_1_conv2d", conv(3), ["input"])
        .add_named("block/body_2_relu", Relu)
        .add_named("block/body_3_conv2d", conv(3))
        .add_from("block/shortcut_1_conv2d", conv(1), ["input"])
        .add_from("block", Add, ["block/body_3_conv2d", "block/shortcut_1_conv2d"])
        .add(Flatten)
        .add(Dense::new(2));
    let [short, long] = [short, long].map(|builder| builder.seed(3).build().unwrap());
    let images = ndarray::Array4::from_shape_fn((2, 5, 5, 3), |(n, y, x, c)| {
        ((n + 2 * y + 3 * x + 5 * c) % 7) as f32 - 3.0
    });
    assert_eq!(short.forward(&images).unwrap(), long.forward(&images).unwrap());
    let names = |network: &Network| -> Vec<String> {
        network.arrays().map(|(param, _)| param.name.clone()).collect()
    };
    assert_eq!(names(&short), names(&long));
    assert_eq!(short.summary(), long.summary());
}

/// Values that nothing needs any more leave their memory to others: a long chain of layers that read none of their inputs
/// backward takes no more to train than a short one.
#[test]
fn memory_does_not_grow_with_the_depth_of_what_is_forgotten() {
    let memory = |blocks: usize, layer: &dyn Fn() -> LayerSpec| {
        let builder = (0..blocks).fold(Network::builder((16, 16, 8)), |builder, _| builder.add(layer()));
        builder.add(GlobalAvgPool).add(Dense::new(2)).training_memory(4).unwrap()
    };
    // Means keep nothing of their inputs; batch norms do.
    let pool = || LayerSpec::from(AvgPool2d::new(3).stride(1));
    assert_eq!(memory(4, &pool), memory(40, &pool));
    let norm = || LayerSpec::from(BatchNorm::new());
    assert!(memory(40, &norm) > 5 * memory(4, &norm));
}

fn refused(layers: &[NamedLayer]) -> String {
    Sequential::new((4, 4, 3).into(), layers, 1).unwrap_err().to_string()
}

#[test]
fn graphs_that_make_no_sense_are_refused() {
    let relu = || NamedLayer::new("relu", Relu);
    let message = refused(&[relu().from(["conv"])]);
    assert_eq!(message, "layer `relu`: it takes `conv`, but no layer before it has this name");
    let message = refused(&[NamedLayer::new("a", Relu), relu().from(["input"])]);
    assert!(message.starts_with("layer `a`: nothing takes its output"), "{message}");
    let message = refused(&[relu().from(["input", "input"])]);
    assert_eq!(message, "layer `relu`: it takes 1 input, got 2");
    let message = refused(&[NamedLayer::new("sum", Add)]);
    assert!(message.starts_with("layer `sum`: a sum takes two or more inputs, got 1"), "{message}");
    let small = || NamedLayer::new("small", AvgPool2d::new(2));
    for (layer, what) in [
        (LayerSpec::from(Add), "a sum takes values of one shape, got 2x2x3 and 4x4x3"),
        (
            Concat.into(),
            "a concatenation takes images of one height and width, or vectors, got 2x2x3 and 4x4x3",
        ),
        (
            Multiply.into(),
            "a product takes a value and a gate of its shape or with one factor for each channel, got 2x2x3 and 4x4x3",
        ),
    ] {
        let message = refused(&[small(), NamedLayer::new("join", layer).from(["small", "input"])]);
        assert_eq!(message, format!("layer `join`: {what}"));
    }
    let product = |from: [&str; 2]| {
        refused(&[NamedLayer::new("a", conv(1)), NamedLayer::new("product", Multiply).from(from)])
    };
    assert!(product(["a", "a"]).contains("two different values"), "{}", product(["a", "a"]));
    assert!(product(["a", "input"]).contains("the network's own input"), "{}", product(["a", "input"]));
}
