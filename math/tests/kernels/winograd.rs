//! Every tile and pass against the loops in `f64`.

use ndarray::Array4;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sets::instruction_sets;
use floret_math::conv::winograd::{Tile, Winograd};
use floret_math::conv::{ConvShape, Finish};
use floret_math::reference::{self, Slide};
use floret_math::window::{Padding, Window};

fn check(tile: Tile, batch: usize, (h, w): (usize, usize), cin: usize, cout: usize, padding: Padding) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let r = tile.taps();
    let window = Window::new((h, w), (r, r), (1, 1), (1, 1), padding).unwrap();
    let mut array = |dim| Array4::from_shape_simple_fn(dim, || f64::from(rng.random_range(-1.0f32..1.0)));
    let (x, filter) = (array((batch, h, w, cin)), array((r, r, cin, cout)));
    let dy = array((batch, window.y.output, window.x.output, cout));
    let slide = Slide { stride: (1, 1), dilation: (1, 1), same: padding == Padding::Same };
    let want_y = reference::conv2d(x.view(), filter.view(), slide);
    let (want_dx, want_dw) = reference::conv2d_gradients(x.view(), filter.view(), dy.view(), slide);

    let narrow = |a: &Array4<f64>| a.iter().map(|v| *v as f32).collect::<Vec<f32>>();
    let (x, filter, dy) = (narrow(&x), narrow(&filter), narrow(&dy));
    let shape = ConvShape { window, cin, cout };
    for isa in instruction_sets() {
        let winograd = Winograd { isa, shape, finish: Finish::default(), tile };
        let mut scratch = vec![f32::NAN; winograd.forward_scratch().max(winograd.backward_scratch(batch))];
        let what = format!("{isa:?} {tile:?} {batch}x{h}x{w}x{cin}->{cout} {padding:?}");
        let mut y = vec![f32::NAN; want_y.len()];
        winograd.forward(&x, winograd.plain(&filter), &[], &mut y, &mut [], &mut scratch);
        close(&format!("{what}: y"), &y, &want_y);
        let mut dx = vec![f32::NAN; want_dx.len()];
        winograd.data_gradient(&dy, &[], &filter, &mut dx, &mut scratch);
        close(&format!("{what}: dx"), &dx, &want_dx);
        let mut dw = vec![f32::NAN; want_dw.len()];
        winograd.filter_gradient(&x, &dy, &[], &mut dw, &mut scratch);
        close(&format!("{what}: dw"), &dw, &want_dw);
    }
}

/// Relative L2 error at most 2e-5: a single output of F(6x4, 5x5), the least accurate, shows up to 1.2e-5.
fn close(what: &str, got: &[f32], want: &Array4<f64>) {
    let norm = want.iter().map(|w| w * w).sum::<f64>().sqrt();
    let error = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).powi(2)).sum::<f64>().sqrt();
    assert!(error <= 2e-5 * norm, "{what}: error {error:e} of {norm:e}");
}

/// Single tiles, ragged borders, channels that fill no vector, several blocks of tiles.
#[test]
fn all_passes_agree_with_the_loops() {
    let shapes = [
        (1, (8, 8), 16, 32),
        (2, (9, 7), 5, 3),
        (3, (4, 4), 33, 40),
        (2, (17, 13), 20, 70),
        (1, (1, 1), 3, 4),
    ];
    for tile in Tile::ALL {
        for (batch, size, cin, cout) in shapes {
            check(tile, batch, size, cin, cout, Padding::Same);
        }
        check(tile, 2, (9, 8), 17, 5, Padding::Valid);
    }
}
