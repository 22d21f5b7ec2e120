//! Convolution of any shape as matrix products over patches, of which only a block exists at a time.
//!
//! Row `p` of the patch matrix belongs to output pixel `p`, column `(ky * kernel width + kx) * cin + c` to tap `(ky, kx)` of
//! channel `c`, which is HWIO's own order. With P pixels, K = taps x cin and N = cout:
//!
//! | pass | product |
//! | --- | --- |
//! | forward | `y (P x N) = patches (P x K) w (K x N)` |
//! | filter gradient | `dw (K x N) = patches^T (K x P) dy (P x N)` |
//! | data gradient | `dpatches (P x K) = dy (P x N) w^T (N x K)`, added back onto `dx` |
//!
//! A task takes a band of output rows; forward packs the patches of the band straight into the panels that the register tile
//! reads. Where all pixels together make no more than a band or two, forward writes all patches first, and tasks share the product.

use std::cell::RefCell;
use std::ops::Range;

use super::epilogue::{Epilogue, Finish};
use super::{Bands, ConvShape, pointwise, sized, tile_columns};
use crate::gemm::{gemm, matrix, matrix_mut};
use crate::parallel::for_each_chunk;
use crate::simd::{Isa, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

/// Steps of k in a block: a panel of the filter then stays in the L1 cache.
const KC: usize = 256;

/// Output pixels in a band, at least.
const BAND: usize = 128;

/// Output pixels of all images up to which forward shares the columns of the product among tasks, not the pixels: each reads the
/// filter, which is then most of what is read.
const FEW: usize = 2 * BAND;

/// Rows of the filter's gradient that a task computes.
const GRADIENT_ROWS: usize = 64;

/// The same where pixels serve as patches, so that the gradient of the outputs alone is copied: as seldom as can be.
const POINTWISE_GRADIENT_ROWS: usize = 256;

/// Floats of the data gradient's patches held at a time: half a megabyte.
const PATCHES: usize = 1 << 17;

thread_local! {
    /// Patches and rows of outputs of the band at hand, reused from call to call.
    static BAND_BUFFERS: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Values `columns` of the patch of output pixel (`oy`, `ox`).
#[inline(always)]
fn patch(shape: &ConvShape, image: &[f32], (oy, ox): (usize, usize), columns: Range<usize>, to: &mut [f32]) {
    let (window, cin) = (&shape.window, shape.cin);
    let mut rest = to;
    let mut column = columns.start;
    while column < columns.end {
        let (tap, channel) = (column / cin, column % cin);
        let count = (cin - channel).min(columns.end - column);
        let (values, after) = rest.split_at_mut(count);
        let pixel = window.y.tap(oy, tap / window.x.kernel).zip(window.x.tap(ox, tap % window.x.kernel));
        match pixel {
            Some((y, x)) => {
                let at = (y * window.x.input + x) * cin + channel;
                values.copy_from_slice(&image[at..at + count]);
            }
            None => values.fill(0.0),
        }
        (rest, column) = (after, column + count);
    }
}

/// The transpose of [`patch`] over all columns: adds the patch back onto the pixels it was read from.
fn add_patch(shape: &ConvShape, patch: &[f32], (oy, ox): (usize, usize), image: &mut [f32]) {
    let (window, cin) = (&shape.window, shape.cin);
    for (tap, values) in patch.chunks_exact(cin).enumerate() {
        let Some(y) = window.y.tap(oy, tap / window.x.kernel) else { continue };
        let Some(x) = window.x.tap(ox, tap % window.x.kernel) else { continue };
        let pixel = &mut image[(y * window.x.input + x) * cin..][..cin];
        pixel.iter_mut().zip(values).for_each(|(p, v)| *p += v);
    }
}

/// Floats of room that [`forward`] works in, for this many images or fewer.
pub fn forward_scratch(shape: &ConvShape, epilogue: Epilogue, batch: usize) -> usize {
    let pixels = shape.window.output_pixels();
    if epilogue.side() == 1 { batch.min(FEW / pixels) * pixels * shape.patch() } else { 0 }
}

/// Forward pass over all images of `x`, with the filter [packed](super::panels). Overwrites `y` and `winners`.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands")]
pub fn forward(
    isa: Isa,
    shape: &ConvShape,
    finish: Finish,
    x: &[f32],
    packed: &[f32],
    bias: &[f32],
    y: &mut [f32],
    winners: &mut [u8],
    scratch: &mut [f32],
) {
    let (k, width) = (shape.patch(), shape.window.x.output);
    let pixels = x.len() / shape.input_len() * shape.window.output_pixels();
    if pixels <= FEW && finish.epilogue.side() == 1 {
        let patches = &mut scratch[..pixels * k];
        for_each_chunk(patches, width * k, &|row, patches| {
            let (image, oy) = (row / shape.window.y.output, row % shape.window.y.output);
            let x = &x[image * shape.input_len()..][..shape.input_len()];
            for (ox, to) in patches.chunks_exact_mut(k).enumerate() {
                patch(shape, x, (oy, ox), 0..k, to);
            }
        });
        return pointwise::product(isa, finish, (k, shape.cout), patches, packed, bias, y, winners);
    }
    let bands = Bands::new(shape, finish.epilogue, BAND);
    bands.for_each_mut(x, y, winners, &|x, rows, y, winners| {
        BAND_BUFFERS.with_borrow_mut(|(patches, outputs)| {
            dispatch!(isa, |simd| forward_band(
                simd, shape, finish, rows, x, packed, bias, y, winners, patches, outputs
            ));
        });
    });
}

/// One band of output rows of one image.
#[allow(clippy::too_many_arguments, reason = "a band's operands and room to work in")]
#[inline(always)]
fn forward_band<S: Simd>(
    simd: S,
    shape: &ConvShape,
    finish: Finish,
    rows: Range<usize>,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    y: &mut [f32],
    winners: &mut [u8],
    patches: &mut Vec<f32>,
    outputs: &mut Vec<f32>,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (k, n, width) = (shape.patch(), shape.cout, shape.window.x.output);
    let pixels = rows.len() * width;
    let columns = n.next_multiple_of(S::LANES);
    let outputs = sized(outputs, pixels * columns);
    let mut product = MatrixMut::new(outputs, pixels, n, columns);
    for first in (0..k).step_by(KC) {
        let kc = KC.min(k - first);
        let panel = kc.next_multiple_of(S::LANES) * mr;
        let patches = sized(patches, pixels.div_ceil(mr) * panel);
        for pixel in 0..pixels {
            let place = (rows.start + pixel / width, pixel % width);
            // Whole vectors, since panels take whole vectors; what is behind the patch is not read.
            let mut row = [0.0; KC];
            patch(shape, x, place, first..first + kc, &mut row[..kc]);
            let to = &mut patches[pixel / mr * panel + pixel % mr * S::LANES..];
            for (at, to) in (0..kc).step_by(S::LANES).zip(to.chunks_mut(mr * S::LANES)) {
                simd.store(simd.load(&row[at..]), to);
            }
        }
        let store = if first == 0 { Store::Overwrite } else { Store::Add };
        for column in (0..n).step_by(nr) {
            let w = &w[column * k + first * nr..][..kc * nr];
            for (row, patches) in (0..pixels).step_by(mr).zip(patches.chunks_exact(panel)) {
                let tile = product.window(row, column, mr.min(pixels - row), nr.min(n - column));
                multiply_tile(simd, kc, patches, PanelLayout::Blocked, w, nr, tile, store);
            }
        }
    }
    let side = finish.epilogue.side();
    let stored = finish.epilogue.stored(width) * n;
    for (index, y) in y.chunks_exact_mut(stored).enumerate() {
        let outputs = &outputs[index * side * width * columns..];
        let count = side.min(rows.len() - index * side);
        let winners = if winners.is_empty() { &mut [] } else { &mut winners[index * stored..][..stored] };
        finish.store_row(simd, outputs, count, width, columns, bias, y, winners);
    }
}

/// Whether each patch is the pixel of the same number.
fn pixels_are_patches(shape: &ConvShape) -> bool {
    pointwise::applies(shape, Epilogue::Bias)
}

/// How the filter's gradient is shared among tasks.
#[derive(Debug, Clone, Copy)]
struct Shares {
    /// Groups of images, each with a sum of its own.
    groups: usize,
    /// Images of a group.
    images: usize,
    /// Rows of a sum that a task computes.
    rows: usize,
    /// Floats of one row of a sum.
    columns: usize,
}

impl Shares {
    /// About sixteen tasks, whatever the number of threads: the sums' order depends on the shape alone.
    fn new(isa: Isa, shape: &ConvShape, batch: usize) -> Self {
        let rows = if pixels_are_patches(shape) { POINTWISE_GRADIENT_ROWS } else { GRADIENT_ROWS };
        let ranges = shape.patch().div_ceil(rows);
        let images = batch.div_ceil(16usize.div_ceil(ranges));
        let columns = shape.cout.next_multiple_of(tile_columns(isa));
        Self { groups: batch.div_ceil(images), images, rows, columns }
    }
}

/// Floats of the sums of [`filter_gradient`].
pub fn filter_gradient_scratch(isa: Isa, shape: &ConvShape, batch: usize) -> usize {
    let shares = Shares::new(isa, shape, batch);
    shares.groups * shape.patch() * shares.columns
}

/// The gradient of the filter, summed over all images. Overwrites `dw`.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands")]
pub fn filter_gradient(
    isa: Isa,
    shape: &ConvShape,
    epilogue: Epilogue,
    x: &[f32],
    dy: &[f32],
    winners: &[u8],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let (k, n) = (shape.patch(), shape.cout);
    let shares = Shares::new(isa, shape, x.len() / shape.input_len());
    let sums = &mut scratch[..shares.groups * k * shares.columns];
    let bands = Bands::new(shape, epilogue, BAND);
    for_each_chunk(sums, k * shares.columns, &|group, sums| {
        for_each_chunk(sums, shares.rows * shares.columns, &|range, sums| {
            let columns = range * shares.rows..k.min((range + 1) * shares.rows);
            sums.fill(0.0);
            for image in (0..x.len() / shape.input_len()).skip(group * shares.images).take(shares.images) {
                let x = &x[image * shape.input_len()..][..shape.input_len()];
                bands.for_each(image, dy, winners, &mut |rows, dy, winners| {
                    BAND_BUFFERS.with_borrow_mut(|(patches, gradients)| {
                        dispatch!(isa, |simd| add_band(
                            simd,
                            shape,
                            epilogue,
                            rows,
                            columns.clone(),
                            x,
                            dy,
                            winners,
                            sums,
                            patches,
                            gradients
                        ));
                    });
                });
            }
        });
    });
    super::add_sums(sums, shares.columns, dw, n);
}

/// Adds what one band of output rows gives to rows `columns` of the filter's gradient.
#[allow(clippy::too_many_arguments, reason = "a band's operands and room to work in")]
#[inline(always)]
fn add_band<S: Simd>(
    simd: S,
    shape: &ConvShape,
    epilogue: Epilogue,
    rows: Range<usize>,
    columns: Range<usize>,
    x: &[f32],
    dy: &[f32],
    winners: &[u8],
    sums: &mut [f32],
    patches: &mut Vec<f32>,
    gradients: &mut Vec<f32>,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (n, width) = (shape.cout, shape.window.x.output);
    let (pixels, k) = (rows.len() * width, columns.len());
    let n_whole = n.next_multiple_of(nr);
    let gradients = sized(gradients, pixels * n_whole);
    let (patches, stride) = if pixels_are_patches(shape) {
        (&x[rows.start * width * shape.cin + columns.start..], shape.cin)
    } else {
        let patches = sized(patches, pixels * k);
        for (pixel, row) in patches.chunks_exact_mut(k).enumerate() {
            let place = (rows.start + pixel / width, pixel % width);
            patch(shape, x, place, columns.clone(), row);
        }
        (&*patches, k)
    };
    epilogue.spread_rows(simd, n, width, rows.start, dy, winners, n_whole, gradients);
    let mut product = MatrixMut::new(sums, k, n_whole, n_whole);
    for column in (0..n_whole).step_by(nr) {
        for row in (0..k).step_by(mr) {
            let tile = product.window(row, column, mr.min(k - row), nr);
            let layout = PanelLayout::Columns { stride };
            multiply_tile(
                simd,
                pixels,
                &patches[row..],
                layout,
                &gradients[column..],
                n_whole,
                tile,
                Store::Add,
            );
        }
    }
}

/// The gradient of the input. Overwrites `dx`.
pub fn data_gradient(
    isa: Isa,
    shape: &ConvShape,
    epilogue: Epilogue,
    dy: &[f32],
    winners: &[u8],
    w: &[f32],
    dx: &mut [f32],
) {
    let (k, n, width) = (shape.patch(), shape.cout, shape.window.x.output);
    let w = matrix(w, k, n);
    let bands = Bands::new(shape, epilogue, (PATCHES / k).max(1));
    for_each_chunk(dx, shape.input_len(), &|image, dx| {
        dx.fill(0.0);
        bands.for_each(image, dy, winners, &mut |rows, dy, winners| {
            let pixels = rows.len() * width;
            BAND_BUFFERS.with_borrow_mut(|(patches, gradients)| {
                let columns = n.next_multiple_of(tile_columns(isa));
                let patches = sized(patches, pixels * k);
                let gradients = sized(gradients, pixels * columns);
                dispatch!(isa, |simd| epilogue
                    .spread_rows(simd, n, width, rows.start, dy, winners, columns, gradients));
                let dy = matrix(gradients, pixels, columns);
                let dy = dy.slice(ndarray::s![.., ..n]);
                gemm(isa, 1.0, dy, w.t(), 0.0, matrix_mut(patches, pixels, k));
                for (pixel, patch) in patches.chunks_exact(k).enumerate() {
                    add_patch(shape, patch, (rows.start + pixel / width, pixel % width), dx);
                }
            });
        });
    });
}
