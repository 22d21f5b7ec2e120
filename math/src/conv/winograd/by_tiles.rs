//! The order for many tiles: a task takes some rows of tiles through all stages, so that what lies between them stays in its
//! core's L2 cache. The transformed filter is packed beforehand, and each task streams through it.

use std::cell::RefCell;
use std::ops::Range;

use crate::simd::{MatrixMut, Simd, Store, dispatch};

use super::output::Output;
use super::stages::{self, Convolution, Panels};
use super::{plane, sized};

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
pub fn convolve(convolution: &Convolution<'_>, rows: usize, u: &[f32], out: Output<'_>) {
    let Convolution { isa, cin, cout, tiling, .. } = *convolution;
    let per_tile = 4 * tiling.tile.places() * (cin + cout);
    let tiles = (BLOCK_BYTES / per_tile).max(LEAST_TILES);
    // As many blocks for each thread. How the tiles are shared leaves no trace in the result.
    let all = rows * tiling.columns;
    let blocks = all.div_ceil(tiles).next_multiple_of(rayon::current_num_threads());
    out.for_each_rows(&tiling, 0..rows, rows.div_ceil(blocks), &|rows, out| {
        BUFFERS.with_borrow_mut(|buffers| {
            dispatch!(isa, |simd| block(simd, convolution, rows, u, out, buffers));
        });
    });
}

/// One block, on the calling thread.
#[inline(always)]
fn block<S: Simd>(
    simd: S,
    convolution: &Convolution<'_>,
    rows: Range<usize>,
    u: &[f32],
    mut out: Output<'_>,
    buffers: &mut Buffers,
) {
    let Convolution { cin, cout, tiling, .. } = *convolution;
    let (places, u_plane) = (tiling.tile.places(), plane(cin * S::TILE.1 * S::LANES));
    let tiles = rows.start * tiling.columns..rows.end * tiling.columns;
    let panels = Panels::new(simd, tiles.len(), cin);
    let v = sized(&mut buffers.v, places * panels.plane());
    let to = MatrixMut::new(v, places, panels.columns(), panels.plane());
    stages::input(simd, convolution, tiles.clone(), &panels, to, &mut buffers.strip);

    // P's rows are filled up to whole vectors.
    let p_columns = cout.next_multiple_of(S::LANES);
    let p_plane = plane(tiles.len() * p_columns);
    let p = sized(&mut buffers.p, places * p_plane);
    for (place, (v, p)) in v.chunks_exact(panels.plane()).zip(p.chunks_exact_mut(p_plane)).enumerate() {
        let p = MatrixMut::new(p, tiles.len(), cout, p_columns);
        stages::product(simd, cin, &panels, v, &u[place * u_plane..], places * u_plane, p, Store::Overwrite);
    }
    stages::output(simd, &tiling, tiles, p, p_columns, p_plane, &mut out);
}
