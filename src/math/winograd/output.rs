//! Where the outputs of tiles go.

use crate::math::simd::Simd;

use super::source::{load_up_to, store_up_to};
use super::tiles::Tiling;
use super::transform::TileOf;

/// The outputs of some rows of tiles, which one task writes.
pub trait Output: Send + Sized {
    /// The rows of tiles before row `at` (counted through all images), and the rest.
    fn split(self, tiling: &Tiling, at: usize) -> (Self, Self);

    /// Writes what the tile at row of tiles `row` and column `column` gives for `channel` and the lanes behind it.
    fn put<S: Simd>(
        &mut self,
        simd: S,
        tiling: &Tiling,
        tile: &TileOf<S::V>,
        row: usize,
        column: usize,
        channel: usize,
    );
}

/// `y = outputs + bias`, NHWC.
#[derive(Debug)]
pub struct Plain<'a> {
    /// The values of these rows.
    pub y: &'a mut [f32],
    /// One value a channel, or none at all.
    pub bias: &'a [f32],
    /// Output width and channels.
    pub size: (usize, usize),
    /// The first row of tiles.
    pub first: usize,
}

impl Output for Plain<'_> {
    fn split(self, tiling: &Tiling, at: usize) -> (Self, Self) {
        let (width, channels) = self.size;
        let rows = tiling.output_rows_before(at) - tiling.output_rows_before(self.first);
        let (before, after) = self.y.split_at_mut(rows * width * channels);
        (Self { y: before, ..self }, Self { y: after, first: at, ..self })
    }

    #[inline(always)]
    fn put<S: Simd>(
        &mut self,
        simd: S,
        tiling: &Tiling,
        tile: &TileOf<S::V>,
        row: usize,
        column: usize,
        channel: usize,
    ) {
        let (width, channels) = self.size;
        let (y, x) =
            (tiling.output_rows_before(row) - tiling.output_rows_before(self.first), column * tiling.m);
        let height = tiling.m.min(tiling.height - row % tiling.rows * tiling.m);
        let left = channels - channel;
        let bias = match self.bias {
            [] => simd.splat(0.0),
            bias => load_up_to(simd, &bias[channel..], left),
        };
        for (i, values) in tile.iter().enumerate().take(height) {
            for (j, value) in values.iter().enumerate().take(tiling.m.min(width - x)) {
                let at = ((y + i) * width + x + j) * channels + channel;
                store_up_to(simd, simd.add(*value, bias), &mut self.y[at..], left);
            }
        }
    }
}

/// `y = max-pool(relu(outputs + bias))`, 2x2 with stride 2 and SAME padding, and for each value which of its window's
/// won: 0 to 3 in row order, the first of equals; [`NO_WINNER`] where the rectifier leaves nothing.
#[derive(Debug)]
pub struct ReluPool<'a> {
    /// The pooled values of these rows.
    pub y: &'a mut [f32],
    /// The winners of these rows; empty in inference.
    pub winners: &'a mut [u8],
    /// One value a channel.
    pub bias: &'a [f32],
    /// Output width before the pool, and channels.
    pub size: (usize, usize),
    /// The first row of tiles.
    pub first: usize,
}

/// The code of a window whose largest value is not over 0.
pub const NO_WINNER: u8 = 4;

impl ReluPool<'_> {
    /// Pooled rows that the rows of tiles before row `row` give.
    fn pooled_rows_before(tiling: &Tiling, row: usize) -> usize {
        // m is even, so that no window straddles two tiles.
        row / tiling.rows * tiling.height.div_ceil(2) + row % tiling.rows * tiling.m / 2
    }
}

impl Output for ReluPool<'_> {
    fn split(self, tiling: &Tiling, at: usize) -> (Self, Self) {
        let (width, channels) = self.size;
        let rows = Self::pooled_rows_before(tiling, at) - Self::pooled_rows_before(tiling, self.first);
        let len = rows * width.div_ceil(2) * channels;
        let (before, after) = self.y.split_at_mut(len);
        let (winners_before, winners_after) = self.winners.split_at_mut(len.min(self.winners.len()));
        (
            Self { y: before, winners: winners_before, ..self },
            Self { y: after, winners: winners_after, first: at, ..self },
        )
    }

    #[inline(always)]
    fn put<S: Simd>(
        &mut self,
        simd: S,
        tiling: &Tiling,
        tile: &TileOf<S::V>,
        row: usize,
        column: usize,
        channel: usize,
    ) {
        let (width, channels) = self.size;
        let y = Self::pooled_rows_before(tiling, row) - Self::pooled_rows_before(tiling, self.first);
        let x = column * tiling.m;
        let height = tiling.m.min(tiling.height - row % tiling.rows * tiling.m);
        let left = channels - channel;
        let bias = load_up_to(simd, &self.bias[channel..], left);
        let zero = simd.splat(0.0);
        for i in (0..height).step_by(2) {
            for j in (0..tiling.m.min(width - x)).step_by(2) {
                let (mut best, mut code) = (tile[i][j], zero);
                // The bias is common to the window: the largest value stays the largest.
                for (number, di, dj) in [(1.0, 0, 1), (2.0, 1, 0), (3.0, 1, 1)] {
                    if i + di < height && x + j + dj < width {
                        let value = tile[i + di][j + dj];
                        code = simd.where_greater(value, best, simd.splat(number), code);
                        best = simd.where_greater(value, best, value, best);
                    }
                }
                let best = simd.add(best, bias);
                code = simd.where_greater(best, zero, code, simd.splat(f32::from(NO_WINNER)));
                let at = ((y + i / 2) * width.div_ceil(2) + (x + j) / 2) * channels + channel;
                // A NaN stays NaN.
                store_up_to(simd, simd.max(zero, best), &mut self.y[at..], left);
                if !self.winners.is_empty() {
                    simd.store_codes(code, &mut self.winners[at..], left);
                }
            }
        }
    }
}
