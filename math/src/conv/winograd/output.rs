//! Where the outputs of tiles go.

use std::ops::Range;

use crate::conv::epilogue::Finish;
use crate::simd::{MatrixMut, Simd};

use super::tiles::Tiling;
use super::transform::TileOf;

/// The stored values of some rows of tiles and some channels, which one task writes.
#[derive(Debug)]
pub struct Output<'a> {
    /// What becomes of the outputs.
    pub finish: Finish,
    /// One value a channel, or none at all.
    pub bias: &'a [f32],
    /// The values: a row for each pixel of these rows, a column for each of these channels.
    pub y: MatrixMut<'a>,
    /// Their codes, where they are kept.
    pub winners: Option<MatrixMut<'a, u8>>,
    /// Columns of the convolution's outputs.
    pub width: usize,
    /// The first row of tiles, counted through all images.
    pub first: usize,
}

impl Output<'_> {
    /// Rows of stored values that the rows of tiles before row `row` give. No window of the pool straddles two tiles.
    #[inline(always)]
    fn rows_before(&self, tiling: &Tiling, row: usize) -> usize {
        let epilogue = self.finish.epilogue;
        row / tiling.rows * epilogue.stored(tiling.height)
            + row % tiling.rows * tiling.tile.m().0 / epilogue.side()
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.y.columns()
    }

    /// Shares rows `rows` of tiles among the threads, at most `most` at a time: calls `work` with some rows and where their
    /// outputs go.
    pub fn for_each_rows(
        self,
        tiling: &Tiling,
        rows: Range<usize>,
        most: usize,
        work: &(dyn Fn(Range<usize>, Output<'_>) + Sync),
    ) {
        if rows.len() <= most {
            return work(rows, self);
        }
        let middle = rows.start + rows.len().div_ceil(most) / 2 * most;
        let (before, after) = self.split_rows(tiling, middle);
        rayon::join(
            || before.for_each_rows(tiling, rows.start..middle, most, work),
            || after.for_each_rows(tiling, middle..rows.end, most, work),
        );
    }

    /// Shares the channels, the first of which is `first`, among the threads, `most` at a time: calls `work` with the first of
    /// some channels and where they go.
    pub fn for_each_channels(self, first: usize, most: usize, work: &(dyn Fn(usize, Output<'_>) + Sync)) {
        if self.channels() <= most {
            return work(first, self);
        }
        let half = self.channels().div_ceil(most) / 2 * most;
        let (before, after) = self.split_channels(half);
        rayon::join(
            || before.for_each_channels(first, most, work),
            || after.for_each_channels(first + half, most, work),
        );
    }

    /// The rows of tiles before row `at`, and the rest.
    fn split_rows(self, tiling: &Tiling, at: usize) -> (Self, Self) {
        let rows = self.rows_before(tiling, at) - self.rows_before(tiling, self.first);
        let pixels = rows * self.finish.epilogue.stored(self.width);
        let (y, y_after) = self.y.split_rows(pixels);
        let (winners, winners_after) = self.winners.map(|w| w.split_rows(pixels)).unzip();
        (Self { y, winners, ..self }, Self { y: y_after, winners: winners_after, first: at, ..self })
    }

    /// The first `channels` channels, and the rest.
    fn split_channels(self, channels: usize) -> (Self, Self) {
        let (bias, bias_after) = self.bias.split_at(channels.min(self.bias.len()));
        let (y, y_after) = self.y.split_columns(channels);
        let (winners, winners_after) = self.winners.map(|w| w.split_columns(channels)).unzip();
        (
            Self { bias, y, winners, ..self },
            Self { bias: bias_after, y: y_after, winners: winners_after, ..self },
        )
    }

    /// Stores what the tile at row of tiles `row` and column `column` gives for `channel` and the lanes behind it, before an
    /// activation's second pass.
    #[inline(always)]
    pub fn put<S: Simd>(
        &mut self,
        simd: S,
        tiling: &Tiling,
        tile: &TileOf<S::V>,
        row: usize,
        column: usize,
        channel: usize,
    ) {
        let Finish { epilogue, adds } = self.finish;
        let (left, side) = (self.channels() - channel, epilogue.side());
        let width = self.width;
        let y = self.rows_before(tiling, row) - self.rows_before(tiling, self.first);
        let m = tiling.tile.m();
        let x = column * m.1;
        let rows = m.0.min(tiling.height - row % tiling.rows * m.0);
        let columns = m.1.min(width - x);
        let bias = match self.bias {
            [] => simd.splat(0.0),
            bias => simd.load_up_to(&bias[channel..], left),
        };
        for i in (0..rows).step_by(side) {
            for j in (0..columns).step_by(side) {
                let mut window = [Some(tile[i][j]), None, None, None];
                if side == 2 {
                    let (down, right) = (i + 1 < rows, j + 1 < columns);
                    window[1] = right.then(
                        #[inline(always)]
                        || tile[i][j + 1],
                    );
                    window[2] = down.then(
                        #[inline(always)]
                        || tile[i + 1][j],
                    );
                    window[3] = (down && right).then(
                        #[inline(always)]
                        || tile[i + 1][j + 1],
                    );
                }
                let pixel = (y + i / side) * epilogue.stored(width) + (x + j) / side;
                let to = &mut self.y.row(pixel)[channel..];
                let bias = if adds { simd.add(bias, simd.load_up_to(to, left)) } else { bias };
                let (value, code) = epilogue.store(simd, window, bias);
                simd.store_up_to(value, to, left);
                if let Some(winners) = self.winners.as_mut().filter(|_| epilogue.second_pass().is_none()) {
                    simd.store_codes(code, &mut winners.row(pixel)[channel..], left);
                }
            }
        }
    }

    /// The activation's second pass over what the tile gave for all channels.
    #[inline(always)]
    pub fn finish<S: Simd>(&mut self, simd: S, tiling: &Tiling, row: usize, column: usize) {
        let Some(activation) = self.finish.epilogue.second_pass() else { return };
        let (m, channels) = (tiling.tile.m(), self.channels());
        let y = self.rows_before(tiling, row) - self.rows_before(tiling, self.first);
        let x = column * m.1;
        let columns = m.1.min(self.width - x);
        for i in 0..m.0.min(tiling.height - row % tiling.rows * m.0) {
            let first = (y + i) * self.width + x;
            activation.finish(simd, self.y.window(first, 0, columns, channels), &[]);
            if let Some(winners) = &mut self.winners {
                let values = self.y.window(first, 0, columns, channels);
                activation.codes_of(simd, values, winners.window(first, 0, columns, channels));
            }
        }
    }
}
