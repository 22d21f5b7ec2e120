//! The transformed filter, `U = G W G^T`, packed for the matrix product.
//!
//! Layout: `[cout / nr][n^2][cin][nr]`, the last panel filled up with zeros, places a [`plane`] apart.

use std::cell::RefCell;
use std::ops::Range;

use crate::parallel::for_each_chunk;
use crate::simd::{Isa, Matrix, Simd, dispatch, transpose};

use super::tiles::Tile;
use super::{plane, sized, tile_columns, tile_transforms};

/// A filter HWIO of R x R taps: `w[(ky R + kx) cin cout + i cout + o]`.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    /// Its taps.
    pub w: &'a [f32],
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Whether the filter is turned by half and its channels change places: the filter of the data gradient.
    pub turned: bool,
}

/// A filter, transformed or not.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    /// The filter as it is.
    Plain(Filter<'a>),
    /// What [`Winograd::prepare`](super::Winograd::prepare) wrote.
    Packed(&'a [f32]),
}

impl Filter<'_> {
    /// Channels that go in and come out.
    pub fn channels(&self) -> (usize, usize) {
        if self.turned { (self.cout, self.cin) } else { (self.cin, self.cout) }
    }

    /// Writes tap `tap` of `taps` from input channels `channels` to output channels `columns` as `to[channel][nr]`.
    #[inline(always)]
    fn lay_out<S: Simd>(
        &self,
        simd: S,
        tap: usize,
        taps: usize,
        channels: Range<usize>,
        columns: Range<usize>,
        to: &mut [f32],
    ) {
        let (plane, nr) = (self.cin * self.cout, S::TILE.1 * S::LANES);
        if columns.len() < nr {
            to.chunks_exact_mut(nr).for_each(|to| to[columns.len()..].fill(0.0));
        }
        if self.turned {
            let plane = &self.w[(taps - 1 - tap) * plane..][..plane];
            let from = &plane[columns.start * self.cout + channels.start..];
            let from = Matrix::new(from, columns.len(), channels.len(), self.cout);
            transpose(simd, from, to, nr);
        } else {
            let plane = &self.w[tap * plane..][..plane];
            for (channel, to) in channels.zip(to.chunks_exact_mut(nr)) {
                to[..columns.len()].copy_from_slice(&plane[channel * self.cout..][columns.clone()]);
            }
        }
    }
}

/// Floats of a panel of U for so many input channels.
pub fn panel_len(isa: Isa, tile: Tile, channels: usize) -> usize {
    tile.places() * plane(channels * tile_columns(isa))
}

/// Floats of the packed filter.
pub fn packed_len(isa: Isa, tile: Tile, cin: usize, cout: usize) -> usize {
    cout.div_ceil(tile_columns(isa)) * panel_len(isa, tile, cin)
}

/// Transforms and packs a filter. Overwrites `u`, which holds [`packed_len`] floats.
pub fn pack(isa: Isa, tile: Tile, filter: &Filter<'_>, u: &mut [f32]) {
    let (cin, _) = filter.channels();
    for_each_chunk(u, panel_len(isa, tile, cin), &|index, u| {
        let first = index * tile_columns(isa);
        TAPS.with_borrow_mut(|taps| {
            dispatch!(isa, |simd| transform_panel(simd, tile, filter, 0..cin, first, taps, u));
        });
    });
}

/// Input channels whose taps are laid out at a time.
const CHANNELS: usize = 16;

thread_local! {
    /// Taps `[tap][input channel][nr]` of [`CHANNELS`] input channels and one panel's output channels.
    static TAPS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// One panel of output channels, the first of which is `first`, for some input channels: `u[n^2][channel][nr]` with places a
/// [`plane`] apart. `taps` is room to work in.
#[inline(always)]
pub fn transform_panel<S: Simd>(
    simd: S,
    tile: Tile,
    filter: &Filter<'_>,
    channels: Range<usize>,
    first: usize,
    taps: &mut Vec<f32>,
    u: &mut [f32],
) {
    let (_, cout) = filter.channels();
    let (nr, count) = (S::TILE.1 * S::LANES, tile.taps() * tile.taps());
    let columns = first..cout.min(first + nr);
    let taps = sized(taps, count * CHANNELS * nr);
    let place = plane(channels.len() * nr);
    for start in channels.clone().step_by(CHANNELS) {
        let some = start..channels.end.min(start + CHANNELS);
        for (tap, taps) in taps.chunks_exact_mut(CHANNELS * nr).enumerate() {
            filter.lay_out(simd, tap, count, some.clone(), columns.clone(), taps);
        }
        let u = &mut u[(start - channels.start) * nr..];
        tile_transforms::filter(simd, tile, some.len(), (taps, CHANNELS * nr), (u, place));
    }
}
