//! Convolution of 1x1, stride 1: a matrix product in every pass, of which no operand is copied but the filter.
//!
//! | pass | product |
//! | --- | --- |
//! | forward | `y (pixels x cout) = x (pixels x cin) w (cin x cout)` |
//! | data gradient | `dx (pixels x cin) = dy (pixels x cout) w^T (cout x cin)` |
//! | filter gradient | `dw (cin x cout) = x^T (cin x pixels) dy (pixels x cout)`: in `im2col.rs`, as of patches that are the pixels |

use super::epilogue::{Epilogue, Finish};
use super::{ConvShape, tile_columns};
use crate::parallel::{for_each_chunk_with_codes, for_each_columns};
use crate::simd::{Isa, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

/// Steps of k in a block, as in the matrix product: a panel of the filter has 64 KB with AVX-512.
const KC: usize = 512;

/// Columns in a block: the filter's part of it stays in the L2 cache.
const NC: usize = 256;

/// Pixels of a task: a multiple of the rows of every tile.
const PIXELS: usize = 168;

/// Tasks into which few pixels are split by columns.
const TASKS: usize = 8;

/// Whether this is such a convolution.
pub fn applies(shape: &ConvShape, epilogue: Epilogue) -> bool {
    let as_is = [&shape.window.y, &shape.window.x]
        .iter()
        .all(|axis| (axis.kernel, axis.stride) == (1, 1) && axis.input == axis.output);
    as_is && epilogue.side() == 1
}

/// `c = epilogue(a b)`, or with the c that it finds added: rows of `k` values by a [packed](super::panels) matrix of `n` columns. Overwrites `c` and `winners`.
#[allow(clippy::too_many_arguments, reason = "a product's operands and what follows it")]
pub fn product(
    isa: Isa,
    finish: Finish,
    (k, n): (usize, usize),
    a: &[f32],
    packed: &[f32],
    bias: &[f32],
    c: &mut [f32],
    winners: &mut [u8],
) {
    let nr = tile_columns(isa);
    let (panels, tasks) = (n.div_ceil(nr), c.len().div_ceil(n * PIXELS));
    // Codes are written row by row, so they want all columns at once.
    let most = if winners.is_empty() { (panels * tasks).div_ceil(TASKS).clamp(1, panels) } else { panels };
    for_each_chunk_with_codes(c, winners, n * PIXELS, &|task, c, winners| {
        let a = &a[task * PIXELS * k..][..c.len() / n * k];
        let rows = c.len() / n;
        let c = MatrixMut::new(c, rows, n, n);
        if most == panels {
            dispatch!(isa, |simd| block(simd, finish, k, a, packed, bias, c, winners));
            return;
        }
        for_each_columns(c, 0..panels, nr, most, &|panels, c| {
            let packed = &packed[panels.start * k * nr..panels.end * k * nr];
            let bias = bias.get(panels.start * nr..).unwrap_or_default();
            dispatch!(isa, |simd| block(simd, finish, k, a, packed, bias, c, &mut []));
        });
    });
}

/// Some rows, and of them the columns of `c`.
#[allow(clippy::too_many_arguments, reason = "a product's operands and what follows it")]
#[inline(always)]
fn block<S: Simd>(
    simd: S,
    finish: Finish,
    k: usize,
    a: &[f32],
    packed: &[f32],
    bias: &[f32],
    mut c: MatrixMut<'_>,
    winners: &mut [u8],
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (rows, n) = (c.rows(), c.columns());
    let Finish { epilogue, adds } = finish;
    for first in (0..n).step_by(NC) {
        for pc in (0..k).step_by(KC) {
            let kc = KC.min(k - pc);
            let store = if pc == 0 && !adds { Store::Overwrite } else { Store::Add };
            for row in (0..rows).step_by(mr) {
                for column in (first..n.min(first + NC)).step_by(nr) {
                    let tile = c.window(row, column, mr.min(rows - row), nr.min(n - column));
                    let b = &packed[column * k + pc * nr..][..kc * nr];
                    let layout = PanelLayout::Rows { stride: k };
                    multiply_tile(simd, kc, &a[row * k + pc..], layout, b, nr, tile, store);
                }
            }
        }
    }
    if epilogue == Epilogue::Bias && bias.is_empty() {
        return;
    }
    if let Some(activation) = epilogue.second_pass() {
        let codes = (!winners.is_empty()).then(|| MatrixMut::new(winners, rows, n, n));
        return activation.finish(simd, c, bias, codes);
    }
    for row in 0..rows {
        let values = c.row(row);
        for column in (0..n).step_by(S::LANES) {
            let left = n - column;
            let bias = if bias.is_empty() { simd.splat(0.0) } else { simd.load_up_to(&bias[column..], left) };
            let value = simd.load_up_to(&values[column..], left);
            let (value, code) = epilogue.store(simd, [Some(value), None, None, None], bias);
            simd.store_up_to(value, &mut values[column..], left);
            if !winners.is_empty() {
                simd.store_codes(code, &mut winners[row * n + column..], left);
            }
        }
    }
}
