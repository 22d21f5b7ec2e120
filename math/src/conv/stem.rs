//! The first layer's convolution: 1 or 3 input channels. Patches need no copies at all.
//!
//! On an image with its border of zeros laid around it, the values that one row of the filter meets are `kernel width x cin`
//! contiguous floats, and from an output pixel to the next one they begin `stride x cin` floats further on. So a row of the
//! image is a matrix of overlapping rows, which the register tile reads where they lie; of a filter HWIO each row of taps is the
//! other operand as it stands.

use std::cell::RefCell;
use std::ops::Range;

use super::epilogue::{Epilogue, Finish};
use super::{Bands, ConvShape, sized, tile_columns};
use crate::parallel::for_each_chunk;
use crate::simd::{Isa, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};
use crate::window::Axis;

/// Output pixels in a band, at least: a band's rows of input then weigh little more than its rows of output.
const BAND: usize = 1024;

/// Groups of images that each sum a filter's gradient, at most.
const GROUPS: usize = 16;

thread_local! {
    /// A band of the image with its border, and its rows of outputs or gradients, reused from call to call.
    static BAND_BUFFERS: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Whether this is such a convolution.
pub fn applies(shape: &ConvShape) -> bool {
    (shape.window.y.dilation, shape.window.x.dilation) == (1, 1) && matches!(shape.cin, 1 | 3)
}

/// Floats of one row of the filter or its gradient, filled up to whole tiles.
fn columns(isa: Isa, shape: &ConvShape) -> usize {
    shape.cout.next_multiple_of(tile_columns(isa))
}

/// Floats of one row of an image with its border.
fn padded_row(shape: &ConvShape) -> usize {
    read(&shape.window.x, shape.window.x.output) * shape.cin
}

/// Rows or columns of an image with its border that so many outputs read.
fn read(axis: &Axis, outputs: usize) -> usize {
    (outputs - 1) * axis.stride + axis.kernel
}

/// Lays out the filter as the forward pass reads it, its rows filled up to whole tiles. Overwrites `to`.
pub fn pack(isa: Isa, shape: &ConvShape, w: &[f32], to: &mut [f32]) {
    for (row, to) in w.chunks_exact(shape.cout).zip(to.chunks_exact_mut(columns(isa, shape))) {
        to[..shape.cout].copy_from_slice(row);
        to[shape.cout..].fill(0.0);
    }
}

/// Forward pass over all images of `x`, with the filter [packed](pack). Overwrites `y` and `winners`.
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
) {
    let bands = Bands::new(shape, finish.epilogue, BAND);
    bands.for_each_mut(x, y, winners, &|x, rows, y, winners| {
        BAND_BUFFERS.with_borrow_mut(|(padded, outputs)| {
            dispatch!(isa, |simd| forward_band(
                simd, shape, finish, rows, x, packed, bias, y, winners, padded, outputs
            ));
        });
    });
}

/// The rows of an image that the output rows `rows` read, with a border of zeros.
fn pad(shape: &ConvShape, x: &[f32], rows: Range<usize>, padded: &mut [f32]) {
    let (y_axis, x_axis) = (&shape.window.y, &shape.window.x);
    let row_len = x_axis.input * shape.cin;
    let before = x_axis.pad_before * shape.cin;
    for (index, to) in padded.chunks_exact_mut(padded_row(shape)).enumerate() {
        let row = (rows.start * y_axis.stride + index)
            .checked_sub(y_axis.pad_before)
            .filter(|&row| row < y_axis.input);
        let Some(row) = row else {
            to.fill(0.0);
            continue;
        };
        // The last columns may go unread.
        let len = row_len.min(to.len() - before);
        to[..before].fill(0.0);
        to[before..before + len].copy_from_slice(&x[row * row_len..][..len]);
        to[before + len..].fill(0.0);
    }
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
    padded: &mut Vec<f32>,
    outputs: &mut Vec<f32>,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (width, n, side) = (shape.window.x.output, shape.cout, finish.epilogue.side());
    let (row_len, columns) = (padded_row(shape), n.next_multiple_of(nr));
    let padded = sized(padded, read(&shape.window.y, rows.len()) * row_len);
    pad(shape, x, rows.clone(), padded);
    let outputs = sized(outputs, side * width * columns);
    let run = shape.window.x.kernel * shape.cin;
    let step = shape.window.x.stride * shape.cin;
    let layout = PanelLayout::Runs { stride: step, run, run_stride: row_len };
    let stored = finish.epilogue.stored(width) * n;
    for (index, y) in y.chunks_exact_mut(stored).enumerate() {
        let count = side.min(rows.len() - index * side);
        let mut product = MatrixMut::new(outputs, count * width, columns, columns);
        for row in 0..count {
            let padded = &padded[(index * side + row) * shape.window.y.stride * row_len..];
            for column in (0..columns).step_by(nr) {
                for pixel in (0..width).step_by(mr) {
                    let tile = product.window(row * width + pixel, column, mr.min(width - pixel), nr);
                    let patches = &padded[pixel * step..];
                    let w = &w[column..];
                    multiply_tile(simd, shape.patch(), patches, layout, w, columns, tile, Store::Overwrite);
                }
            }
        }
        let winners = if winners.is_empty() { &mut [] } else { &mut winners[index * stored..][..stored] };
        finish.store_row(simd, outputs, count, width, columns, bias, y, winners);
    }
}

/// Floats of the sums of [`filter_gradient`].
pub fn filter_gradient_scratch(isa: Isa, shape: &ConvShape, batch: usize) -> usize {
    batch.div_ceil(batch.div_ceil(GROUPS)) * shape.patch() * columns(isa, shape)
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
    let batch = x.len() / shape.input_len();
    let images = batch.div_ceil(GROUPS);
    let sums = &mut scratch[..filter_gradient_scratch(isa, shape, batch)];
    let bands = Bands::new(shape, epilogue, BAND);
    for_each_chunk(sums, shape.patch() * columns(isa, shape), &|group, sums| {
        sums.fill(0.0);
        for image in (0..batch).skip(group * images).take(images) {
            let x = &x[image * shape.input_len()..][..shape.input_len()];
            bands.for_each(image, dy, winners, &mut |rows, dy, winners| {
                BAND_BUFFERS.with_borrow_mut(|(padded, gradients)| {
                    dispatch!(isa, |simd| add_band(
                        simd, shape, epilogue, rows, x, dy, winners, sums, padded, gradients
                    ));
                });
            });
        }
    });
    super::add_sums(sums, columns(isa, shape), dw, shape.cout);
}

/// Adds what one band of output rows gives to the filter's gradient.
#[allow(clippy::too_many_arguments, reason = "a band's operands and room to work in")]
#[inline(always)]
fn add_band<S: Simd>(
    simd: S,
    shape: &ConvShape,
    epilogue: Epilogue,
    rows: Range<usize>,
    x: &[f32],
    dy: &[f32],
    winners: &[u8],
    sums: &mut [f32],
    padded: &mut Vec<f32>,
    gradients: &mut Vec<f32>,
) {
    let nr = S::TILE.1 * S::LANES;
    let (width, n) = (shape.window.x.output, shape.cout);
    let (row_len, columns) = (padded_row(shape), n.next_multiple_of(nr));
    let padded = sized(padded, read(&shape.window.y, rows.len()) * row_len);
    pad(shape, x, rows.clone(), padded);
    let gradients = sized(gradients, rows.len() * width * columns);
    epilogue.spread_rows(simd, n, width, rows.start, dy, winners, columns, gradients);
    let run = shape.window.x.kernel * shape.cin;
    // Tiles of equal height: one of a single row would take as long as one of all.
    let height = run.div_ceil(run.div_ceil(S::TILE.0));
    let mut product = MatrixMut::new(sums, shape.patch(), columns, columns);
    for (row, dy) in gradients.chunks_exact(width * columns).enumerate() {
        for ky in 0..shape.window.y.kernel {
            let padded = &padded[(row * shape.window.y.stride + ky) * row_len..][..row_len];
            for first in (0..run).step_by(height) {
                for column in (0..columns).step_by(nr) {
                    let tile = product.window(ky * run + first, column, height.min(run - first), nr);
                    let layout = PanelLayout::Columns { stride: shape.window.x.stride * shape.cin };
                    let (a, b) = (&padded[first..], &dy[column..]);
                    multiply_tile(simd, width, a, layout, b, columns, tile, Store::Add);
                }
            }
        }
    }
}
