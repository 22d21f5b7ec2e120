//! The forward pass, which the data gradient is too: tiles in, products with the transformed filter, tiles out.
//!
//! A task takes a few rows of tiles at a time through all three stages, so that what lies between them stays in its
//! core's L2 cache:
//!
//! ```text
//! cut tiles, B^T d B   ->  V [n^2][tiles][cin]
//! V U                  ->  P [n^2][tiles][cout]     U [n^2][cin][cout], packed
//! A^T P A              ->  output
//! ```

use std::cell::RefCell;
use std::ops::Range;

use crate::math::simd::{Grid, GridMut, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

use super::output::Output;
use super::source::Source;
use super::tiles::Tiling;
use super::transform::{Filtering, MAX_N, in_two_dimensions, output};
use super::{plane, sized};

/// Bytes that the two buffers of a task fill, at most about: the L2 cache of a current core holds 1 to 2 MB, and the
/// transformed filter streams through it too.
const BLOCK_BYTES: usize = 1 << 20;

/// Tiles in a block, where there are as many: each block reads the whole transformed filter once.
const LEAST_TILES: usize = 48;

/// Channels in, channels out, and the padding before the first row and column.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    pub cin: usize,
    pub cout: usize,
    pub pad: (usize, usize),
}

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

/// Convolves rows `rows` of tiles (counted through all images) of `source` with the filter packed in `u`.
pub fn forward<F: Filtering>(
    convolution: &Convolution,
    tiling: &Tiling,
    rows: Range<usize>,
    source: Source<'_>,
    u: &[f32],
    out: Output<'_>,
) {
    let per_tile = 4 * F::N * F::N * (convolution.cin + convolution.cout);
    let tiles = (BLOCK_BYTES / per_tile).max(LEAST_TILES);
    // As many blocks for each thread. How the tiles are shared leaves no trace in the result.
    let blocks = (rows.len() * tiling.columns).div_ceil(tiles).next_multiple_of(rayon::current_num_threads());
    share::<F>(convolution, tiling, rows.clone(), rows.len().div_ceil(blocks), source, u, out);
}

/// Shares rows of tiles among the threads, `rows_in_block` at a time.
fn share<F: Filtering>(
    convolution: &Convolution,
    tiling: &Tiling,
    rows: Range<usize>,
    rows_in_block: usize,
    source: Source<'_>,
    u: &[f32],
    out: Output<'_>,
) {
    if rows.len() > rows_in_block {
        let blocks = rows.len().div_ceil(rows_in_block);
        let middle = rows.start + blocks / 2 * rows_in_block;
        let (before, after) = out.split(tiling, middle);
        rayon::join(
            || share::<F>(convolution, tiling, rows.start..middle, rows_in_block, source, u, before),
            || share::<F>(convolution, tiling, middle..rows.end, rows_in_block, source, u, after),
        );
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        dispatch!(|simd| block::<_, F>(simd, convolution, tiling, rows, source, u, out, buffers));
    });
}

/// One block, on the calling thread.
#[allow(clippy::too_many_arguments, reason = "a block's operands and room to work in")]
#[inline(always)]
fn block<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution,
    tiling: &Tiling,
    rows: Range<usize>,
    source: Source<'_>,
    u: &[f32],
    mut out: Output<'_>,
    buffers: &mut Buffers,
) {
    let Convolution { cin, cout, pad } = *convolution;
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let tiles = rows.start * tiling.columns..rows.end * tiling.columns;
    // V in panels of at most mr tiles, `Blocked`; P row-major, its rows filled up to whole vectors.
    let panels = tiles.len().div_ceil(mr);
    let height = tiles.len().div_ceil(panels);
    let panel = mr * cin.next_multiple_of(S::LANES);
    let v_len = plane(panels * panel);
    let p_columns = cout.next_multiple_of(S::LANES);
    let p_len = plane(tiles.len() * p_columns);
    let v = sized(&mut buffers.v, F::N * F::N * v_len);
    let p = sized(&mut buffers.p, F::N * F::N * p_len);
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];

    let places = (F::N, F::N);
    let size = (F::N, tiling.columns * F::M + F::N - F::M);
    for (index, row) in rows.enumerate() {
        let y = (row % tiling.rows * F::M) as isize - pad.0 as isize;
        let strip = source.strip(simd, row / tiling.rows, (y, -(pad.1 as isize)), size, &mut buffers.strip);
        for column in 0..tiling.columns {
            let tile = index * tiling.columns + column;
            let at = tile / height * panel + tile % height * S::LANES;
            for channel in (0..cin).step_by(S::LANES) {
                let cut = strip.cut(simd, column * F::M, F::N, channel);
                let mut to =
                    GridMut::new(&mut v[at + channel * mr..], places, (F::N * v_len, v_len), S::LANES);
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
    }

    for (place, (v, p)) in v.chunks_exact(v_len).zip(p.chunks_exact_mut(p_len)).enumerate() {
        let mut product = MatrixMut::new(p, tiles.len(), cout, p_columns);
        for (column, u) in (0..cout).step_by(nr).zip(u.chunks_exact(F::N * F::N * cin * nr)) {
            let u = &u[place * cin * nr..][..cin * nr];
            for (row, v) in (0..tiles.len()).step_by(height).zip(v.chunks_exact(panel)) {
                let rows = height.min(tiles.len() - row);
                let tile = product.window(row, column, rows, nr.min(cout - column));
                multiply_tile(simd, cin, v, PanelLayout::Blocked, u, nr, tile, Store::Overwrite);
            }
        }
    }

    let mut outputs = between;
    for (index, tile) in tiles.enumerate() {
        let (row, column) = (tile / tiling.columns, tile % tiling.columns);
        for channel in (0..cout).step_by(S::LANES) {
            // P's rows are whole vectors.
            let from = Grid::new(&p[index * p_columns + channel..], places, (F::N * p_len, p_len), S::LANES);
            in_two_dimensions::<S>(
                &mut between,
                F::N,
                F::M,
                #[inline(always)]
                |y, x| simd.load(from.run(y, x)),
                #[inline(always)]
                |z| output::<S, F>(simd, z),
                #[inline(always)]
                |y, x, value| outputs[y][x] = value,
            );
            out.put(simd, tiling, &outputs, row, column, channel);
        }
    }
}
