//! The transformed filter, `U = G W G^T`, packed for the matrix product.
//!
//! Layout: `[cout / nr][n^2][cin][nr]`, the last panel filled up with zeros.

use rayon::prelude::*;

use crate::math::simd::{Simd, dispatch};

use super::tile_columns;
use super::transform::{Filtering, MAX_N, filter, in_two_dimensions};

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
}

/// Floats of the packed filter, on this processor.
pub fn packed_len<F: Filtering>(cin: usize, cout: usize) -> usize {
    cout.next_multiple_of(tile_columns()) * cin * F::N * F::N
}

#[inline(always)]
fn nr<S: Simd>(_: S) -> usize {
    S::TILE.1 * S::LANES
}

/// Transforms and packs a filter. Overwrites `u`, which holds [`packed_len`] floats.
pub fn transform<F: Filtering>(filter: &Filter<'_>, u: &mut [f32]) {
    let (cin, _) = filter.channels();
    let panel = tile_columns() * cin * F::N * F::N;
    u.par_chunks_exact_mut(panel).enumerate().for_each(|(index, u)| {
        dispatch!(|simd| transform_panel::<_, F>(simd, filter, index * nr(simd), u));
    });
}

#[inline(always)]
fn transform_panel<S: Simd, F: Filtering>(simd: S, w: &Filter<'_>, first: usize, u: &mut [f32]) {
    let (cin, cout) = w.channels();
    let nr = nr(simd);
    for i in 0..cin {
        for lane in (0..nr).step_by(S::LANES) {
            let channel = first + lane;
            let mut taps = [[simd.splat(0.0); MAX_N]; MAX_N];
            if channel < cout {
                for y in 0..F::R {
                    for x in 0..F::R {
                        taps[y][x] = tap::<S, F>(simd, w, y, x, i, channel);
                    }
                }
            }
            let transformed = in_two_dimensions::<S>(
                &taps,
                F::R,
                F::N,
                #[inline(always)]
                |g| filter::<S, F>(simd, g),
            );
            for y in 0..F::N {
                for x in 0..F::N {
                    simd.store(transformed[y][x], &mut u[((y * F::N + x) * cin + i) * nr + lane..]);
                }
            }
        }
    }
}

/// Tap (y, x) from channel `i` to `channel` and the lanes behind it.
#[inline(always)]
fn tap<S: Simd, F: Filtering>(simd: S, f: &Filter<'_>, y: usize, x: usize, i: usize, channel: usize) -> S::V {
    let plane = f.cin * f.cout;
    if !f.turned {
        let at = (y * F::R + x) * plane + i * f.cout + channel;
        return simd.load_up_to(&f.w[at..], f.cout - channel);
    }
    let plane = &f.w[((F::R - 1 - y) * F::R + F::R - 1 - x) * plane..][..plane];
    let mut lanes = [0.0; 16];
    for (lane, o) in lanes.iter_mut().zip(channel..f.cin).take(S::LANES) {
        *lane = plane[o * f.cout + i];
    }
    simd.load(&lanes)
}
