//! The transformed filter, `U = G W G^T`, packed for the matrix product.
//!
//! Layout: `[cout / nr][n^2][cin][nr]`, the last panel filled up with zeros.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::math::simd::{Grid, GridMut, Simd, dispatch};

use super::transform::{self, Filtering, MAX_N, in_two_dimensions};
use super::{sized, tile_columns};

/// A filter HWIO of R x R taps: `w[(ky R + kx) cin cout + i cout + o]`.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    pub w: &'a [f32],
    pub cin: usize,
    pub cout: usize,
    /// Whether the filter is turned by half and its channels change places: the filter of the data gradient.
    pub turned: bool,
}

impl Filter<'_> {
    /// Channels that go in and come out.
    pub fn channels(&self) -> (usize, usize) {
        if self.turned { (self.cout, self.cin) } else { (self.cin, self.cout) }
    }

    /// Writes tap `tap` of `taps` from input channels `channels` to output channels `columns` as `to[channel][nr]`.
    #[inline(always)]
    fn lay_out(
        &self,
        tap: usize,
        taps: usize,
        channels: Range<usize>,
        columns: Range<usize>,
        nr: usize,
        to: &mut [f32],
    ) {
        let plane = self.cin * self.cout;
        if self.turned {
            let plane = &self.w[(taps - 1 - tap) * plane..][..plane];
            for (lane, column) in columns.clone().enumerate() {
                let row = &plane[column * self.cout..][channels.clone()];
                to[lane..].iter_mut().step_by(nr).zip(row).for_each(|(t, f)| *t = *f);
            }
        } else {
            let plane = &self.w[tap * plane..][..plane];
            for (channel, to) in channels.zip(to.chunks_exact_mut(nr)) {
                to[..columns.len()].copy_from_slice(&plane[channel * self.cout..][columns.clone()]);
            }
        }
        if columns.len() < nr {
            to.chunks_exact_mut(nr).for_each(|to| to[columns.len()..].fill(0.0));
        }
    }
}

/// Floats of the packed filter, on this processor.
pub fn packed_len<F: Filtering>(cin: usize, cout: usize) -> usize {
    cout.next_multiple_of(tile_columns()) * cin * F::N * F::N
}

/// Transforms and packs a filter. Overwrites `u`, which holds [`packed_len`] floats.
pub fn pack<F: Filtering>(filter: &Filter<'_>, u: &mut [f32]) {
    let (cin, _) = filter.channels();
    let panel = tile_columns() * cin * F::N * F::N;
    u.par_chunks_exact_mut(panel).enumerate().for_each(|(index, u)| {
        TAPS.with_borrow_mut(|taps| {
            dispatch!(|simd| transform_panel::<_, F>(simd, filter, index * tile_columns(), taps, u));
        });
    });
}

/// Input channels whose taps are laid out at a time.
const CHANNELS: usize = 16;

thread_local! {
    /// Taps `[tap][input channel][nr]` of [`CHANNELS`] input channels and one panel's output channels.
    static TAPS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// One panel of output channels, the first of which is `first`: `u[n^2][cin][nr]`. `taps` is room to work in.
#[inline(always)]
pub fn transform_panel<S: Simd, F: Filtering>(
    simd: S,
    filter: &Filter<'_>,
    first: usize,
    taps: &mut Vec<f32>,
    u: &mut [f32],
) {
    let (cin, cout) = filter.channels();
    let nr = S::TILE.1 * S::LANES;
    let columns = first..cout.min(first + nr);
    let taps = sized(taps, F::R * F::R * CHANNELS * nr);
    let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
    for start in (0..cin).step_by(CHANNELS) {
        let channels = start..cin.min(start + CHANNELS);
        for (tap, taps) in taps.chunks_exact_mut(CHANNELS * nr).enumerate() {
            filter.lay_out(tap, F::R * F::R, channels.clone(), columns.clone(), nr, taps);
        }
        for i in channels {
            for lane in (0..nr).step_by(S::LANES) {
                let from = Grid::new(
                    &taps[(i - start) * nr + lane..],
                    (F::R, F::R),
                    (F::R * CHANNELS * nr, CHANNELS * nr),
                    S::LANES,
                );
                let strides = (F::N * cin * nr, cin * nr);
                let mut to = GridMut::new(&mut u[i * nr + lane..], (F::N, F::N), strides, S::LANES);
                in_two_dimensions::<S>(
                    &mut between,
                    F::R,
                    F::N,
                    #[inline(always)]
                    |y, x| simd.load(from.run(y, x)),
                    #[inline(always)]
                    |g| transform::filter::<S, F>(simd, g),
                    #[inline(always)]
                    |y, x, value| simd.store(value, to.run(y, x)),
                );
            }
        }
    }
}
