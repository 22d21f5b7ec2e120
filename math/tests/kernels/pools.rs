//! Max-pools and average-pools.

use floret_math::pool::{self, PoolShape};
use floret_math::reference::{self, Slide};
use floret_math::window::{Padding, Window};
use ndarray::Array4;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::close::assert_close;
use crate::sets::instruction_sets;
use crate::{narrow, padded};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn pools(
        batch in 1usize..4, (h, w, c) in (1usize..12, 1usize..12, 1usize..20), size in 1usize..5, stride in 1usize..4,
        same: bool, seed: u64,
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let Some(window) = Window::new((h, w), (size, size), (stride, stride), (1, 1), padding) else { return Ok(()) };
        let slide = Slide { stride: (stride, stride), dilation: (1, 1), same };
        let shape = PoolShape { window, channels: c };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Few different values: ties are common, and all may be negative.
        let x = Array4::from_shape_fn((batch, h, w, c), |_| f64::from(rng.random_range(-9i8..2)));
        let (oh, ow) = slide.output((h, w), (size, size));
        let dy = Array4::from_shape_fn((batch, oh, ow, c), |_| f64::from(rng.random_range(-1.0f32..1.0)));
        let (want_y, want_dx) = reference::max_pool(x.view(), size, slide, Some(dy.view()));
        let (want_mean, want_mean_dx) = reference::avg_pool(x.view(), size, slide, Some(dy.view()));
        for isa in instruction_sets() {
        let (mut y, mut winners) = (vec![f32::NAN; dy.len()], vec![255; dy.len()]);
        let mut dx = vec![f32::NAN; x.len()];
        pool::max_forward(isa, &shape, &narrow(&x), &mut y, Some(&mut winners));
        assert_close("max", &y, &want_y, 0.0);
        pool::max_backward(isa, &shape, &narrow(&dy), &winners, &mut dx);
        assert_close("max dx", &dx, &want_dx, 1e-6);
        y.fill(f32::NAN);
        pool::max_forward(isa, &shape, &narrow(&x), &mut y, None);
        assert_close("max without winners", &y, &want_y, 0.0);

        pool::avg_forward(isa, &shape, false, &narrow(&x), &mut y);
        assert_close("mean", &y, &want_mean, 1e-6);
        pool::avg_backward(isa, &shape, false, &narrow(&dy), &mut dx);
        assert_close("mean dx", &dx, &want_mean_dx, 1e-6);
        }
    }

    /// No padding wins, and none is counted in a mean.
    #[test]
    fn pools_with_explicit_padding(
        batch in 1usize..3, (h, w, c) in (1usize..9, 1usize..9, 1usize..5), size in 1usize..5, stride in 1usize..4,
        y_pads in (0usize..5, 0usize..5), x_pads in (0usize..5, 0usize..5), seed: u64,
    ) {
        let padding = Padding::Explicit { top: y_pads.0, bottom: y_pads.1, left: x_pads.0, right: x_pads.1 };
        let Some(window) = Window::new((h, w), (size, size), (stride, stride), (1, 1), padding) else { return Ok(()) };
        let slide = Slide { stride: (stride, stride), dilation: (1, 1), same: false };
        let shape = PoolShape { window, channels: c };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = Array4::from_shape_fn((batch, h, w, c), |_| f64::from(rng.random_range(-9i8..2)));
        let around = |x: &Array4<f64>, value| padded(x, y_pads, x_pads, value);
        let (want, _) = reference::max_pool(around(&x, f64::NEG_INFINITY).view(), size, slide, None);
        for isa in instruction_sets() {
        let mut y = vec![f32::NAN; batch * shape.output_len()];
        pool::max_forward(isa, &shape, &narrow(&x), &mut y, None);
        assert_close("max", &y, &want, 0.0);
        let mean = |x: &Array4<f64>| reference::avg_pool(around(x, 0.0).view(), size, slide, None).0;
        pool::avg_forward(isa, &shape, false, &narrow(&x), &mut y);
        assert_close("mean", &y, &(mean(&x) / mean(&Array4::ones(x.dim()))), 1e-6);
        pool::avg_forward(isa, &shape, true, &narrow(&x), &mut y);
        assert_close("mean with padding", &y, mean(&x), 1e-6);
        }
    }
}

/// A NaN is not hidden by a maximum: training must notice it.
#[test]
fn max_pool_passes_nan_on() {
    let window = Window::new((2, 2), (2, 2), (2, 2), (1, 1), Padding::Same).unwrap();
    let shape = PoolShape { window, channels: 1 };
    for (isa, place) in
        instruction_sets().into_iter().flat_map(|isa| [(isa, 0), (isa, 1), (isa, 2), (isa, 3)])
    {
        let mut x = [1.0, 2.0, 3.0, 4.0];
        x[place] = f32::NAN;
        let (mut y, mut winners) = ([0.0], [9]);
        pool::max_forward(isa, &shape, &x, &mut y, Some(&mut winners));
        assert!(y[0].is_nan() && winners[0] as usize == place);
        y = [0.0];
        pool::max_forward(isa, &shape, &x, &mut y, None);
        assert!(y[0].is_nan());
    }
}
