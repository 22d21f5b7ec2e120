//! Images that tiles are cut from.

use std::ops::Range;

use crate::conv::epilogue::Epilogue;
use crate::conv::sized;
use crate::simd::{Grid, Simd};

/// NHWC values: a convolution's input, or the gradient of its outputs.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The values; with [`Epilogue::ReluPool`] the gradients of the stored ones, each of which goes to its winner.
    pub values: &'a [f32],
    /// Codes of the stored values, with [`Epilogue::ReluPool`].
    pub winners: &'a [u8],
    /// What lies between the gradients at hand and those of the outputs; [`Epilogue::Bias`] for values as they are.
    pub epilogue: Epilogue,
    /// Height, width and channels of one image, before the pool.
    pub size: (usize, usize, usize),
}

/// Some rows of an image, with zeros around it, its channels filled up to whole vectors.
#[derive(Debug)]
pub struct Strip<'a> {
    values: &'a [f32],
    /// Floats of one pixel and of one row.
    pixel: usize,
    row: usize,
}

impl<'a> Source<'a> {
    /// Copies channels `channels` of `rows x columns` pixels of image `image`, the first of which is at `(y, x)` and may lie
    /// outside.
    #[inline(always)]
    pub fn strip<'b, S: Simd>(
        &self,
        simd: S,
        image: usize,
        (y, x): (isize, isize),
        (rows, columns): (usize, usize),
        channels: Range<usize>,
        buffer: &'b mut Vec<f32>,
    ) -> Strip<'b> {
        let (height, width, _) = self.size;
        let pixel = channels.len().next_multiple_of(S::LANES);
        let strip = sized(buffer, rows * columns * pixel);
        // Columns before the image, of it, and what is left behind it.
        let before = x.min(0).unsigned_abs();
        let first = x.max(0) as usize;
        let inside = width.saturating_sub(first).min(columns - before);
        for (i, to) in strip.chunks_exact_mut(columns * pixel).enumerate() {
            let y = y + i as isize;
            if y < 0 || y as usize >= height {
                to.fill(0.0);
                continue;
            }
            to[..before * pixel].fill(0.0);
            to[(before + inside) * pixel..].fill(0.0);
            let to = &mut to[before * pixel..][..inside * pixel];
            self.row(simd, image, y as usize, first, channels.clone(), to, pixel);
        }
        Strip { values: strip, pixel, row: columns * pixel }
    }

    /// The pixels of row `y` from column `first` on, `pixel` floats each.
    #[allow(clippy::too_many_arguments, reason = "which pixels, and where they go")]
    #[inline(always)]
    fn row<S: Simd>(
        &self,
        simd: S,
        image: usize,
        y: usize,
        first: usize,
        some: Range<usize>,
        to: &mut [f32],
        pixel: usize,
    ) {
        let (height, width, channels) = self.size;
        let side = self.epilogue.side();
        let (height, width) = (height.div_ceil(side), width.div_ceil(side));
        let row = (image * height + y / side) * width * channels;
        if side == 2 {
            assert!(first == 0, "tiles of gradients begin at or before the border");
            let (dy, winners) =
                (&self.values[row..][..width * channels], &self.winners[row..][..width * channels]);
            let columns = to.len() / pixel;
            self.epilogue.spread_row(simd, dy, winners, channels, some, y, columns, pixel, to);
            return;
        }
        let from = &self.values[row + first * channels..][..to.len() / pixel * channels];
        if pixel == channels {
            to.copy_from_slice(from);
            return;
        }
        for (from, to) in from.chunks_exact(channels).zip(to.chunks_exact_mut(pixel)) {
            let from = &from[some.clone()];
            for (from, to) in from.chunks(S::LANES).zip(to.chunks_exact_mut(S::LANES)) {
                simd.store(simd.load_up_to(from, from.len()), to);
            }
        }
    }
}

impl<'a> Strip<'a> {
    /// The vectors of `channel` and the lanes behind it of `side` (rows, columns) pixels, the first of them in column `column`.
    #[inline(always)]
    pub fn cut<S: Simd>(&self, _: S, column: usize, side: (usize, usize), channel: usize) -> Grid<'a> {
        Grid::new(&self.values[column * self.pixel + channel..], side, (self.row, self.pixel), S::LANES)
    }
}
