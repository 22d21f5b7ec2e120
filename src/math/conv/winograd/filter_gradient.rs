//! The gradient of the filter: `dW = G^T [ sum over tiles of (B^T d B) (.) (A dY A^T) ] G`.
//!
//! For each of the n^2 places of a tile the sum is a matrix product over the tiles, `dU = V^T Z`, with V (tiles x cin)
//! the transformed inputs and Z (tiles x cout) the transformed gradients. Where dU is small, groups of tiles sum dU's of their
//! own, each on one thread, some tiles at a time, so that all three stay in its L2 cache. Where it is large, more tiles at a
//! time are transformed in parallel, then multiplied in parallel over the places. Either way groups and sums depend on the
//! shape alone.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::math::simd::{Grid, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

use super::plane;
use super::source::Source;
use super::stages::{self, Convolution};
use super::transform::{Filtering, MAX_N, filter_transposed, in_two_dimensions, output_transposed};

/// Bytes of V and Z together, about, where all threads share them: a share of the L3 cache.
const SHARED_BYTES: usize = 8 << 20;

/// Bytes of V and Z together, about, where a group has its own.
const GROUP_BYTES: usize = 3 << 18;

/// Bytes of dU up to which groups have their own.
const SMALL_DU: usize = 1 << 20;

/// Groups, at most.
const GROUPS: usize = 16;

/// Tiles in a group, at least.
const GROUP_TILES: usize = 32;

/// Tiles that one task transforms, and input channels that it gathers, about.
const TASK: usize = 8;

thread_local! {
    /// Pixels that a row of tiles is cut from, reused from call to call.
    static STRIP: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// How the work is cut, and the buffers' sizes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Groups of rows of tiles that sum on their own, and rows in a group.
    groups: usize,
    group_rows: usize,
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
    pub fn new<F: Filtering>(convolution: &Convolution<'_>, batch: usize) -> Self {
        let (lanes, nr) = dispatch!(|simd| sizes(simd));
        let (v_columns, z_columns) =
            (convolution.cin.next_multiple_of(lanes), convolution.cout.next_multiple_of(nr));
        let places = F::N * F::N;
        let du = places * convolution.cin * z_columns;
        let all = batch * convolution.tiling.rows;
        let groups = if 4 * du <= SMALL_DU { all * convolution.tiling.columns / GROUP_TILES } else { 1 };
        let group_rows = all.div_ceil(groups.clamp(1, GROUPS));
        let groups = all.div_ceil(group_rows);
        let bytes = if groups > 1 { GROUP_BYTES } else { SHARED_BYTES };
        let tiles = (bytes / (4 * places * (v_columns + z_columns))).max(16);
        let rows = (tiles / convolution.tiling.columns).clamp(1, group_rows);
        let tiles = rows * convolution.tiling.columns;
        let (v_plane, z_plane) = (plane(tiles * v_columns), plane(tiles * z_columns));
        Self { groups, group_rows, rows, v_columns, z_columns, v_plane, z_plane, du }
    }

    /// Floats that a group works in: V, Z and dU.
    fn group<F: Filtering>(&self) -> usize {
        F::N * F::N * (self.v_plane + self.z_plane) + self.du
    }

    /// Floats of room to work in.
    pub fn scratch<F: Filtering>(&self) -> usize {
        self.groups * self.group::<F>()
    }
}

#[inline(always)]
fn sizes<S: Simd>(_: S) -> (usize, usize) {
    (S::LANES, S::TILE.1 * S::LANES)
}

/// Overwrites `dw` (HWIO). `scratch` holds [`Sizes::scratch`] floats.
pub fn filter_gradient<F: Filtering>(
    convolution: &Convolution<'_>,
    batch: usize,
    dy: Source<'_>,
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let sizes = Sizes::new::<F>(convolution, batch);
    let all = batch * convolution.tiling.rows;
    let scratch = &mut scratch[..sizes.scratch::<F>()];
    scratch.par_chunks_exact_mut(sizes.group::<F>()).enumerate().for_each(|(group, scratch)| {
        let rows = group * sizes.group_rows..all.min((group + 1) * sizes.group_rows);
        sum_group::<F>(convolution, &sizes, rows, dy, scratch);
    });
    let (taps, columns) = (F::R * F::R, convolution.cin * convolution.cout);
    gather::<F>(convolution, &sizes, scratch, 0..convolution.cin, MatrixMut::new(dw, taps, columns, columns));
}

/// dU of rows `rows` of tiles, at the beginning of `scratch`.
fn sum_group<F: Filtering>(
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    rows: Range<usize>,
    dy: Source<'_>,
    scratch: &mut [f32],
) {
    let places = F::N * F::N;
    let (du, rest) = scratch.split_at_mut(sizes.du);
    let (v, z) = rest.split_at_mut(places * sizes.v_plane);
    let start = rows.start;
    for first in rows.clone().step_by(sizes.rows) {
        let rows = first..rows.end.min(first + sizes.rows);
        let tiles = rows.len() * convolution.tiling.columns;
        // [place][tile][channel]
        let to = Transformed {
            v: MatrixMut::new(v, places, tiles * sizes.v_columns, sizes.v_plane),
            z: MatrixMut::new(z, places, tiles * sizes.z_columns, sizes.z_plane),
        };
        transform::<F>(convolution, sizes, rows, dy, to);
        let store = if first == start { Store::Overwrite } else { Store::Add };
        let multiply = |(du, (v, z)): (&mut [f32], (&[f32], &[f32]))| {
            dispatch!(|simd| multiply(simd, convolution, sizes, tiles, v, z, du, store));
        };
        let plane = convolution.cin * sizes.z_columns;
        if sizes.groups == 1 {
            let operands = v.par_chunks_exact(sizes.v_plane).zip(z.par_chunks_exact(sizes.z_plane));
            du.par_chunks_exact_mut(plane).zip(operands).for_each(multiply);
        } else {
            let operands = v.chunks_exact(sizes.v_plane).zip(z.chunks_exact(sizes.z_plane));
            du.chunks_exact_mut(plane).zip(operands).for_each(multiply);
        }
    }
}

/// V and Z of some tiles: a row for each place.
struct Transformed<'a> {
    v: MatrixMut<'a>,
    z: MatrixMut<'a>,
}

/// Transforms rows `rows` of tiles, in parallel where they are not a group's own.
fn transform<F: Filtering>(
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    rows: Range<usize>,
    dy: Source<'_>,
    to: Transformed<'_>,
) {
    if sizes.groups == 1 && rows.len() > 1 && rows.len() * convolution.tiling.columns > TASK {
        let half = rows.len() / 2;
        let (v, v_after) = to.v.split_columns(half * convolution.tiling.columns * sizes.v_columns);
        let (z, z_after) = to.z.split_columns(half * convolution.tiling.columns * sizes.z_columns);
        let middle = rows.start + half;
        let (before, after) = (Transformed { v, z }, Transformed { v: v_after, z: z_after });
        rayon::join(
            || transform::<F>(convolution, sizes, rows.start..middle, dy, before),
            || transform::<F>(convolution, sizes, middle..rows.end, dy, after),
        );
        return;
    }
    STRIP.with_borrow_mut(|strip| {
        dispatch!(|simd| transform_rows::<_, F>(simd, convolution, sizes, rows, dy, to, strip));
    });
}

#[allow(clippy::too_many_arguments, reason = "the tiles' sources and where they go")]
#[inline(always)]
fn transform_rows<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    rows: Range<usize>,
    dy: Source<'_>,
    mut to: Transformed<'_>,
    strip: &mut Vec<f32>,
) {
    let Convolution { cin, cout, pad, tiling, .. } = *convolution;
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    let (width, places) = (convolution.tiling.columns * F::M, (F::N, F::N));
    for (index, row) in rows.enumerate() {
        let (image, top) = (row / convolution.tiling.rows, (row % convolution.tiling.rows * F::M) as isize);
        let first = index * convolution.tiling.columns;
        let corner = (top - pad.0 as isize, -(pad.1 as isize));
        let pixels = convolution.source.strip(simd, image, corner, (F::N, width + F::N - F::M), strip);
        for column in 0..tiling.columns {
            for channel in (0..cin).step_by(S::LANES) {
                let cut = pixels.cut(simd, column * F::M, F::N, channel);
                let to = to.v.grid((first + column) * sizes.v_columns + channel, places, S::LANES);
                stages::input_tile::<S, F>(simd, &mut between, cut, to);
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
    convolution: &Convolution<'_>,
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

/// `dW = G^T dU G` of input channels `channels`, in parallel, with dU the sum of the groups'; `dw` has a row for each tap.
fn gather<F: Filtering>(
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    groups: &[f32],
    channels: Range<usize>,
    dw: MatrixMut<'_>,
) {
    if channels.len() > TASK {
        let half = channels.len() / 2;
        let (before, after) = dw.split_columns(half * convolution.cout);
        let middle = channels.start + half;
        rayon::join(
            || gather::<F>(convolution, sizes, groups, channels.start..middle, before),
            || gather::<F>(convolution, sizes, groups, middle..channels.end, after),
        );
        return;
    }
    dispatch!(|simd| gather_channels::<_, F>(simd, convolution, sizes, groups, channels, dw));
}

#[inline(always)]
fn gather_channels<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    groups: &[f32],
    channels: Range<usize>,
    mut dw: MatrixMut<'_>,
) {
    let Convolution { cin, cout, .. } = *convolution;
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    for (index, i) in channels.enumerate() {
        for channel in (0..cout).step_by(S::LANES) {
            let plane = cin * sizes.z_columns;
            let (places, strides) = ((F::N, F::N), (F::N * plane, plane));
            let mut sum = [[simd.splat(0.0); MAX_N]; MAX_N];
            for group in groups.chunks_exact(sizes.group::<F>()) {
                let du = &group[i * sizes.z_columns + channel..];
                let du = Grid::new(du, places, strides, S::LANES);
                for y in 0..F::N {
                    for x in 0..F::N {
                        sum[y][x] = simd.add(sum[y][x], simd.load(du.run(y, x)));
                    }
                }
            }
            in_two_dimensions::<S>(
                &mut between,
                F::N,
                F::R,
                #[inline(always)]
                |y, x| sum[y][x],
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
