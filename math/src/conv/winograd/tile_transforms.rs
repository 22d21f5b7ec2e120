//! The transforms of whole tiles: of what Winograd's filtering computes only these depend on the kind of tile when compiled.
//!
//! Each kind's transform is a function of its own on each instruction set, called once for a tile or for many channels of one.

use std::ops::Range;

use crate::simd::{Grid, GridMut, MatrixMut, Simd};

use super::points::MAX_N;
use super::source::Strip;
use super::tiles::{Filtering, Tile, with_filtering};
use super::transform::{
    Input, Output, OutputTransposed, Taps, TapsTransposed, TileOf, Transform, in_two_dimensions,
};

/// Where the places of a transformed tile lie: rows of a matrix.
#[derive(Debug)]
pub struct Places<'a, 'b> {
    pub to: &'a mut MatrixMut<'b>,
    /// Column of the first channel.
    pub at: usize,
    /// Columns from one channel to the next, counted from the first of a vector.
    pub step: usize,
}

/// `B^T d B` of the tile of `strip` that begins at column `column`, for `channels` channels.
#[inline(always)]
pub fn input<S: Simd>(
    simd: S,
    tile: Tile,
    between: &mut TileOf<S::V>,
    strip: &Strip<'_>,
    column: usize,
    channels: usize,
    places: Places<'_, '_>,
) {
    with_filtering!(tile, F => of_strip::<S, F, Input>(simd, between, strip, column, channels, places));
}

/// `A dY A^T`, likewise.
#[inline(always)]
pub fn gradient<S: Simd>(
    simd: S,
    tile: Tile,
    between: &mut TileOf<S::V>,
    strip: &Strip<'_>,
    column: usize,
    channels: usize,
    places: Places<'_, '_>,
) {
    with_filtering!(tile, F => of_strip::<S, F, OutputTransposed>(simd, between, strip, column, channels, places));
}

#[inline(always)]
fn of_strip<S: Simd, F: Filtering, T: Transform>(
    simd: S,
    between: &mut TileOf<S::V>,
    strip: &Strip<'_>,
    column: usize,
    channels: usize,
    places: Places<'_, '_>,
) {
    let Places { to, at, step } = places;
    let side = (T::sizes::<F::Y>().0, T::sizes::<F::X>().0);
    simd.call(
        #[inline(always)]
        || {
            for channel in (0..channels).step_by(S::LANES) {
                let from = strip.cut(simd, column, side, channel);
                let mut to = to.grid(at + channel * step, F::N, S::LANES);
                in_two_dimensions::<S, F, T>(
                    simd,
                    between,
                    #[inline(always)]
                    |y, x| simd.load(from.run(y, x)),
                    #[inline(always)]
                    |y, x, value| simd.store(value, to.run(y, x)),
                );
            }
        },
    );
}

/// `A^T P A` of a vector of channels, whose places begin `plane` floats apart in `p`. Overwrites the first M rows and columns
/// of `outputs`.
#[inline(always)]
pub fn output<S: Simd>(
    simd: S,
    tile: Tile,
    between: &mut TileOf<S::V>,
    p: &[f32],
    plane: usize,
    outputs: &mut TileOf<S::V>,
) {
    with_filtering!(tile, F => output_of::<S, F>(simd, between, p, plane, outputs));
}

#[inline(always)]
fn output_of<S: Simd, F: Filtering>(
    simd: S,
    between: &mut TileOf<S::V>,
    p: &[f32],
    plane: usize,
    outputs: &mut TileOf<S::V>,
) {
    simd.call(
        #[inline(always)]
        || {
            let from = Grid::new(p, F::N, (F::N.1 * plane, plane), S::LANES);
            in_two_dimensions::<S, F, Output>(
                simd,
                between,
                #[inline(always)]
                |y, x| simd.load(from.run(y, x)),
                #[inline(always)]
                |y, x, value| outputs[y][x] = value,
            );
        },
    );
}

/// `G W G^T` of `channels` input channels and a panel of output channels. Taps begin `tap` floats apart in `taps`, places of
/// `u` begin `plane` floats apart; both hold `[channel][nr]`.
#[inline(always)]
pub fn filter<S: Simd>(
    simd: S,
    tile: Tile,
    channels: usize,
    (taps, tap): (&[f32], usize),
    (u, plane): (&mut [f32], usize),
) {
    with_filtering!(tile, F => filter_of::<S, F>(simd, channels, (taps, tap), (u, plane)));
}

#[inline(always)]
fn filter_of<S: Simd, F: Filtering>(
    simd: S,
    channels: usize,
    (taps, tap): (&[f32], usize),
    (u, plane): (&mut [f32], usize),
) {
    simd.call(
        #[inline(always)]
        || {
            let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
            for at in (0..channels * S::TILE.1 * S::LANES).step_by(S::LANES) {
                let from = Grid::new(&taps[at..], (F::R, F::R), (F::R * tap, tap), S::LANES);
                let mut to = GridMut::new(&mut u[at..], F::N, (F::N.1 * plane, plane), S::LANES);
                in_two_dimensions::<S, F, Taps>(
                    simd,
                    &mut between,
                    #[inline(always)]
                    |y, x| simd.load(from.run(y, x)),
                    #[inline(always)]
                    |y, x, value| simd.store(value, to.run(y, x)),
                );
            }
        },
    );
}

/// dU of some channels: equal parts to be added, `part` floats apart, whose places and input channels are `place` and `row`
/// floats apart.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub values: &'a [f32],
    pub part: usize,
    pub place: usize,
    pub row: usize,
}

/// `dW = G^T dU G` for the input channels that `dw`, a row for each tap, holds and output channels `columns` of `cout`.
#[inline(always)]
pub fn filter_gradient<S: Simd>(
    simd: S,
    tile: Tile,
    du: Parts<'_>,
    cout: usize,
    columns: Range<usize>,
    dw: &mut MatrixMut<'_>,
) {
    with_filtering!(tile, F => filter_gradient_of::<S, F>(simd, du, cout, columns, dw));
}

#[inline(always)]
fn filter_gradient_of<S: Simd, F: Filtering>(
    simd: S,
    du: Parts<'_>,
    cout: usize,
    columns: Range<usize>,
    dw: &mut MatrixMut<'_>,
) {
    simd.call(
        #[inline(always)]
        || {
            let Parts { values, part, place, row } = du;
            let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
            for i in 0..dw.columns() / cout {
                for channel in columns.clone().step_by(S::LANES) {
                    let at = i * row + channel - columns.start;
                    let first = Grid::new(&values[at..], F::N, (F::N.1 * place, place), S::LANES);
                    let others = values.chunks(part).skip(1);
                    in_two_dimensions::<S, F, TapsTransposed>(
                        simd,
                        &mut between,
                        #[inline(always)]
                        |y, x| {
                            let mut sum = simd.load(first.run(y, x));
                            for part in others.clone() {
                                sum = simd.add(sum, simd.load(&part[at + (y * F::N.1 + x) * place..]));
                            }
                            sum
                        },
                        #[inline(always)]
                        |y, x, value| {
                            let to = &mut dw.row(y * F::R + x)[i * cout + channel..];
                            simd.store_up_to(value, to, cout - channel);
                        },
                    );
                }
            }
        },
    );
}
