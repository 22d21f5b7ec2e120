//! How far each pass of a convolution is from the same sums in `f64`, at the channel counts of real networks.
//!
//! The kernels' other tests take small shapes and look at single values; here sums are long, tiles many, and every way to cut
//! the work is met. `cargo test --test accuracy -- --nocapture` prints the errors.

use floret::math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue};
use floret::math::reference::{self, Slide};
use floret::math::window::{Padding, Window};
use ndarray::Array4;
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
    for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Winograd] {
        let plan = ConvPlan::new(ConvShape { window, cin, cout }, Epilogue::Bias, algorithm);
        let mut scratch = vec![f32::NAN; plan.forward_scratch().max(plan.backward_scratch(batch))];
        let (mut y, mut dw, mut dx) = (vec![0.0; dy.len()], vec![0.0; w.len()], vec![0.0; x.len()]);
        plan.forward(&x, &w, &[], &mut y, &mut [], &mut scratch);
        plan.filter_gradient(&x, &dy, &[], &mut dw, &mut scratch);
        plan.data_gradient(&dy, &[], &w, &mut dx, &mut scratch);
        let errors = [("y", &y, &want_y), ("dw", &dw, &want_dw), ("dx", &dx, &want_dx)]
            .map(|(pass, got, want)| (pass, relative_error(got, want)));
        for (pass, error) in errors {
            println!(
                "{batch} x {side}x{side}x{cin} -> {cout}, {kernel}x{kernel}, {algorithm:?}: {pass} {error:.1e}"
            );
            assert!(error <= LIMIT, "{pass} of {side}x{side}x{cin} -> {cout}, {algorithm:?}: {error:e}");
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
