//! Numeric gradient checks: every layer's backward pass against differences of its forward pass, over random shapes.
//!
//! For a random direction v and the scalar `L = sum of dy y`, the derivative along v is `dx . v` (and `dw . v`), which must
//! equal `(L(x + e v) - L(x - e v)) / 2e`. One direction tests all values at once: a single wrong value shifts it.
//!
//! Inputs are spaced values in random order, at least 2.2e apart and as far from 0, so that no ReLU and no maximum
//! changes its mind within the difference.

use crate::common::instruction_sets;
use floret::nn::{
    AvgPool2d, BatchNorm, ChannelShuffle, ChannelSlice, Clip, Conv2d, Dense, Dropout, Flatten, Gelu,
    GlobalAvgPool, GlobalMaxPool, HardSigmoid, HardSwish, HeightWidth, Init, Input, LayerNorm, LayerScale,
    LayerSpec, LeakyRelu, MaxPool2d, NamedLayer, Padding, Relu, Relu6, Residual, Sequential, Shape, Sigmoid,
    Silu, StochasticDepth,
};
use floret_math::simd::Isa;
use floret_math::window::Window;
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Half the step of the central difference. Float32 outputs of magnitude 1 carry rounding of about 1e-7 each, which
/// this turns into an error of about 1e-4 of the derivative; its own error (third derivatives) is mostly smaller.
const STEP: f32 = 2e-3;

/// Largest difference allowed, relative to the root sum of squares of what `dx . v` adds up.
const TOLERANCE: f64 = 1e-2;

/// What rounding may add for each unit of the loss: Winograd's tiles round outputs to some 6e-6 of their size (`tests/accuracy.rs`
/// prints it), which the difference divides by two steps.
const ROUNDING: f64 = 2e-3;

fn spaced(len: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let spacing = (3.0 / len as f32).max(2.2 * STEP);
    let mut values: Vec<f32> = (0..len).map(|i| (i as f32 + 0.5 - (len as f32) / 2.0) * spacing).collect();
    // An odd count would put one value on 0 itself.
    values.iter_mut().for_each(|v| *v += if *v >= 0.0 { spacing } else { 0.0 });
    values.shuffle(rng);
    values
}

fn direction(len: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn moved(values: &[f32], direction: &[f32], by: f32) -> Vec<f32> {
    values.iter().zip(direction).map(|(v, d)| v + by * d).collect()
}

/// `size` is the root sum of squares of what the loss adds up: its rounding grows with it.
fn compare(what: &str, size: f64, gradient: &[f32], direction: &[f32], mut loss: impl FnMut(f32) -> f64) {
    let products: Vec<f64> =
        gradient.iter().zip(direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).collect();
    let (analytic, scale) =
        (products.iter().sum::<f64>(), products.iter().map(|p| p * p).sum::<f64>().sqrt());
    let mut difference = |step: f32| (loss(step) - loss(-step)) / (2.0 * f64::from(step));
    let is_near = |numeric: f64| (analytic - numeric).abs() <= TOLERANCE * scale + ROUNDING * size.max(1.0);
    let mut numeric = difference(STEP);
    if !is_near(numeric) {
        // Products of products have large third derivatives, whose error grows with the step's square.
        numeric = (4.0 * difference(STEP / 2.0) - numeric) / 3.0;
    }
    assert!(
        is_near(numeric),
        "{what}: backward says {analytic}, differences {numeric} (scale {scale}, size {size})"
    );
}

/// Checks the gradients of all inputs and weights of `layers` over one random batch.
pub(crate) fn check(layers: Vec<LayerSpec>, input: Shape, batch: usize, seed: u64) {
    let x = spaced(batch * input.len(), &mut ChaCha8Rng::seed_from_u64(seed));
    check_at(&layers, input, &x, seed);
}

/// [`check`] at given inputs.
fn check_at(layers: &[LayerSpec], input: Shape, x: &[f32], seed: u64) {
    let named = |(index, layer): (usize, &LayerSpec)| NamedLayer::new(format!("l{index}"), layer.clone());
    check_named_at(&layers.iter().enumerate().map(named).collect::<Vec<_>>(), input, x, seed);
}

/// [`check`] of layers that name what they take.
pub(crate) fn check_named(layers: &[NamedLayer], input: Shape, batch: usize, seed: u64) {
    let x = spaced(batch * input.len(), &mut ChaCha8Rng::seed_from_u64(seed));
    check_named_at(layers, input, &x, seed);
}

fn check_named_at(layers: &[NamedLayer], input: Shape, x: &[f32], seed: u64) {
    for isa in instruction_sets() {
        check_with(isa, layers, input, x, seed);
    }
}

fn check_with(isa: Isa, layers: &[NamedLayer], input: Shape, x: &[f32], seed: u64) {
    let mut net = Sequential::with_isa(input, layers, seed, isa).expect("the layers fit");
    // Another stream than that of the inputs.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    let dy = direction(x.len() / input.len() * net.output().len(), &mut rng);
    let loss = |net: &mut Sequential, x: &[f32]| -> f64 {
        net.forward(x, seed).iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum()
    };
    let outputs = net.forward(x, seed).iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d));
    let size = outputs.map(|term| term * term).sum::<f64>().sqrt();
    let mut dx = x.to_vec();
    net.backward(Input::Activation(&mut dx), &dy).expect("forward was run");
    let gradients: Vec<(String, Vec<f32>, Vec<f32>)> = net
        .gradients()
        .zip(net.arrays())
        .map(|((p, g), (_, w))| (p.name.clone(), g.iter().copied().collect(), w.iter().copied().collect()))
        .collect();

    let v = direction(x.len(), &mut rng);
    compare(&format!("{isa:?} dx"), size, &dx, &v, |by| loss(&mut net, &moved(x, &v, by)));
    for (name, gradient, weights) in gradients {
        let v = direction(weights.len(), &mut rng);
        compare(&format!("{isa:?} {name}"), size, &gradient, &v, |by| {
            net.set_array(&name, &moved(&weights, &v, by)).unwrap();
            let value = loss(&mut net, x);
            net.set_array(&name, &weights).unwrap();
            value
        });
    }
}

fn image() -> impl Strategy<Value = (Shape, usize)> {
    ((1usize..8, 1usize..8, 1usize..6).prop_map(Shape::from), 1usize..4)
}

fn padding() -> impl Strategy<Value = Padding> {
    let explicit = (0usize..3, 0usize..3, 0usize..3, 0usize..3);
    let explicit =
        explicit.prop_map(|(top, bottom, left, right)| Padding::Explicit { top, bottom, left, right });
    prop_oneof![Just(Padding::Same), Just(Padding::Valid), explicit]
}

/// Kernels of unit variance, so that gradients are well above the differences' rounding.
fn conv(filters: usize, kernel: impl Into<HeightWidth>) -> Conv2d {
    Conv2d::new(filters, kernel).kernel_init(Init::HeNormal).bias_init(Init::TruncatedNormal { stddev: 0.5 })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn convolution(
        (input, batch) in image(), filters in 1usize..6, kernel in (1usize..6, 1usize..6),
        stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3), padding in padding(), seed: u64,
    ) {
        let layer = conv(filters, kernel).stride(stride).dilation(dilation).padding(padding);
        let Shape::Image { height, width, .. } = input else { unreachable!() };
        let window = Window::new((height, width), kernel, stride, dilation, padding);
        prop_assume!(window.is_some());
        check(vec![layer.into()], input, batch, seed);
    }

    #[test]
    fn grouped_convolution(
        (height, width, batch) in (1usize..9, 1usize..9, 1usize..4), (groups, of_in, of_out) in (1usize..5, 1usize..4, 1usize..4),
        side in prop_oneof![Just(1usize), Just(3), Just(5), Just(7)], stride in 1usize..3, dilation in 1usize..3,
        padding in padding(), seed: u64,
    ) {
        prop_assume!(Window::new((height, width), (side, side), (stride, stride), (dilation, dilation), padding).is_some());
        let settings = |layer: Conv2d| layer.stride(stride).dilation(dilation).padding(padding);
        let input = (height, width, groups * of_in).into();
        let grouped = settings(conv(groups * of_out, side).groups(groups));
        check(vec![grouped.clone().into()], input, batch, seed);
        check(vec![grouped.no_bias().into(), AvgPool2d::new(2).into()], input, batch, seed);
        let input = (height, width, groups).into();
        let depthwise = Conv2d::depthwise(groups, side).kernel_init(Init::HeNormal);
        check(vec![settings(depthwise).into()], input, batch, seed);
    }

    #[test]
    fn pools((input, batch) in image(), size in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4), padding in padding(), seed: u64) {
        let Shape::Image { height, width, .. } = input else { unreachable!() };
        prop_assume!(Window::new((height, width), size, stride, (1, 1), padding).is_some());
        check(vec![MaxPool2d::new(size).stride(stride).padding(padding).into()], input, batch, seed);
        check(vec![AvgPool2d::new(size).stride(stride).padding(padding).into()], input, batch, seed);
        let counting = AvgPool2d::new(size).stride(stride).padding(padding).count_padding(true);
        check(vec![counting.into()], input, batch, seed);
        check(vec![GlobalAvgPool.into()], input, batch, seed);
        check(vec![GlobalMaxPool.into()], input, batch, seed);
    }

    #[test]
    fn dense(inputs in 1usize..40, units in 1usize..40, batch in 1usize..5, seed: u64) {
        let layer = Dense::new(units).kernel_init(Init::HeNormal).bias_init(Init::TruncatedNormal { stddev: 0.5 });
        check(vec![layer.clone().into()], Shape::Vector(inputs), batch, seed);
        check(vec![layer.no_bias().into()], Shape::Vector(inputs), batch, seed);
    }

    #[test]
    fn value_by_value((input, batch) in image(), seed: u64) {
        check(vec![Relu.into()], input, batch, seed);
        check(vec![LeakyRelu::new(0.2).into()], input, batch, seed);
        check(vec![Dropout::new(0.4).into()], input, batch, seed);
        check(vec![Flatten.into(), Relu.into()], input, batch, seed);
    }

    /// Inputs from -7 to 7, which meet every branch of the hard ones, and none close to where it bends.
    #[test]
    fn activations((input, batch) in image(), seed: u64) {
        let bends = [-3.0, -0.5, 0.0, 0.75, 3.0, 6.0];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let off_bends = |x: f32| match bends.iter().find(|bend| (x - **bend).abs() < 2.0 * STEP) {
            Some(bend) => bend + 2.0 * STEP,
            None => x,
        };
        let x: Vec<f32> =
            (0..batch * input.len()).map(|_| off_bends(rng.random_range(-7.0..7.0))).collect();
        let layers: [LayerSpec; 8] = [
            Relu6.into(), Clip::new(-0.5, 0.75).into(), Sigmoid.into(), HardSigmoid.into(), Silu.into(), HardSwish.into(),
            Gelu::new().into(), Gelu::new().approximate().into(),
        ];
        for layer in layers {
            check_at(&[layer], input, &x, seed);
        }
    }

    #[test]
    fn channels((input, batch) in image(), groups in 1usize..4, (start, len, rest) in (0usize..4, 1usize..4, 0usize..3), seed: u64) {
        let Shape::Image { height, width, channels } = input else { unreachable!() };
        let shuffled = (height, width, groups * channels).into();
        check(vec![ChannelShuffle::new(groups).into()], shuffled, batch, seed);
        let sliced = (height, width, start + len + rest).into();
        check(vec![ChannelSlice::new(start, len).into()], sliced, batch, seed);
        let vector = Shape::Vector(start + len + rest);
        check(vec![ChannelSlice::new(start, len).into(), ChannelShuffle::new(len).into()], vector, batch, seed);
    }

    #[test]
    fn scales((input, batch) in image(), seed: u64) {
        check(vec![LayerScale::new(0.7).into()], input, batch, seed);
        check(vec![LayerScale::new(-0.3).into()], Shape::Vector(input.len()), batch, seed);
        check(vec![StochasticDepth::new(0.4).into()], input, batch, seed);
    }

    /// At least 5 channels, and an epsilon of the size of small variances: the normalized values of two equal ones bend within the
    /// difference.
    #[test]
    fn layer_norm(height in 1usize..5, width in 1usize..5, channels in 5usize..40, batch in 1usize..4, seed: u64) {
        let norm = LayerNorm::new().epsilon(0.05);
        // The second one's gradient, of what it got from the first, is no longer any direction.
        let layers = vec![norm.into(), LayerScale::new(1.5).into(), norm.into()];
        check(layers.clone(), (height, width, channels).into(), batch, seed);
        check(layers, Shape::Vector(channels), batch, seed);
    }

    /// At least 8 values a channel: with fewer, the normalized values bend within the difference.
    #[test]
    fn batch_norm(height in 2usize..6, width in 2usize..6, channels in 1usize..5, batch in 2usize..5, seed: u64) {
        let input = (height, width, channels).into();
        check(vec![BatchNorm::new().into()], input, batch, seed);
        check(vec![BatchNorm::new().into(), Silu.into()], input, batch, seed);
        // As in `models::residual`, but for what has kinks, and for the bias, which batch norm takes away again.
        let block = Residual::new().body(conv(channels, 3).no_bias()).body(BatchNorm::new());
        check(vec![block.clone().into(), block.into()], input, batch, seed);
    }

    /// Smooth layers only: behind another layer the inputs of a ReLU are not spaced.
    #[test]
    fn residual((input, batch) in image(), seed: u64, stride in 1usize..3) {
        let channels = input.channels();
        let identity = Residual::new().body(conv(3, 3)).body(conv(channels, 3));
        check(vec![identity.clone().into()], input, batch, seed);
        let projected = Residual::new().body(conv(4, 3).stride(stride)).shortcut(conv(4, 1).stride(stride));
        check(vec![projected.clone().into()], input, batch, seed);
        let nested = Residual::new().body(identity).body(AvgPool2d::new(2)).shortcut(AvgPool2d::new(2));
        check(vec![nested.into(), projected.into()], input, batch, seed);
    }

    /// A convolution computed together with the ReLU and the max-pool behind it gives what the three give apart. (A leaky
    /// ReLU of slope 0 is a ReLU that is not fused.)
    #[test]
    fn fused_layers((input, batch) in image(), filters in 1usize..20, side in prop_oneof![Just(3), Just(5), Just(2)], seed: u64) {
        let convolution = conv(filters, side).bias_init(Init::Constant(0.0));
        let run = |isa: Isa, relu: LayerSpec, pooled: bool| {
            let mut layers = vec![convolution.clone().into(), relu];
            layers.extend(pooled.then(|| MaxPool2d::new(2).into()));
            let named: Vec<NamedLayer> =
                layers.into_iter().enumerate().map(|(i, layer)| NamedLayer::new(format!("l{i}"), layer)).collect();
            let mut net = Sequential::with_isa(input, &named, seed, isa).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let x = spaced(batch * input.len(), &mut rng);
            let y = net.forward(&x, 0).to_vec();
            let mut dx = x;
            net.backward(Input::Activation(&mut dx), &direction(y.len(), &mut rng)).unwrap();
            let gradients: Vec<f32> = net.gradients().flat_map(|(_, g)| g.iter().copied().collect::<Vec<_>>()).collect();
            (y, dx, gradients)
        };
        for (isa, pooled) in instruction_sets().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
            let (y, dx, gradients) = run(isa, Relu.into(), pooled);
            let (want_y, want_dx, want_gradients) = run(isa, LeakyRelu::new(0.0).into(), pooled);
            prop_assert_eq!(y, want_y);
            prop_assert_eq!(dx, want_dx);
            // Sums for the bias run over other numbers of rows.
            let largest = want_gradients.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (g, w) in gradients.iter().zip(&want_gradients) {
                prop_assert!((g - w).abs() <= 1e-5 * largest, "{} {}", g, w);
            }
        }
    }

    #[test]
    fn a_chain((input, batch) in image(), seed: u64) {
        let layers = vec![
            conv(4, 3).into(), AvgPool2d::new(2).into(), conv(3, 5).into(), Flatten.into(),
            Dense::new(5).kernel_init(Init::HeNormal).into(),
        ];
        check(layers, input, batch, seed);
    }
}

/// Stochastic depth drops whole examples, each by itself, and is the identity in inference.
#[test]
fn stochastic_depth_keeps_the_mean_of_whole_examples() {
    const EXAMPLES: usize = 10_000;
    let named = [NamedLayer::new("depth", StochasticDepth::new(0.25))];
    let mut net = Sequential::new(Shape::Vector(3), &named, 0).unwrap();
    let x: Vec<f32> = (1..=3 * EXAMPLES).map(|i| i as f32).collect();
    let y = net.forward(&x, 9).to_vec();
    let mut kept = 0;
    for (x, y) in x.chunks_exact(3).zip(y.chunks_exact(3)) {
        if y != [0.0; 3] {
            kept += 1;
            x.iter().zip(y).for_each(|(x, y)| assert_eq!(*y, (1.0 / 0.75) * x));
        }
    }
    // Within four standard deviations.
    let deviation = (EXAMPLES as f64 * 0.25 * 0.75).sqrt();
    assert!((f64::from(kept) - 0.75 * EXAMPLES as f64).abs() < 4.0 * deviation, "{kept}");
    // What becomes of an example does not depend on how many there are; another step decides anew.
    assert_eq!(net.forward(&x[..300], 9), &y[..300]);
    assert_ne!(net.forward(&x[..300], 10), &y[..300]);
    let mut z = vec![0.0; x.len()];
    net.infer(&x, &mut z);
    assert_eq!(z, x);
}

#[test]
fn global_max_pool_takes_the_first_of_equals_and_passes_nan_on() {
    let named = [NamedLayer::new("pool", GlobalMaxPool)];
    let mut net = Sequential::new((2, 2, 2).into(), &named, 0).unwrap();
    let x = [-2.0, 5.0, -1.0, f32::NAN, -1.0, 7.0, -3.0, f32::NAN];
    let y = net.forward(&x, 0).to_vec();
    assert!(y[0] == -1.0 && y[1].is_nan(), "{y:?}");
    let mut dx = x;
    net.backward(Input::Activation(&mut dx), &[10.0, 20.0]).unwrap();
    assert_eq!(dx, [0.0, 0.0, 10.0, 20.0, 0.0, 0.0, 0.0, 0.0]);
    let mut z = [0.0; 2];
    net.infer(&x, &mut z);
    assert!(z[0] == -1.0 && z[1].is_nan(), "{z:?}");
}

/// A convolution of several groups leaves the ReLU behind it to itself.
#[test]
fn grouped_convolutions_are_not_fused() {
    let relu: [LayerSpec; 2] = [Relu.into(), LeakyRelu::new(0.0).into()];
    for layer in [conv(4, 3).groups(2), Conv2d::depthwise(4, 3)] {
        let [y, want] = relu.clone().map(|relu| {
            let layers: [LayerSpec; 3] = [layer.clone().into(), relu, MaxPool2d::new(2).into()];
            let named: Vec<_> =
                (0..).zip(layers).map(|(i, layer)| NamedLayer::new(format!("l{i}"), layer)).collect();
            let mut net = Sequential::new((5, 6, 4).into(), &named, 7).unwrap();
            let x = direction(2 * 5 * 6 * 4, &mut ChaCha8Rng::seed_from_u64(3));
            net.forward(&x, 0).to_vec()
        });
        assert_eq!(y, want);
        assert!(y.iter().any(|&y| y > 0.0));
    }
}

/// What does not fit is said with the numbers.
#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused: [(LayerSpec, &str); 9] = [
        (Conv2d::new(8, 3).groups(3).into(), "3 groups do not divide 6 input channels and 8 filters"),
        (Conv2d::new(6, 3).groups(4).into(), "4 groups do not divide 6 input channels and 6 filters"),
        (Conv2d::new(6, 3).groups(0).into(), "0 groups do not divide 6 input channels and 6 filters"),
        (ChannelShuffle::new(4).into(), "4 groups do not divide 6 channels"),
        (ChannelSlice::new(3, 4).into(), "4 channels from channel 3 on are no part of 6 channels"),
        (Clip::new(2.0, 1.0).into(), "min under max, not 2 and 1"),
        (LayerNorm::new().epsilon(0.0).into(), "an epsilon over 0, got 0"),
        (StochasticDepth::new(1.0).into(), "at least 0 and under 1, not 1"),
        (LayerScale::new(f32::NAN).into(), "a finite number, not NaN"),
    ];
    for (layer, want) in refused {
        let error =
            Sequential::new((4, 4, 6).into(), &[NamedLayer::new("it", layer)], 0).unwrap_err().to_string();
        assert!(error.starts_with("layer `it`: ") && error.contains(want), "{error}");
    }
}

/// Dropout keeps and scales in training, and is the identity in inference.
#[test]
fn dropout_keeps_the_mean() {
    let named = [NamedLayer::new("dropout", Dropout::new(0.25))];
    let mut net = Sequential::new(Shape::Vector(20_000), &named, 0).unwrap();
    let x = vec![1.0; 40_000];
    let y = net.forward(&x, 9).to_vec();
    let dropped = y.iter().filter(|v| **v == 0.0).count() as f64 / y.len() as f64;
    // 40,000 draws: five deviations are 0.011.
    assert!((dropped - 0.25).abs() < 0.011, "dropped {dropped}");
    assert!(y.iter().all(|&v| v == 0.0 || v == 1.0 / 0.75));
    assert_ne!(y[..20_000], y[20_000..], "examples have masks of their own");
    assert_ne!(net.forward(&x, 10), y, "another seed, another mask");
    // x is 1: the gradient of the sum of all outputs is the outputs of the pass. More values than one task takes.
    let y = net.forward(&x, 11).to_vec();
    let mut dx = x.clone();
    net.backward(Input::Activation(&mut dx), &x).unwrap();
    assert_eq!(dx, y);
    let mut z = vec![0.0; 40_000];
    net.infer(&x, &mut z);
    assert_eq!(z, x);
}
