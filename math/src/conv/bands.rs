//! Bands of output rows: what one task of a convolution computes.

use std::ops::Range;

use super::ConvShape;
use super::epilogue::Epilogue;
use crate::parallel::for_each_chunk_with_codes;

/// How the rows of an image's stored values are shared among tasks.
#[derive(Debug, Clone, Copy)]
pub struct Bands {
    /// Values of one input image.
    input: usize,
    /// Rows of the convolution's outputs on an image.
    rows: usize,
    /// Values of one row of stored values, and of one stored image.
    stored_row: usize,
    stored: usize,
    /// Rows of stored values in a band, and rows of outputs that make one of them.
    band: usize,
    side: usize,
}

impl Bands {
    /// Bands of at least `pixels` outputs, or else whole images.
    pub fn new(shape: &ConvShape, epilogue: Epilogue, pixels: usize) -> Self {
        let (height, width, side) = (shape.window.y.output, shape.window.x.output, epilogue.side());
        let stored_row = epilogue.stored(width) * shape.cout;
        Self {
            input: shape.input_len(),
            rows: height,
            stored_row,
            stored: epilogue.stored(height) * stored_row,
            band: pixels.div_ceil(width * side).min(epilogue.stored(height)),
            side,
        }
    }

    /// The rows of outputs of band `index`.
    fn rows(&self, index: usize) -> Range<usize> {
        let first = index * self.band * self.side;
        first..(first + self.band * self.side).min(self.rows)
    }

    /// For each band of each image, in parallel: the image, the rows of outputs, and the band's part of `y` and of `winners`
    /// (which may be empty).
    pub fn for_each_mut(
        &self,
        x: &[f32],
        y: &mut [f32],
        winners: &mut [u8],
        work: &(dyn Fn(&[f32], Range<usize>, &mut [f32], &mut [u8]) + Sync),
    ) {
        let band = self.band * self.stored_row;
        for_each_chunk_with_codes(y, winners, self.stored, &|image, y, winners| {
            let x = &x[image * self.input..][..self.input];
            for_each_chunk_with_codes(y, winners, band, &|index, y, winners| {
                work(x, self.rows(index), y, winners);
            });
        });
    }

    /// For each band of one image, in order: the rows of outputs, and the band's part of `dy` and of `winners` (which may be
    /// empty).
    pub fn for_each(
        &self,
        image: usize,
        dy: &[f32],
        winners: &[u8],
        work: &mut dyn FnMut(Range<usize>, &[f32], &[u8]),
    ) {
        let band = self.band * self.stored_row;
        for (index, dy) in dy[image * self.stored..][..self.stored].chunks(band).enumerate() {
            let first = image * self.stored + index * band;
            let winners = if winners.is_empty() { &[] } else { &winners[first..first + dy.len()] };
            work(self.rows(index), dy, winners);
        }
    }
}
