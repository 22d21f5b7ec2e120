//! How far each pass of a convolution, and of batch norm, is from the same sums in `f64`, at the channel counts of real
//! networks.
//!
//! The kernels' other tests take small shapes and look at single values; here sums are long, tiles many, and every way to cut
//! the work is met. `cargo test --test training accuracy -- --nocapture` prints the errors.

use crate::common::instruction_sets;
use floret::nn::{BatchNorm, Input, NamedLayer, Sequential};
use floret_math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue};
use floret_math::reference::{self, Slide};
use floret_math::window::{Padding, Window};
use ndarray::{Array4, s};
use ndarray_rand::rand_distr::{Distribution, StandardNormal};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The largest relative L2 error of any pass.
const LIMIT: f64 = 2e-5;

const SEED: u64 = 11;

/// `|got - want| / |want|`.
fn relative_error(got: &[f32], want: &Array4<f64>) -> f64 {
    assert_eq!(got.len(), want.len());
    let error: f64 = got.iter().zip(want).map(|(&got, want)| (f64::from(got) - want).powi(2)).sum();
    (error / want.iter().map(|want| want * want).sum::<f64>()).sqrt()
}

fn check(batch: usize, side: usize, cin: usize, cout: usize, kernel: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    // Values as networks meet them: standardized inputs, kernels with He's variance. Exact in float32.
    let mut array = |shape, scale: f32| {
        Array4::from_shape_simple_fn(shape, || {
            let value: f32 = StandardNormal.sample(&mut rng);
            f64::from(scale * value)
        })
    };
    let x = array((batch, side, side, cin), 1.0);
    let w = array((kernel, kernel, cin, cout), (2.0 / (kernel * kernel * cin) as f32).sqrt());
    let dy = array((batch, side, side, cout), 1.0);
    let narrow = |a: &Array4<f64>| a.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let slide = Slide { stride: (1, 1), dilation: (1, 1), same: true };
    let want_y = reference::conv2d(x.view(), w.view(), slide);
    let (want_dx, want_dw) = reference::conv2d_gradients(x.view(), w.view(), dy.view(), slide);
    let (x, w, dy) = (narrow(&x), narrow(&w), narrow(&dy));

    let window = Window::new((side, side), (kernel, kernel), (1, 1), (1, 1), Padding::Same).unwrap();
    let algorithms = [ConvAlgorithm::Im2col, ConvAlgorithm::Winograd];
    for (isa, algorithm) in instruction_sets().into_iter().flat_map(|isa| algorithms.map(|a| (isa, a))) {
        let plan = ConvPlan::new(isa, ConvShape { window, cin, cout }, Epilogue::Bias, algorithm);
        let mut scratch = vec![f32::NAN; plan.forward_scratch(batch).max(plan.backward_scratch(batch))];
        let (mut y, mut dw, mut dx) = (vec![0.0; dy.len()], vec![0.0; w.len()], vec![0.0; x.len()]);
        plan.forward(&x, &w, &[], &mut y, &mut [], &mut scratch);
        plan.filter_gradient(&x, &dy, &[], &mut dw, &mut scratch);
        plan.data_gradient(&dy, &[], &w, &mut dx, &mut scratch);
        let errors = [("y", &y, &want_y), ("dw", &dw, &want_dw), ("dx", &dx, &want_dx)]
            .map(|(pass, got, want)| (pass, relative_error(got, want)));
        for (pass, error) in errors {
            println!(
                "{batch} x {side}x{side}x{cin} -> {cout}, {kernel}x{kernel}, {isa:?}, {algorithm:?}: {pass} {error:.1e}"
            );
            assert!(
                error <= LIMIT,
                "{pass} of {side}x{side}x{cin} -> {cout}, {isa:?}, {algorithm:?}: {error:e}"
            );
        }
    }
}

#[test]
fn of_the_reference_networks_layers() {
    check(3, 32, 32, 64, 5);
    check(5, 16, 64, 128, 5);
    check(2, 8, 128, 256, 5);
    check(3, 4, 256, 256, 5);
    check(5, 2, 256, 64, 5);
    // Those of 48x48.
    check(2, 24, 32, 64, 5);
    check(5, 12, 64, 128, 5);
    check(5, 6, 128, 256, 5);
    check(9, 3, 256, 256, 5);
}

#[test]
fn of_3x3_layers() {
    check(2, 16, 64, 64, 3);
    check(3, 20, 128, 128, 3);
    check(2, 64, 32, 32, 3);
    check(9, 4, 256, 96, 3);
    // More tiles than the filter's gradient transforms at a time.
    check(160, 2, 128, 256, 3);
}

/// In training, channels of a deviation of 1 about means of up to `offset`; their corners are unlike the rest, as at the border of
/// a photo. Rows and channels are more than a task or a strip takes.
fn check_batch_norm(offset: f32, limit: f64) {
    let (batch, side, channels) = (16, 15, 70);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let mean = |channel: usize| offset * (channel as f32 / 34.5 - 1.0);
    let x = Array4::from_shape_fn((batch, side, side, channels), |(_, y, x, channel)| {
        let corner = if (y, x) == (0, 0) { 5.0 } else { 0.0 };
        f64::from(mean(channel) + corner + normal())
    });
    let dy = x.mapv(|_| f64::from(normal()));
    let (n, epsilon) = ((batch * side * side) as f64, 1e-3);
    let (mut y, mut dx) = (x.clone(), x.clone());
    let mut variances = Array4::zeros((1, 1, 1, channels));
    for channel in 0..channels {
        let of = |a: &Array4<f64>| a.slice(s![.., .., .., channel]).to_owned();
        let (x, dy) = (of(&x), of(&dy));
        let centered = &x - x.sum() / n;
        let variance = (&centered * &centered).sum() / n;
        let deviation = (variance + epsilon).sqrt();
        let normalized = centered / deviation;
        let along = (&dy * &normalized).sum() / n;
        dx.slice_mut(s![.., .., .., channel])
            .assign(&((&dy - dy.sum() / n - &normalized * along) / deviation));
        y.slice_mut(s![.., .., .., channel]).assign(&normalized);
        variances[[0, 0, 0, channel]] = variance;
    }
    let layer = NamedLayer::new("bn", BatchNorm::new().momentum(0.0).epsilon(1e-3));
    let narrow = |a: &Array4<f64>| a.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let (x, dy) = (narrow(&x), narrow(&dy));
    for isa in instruction_sets() {
        let input = (side, side, channels).into();
        let mut layers = Sequential::with_isa(input, std::slice::from_ref(&layer), SEED, isa).unwrap();
        let got_y = layers.forward(&x, 0).to_vec();
        let mut got_dx = x.clone();
        layers.backward(Input::Activation(&mut got_dx), &dy).unwrap();
        let (_, variance) = layers.arrays().find(|(param, _)| param.name == "bn/moving_variance").unwrap();
        let got_variance: Vec<f32> = variance.iter().copied().collect();
        let errors = [
            ("y", relative_error(&got_y, &y)),
            ("dx", relative_error(&got_dx, &dx)),
            ("variance", relative_error(&got_variance, &variances)),
        ];
        for (pass, error) in errors {
            println!("batch norm, means up to {offset}, {isa:?}: {pass} {error:.1e}");
            assert!(error <= limit, "{isa:?}, {pass}: {error:e}");
        }
    }
}

/// The outputs of channels far from zero have the rounding of their inputs, about 6e-8 of the mean; `E[x^2] - mean^2` in float32
/// would lose some hundred times as much.
#[test]
fn of_batch_norm() {
    check_batch_norm(1.0, 1e-6);
    check_batch_norm(300.0, 6e-5);
}
