//! The order for many tiles: a task takes some rows of tiles through all stages, so that what lies between them stays in its
//! core's L2 cache. The transformed filter is packed beforehand, and each task streams through it.

use std::cell::RefCell;
use std::ops::Range;

use crate::simd::{MatrixMut, Simd, Store, dispatch};

use super::output::Output;
use super::stages::{self, Convolution, Panels};
use super::tiles::Filtering;
use super::{plane, sized, tile_columns};

/// Bytes of V and P of a task, at most about: the L2 cache of a current core holds 1 to 2 MB, and the transformed filter
/// streams through it too.
const BLOCK_BYTES: usize = 1 << 20;

/// Tiles in a block, where there are as many: each block reads the whole transformed filter once.
const LEAST_TILES: usize = 48;

/// V and P, and the pixels that a row of tiles is cut from.
struct Buffers {
    v: Vec<f32>,
    p: Vec<f32>,
    strip: Vec<f32>,
}

thread_local! {
    /// Buffers of the block at hand, reused from call to call.
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Buffers { v: Vec::new(), p: Vec::new(), strip: Vec::new() }) };
}

/// Convolves `rows` rows of tiles with the filter packed in `u`.
pub fn convolve<F: Filtering>(convolution: &Convolution<'_>, rows: usize, u: &[f32], out: Output<'_>) {
    let per_tile = 4 * F::PLACES * (convolution.cin + convolution.cout);
    let tiles = (BLOCK_BYTES / per_tile).max(LEAST_TILES);
    // As many blocks for each thread. How the tiles are shared leaves no trace in the result.
    let all = rows * convolution.tiling.columns;
    let blocks = all.div_ceil(tiles).next_multiple_of(rayon::current_num_threads());
    share::<F>(convolution, 0..rows, rows.div_ceil(blocks), u, out);
}

/// Shares rows of tiles among the threads, `rows_in_block` at a time.
fn share<F: Filtering>(
    convolution: &Convolution<'_>,
    rows: Range<usize>,
    rows_in_block: usize,
    u: &[f32],
    out: Output<'_>,
) {
    if rows.len() > rows_in_block {
        let blocks = rows.len().div_ceil(rows_in_block);
        let middle = rows.start + blocks / 2 * rows_in_block;
        let (before, after) = out.split_rows(&convolution.tiling, middle);
        rayon::join(
            || share::<F>(convolution, rows.start..middle, rows_in_block, u, before),
            || share::<F>(convolution, middle..rows.end, rows_in_block, u, after),
        );
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        dispatch!(|simd| block::<_, F>(simd, convolution, rows, u, out, buffers));
    });
}

/// One block, on the calling thread.
#[inline(always)]
fn block<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution<'_>,
    rows: Range<usize>,
    u: &[f32],
    mut out: Output<'_>,
    buffers: &mut Buffers,
) {
    let Convolution { cin, cout, tiling, .. } = *convolution;
    let (places, u_plane) = (F::PLACES, plane(cin * tile_columns()));
    let tiles = rows.start * tiling.columns..rows.end * tiling.columns;
    let panels = Panels::new(simd, tiles.len(), cin);
    let v = sized(&mut buffers.v, places * panels.plane());
    let to = MatrixMut::new(v, places, panels.columns(), panels.plane());
    stages::input::<S, F>(simd, convolution, tiles.clone(), &panels, to, &mut buffers.strip);

    // P's rows are filled up to whole vectors.
    let p_columns = cout.next_multiple_of(S::LANES);
    let p_plane = plane(tiles.len() * p_columns);
    let p = sized(&mut buffers.p, places * p_plane);
    for (place, (v, p)) in v.chunks_exact(panels.plane()).zip(p.chunks_exact_mut(p_plane)).enumerate() {
        let p = MatrixMut::new(p, tiles.len(), cout, p_columns);
        stages::product(simd, cin, &panels, v, &u[place * u_plane..], places * u_plane, p, Store::Overwrite);
    }
    stages::output::<S, F>(simd, &tiling, tiles, p, p_columns, p_plane, &mut out);
}
