//! Networks to write: some of every kind of layer.

use floret::network::{Network, NetworkBuilder};
use floret::nn::{
    AvgPool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, LeakyRelu, MaxPool2d, Padding,
    Relu, Residual, Shape,
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
    for _ in 0..rng.random_range(1..5) {
        builder = image_layer(builder, rng);
    }
    builder = if rng.random() { builder.add(Flatten) } else { builder.add(GlobalAvgPool) };
    for _ in 0..rng.random_range(0..4) {
        builder = vector_layer(builder, rng);
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
            builder.add(pool.padding(padding(rng)))
        }
        4 => builder.add(BatchNorm::new().momentum(0.7).epsilon(0.01)),
        5 => builder.add(Relu).add(Dropout::new(0.5)),
        6 => builder.add(LeakyRelu::new(0.1)),
        _ => builder.add(residual(rng)),
    }
}

fn vector_layer(builder: NetworkBuilder, rng: &mut ChaCha8Rng) -> NetworkBuilder {
    match rng.random_range(0..5) {
        0 => builder.add(Dense::new(rng.random_range(1..9))),
        1 => builder.add(Dense::new(rng.random_range(1..9)).no_bias()),
        2 => builder.add(BatchNorm::new()),
        3 => builder.add(Relu).add(Dropout::new(0.2)),
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
