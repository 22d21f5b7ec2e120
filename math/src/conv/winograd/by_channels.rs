//! The order for few tiles and many channels, where the transformed filter is larger than the transformed input: first all
//! tiles are transformed; then a task takes one panel of output channels, transforms its part of the filter and multiplies
//! it at once with all tiles. The transformed filter never leaves the task's L2 cache.

use std::cell::RefCell;

use crate::parallel::for_each_columns;
use crate::simd::{Isa, MatrixMut, Simd, Store, dispatch};

use super::filter::{self, Weights};
use super::output::Output;
use super::stages::{self, Convolution, Panels};
use super::tiles::Tile;
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
pub fn scratch(isa: Isa, tile: Tile, tiles: usize, cin: usize) -> usize {
    tile.places() * dispatch!(isa, |simd| Panels::new(simd, tiles, cin)).plane()
}

/// Convolves all of `tiles` tiles with `w`. `v` holds [`scratch`] floats.
pub fn convolve(convolution: &Convolution<'_>, tiles: usize, w: Weights<'_>, v: &mut [f32], out: Output<'_>) {
    let (isa, places) = (convolution.isa, convolution.tiling.tile.places());
    let panels = dispatch!(isa, |simd| Panels::new(simd, tiles, convolution.cin));
    let v = &mut v[..places * panels.plane()];
    let to = MatrixMut::new(v, places, panels.columns(), panels.plane());
    for_each_columns(to, 0..tiles.div_ceil(panels.height), panels.len, 1, &|some, v| {
        let tiles = some.start * panels.height..tiles.min(some.end * panels.height);
        BUFFERS.with_borrow_mut(|buffers| {
            dispatch!(isa, |simd| stages::input(simd, convolution, tiles, &panels, v, &mut buffers.strip));
        });
    });
    let v = &*v;
    out.for_each_channels(0, tile_columns(isa), &|first, out| {
        BUFFERS.with_borrow_mut(|buffers| {
            dispatch!(isa, |simd| panel(simd, convolution, &panels, w, first, v, out, buffers));
        });
    });
}

/// One panel of output channels, on the calling thread.
#[allow(clippy::too_many_arguments, reason = "a panel's operands and room to work in")]
#[inline(always)]
fn panel<S: Simd>(
    simd: S,
    convolution: &Convolution<'_>,
    panels: &Panels,
    w: Weights<'_>,
    first: usize,
    v: &[f32],
    mut out: Output<'_>,
    buffers: &mut Buffers,
) {
    let Convolution { cin, tiling, .. } = *convolution;
    let (tile, places, nr) = (tiling.tile, tiling.tile.places(), S::TILE.1 * S::LANES);
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
                filter::transform_panel(simd, tile, &filter, channels.clone(), first, taps, u);
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
                stages::output(simd, &tiling, tiles, p, nr, p_plane, &mut out);
            }
        }
    }
}
