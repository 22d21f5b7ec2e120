//! The gradient of the filter: `dW = G^T [ sum over tiles of (B^T d B) (.) (A dY A^T) ] G`.
//!
//! For each of the n^2 places of a tile the sum is a matrix product over the tiles, `dU = V^T Z`, with V (tiles x cin)
//! the transformed inputs and Z (tiles x cout) the transformed gradients. Some tiles at a time are transformed in
//! parallel, then multiplied in parallel over the places: every sum runs over the tiles in order.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::math::simd::{Grid, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

use super::forward::Convolution;
use super::plane;
use super::source::Source;
use super::tiles::Tiling;
use super::transform::{Filtering, MAX_N, filter_transposed, in_two_dimensions, output_transposed};

/// Bytes of V and Z together, about: a share of the L3 cache.
const BLOCK_BYTES: usize = 8 << 20;

/// Tiles that one task transforms, and input channels that it gathers, about.
const TASK: usize = 8;

thread_local! {
    /// Pixels that a row of tiles is cut from, reused from call to call.
    static STRIP: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The buffers' sizes for one convolution.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Rows of tiles transformed at a time.
    rows: usize,
    /// Floats of a tile's row of V and of Z: the channels, filled up to what the product reads.
    v_columns: usize,
    z_columns: usize,
    /// Floats of one place of V and of Z, and of dU.
    v_plane: usize,
    z_plane: usize,
    du: usize,
}

impl Sizes {
    pub fn new<F: Filtering>(convolution: &Convolution, tiling: &Tiling, batch: usize) -> Self {
        let (lanes, nr) = dispatch!(|simd| sizes(simd));
        let (v_columns, z_columns) =
            (convolution.cin.next_multiple_of(lanes), convolution.cout.next_multiple_of(nr));
        let places = F::N * F::N;
        let tiles = (BLOCK_BYTES / (4 * places * (v_columns + z_columns))).max(16);
        let rows = (tiles / tiling.columns).clamp(1, batch * tiling.rows);
        let tiles = rows * tiling.columns;
        let (v_plane, z_plane) = (plane(tiles * v_columns), plane(tiles * z_columns));
        Self { rows, v_columns, z_columns, v_plane, z_plane, du: places * convolution.cin * z_columns }
    }

    /// Floats of room to work in.
    pub fn scratch<F: Filtering>(&self) -> usize {
        F::N * F::N * (self.v_plane + self.z_plane) + self.du
    }
}

#[inline(always)]
fn sizes<S: Simd>(_: S) -> (usize, usize) {
    (S::LANES, S::TILE.1 * S::LANES)
}

/// Overwrites `dw` (HWIO). `scratch` holds [`Sizes::scratch`] floats.
pub fn filter_gradient<F: Filtering>(
    convolution: &Convolution,
    tiling: &Tiling,
    batch: usize,
    x: Source<'_>,
    dy: Source<'_>,
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let sizes = Sizes::new::<F>(convolution, tiling, batch);
    let places = F::N * F::N;
    let (v, rest) = scratch.split_at_mut(places * sizes.v_plane);
    let (z, rest) = rest.split_at_mut(places * sizes.z_plane);
    let du = &mut rest[..sizes.du];
    let all = batch * tiling.rows;
    for first in (0..all).step_by(sizes.rows) {
        let rows = first..all.min(first + sizes.rows);
        let tiles = rows.len() * tiling.columns;
        // [place][tile][channel]
        let to = Transformed {
            v: MatrixMut::new(v, places, tiles * sizes.v_columns, sizes.v_plane),
            z: MatrixMut::new(z, places, tiles * sizes.z_columns, sizes.z_plane),
        };
        transform::<F>(convolution, tiling, &sizes, rows, x, dy, to);
        let store = if first == 0 { Store::Overwrite } else { Store::Add };
        du.par_chunks_exact_mut(convolution.cin * sizes.z_columns)
            .zip(v.par_chunks_exact(sizes.v_plane).zip(z.par_chunks_exact(sizes.z_plane)))
            .for_each(|(du, (v, z))| {
                dispatch!(|simd| multiply(simd, convolution, &sizes, tiles, v, z, du, store));
            });
    }
    let dw = MatrixMut::new(
        dw,
        F::R * F::R,
        convolution.cin * convolution.cout,
        convolution.cin * convolution.cout,
    );
    gather::<F>(convolution, &sizes, du, 0..convolution.cin, dw);
}

/// V and Z of some tiles: a row for each place.
struct Transformed<'a> {
    v: MatrixMut<'a>,
    z: MatrixMut<'a>,
}

/// Transforms rows `rows` of tiles, in parallel.
fn transform<F: Filtering>(
    convolution: &Convolution,
    tiling: &Tiling,
    sizes: &Sizes,
    rows: Range<usize>,
    x: Source<'_>,
    dy: Source<'_>,
    to: Transformed<'_>,
) {
    if rows.len() > 1 && rows.len() * tiling.columns > TASK {
        let half = rows.len() / 2;
        let (v, v_after) = to.v.split_columns(half * tiling.columns * sizes.v_columns);
        let (z, z_after) = to.z.split_columns(half * tiling.columns * sizes.z_columns);
        let middle = rows.start + half;
        let (before, after) = (Transformed { v, z }, Transformed { v: v_after, z: z_after });
        rayon::join(
            || transform::<F>(convolution, tiling, sizes, rows.start..middle, x, dy, before),
            || transform::<F>(convolution, tiling, sizes, middle..rows.end, x, dy, after),
        );
        return;
    }
    STRIP.with_borrow_mut(|strip| {
        dispatch!(|simd| transform_rows::<_, F>(simd, convolution, tiling, sizes, rows, x, dy, to, strip));
    });
}

#[allow(clippy::too_many_arguments, reason = "the tiles' sources and where they go")]
#[inline(always)]
fn transform_rows<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution,
    tiling: &Tiling,
    sizes: &Sizes,
    rows: Range<usize>,
    x: Source<'_>,
    dy: Source<'_>,
    mut to: Transformed<'_>,
    strip: &mut Vec<f32>,
) {
    let Convolution { cin, cout, pad } = *convolution;
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    let (width, places) = (tiling.columns * F::M, (F::N, F::N));
    for (index, row) in rows.enumerate() {
        let (image, top) = (row / tiling.rows, (row % tiling.rows * F::M) as isize);
        let first = index * tiling.columns;
        let corner = (top - pad.0 as isize, -(pad.1 as isize));
        let pixels = x.strip(simd, image, corner, (F::N, width + F::N - F::M), strip);
        for column in 0..tiling.columns {
            for channel in (0..cin).step_by(S::LANES) {
                let cut = pixels.cut(simd, column * F::M, F::N, channel);
                let mut to = to.v.grid((first + column) * sizes.v_columns + channel, places, S::LANES);
                in_two_dimensions::<S>(
                    &mut between,
                    F::N,
                    F::N,
                    #[inline(always)]
                    |y, x| simd.load(cut.run(y, x)),
                    #[inline(always)]
                    |x| F::input(simd, x),
                    #[inline(always)]
                    |y, x, value| simd.store(value, to.run(y, x)),
                );
            }
        }
        let pixels = dy.strip(simd, image, (top, 0), (F::M, width), strip);
        for column in 0..tiling.columns {
            for channel in (0..cout).step_by(S::LANES) {
                let cut = pixels.cut(simd, column * F::M, F::M, channel);
                let mut to = to.z.grid((first + column) * sizes.z_columns + channel, places, S::LANES);
                in_two_dimensions::<S>(
                    &mut between,
                    F::M,
                    F::N,
                    #[inline(always)]
                    |y, x| simd.load(cut.run(y, x)),
                    #[inline(always)]
                    |y| output_transposed::<S, F>(simd, y),
                    #[inline(always)]
                    |y, x, value| simd.store(value, to.run(y, x)),
                );
            }
        }
    }
}

/// `dU = V^T Z` or `dU += V^T Z` at one place.
#[allow(clippy::too_many_arguments, reason = "a product's operands and sizes")]
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    convolution: &Convolution,
    sizes: &Sizes,
    tiles: usize,
    v: &[f32],
    z: &[f32],
    du: &mut [f32],
    store: Store,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let cin = convolution.cin;
    let height = cin.div_ceil(cin.div_ceil(mr));
    let mut product = MatrixMut::new(du, cin, sizes.z_columns, sizes.z_columns);
    for column in (0..sizes.z_columns).step_by(nr) {
        for row in (0..cin).step_by(height) {
            let tile = product.window(row, column, height.min(cin - row), nr);
            let layout = PanelLayout::Columns { stride: sizes.v_columns };
            multiply_tile(simd, tiles, &v[row..], layout, &z[column..], sizes.z_columns, tile, store);
        }
    }
}

/// `dW = G^T dU G` of input channels `channels`, in parallel; `dw` has a row for each tap.
fn gather<F: Filtering>(
    convolution: &Convolution,
    sizes: &Sizes,
    du: &[f32],
    channels: Range<usize>,
    dw: MatrixMut<'_>,
) {
    if channels.len() > TASK {
        let half = channels.len() / 2;
        let (before, after) = dw.split_columns(half * convolution.cout);
        let middle = channels.start + half;
        rayon::join(
            || gather::<F>(convolution, sizes, du, channels.start..middle, before),
            || gather::<F>(convolution, sizes, du, middle..channels.end, after),
        );
        return;
    }
    dispatch!(|simd| gather_channels::<_, F>(simd, convolution, sizes, du, channels, dw));
}

#[inline(always)]
fn gather_channels<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution,
    sizes: &Sizes,
    du: &[f32],
    channels: Range<usize>,
    mut dw: MatrixMut<'_>,
) {
    let Convolution { cin, cout, .. } = *convolution;
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    for (index, i) in channels.enumerate() {
        for channel in (0..cout).step_by(S::LANES) {
            let plane = cin * sizes.z_columns;
            let from = &du[i * sizes.z_columns + channel..];
            let from = Grid::new(from, (F::N, F::N), (F::N * plane, plane), S::LANES);
            in_two_dimensions::<S>(
                &mut between,
                F::N,
                F::R,
                #[inline(always)]
                |y, x| simd.load(from.run(y, x)),
                #[inline(always)]
                |u| filter_transposed::<S, F>(simd, u),
                #[inline(always)]
                |y, x, value| {
                    let to = &mut dw.row(y * F::R + x)[index * cout + channel..];
                    simd.store_up_to(value, to, cout - channel);
                },
            );
        }
    }
}
