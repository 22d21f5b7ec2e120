//! The three stages of a convolution for some tiles and channels:
//!
//! ```text
//! cut tiles, B^T d B   ->  V [n^2][tiles][cin]
//! V U                  ->  P [n^2][tiles][cout]     U [n^2][cin][cout], packed
//! A^T P A              ->  output
//! ```

use std::ops::Range;

use crate::simd::{Isa, MatrixMut, PanelLayout, Simd, Store, multiply_tile};

use super::output::Output;
use super::plane;
use super::points::MAX_N;
use super::source::Source;
use super::tile_transforms::{self, Places};
use super::tiles::Tiling;

/// A convolution over a batch of images.
#[derive(Debug, Clone, Copy)]
pub struct Convolution<'a> {
    pub isa: Isa,
    pub cin: usize,
    pub cout: usize,
    /// Padding before the first row and column.
    pub pad: (usize, usize),
    pub tiling: Tiling,
    pub source: Source<'a>,
}

/// How V of some tiles lies: for each place, panels of at most `mr` tiles as the register tile reads them.
#[derive(Debug, Clone, Copy)]
pub struct Panels {
    pub tiles: usize,
    /// Tiles in a panel, fewer in the last.
    pub height: usize,
    /// Floats of a panel.
    pub len: usize,
}

impl Panels {
    /// As few panels as hold the tiles, of equal height: a panel of one tile would take as long as one of four.
    #[inline(always)]
    pub fn new<S: Simd>(_: S, tiles: usize, cin: usize) -> Self {
        let mr = S::TILE.0;
        let height = tiles.div_ceil(tiles.div_ceil(mr));
        Self { tiles, height, len: mr * cin.next_multiple_of(S::LANES) }
    }

    /// Floats of the panels of one place.
    #[inline(always)]
    pub fn columns(&self) -> usize {
        self.tiles.div_ceil(self.height) * self.len
    }

    /// Distance from place to place.
    #[inline(always)]
    pub fn plane(&self) -> usize {
        plane(self.columns())
    }
}

/// Stage one: V of `tiles`, which `v` holds from its beginning on, a row for each place. `strip` is room to work in.
#[inline(always)]
pub fn input<S: Simd>(
    simd: S,
    convolution: &Convolution<'_>,
    tiles: Range<usize>,
    panels: &Panels,
    mut v: MatrixMut<'_>,
    strip: &mut Vec<f32>,
) {
    let Convolution { cin, pad, tiling, source, .. } = *convolution;
    let (m, n) = (tiling.tile.m(), tiling.tile.n());
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    let mut tile = tiles.start;
    while tile < tiles.end {
        // The tiles of one row of tiles.
        let (row, first) = (tile / tiling.columns, tile % tiling.columns);
        let behind = tiling.columns.min(first + tiles.end - tile);
        let y = (row % tiling.rows * m.0) as isize - pad.0 as isize;
        let size = (n.0, behind * m.1 + n.1 - m.1);
        let strip = source.strip(simd, row / tiling.rows, (y, -(pad.1 as isize)), size, 0..cin, strip);
        for column in first..behind {
            let index = tile + column - first - tiles.start;
            let at = index / panels.height * panels.len + index % panels.height * S::LANES;
            let places = Places { to: &mut v, at, step: S::TILE.0 };
            tile_transforms::input(simd, tiling.tile, &mut between, &strip, column * m.1, cin, places);
        }
        tile += behind - first;
    }
}

/// Stage two at one place: P of the tiles in panels `v` over `channels` input channels, for the columns of panels `u` of the
/// filter, `u_stride` floats apart.
#[allow(clippy::too_many_arguments, reason = "a product's operands with their layouts")]
#[inline(always)]
pub fn product<S: Simd>(
    simd: S,
    channels: usize,
    panels: &Panels,
    v: &[f32],
    u: &[f32],
    u_stride: usize,
    mut p: MatrixMut<'_>,
    store: Store,
) {
    let (nr, columns, tiles) = (S::TILE.1 * S::LANES, p.columns(), p.rows());
    for (column, u) in (0..columns).step_by(nr).zip(u.chunks(u_stride)) {
        for (row, v) in (0..tiles).step_by(panels.height).zip(v.chunks(panels.len)) {
            let tile = p.window(row, column, panels.height.min(tiles - row), nr.min(columns - column));
            multiply_tile(simd, channels, v, PanelLayout::Blocked, u, nr, tile, store);
        }
    }
}

/// Stage three: the outputs of `tiles` from P, whose rows of `p_columns` floats are whole vectors and whose places are
/// `p_plane` apart.
#[inline(always)]
pub fn output<S: Simd>(
    simd: S,
    tiling: &Tiling,
    tiles: Range<usize>,
    p: &[f32],
    p_columns: usize,
    p_plane: usize,
    out: &mut Output<'_>,
) {
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    let mut outputs = between;
    for (index, tile) in tiles.enumerate() {
        let (row, column) = (tile / tiling.columns, tile % tiling.columns);
        for channel in (0..out.channels()).step_by(S::LANES) {
            let p = &p[index * p_columns + channel..];
            tile_transforms::output(simd, tiling.tile, &mut between, p, p_plane, &mut outputs);
            out.put(simd, tiling, &outputs, row, column, channel);
        }
        out.finish(simd, tiling, row, column);
    }
}
