//! Networks to write: some of every kind of layer.

use floret::network::{Network, NetworkBuilder};
use floret::nn::{
    Add, AvgPool2d, BatchNorm, ChannelShuffle, ChannelSlice, Clip, Concat, Conv2d, Dense, Dropout, Flatten,
    Gelu, GlobalAvgPool, GlobalMaxPool, HardSigmoid, HardSwish, LayerNorm, LayerScale, LayerSpec, LeakyRelu,
    MaxPool2d, Multiply, Padding, Relu, Relu6, Residual, Shape, Sigmoid, Silu, StochasticDepth,
};
use ndarray::{Array4, ArrayD};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A network of layers that fit each other, with weights and moving averages of any value.
pub fn random(seed: u64) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    loop {
        if let Ok(mut network) = builder(&mut rng).build() {
            fill(&mut network, &mut rng);
            return network;
        }
    }
}

fn builder(rng: &mut ChaCha8Rng) -> NetworkBuilder {
    let mut side = || rng.random_range(3..12);
    let input = (side(), side(), rng.random_range(1..4));
    let mut builder = Network::builder(input);
    for number in 0..rng.random_range(1..6) {
        builder = match rng.random_range(0..4) {
            0 | 1 => image_layer(builder, rng),
            2 => builder.add(activation(rng)),
            _ => ways(builder, rng, number),
        };
    }
    builder = match rng.random_range(0..3) {
        0 => builder.add(Flatten),
        1 => builder.add(GlobalMaxPool),
        _ => builder.add(GlobalAvgPool),
    };
    for number in 0..rng.random_range(0..4) {
        builder = vector_layer(builder, rng, number);
    }
    builder.add_named("logits", Dense::new(rng.random_range(1..6))).test_time_flip(rng.random())
}

fn image_layer(builder: NetworkBuilder, rng: &mut ChaCha8Rng) -> NetworkBuilder {
    match rng.random_range(0..8) {
        0 | 1 => builder.add(conv(rng)),
        2 => {
            let (height, stride) = (rng.random_range(1..4), rng.random_range(1..3));
            builder.add(MaxPool2d::new((height, 2)).stride((2, stride)).padding(padding(rng)))
        }
        3 => {
            let pool = AvgPool2d::new((2, rng.random_range(1..4))).stride((1, 2));
            builder.add(pool.padding(padding(rng)).count_padding(rng.random()))
        }
        4 => builder.add(BatchNorm::new().momentum(0.7).epsilon(0.01)),
        5 => builder.add(LayerNorm::new().epsilon(0.02)).add(Dropout::new(0.5)),
        6 => builder.add(LayerScale::new(0.5)).add(StochasticDepth::new(0.5)),
        _ => builder.add(residual(rng)),
    }
}

fn activation(rng: &mut ChaCha8Rng) -> LayerSpec {
    match rng.random_range(0..10) {
        0 => Relu.into(),
        1 => LeakyRelu::new(0.1).into(),
        2 => Relu6.into(),
        // Bounds that each of the other activations goes beyond: what changes nothing does not come back.
        3 => Clip::new(0.1, 0.9).into(),
        4 => Sigmoid.into(),
        5 => HardSigmoid.into(),
        6 => Silu.into(),
        7 => HardSwish.into(),
        8 => Gelu::new().into(),
        _ => Gelu::new().approximate().into(),
    }
}

/// Ways that part and meet again, from six channels to six.
fn ways(builder: NetworkBuilder, rng: &mut ChaCha8Rng, number: usize) -> NetworkBuilder {
    let name = |part: &str| format!("ways{number}/{part}");
    let (x, a, b, gate) = (name("x"), name("a"), name("b"), name("gate"));
    let builder = builder.add_named(&x, Conv2d::new(6, 3));
    let side = |groups: usize| Conv2d::new(6, 3).groups(groups);
    match rng.random_range(0..6) {
        // Squeeze and excitation.
        0 => {
            let builder = builder.add(GlobalAvgPool).add(Dense::new(2)).add(Silu).add(Dense::new(6));
            builder.add_named(&gate, Sigmoid).add_from(name("scaled"), Multiply, [&x, &gate])
        }
        1 => {
            let builder = builder.add_named(&a, side(3)).add_from(&b, side(6).no_bias(), [&x]);
            builder.add_from(name("sum"), Add, [&a, &b, &x])
        }
        // ShuffleNet's unit.
        2 => {
            let builder = builder.add_named(&a, ChannelSlice::new(0, 2));
            let builder = builder.add_from(&b, ChannelSlice::new(2, 4), [&x]).add(Conv2d::new(4, 1));
            let builder = builder.add_named(&gate, Relu).add_from(name("both"), Concat, [&a, &gate]);
            builder.add(ChannelShuffle::new(rng.random_range(2..4)))
        }
        // Dense blocks take what came before again.
        3 => {
            let builder = builder.add_named(&a, Conv2d::new(2, 1)).add_from(&b, Concat, [&a, &x]);
            builder.add(Conv2d::depthwise(8, 3)).add(Conv2d::new(6, 1))
        }
        4 => {
            let builder = builder.add_named(&a, Conv2d::new(6, 1)).add_from(&b, Conv2d::new(6, 1), [&x]);
            builder.add_from(name("product"), Multiply, [&a, &b])
        }
        // A gate of an image of one pixel.
        _ => {
            let builder = builder.add(AvgPool2d::new((11, 11)).padding(Padding::Same).stride(11));
            let builder = builder.add_named(&gate, Conv2d::new(6, 1));
            builder.add_from(name("scaled"), Multiply, [&x, &gate])
        }
    }
}

fn vector_layer(builder: NetworkBuilder, rng: &mut ChaCha8Rng, number: usize) -> NetworkBuilder {
    let name = |part: &str| format!("vectors{number}/{part}");
    match rng.random_range(0..8) {
        0 => builder.add(Dense::new(rng.random_range(1..9))),
        1 => builder.add(Dense::new(rng.random_range(1..9)).no_bias()),
        2 => builder.add(BatchNorm::new()),
        3 => builder.add(activation(rng)).add(Dropout::new(0.2)),
        4 => builder.add(LayerNorm::new()).add(LayerScale::new(2.0)),
        5 => builder.add(Dense::new(6)).add(ChannelShuffle::new(2)).add(ChannelSlice::new(1, 5)),
        6 => {
            let (a, b, product) = (name("a"), name("b"), name("product"));
            let builder = builder.add_named(&a, Dense::new(4)).add_named(&b, Dense::new(4));
            let builder = builder.add_from(&product, Multiply, [&a, &b]);
            builder.add_from(name("all"), Concat, [&a, &product, &b])
        }
        _ => builder.add(Residual::new().body(Dense::new(4)).shortcut(Dense::new(4).no_bias())),
    }
}

fn residual(rng: &mut ChaCha8Rng) -> Residual {
    let stride = rng.random_range(1..3);
    let body =
        Residual::new().body(Conv2d::new(3, 3).stride(stride)).body(Relu).body(Conv2d::new(3, 3).no_bias());
    let block = body.shortcut(Conv2d::new(3, 1).stride(stride)).shortcut(BatchNorm::new());
    if rng.random() {
        Residual::new().body(block).body(LeakyRelu::new(0.3)).shortcut(Conv2d::new(3, 2).stride(stride))
    } else {
        block
    }
}

fn conv(rng: &mut ChaCha8Rng) -> Conv2d {
    let mut size = || rng.random_range(1..4);
    let (kernel, stride) = ((size(), size()), (size(), size()));
    let conv = Conv2d::new(size(), kernel).stride(stride).padding(padding(rng));
    let conv = if rng.random() { conv.dilation(2) } else { conv };
    if rng.random() { conv.no_bias() } else { conv }
}

fn padding(rng: &mut ChaCha8Rng) -> Padding {
    match rng.random_range(0..4) {
        0 => Padding::Valid,
        1 => Padding::Explicit {
            top: rng.random_range(0..2),
            bottom: rng.random_range(0..2),
            left: 1,
            right: 0,
        },
        _ => Padding::Same,
    }
}

/// Gives every array values; variances are not negative.
fn fill(network: &mut Network, rng: &mut ChaCha8Rng) {
    let shapes: Vec<_> =
        network.arrays().map(|(param, _)| (param.name.clone(), param.shape.clone())).collect();
    for (name, shape) in shapes {
        let low = if name.ends_with("variance") { 0.1 } else { -1.0 };
        let values = ArrayD::from_shape_fn(shape, |_| rng.random_range(low..1.0));
        network.set_array(&name, values.view()).unwrap();
    }
}

/// A batch of images of the network's size.
pub fn images(network: &Network, batch: usize, seed: u64) -> Array4<f32> {
    let Shape::Image { height, width, channels } = network.input() else { panic!("it takes images") };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array4::from_shape_fn((batch, height, width, channels), |_| rng.random_range(-2.0..2.0))
}
