//! The order for few tiles and many channels, where the transformed filter is larger than the transformed input: first all
//! tiles are transformed; then a task takes one panel of output channels, transforms its part of the filter and multiplies
//! it at once with all tiles. The transformed filter never leaves the task's L2 cache.

use std::cell::RefCell;
use std::ops::Range;

use crate::simd::{MatrixMut, Simd, Store, dispatch};

use super::filter::{self, Weights};
use super::output::Output;
use super::stages::{self, Convolution, Panels};
use super::tiles::Filtering;
use super::{plane, sized, tile_columns};

/// Panels of tiles multiplied at a time: their part of P then stays in the L2 cache too.
const PANELS: usize = 5;

/// Bytes of P of all tiles up to which it stays there while U passes by, some input channels at a time.
const SMALL_P: usize = 1 << 19;

/// Bytes of those channels' part of U.
const U_BYTES: usize = 1 << 19;

/// A panel of U, P of some tiles, the taps and the pixels at hand.
struct Buffers {
    u: Vec<f32>,
    p: Vec<f32>,
    taps: Vec<f32>,
    strip: Vec<f32>,
}

thread_local! {
    /// Buffers of the task at hand, reused from call to call.
    static BUFFERS: RefCell<Buffers> =
        const { RefCell::new(Buffers { u: Vec::new(), p: Vec::new(), taps: Vec::new(), strip: Vec::new() }) };
}

/// Floats of V of all tiles.
pub fn scratch<F: Filtering>(tiles: usize, cin: usize) -> usize {
    dispatch!(|simd| F::PLACES * Panels::new(simd, tiles, cin).plane())
}

/// Convolves all of `tiles` tiles with `w`. `v` holds [`scratch`] floats.
pub fn convolve<F: Filtering>(
    convolution: &Convolution<'_>,
    tiles: usize,
    w: Weights<'_>,
    v: &mut [f32],
    out: Output<'_>,
) {
    let panels = dispatch!(|simd| Panels::new(simd, tiles, convolution.cin));
    let v = &mut v[..F::PLACES * panels.plane()];
    let to = MatrixMut::new(v, F::PLACES, panels.columns(), panels.plane());
    transform::<F>(convolution, &panels, 0..tiles.div_ceil(panels.height), to);
    share::<F>(convolution, &panels, w, 0, v, out);
}

/// V of panels `range` of tiles, in parallel.
fn transform<F: Filtering>(
    convolution: &Convolution<'_>,
    panels: &Panels,
    range: Range<usize>,
    v: MatrixMut<'_>,
) {
    if range.len() > 1 {
        let half = range.len() / 2;
        let (before, after) = v.split_columns(half * panels.len);
        let middle = range.start + half;
        rayon::join(
            || transform::<F>(convolution, panels, range.start..middle, before),
            || transform::<F>(convolution, panels, middle..range.end, after),
        );
        return;
    }
    let tiles = range.start * panels.height..panels.tiles.min(range.end * panels.height);
    BUFFERS.with_borrow_mut(|buffers| {
        dispatch!(|simd| stages::input::<_, F>(simd, convolution, tiles, panels, v, &mut buffers.strip));
    });
}

/// Shares the output channels of `out`, the first of which is `first`, among the threads, a panel at a time.
fn share<F: Filtering>(
    convolution: &Convolution<'_>,
    panels: &Panels,
    w: Weights<'_>,
    first: usize,
    v: &[f32],
    out: Output<'_>,
) {
    let columns = tile_columns();
    if out.channels() > columns {
        let half = out.channels().div_ceil(columns) / 2 * columns;
        let (before, after) = out.split_channels(half);
        rayon::join(
            || share::<F>(convolution, panels, w, first, v, before),
            || share::<F>(convolution, panels, w, first + half, v, after),
        );
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        dispatch!(|simd| panel::<_, F>(simd, convolution, panels, w, first, v, out, buffers));
    });
}

/// One panel of output channels, on the calling thread.
#[allow(clippy::too_many_arguments, reason = "a panel's operands and room to work in")]
#[inline(always)]
fn panel<S: Simd, F: Filtering>(
    simd: S,
    convolution: &Convolution<'_>,
    panels: &Panels,
    w: Weights<'_>,
    first: usize,
    v: &[f32],
    mut out: Output<'_>,
    buffers: &mut Buffers,
) {
    let (cin, places, nr) = (convolution.cin, F::PLACES, S::TILE.1 * S::LANES);
    let (channels, tiles) = match w {
        _ if 4 * places * nr * panels.tiles > SMALL_P => (cin, PANELS * panels.height),
        Weights::Plain(_) => (U_BYTES / (4 * places * nr) / S::LANES * S::LANES, panels.tiles),
        Weights::Packed(_) => (cin, panels.tiles),
    };
    for channel in (0..cin).step_by(channels) {
        let channels = channel..cin.min(channel + channels);
        let store = if channel == 0 { Store::Overwrite } else { Store::Add };
        let u_plane = plane(channels.len() * nr);
        let u = match w {
            Weights::Packed(u) => &u[first / nr * places * u_plane..][..places * u_plane],
            Weights::Plain(filter) => {
                let u = sized(&mut buffers.u, places * u_plane);
                let taps = &mut buffers.taps;
                filter::transform_panel::<S, F>(simd, &filter, channels.clone(), first, taps, u);
                u
            }
        };
        for start in (0..panels.tiles).step_by(tiles) {
            let tiles = start..panels.tiles.min(start + tiles);
            let p_plane = plane(tiles.len() * nr);
            let p = sized(&mut buffers.p, places * p_plane);
            for (place, p) in p.chunks_exact_mut(p_plane).enumerate() {
                let at = start / panels.height * panels.len + channel * S::TILE.0;
                let v = &v[place * panels.plane() + at..];
                let p = MatrixMut::new(p, tiles.len(), out.channels(), nr);
                let u = &u[place * u_plane..];
                stages::product(simd, channels.len(), panels, v, u, places * u_plane, p, store);
            }
            if channels.end == cin {
                stages::output::<S, F>(simd, &convolution.tiling, tiles, p, nr, p_plane, &mut out);
            }
        }
    }
}
