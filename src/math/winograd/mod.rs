//! Winograd's minimal filtering for stride-1 convolutions of 3x3 and 5x5.

mod filter;
mod filter_gradient;
mod forward;
mod output;
mod source;
mod tiles;
mod transform;

#[cfg(test)]
mod tests {
    use ndarray::Array4;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::filter::{Filter, packed_len, transform};
    use super::filter_gradient::{Sizes, filter_gradient};
    use super::forward::{Convolution, forward};
    use super::output::Plain;
    use super::source::Dense;
    use super::tiles::Tiling;
    use super::transform::{F2x5, F4x3, F4x5, F6x3, Filtering};
    use crate::math::conv::ConvShape;
    use crate::math::reference::{self, Slide};
    use crate::math::window::{Padding, Window};

    fn check<F: Filtering>(batch: usize, h: usize, w: usize, cin: usize, cout: usize, padding: Padding) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let window = Window::new((h, w), (F::R, F::R), (1, 1), (1, 1), padding).unwrap();
        let shape = ConvShape { window, cin, cout };
        let (oh, ow) = (window.y.output, window.x.output);
        let mut array = |d| Array4::from_shape_simple_fn(d, || f64::from(rng.random_range(-1.0f32..1.0)));
        let (x, wt, dy) =
            (array((batch, h, w, cin)), array((F::R, F::R, cin, cout)), array((batch, oh, ow, cout)));
        let narrow = |a: &Array4<f64>| a.iter().map(|v| *v as f32).collect::<Vec<f32>>();
        let (xs, ws, dys) = (narrow(&x), narrow(&wt), narrow(&dy));
        let slide = Slide { stride: (1, 1), dilation: (1, 1), same: padding == Padding::Same };
        let want_y = reference::conv2d(x.view(), wt.view(), slide);
        let (want_dx, want_dw) = reference::conv2d_gradients(x.view(), wt.view(), dy.view(), slide);

        let tiling = Tiling::new::<F>(&shape);
        let pad = (window.y.pad_before, window.x.pad_before);
        let convolution = Convolution { cin, cout, pad };
        let mut u = vec![f32::NAN; packed_len::<F>(cin, cout)];
        transform::<F>(&Filter { w: &ws, cin, cout, turned: false }, &mut u);
        let mut y = vec![f32::NAN; want_y.len()];
        let source = Dense { values: &xs, size: (h, w, cin) };
        let out = Plain { y: &mut y, bias: &[], size: (ow, cout), first: 0 };
        forward::<F>(&convolution, &tiling, 0..batch * tiling.rows, source, &u, out);
        close("y", &y, &want_y);

        let back = ConvShape {
            window: Window::new((oh, ow), (F::R, F::R), (1, 1), (1, 1), Padding::Same).unwrap(),
            cin: cout,
            cout: cin,
        };
        let _ = back;
        let mut t = Tiling::new::<F>(&shape);
        t.rows = h.div_ceil(F::M);
        t.columns = w.div_ceil(F::M);
        t.height = h;
        let convolution_back =
            Convolution { cin: cout, cout: cin, pad: (F::R - 1 - pad.0, F::R - 1 - pad.1) };
        let mut u = vec![f32::NAN; packed_len::<F>(cout, cin)];
        transform::<F>(&Filter { w: &ws, cin, cout, turned: true }, &mut u);
        let mut dx = vec![f32::NAN; want_dx.len()];
        let gradient = Dense { values: &dys, size: (oh, ow, cout) };
        let out = Plain { y: &mut dx, bias: &[], size: (w, cin), first: 0 };
        forward::<F>(&convolution_back, &t, 0..batch * t.rows, gradient, &u, out);
        close("dx", &dx, &want_dx);

        let mut dw = vec![f32::NAN; want_dw.len()];
        let mut scratch = vec![f32::NAN; Sizes::new::<F>(&convolution, &tiling, batch).scratch()];
        filter_gradient::<F>(&convolution, &tiling, batch, source, gradient, &mut dw, &mut scratch);
        close("dw", &dw, &want_dw);
    }

    fn close(what: &str, got: &[f32], want: &Array4<f64>) {
        let scale = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            assert!((f64::from(*g) - w).abs() < 2e-5 * scale, "{what}[{i}]: {g} want {w}");
        }
    }

    #[test]
    fn all_passes_agree_with_the_loops() {
        for (batch, h, w, cin, cout) in
            [(1, 8, 8, 16, 32), (2, 9, 7, 5, 3), (3, 4, 4, 33, 40), (2, 17, 13, 20, 70), (1, 1, 1, 3, 4)]
        {
            check::<F4x5>(batch, h, w, cin, cout, Padding::Same);
            check::<F6x3>(batch, h, w, cin, cout, Padding::Same);
            check::<F2x5>(batch, h, w, cin, cout, Padding::Same);
            check::<F4x3>(batch, h, w, cin, cout, Padding::Same);
        }
        check::<F4x5>(2, 9, 8, 17, 5, Padding::Valid);
        check::<F6x3>(2, 9, 8, 17, 5, Padding::Valid);
    }
}
