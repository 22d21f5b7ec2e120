//! Convolution of 1x1, stride 1: a matrix product in every pass, of which no operand is copied but the filter.
//!
//! | pass | product |
//! | --- | --- |
//! | forward | `y (pixels x cout) = x (pixels x cin) w (cin x cout)` |
//! | data gradient | `dx (pixels x cin) = dy (pixels x cout) w^T (cout x cin)` |
//! | filter gradient | `dw (cin x cout) = x^T (cin x pixels) dy (pixels x cout)`: in `im2col.rs`, as of patches that are the pixels |
//!
//! Where the filter is small, images are large, and memory decides: [`backward`] takes some pixels at a time through both gradients.

use std::cell::RefCell;

use super::epilogue::{Epilogue, Finish};
use super::{ConvShape, panels, tile_columns};
use crate::activation::NO_WINNER;
use crate::buffer::sized;
use crate::parallel::{for_each_chunk_with_codes, for_each_columns, for_each_two_chunks};
use crate::simd::{
    Bounded, GridMut, Isa, Matrix, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_strips,
    multiply_tile,
};

/// Steps of k in a block, as in the matrix product: a panel of the filter has 64 KB with AVX-512.
const KC: usize = 512;

/// Columns in a block: the filter's part of it stays in the L2 cache.
const NC: usize = 256;

/// Pixels of a task, at most, and what their number is a multiple of: the rows of every tile.
const PIXELS: usize = 168;
const ROWS: usize = 42;

/// Tasks into which few pixels are split by columns.
const TASKS: usize = 8;

/// Values of a filter up to which both gradients are computed in one pass: it, its gradient and the pixels at hand fill half of an
/// L2 cache of 512 KB.
const ONE_PASS: usize = 1 << 14;

/// Values of x and dy that are taken through both gradients at a time.
const AT_A_TIME: usize = 1 << 15;

/// Groups of pixels, at most, whose filter gradients are summed separately.
const GROUPS: usize = 16;

thread_local! {
    /// Gradients of some pixels, reused from call to call.
    static GRADIENTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

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
    // Tasks of equal size: 196 pixels are not 168 and 28.
    let (panels, pixels) = (n.div_ceil(nr), c.len() / n);
    let tasks = pixels.div_ceil(PIXELS);
    let pixels = pixels.div_ceil(tasks).next_multiple_of(ROWS);
    // Codes are written row by row, so they want all columns at once.
    let most = if winners.is_empty() { (panels * tasks).div_ceil(TASKS).clamp(1, panels) } else { panels };
    for_each_chunk_with_codes(c, winners, n * pixels, &|task, c, winners| {
        let a = &a[task * pixels * k..][..c.len() / n * k];
        let rows = c.len() / n;
        let c = MatrixMut::new(c, rows, n, n);
        if most == panels {
            dispatch!(isa, |simd| block(simd, finish, k, (a, k), packed, bias, c, winners));
            return;
        }
        for_each_columns(c, 0..panels, nr, most, &|panels, c| {
            let packed = &packed[panels.start * k * nr..panels.end * k * nr];
            let bias = bias.get(panels.start * nr..).unwrap_or_default();
            dispatch!(isa, |simd| block(simd, finish, k, (a, k), packed, bias, c, &mut []));
        });
    });
}

/// The same for some rows of `a`, which are `stride` apart, and of the columns of `c`, on the calling thread.
#[allow(clippy::too_many_arguments, reason = "a product's operands and what follows it")]
#[inline(always)]
pub fn block<S: Simd>(
    simd: S,
    Finish { epilogue, adds }: Finish,
    k: usize,
    (a, stride): (&[f32], usize),
    packed: &[f32],
    bias: &[f32],
    mut c: MatrixMut<'_>,
    winners: &mut [u8],
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (rows, n) = (c.rows(), c.columns());
    let mut winners = (!winners.is_empty()).then(|| MatrixMut::new(winners, rows, n, n));
    // What the tile itself does to its outputs; the rest is done to a few rows at a time.
    let as_is = epilogue == Epilogue::Bias && bias.is_empty();
    let bounds = epilogue.bounds().filter(|_| !as_is);
    for first in (0..n).step_by(NC) {
        let nc = NC.min(n - first);
        for pc in (0..k).step_by(KC) {
            let kc = KC.min(k - pc);
            let (adds, last) = (adds || pc > 0, pc + kc == k);
            for row in (0..rows).step_by(mr) {
                let rows = mr.min(rows - row);
                for column in (first..first + nc).step_by(nr) {
                    let bounded;
                    let store = match bounds {
                        Some(bounds) if last => {
                            bounded = Bounded { adds, bias: bias.get(column..).unwrap_or_default(), bounds };
                            Store::Bounded(&bounded)
                        }
                        _ if adds => Store::Add,
                        _ => Store::Overwrite,
                    };
                    let tile = c.window(row, column, rows, nr.min(n - column));
                    let b = &packed[column * k + pc * nr..][..kc * nr];
                    let layout = PanelLayout::Rows { stride };
                    multiply_tile(simd, kc, &a[row * stride + pc..], layout, b, nr, tile, store);
                }
                let Some(activation) = epilogue.activation().filter(|_| last) else { continue };
                let some = c.window(row, first, rows, nc);
                if bounds.is_none() {
                    activation.finish(simd, some, bias.get(first..).unwrap_or_default());
                } else if let Some(winners) = &mut winners {
                    activation.codes_of(simd, some, winners.window(row, first, rows, nc));
                }
            }
        }
    }
}

/// A row of pixels of a 1x1 convolution on the calling thread: `y = epilogue(x w + bias)`, where the first vectors of the outputs of
/// all pixels lie one behind another, then the second ones `distance` behind, and so on. `bias` has a value for each lane, or none.
/// Overwrites `y`, lanes behind the last channel with what means nothing.
#[allow(clippy::too_many_arguments, reason = "a product's operands and what follows it")]
#[inline(always)]
pub fn strips<S: Simd>(
    simd: S,
    epilogue: Epilogue,
    (k, n): (usize, usize),
    x: &[f32],
    packed: &[f32],
    bias: &[f32],
    y: &mut [f32],
    distance: usize,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let x = Matrix::new(x, x.len() / k, k, k);
    let (bounds, second) = match epilogue.bounds() {
        Some(bounds) => (bounds, None),
        None => ((f32::NEG_INFINITY, f32::INFINITY), epilogue.activation()),
    };
    for column in (0..n).step_by(nr) {
        let vectors = (n - column).min(nr).div_ceil(S::LANES);
        let y = &mut y[column / S::LANES * distance..];
        for first in (0..k).step_by(KC) {
            let kc = KC.min(k - first);
            let (adds, last) = (first > 0, first + kc == k);
            let b = &packed[column * k + first * nr..][..kc * nr];
            let bounded = Bounded { adds, bias: bias.get(column..).unwrap_or_default(), bounds };
            let store = match (last, adds) {
                (true, _) => Store::Bounded(&bounded),
                (false, true) => Store::Add,
                (false, false) => Store::Overwrite,
            };
            for pixel in (0..x.rows()).step_by(mr) {
                let rows = mr.min(x.rows() - pixel);
                let to =
                    GridMut::new(&mut y[pixel * S::LANES..], (rows, vectors), (S::LANES, distance), S::LANES);
                multiply_strips(simd, x.window(pixel, first, rows, kc), b, nr, to, store);
            }
        }
        if let Some(activation) = second {
            for strip in y.chunks_mut(distance).take(vectors) {
                activation.finish_values(simd, &mut strip[..x.rows() * S::LANES]);
            }
        }
    }
}

/// Whether [`backward`] is the way to the gradients.
pub fn in_one_pass(shape: &ConvShape) -> bool {
    shape.filter_len() <= ONE_PASS
}

/// Pixels of a group, and floats of its sums: rows of a filter's gradient as wide as whole tiles, then the bias's.
fn groups(isa: Isa, (k, n): (usize, usize), pixels: usize) -> (usize, usize) {
    let columns = n.next_multiple_of(tile_columns(isa));
    (pixels.div_ceil(GROUPS).next_multiple_of(ROWS), (k + 1) * columns)
}

/// Floats of room that [`backward`] works in.
pub fn backward_scratch(isa: Isa, (k, n): (usize, usize), pixels: usize) -> usize {
    let (group, sums) = groups(isa, (k, n), pixels);
    pixels.div_ceil(group) * sums + panels::packed_len(isa, n, k)
}

/// Both gradients of a product in one pass, from `dy` where the codes in `winners` let it through; they may be empty.
/// Overwrites x by `dx = dy w^T`, `dw` by `x^T dy` and `db`, which may be empty, by the sum of dy's rows.
#[allow(clippy::too_many_arguments, reason = "a product's operands and their gradients")]
pub fn backward(
    isa: Isa,
    (k, n): (usize, usize),
    x: &mut [f32],
    dy: &[f32],
    winners: &[u8],
    w: &[f32],
    (dw, db): (&mut [f32], &mut [f32]),
    scratch: &mut [f32],
) {
    let pixels = x.len() / k;
    let (group, sums_len) = groups(isa, (k, n), pixels);
    let columns = n.next_multiple_of(tile_columns(isa));
    let (sums, packed) = scratch.split_at_mut(pixels.div_ceil(group) * sums_len);
    let packed = &mut packed[..panels::packed_len(isa, n, k)];
    panels::pack_transposed(isa, w, k, n, packed);
    let at_a_time = (AT_A_TIME / (k + columns) / ROWS).max(1) * ROWS;
    for_each_two_chunks((x, group * k), (sums, sums_len), &|index, x, sums| {
        sums.fill(0.0);
        GRADIENTS.with_borrow_mut(|gradients| {
            for (part, x) in x.chunks_mut(at_a_time * k).enumerate() {
                let (first, count) = (index * group + part * at_a_time, x.len() / k);
                let some = first * n..(first + count) * n;
                let dy = &dy[some.clone()];
                let winners = if winners.is_empty() { &[] } else { &winners[some] };
                let gradients = sized(gradients, count * columns);
                dispatch!(isa, |simd| backward_of_some(
                    simd,
                    (k, n),
                    x,
                    dy,
                    winners,
                    packed,
                    sums,
                    gradients
                ));
            }
        });
    });
    for (row, to) in dw.chunks_exact_mut(n).chain([db].into_iter().filter(|db| !db.is_empty())).enumerate() {
        to.fill(0.0);
        for sums in sums.chunks_exact(sums_len) {
            to.iter_mut().zip(&sums[row * columns..]).for_each(|(to, sum)| *to += sum);
        }
    }
}

/// The pixels of `x`: adds what they give to `sums`, and overwrites them by their gradients.
#[allow(clippy::too_many_arguments, reason = "a product's operands and their gradients")]
#[inline(always)]
fn backward_of_some<S: Simd>(
    simd: S,
    (k, n): (usize, usize),
    x: &mut [f32],
    dy: &[f32],
    winners: &[u8],
    packed: &[f32],
    sums: &mut [f32],
    gradients: &mut [f32],
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (pixels, columns) = (x.len() / k, n.next_multiple_of(nr));
    let (of_filter, of_bias) = sums.split_at_mut(k * columns);
    for (pixel, (to, dy)) in gradients.chunks_exact_mut(columns).zip(dy.chunks_exact(n)).enumerate() {
        let (to, behind) = to.split_at_mut(n);
        match winners {
            [] => to.copy_from_slice(dy),
            winners => {
                let winners = &winners[pixel * n..][..n];
                for ((to, dy), winner) in to.iter_mut().zip(dy).zip(winners) {
                    *to = if *winner == NO_WINNER { 0.0 } else { *dy };
                }
            }
        }
        behind.fill(0.0);
    }
    // The sum of a few rows, then of all: which keeps float32's rounding down.
    for column in (0..columns).step_by(S::LANES) {
        let mut sum = simd.splat(0.0);
        for row in gradients.chunks_exact(columns) {
            sum = simd.add(sum, simd.load(&row[column..]));
        }
        let to = &mut of_bias[column..];
        simd.store(simd.add(simd.load(to), sum), to);
    }
    let mut product = MatrixMut::new(of_filter, k, columns, columns);
    for column in (0..columns).step_by(nr) {
        for row in (0..k).step_by(mr) {
            let tile = product.window(row, column, mr.min(k - row), nr);
            let layout = PanelLayout::Columns { stride: k };
            multiply_tile(simd, pixels, &x[row..], layout, &gradients[column..], columns, tile, Store::Add);
        }
    }
    let dx = MatrixMut::new(x, pixels, k, k);
    block(simd, Finish::default(), n, (gradients, columns), packed, &[], dx, &mut []);
}
