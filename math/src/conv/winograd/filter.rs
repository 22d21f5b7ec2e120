//! The transformed filter, `U = G W G^T`, packed for the matrix product.
//!
//! Layout: `[cout / nr][n^2][cin][nr]`, the last panel filled up with zeros, places a [`plane`] apart.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::simd::{Grid, GridMut, Matrix, Simd, dispatch, transpose};

use super::points::MAX_N;
use super::tiles::Filtering;
use super::transform::{Taps, in_two_dimensions};
use super::{plane, sized, tile_columns};

/// A filter HWIO of R x R taps: `w[(ky R + kx) cin cout + i cout + o]`.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    pub w: &'a [f32],
    pub cin: usize,
    pub cout: usize,
    /// Whether the filter is turned by half and its channels change places: the filter of the data gradient.
    pub turned: bool,
}

/// A filter, or what [`pack`] made of it.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    Plain(Filter<'a>),
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

/// Floats of a panel of U for so many input channels, on this processor.
pub fn panel_len<F: Filtering>(channels: usize) -> usize {
    F::PLACES * plane(channels * tile_columns())
}

/// Floats of the packed filter, on this processor.
pub fn packed_len<F: Filtering>(cin: usize, cout: usize) -> usize {
    cout.div_ceil(tile_columns()) * panel_len::<F>(cin)
}

/// Transforms and packs a filter. Overwrites `u`, which holds [`packed_len`] floats.
pub fn pack<F: Filtering>(filter: &Filter<'_>, u: &mut [f32]) {
    let (cin, _) = filter.channels();
    u.par_chunks_exact_mut(panel_len::<F>(cin)).enumerate().for_each(|(index, u)| {
        TAPS.with_borrow_mut(|taps| {
            dispatch!(|simd| transform_panel::<_, F>(simd, filter, 0..cin, index * tile_columns(), taps, u));
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
pub fn transform_panel<S: Simd, F: Filtering>(
    simd: S,
    filter: &Filter<'_>,
    channels: Range<usize>,
    first: usize,
    taps: &mut Vec<f32>,
    u: &mut [f32],
) {
    let (_, cout) = filter.channels();
    let nr = S::TILE.1 * S::LANES;
    let columns = first..cout.min(first + nr);
    let taps = sized(taps, F::R * F::R * CHANNELS * nr);
    let place = plane(channels.len() * nr);
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    for start in channels.clone().step_by(CHANNELS) {
        let some = start..channels.end.min(start + CHANNELS);
        for (tap, taps) in taps.chunks_exact_mut(CHANNELS * nr).enumerate() {
            filter.lay_out(simd, tap, F::R * F::R, some.clone(), columns.clone(), taps);
        }
        for i in some {
            for lane in (0..nr).step_by(S::LANES) {
                let from = Grid::new(
                    &taps[(i - start) * nr + lane..],
                    (F::R, F::R),
                    (F::R * CHANNELS * nr, CHANNELS * nr),
                    S::LANES,
                );
                let at = (i - channels.start) * nr + lane;
                let mut to = GridMut::new(&mut u[at..], F::N, (F::N.1 * place, place), S::LANES);
                in_two_dimensions::<S, F, Taps>(
                    simd,
                    &mut between,
                    #[inline(always)]
                    |y, x| simd.load(from.run(y, x)),
                    #[inline(always)]
                    |y, x, value| simd.store(value, to.run(y, x)),
                );
            }
        }
    }
}
