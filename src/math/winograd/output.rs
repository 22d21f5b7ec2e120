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
