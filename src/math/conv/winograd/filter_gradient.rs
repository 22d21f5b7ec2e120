//! The gradient of the filter: `dW = G^T [ sum over tiles of (B^T d B) (.) (A dY A^T) ] G`.
//!
//! For each of the n^2 places of a tile the sum is a matrix product over the tiles, `dU = V^T Z`, with V (tiles x cin)
//! the transformed inputs and Z (tiles x cout) the transformed gradients. Some tiles at a time are transformed in
//! parallel, then multiplied in parallel over the places: every sum runs over the tiles in order.

use rayon::prelude::*;

use crate::math::simd::{MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

use super::forward::Convolution;
use super::source::{Source, cut};
use super::tiles::Tiling;
use super::transform::{Filtering, MAX_N, filter_transposed, in_two_dimensions, output_transposed};

/// Bytes of V and Z together, about: a share of the L3 cache.
const BLOCK_BYTES: usize = 8 << 20;

/// The buffers' sizes for one convolution.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Tiles transformed at a time.
    tiles: usize,
    /// Floats of a tile's row of V and of Z: the channels, filled up to what the product reads.
    v_columns: usize,
    z_columns: usize,
    /// Floats of V, Z and dU.
    v: usize,
    z: usize,
    du: usize,
}

impl Sizes {
    pub fn new<F: Filtering>(convolution: &Convolution, tiling: &Tiling, batch: usize) -> Self {
        let (lanes, nr) = dispatch!(|simd| sizes(simd));
        let (v_columns, z_columns) =
            (convolution.cin.next_multiple_of(lanes), convolution.cout.next_multiple_of(nr));
        let places = F::N * F::N;
        let all = batch * tiling.rows * tiling.columns;
        let tiles = (BLOCK_BYTES / (4 * places * (v_columns + z_columns))).max(16).min(all);
        let du = places * convolution.cin * z_columns;
        Self { tiles, v_columns, z_columns, v: tiles * places * v_columns, z: tiles * places * z_columns, du }
    }

    /// Floats of room to work in.
    pub fn scratch(&self) -> usize {
        self.v + self.z + self.du
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
    x: impl Source,
    dy: impl Source,
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let sizes = Sizes::new::<F>(convolution, tiling, batch);
    let (v, rest) = scratch.split_at_mut(sizes.v);
    let (z, rest) = rest.split_at_mut(sizes.z);
    let du = &mut rest[..sizes.du];
    let places = F::N * F::N;
    let all = batch * tiling.rows * tiling.columns;
    for first in (0..all).step_by(sizes.tiles) {
        let tiles = sizes.tiles.min(all - first);
        // [tile][place][channel]: a tile's values lie together, a place's rows n^2 rows apart.
        let v = &mut v[..tiles * places * sizes.v_columns];
        let z = &mut z[..tiles * places * sizes.z_columns];
        v.par_chunks_exact_mut(places * sizes.v_columns)
            .zip(z.par_chunks_exact_mut(places * sizes.z_columns))
            .with_min_len(4)
            .enumerate()
            .for_each(|(index, (v, z))| {
                dispatch!(|simd| transform_tile::<_, F>(
                    simd,
                    convolution,
                    tiling,
                    &sizes,
                    first + index,
                    x,
                    dy,
                    v,
                    z
                ));
            });
        let store = if first == 0 { Store::Overwrite } else { Store::Add };
        du.par_chunks_exact_mut(convolution.cin * sizes.z_columns).enumerate().for_each(|(place, du)| {
            let (v, z) = (&v[place * sizes.v_columns..], &z[place * sizes.z_columns..]);
            dispatch!(|simd| multiply(simd, convolution, &sizes, places, tiles, v, z, du, store));
        });
    }
    dispatch!(|simd| gather::<_, F>(simd, convolution, &sizes, du, dw));
}

#[allow(clippy::too_many_arguments, reason = "a tile's sources and where it goes")]
#[inline(always)]
fn transform_tile<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution,
    tiling: &Tiling,
    sizes: &Sizes,
    tile: usize,
    x: impl Source,
    dy: impl Source,
    v: &mut [f32],
    z: &mut [f32],
) {
    let Convolution { cin, cout, pad } = *convolution;
    let (image, row, column) = tiling.locate(tile);
    let (top, left) = ((row * F::M) as isize, (column * F::M) as isize);
    let corner = (top - pad.0 as isize, left - pad.1 as isize);
    for channel in (0..cin).step_by(S::LANES) {
        let d = cut(simd, &x, image, corner, F::N, channel);
        let d = in_two_dimensions::<S>(
            &d,
            F::N,
            F::N,
            #[inline(always)]
            |x| F::input(simd, x),
        );
        for i in 0..F::N {
            for j in 0..F::N {
                simd.store(d[i][j], &mut v[(i * F::N + j) * sizes.v_columns + channel..]);
            }
        }
    }
    for channel in (0..cout).step_by(S::LANES) {
        let d = cut(simd, &dy, image, (top, left), F::M, channel);
        let d = in_two_dimensions::<S>(
            &d,
            F::M,
            F::N,
            #[inline(always)]
            |y| output_transposed::<S, F>(simd, y),
        );
        for i in 0..F::N {
            for j in 0..F::N {
                simd.store(d[i][j], &mut z[(i * F::N + j) * sizes.z_columns + channel..]);
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
    places: usize,
    tiles: usize,
    v: &[f32],
    z: &[f32],
    du: &mut [f32],
    store: Store,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (v_stride, z_stride) = (places * sizes.v_columns, places * sizes.z_columns);
    let mut product = MatrixMut::new(du, convolution.cin, sizes.z_columns, sizes.z_columns);
    for column in (0..sizes.z_columns).step_by(nr) {
        for row in (0..convolution.cin).step_by(mr) {
            let tile = product.window(row, column, mr.min(convolution.cin - row), nr);
            let layout = PanelLayout::Columns { stride: v_stride };
            multiply_tile(simd, tiles, &v[row..], layout, &z[column..], z_stride, tile, store);
        }
    }
}

/// `dW = G^T dU G`.
#[inline(always)]
fn gather<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution,
    sizes: &Sizes,
    du: &[f32],
    dw: &mut [f32],
) {
    let Convolution { cin, cout, .. } = *convolution;
    for i in 0..cin {
        for channel in (0..cout).step_by(S::LANES) {
            let mut u = [[simd.splat(0.0); MAX_N]; MAX_N];
            for y in 0..F::N {
                for x in 0..F::N {
                    u[y][x] = simd.load(&du[((y * F::N + x) * cin + i) * sizes.z_columns + channel..]);
                }
            }
            let g = in_two_dimensions::<S>(
                &u,
                F::N,
                F::R,
                #[inline(always)]
                |u| filter_transposed::<S, F>(simd, u),
            );
            for y in 0..F::R {
                for x in 0..F::R {
                    let at = ((y * F::R + x) * cin + i) * cout + channel;
                    simd.store_up_to(g[y][x], &mut dw[at..], cout - channel);
                }
            }
        }
    }
}
