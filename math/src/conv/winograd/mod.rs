//! Winograd's minimal filtering for stride-1 convolutions of 3x3 and 5x5: forward, data gradient, filter gradient.
//!
//! | file | |
//! | --- | --- |
//! | `points.rs`, `transform.rs` | what the transforms come from; the transforms |
//! | `tiles.rs` | the kinds of tiles, and how they cover the images |
//! | `source.rs`, `output.rs` | where tiles are cut from, and where their outputs go |
//! | `filter.rs` | the transformed filter, packed for the matrix product |
//! | `stages.rs` | the forward pass, which with a turned filter is the data gradient: input, product, output |
//! | `by_tiles.rs`, `by_channels.rs` | the two orders to run the stages in |
//! | `filter_gradient.rs`, `sides.rs` | the gradient of the filter; the two sides of its product |
#![allow(clippy::needless_range_loop, reason = "loops over the places of a tile index several tiles alike")]

mod by_channels;
mod by_tiles;
mod filter;
mod filter_gradient;
mod output;
mod points;
mod sides;
mod source;
mod stages;
#[cfg(test)]
mod tests;
mod tiles;
mod transform;

pub use filter::Weights;
use filter::{Filter, packed_len};
use filter_gradient::Sizes;
use output::Output;
use source::Source;
use stages::Convolution;
use tiles::{Filtering, Tile, Tiling, with_filtering};

use super::{ConvShape, Epilogue, sized, tile_columns};
use crate::simd::MatrixMut;
use crate::window::Window;

/// A stride-1 convolution planned for one kind of tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winograd {
    shape: ConvShape,
    epilogue: Epilogue,
    tile: Tile,
}

impl Winograd {
    /// The tile that takes least for this shape; `None` where the convolution is not stride 1 and 3x3 or 5x5.
    pub fn new(shape: &ConvShape, epilogue: Epilogue) -> Option<Self> {
        let Window { y, x } = &shape.window;
        let steps = [y.stride, x.stride, y.dilation, x.dilation];
        if steps != [1; 4] || y.kernel != x.kernel {
            return None;
        }
        let tile = Tile::fitting(y.kernel, y.output, x.output)?;
        Some(Self { shape: *shape, epilogue, tile })
    }

    /// The convolution's input to cut tiles from.
    fn input<'a>(&self, x: &'a [f32]) -> Source<'a> {
        let ConvShape { window, cin, .. } = self.shape;
        let size = (window.y.input, window.x.input, cin);
        Source { values: x, winners: &[], epilogue: Epilogue::Bias, size }
    }

    /// The gradient of its outputs.
    fn gradient<'a>(&self, dy: &'a [f32], winners: &'a [u8]) -> Source<'a> {
        let ConvShape { window, cout, .. } = self.shape;
        let size = (window.y.output, window.x.output, cout);
        Source { values: dy, winners, epilogue: self.epilogue, size }
    }

    /// The convolution with tiles of kind F.
    fn convolution<'a, F: Filtering>(&self, x: &'a [f32]) -> Convolution<'a> {
        let ConvShape { window, cin, cout } = self.shape;
        let pad = (window.y.pad_before, window.x.pad_before);
        Convolution { cin, cout, pad, tiling: Tiling::over_output::<F>(&self.shape), source: self.input(x) }
    }

    /// The convolution that maps output gradients to input gradients.
    fn backwards<'a, F: Filtering>(&self, dy: Source<'a>) -> Convolution<'a> {
        let ConvShape { window, cin, cout } = self.shape;
        let pad = (F::R - 1 - window.y.pad_before, F::R - 1 - window.x.pad_before);
        Convolution { cin: cout, cout: cin, pad, tiling: Tiling::over_input::<F>(&self.shape), source: dy }
    }

    /// Floats of room that the forward pass works in.
    pub fn forward_scratch(&self) -> usize {
        let ConvShape { cin, cout, .. } = self.shape;
        with_filtering!(self.tile, F => packed_len::<F>(cin, cout))
    }

    /// Floats of room that the two gradients work in, one after the other.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        let ConvShape { cin, cout, .. } = self.shape;
        with_filtering!(self.tile, F => {
            let sizes = Sizes::new::<F>(&self.convolution::<F>(&[]), batch);
            packed_len::<F>(cout, cin).max(sizes.scratch::<F>())
        })
    }

    /// The same convolution with tiles that suit few images: a smaller transformed filter to read, in return for more
    /// multiplications, where larger tiles would be fewer than the rows of the register tile.
    pub fn for_few_tiles(&self) -> Self {
        let Window { y, x } = &self.shape.window;
        let tile = match self.tile {
            tile if tile.taps() == 5 && y.output.max(x.output) <= 12 => Tile::F2x2_5x5,
            tile if tile.taps() == 3 && y.output.max(x.output) <= 18 => Tile::F4x4_3x3,
            tile => tile,
        };
        Self { tile, ..*self }
    }

    /// Transforms and packs the filter for [`Weights::Packed`].
    pub fn prepare(&self, w: &[f32], to: &mut [f32]) {
        with_filtering!(self.tile, F => filter::pack::<F>(&self.filter(w, false), to));
    }

    fn filter<'a>(&self, w: &'a [f32], turned: bool) -> Filter<'a> {
        Filter { w, cin: self.shape.cin, cout: self.shape.cout, turned }
    }

    /// A filter as it is.
    pub fn plain<'a>(&self, w: &'a [f32]) -> Weights<'a> {
        Weights::Plain(self.filter(w, false))
    }

    /// Forward pass over all images of `x`. Overwrites `y` and `winners`.
    pub fn forward(
        &self,
        x: &[f32],
        w: Weights<'_>,
        bias: &[f32],
        y: &mut [f32],
        winners: &mut [u8],
        scratch: &mut [f32],
    ) {
        let ConvShape { window, cout, .. } = self.shape;
        let pixels = y.len() / cout;
        let winners = (!winners.is_empty()).then(|| MatrixMut::new(winners, pixels, cout, cout));
        let y = MatrixMut::new(y, pixels, cout, cout);
        let out = Output { epilogue: self.epilogue, bias, y, winners, width: window.x.output, first: 0 };
        with_filtering!(self.tile, F => {
            convolve::<F>(&self.convolution::<F>(x), x.len() / self.shape.input_len(), w, out, scratch);
        });
    }

    /// The gradient of the input. Overwrites `dx`.
    pub fn data_gradient(&self, dy: &[f32], winners: &[u8], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        let ConvShape { window, cin, .. } = self.shape;
        let (batch, pixels) = (dx.len() / self.shape.input_len(), dx.len() / cin);
        let y = MatrixMut::new(dx, pixels, cin, cin);
        let out =
            Output { epilogue: Epilogue::Bias, bias: &[], y, winners: None, width: window.x.input, first: 0 };
        let w = Weights::Plain(self.filter(w, true));
        let dy = self.gradient(dy, winners);
        with_filtering!(self.tile, F => convolve::<F>(&self.backwards::<F>(dy), batch, w, out, scratch));
    }

    /// The gradient of the filter, summed over all images. Overwrites `dw`.
    pub fn filter_gradient(
        &self,
        x: &[f32],
        dy: &[f32],
        winners: &[u8],
        dw: &mut [f32],
        scratch: &mut [f32],
    ) {
        let batch = x.len() / self.shape.input_len();
        let dy = self.gradient(dy, winners);
        with_filtering!(self.tile, F => {
            filter_gradient::filter_gradient::<F>(&self.convolution::<F>(x), batch, dy, dw, scratch);
        });
    }
}

/// Convolves in the order that needs less room: it is the faster one.
fn convolve<F: Filtering>(
    convolution: &Convolution<'_>,
    batch: usize,
    w: Weights<'_>,
    out: Output<'_>,
    scratch: &mut [f32],
) {
    let Convolution { cin, cout, tiling, .. } = *convolution;
    let rows = batch * tiling.rows;
    let tiles = rows * tiling.columns;
    let packed = packed_len::<F>(cin, cout);
    if by_channels::scratch::<F>(tiles, cin) <= packed {
        by_channels::convolve::<F>(convolution, tiles, w, scratch, out);
        return;
    }
    let u = match w {
        Weights::Packed(u) => u,
        Weights::Plain(filter) => {
            let u = &mut scratch[..packed];
            filter::pack::<F>(&filter, u);
            u
        }
    };
    by_tiles::convolve::<F>(convolution, rows, u, out);
}

/// The distance from one place's plane of `len` floats to the next one's: an odd number of cache lines, so that the same
/// value of all places does not fall on few sets of the cache.
fn plane(len: usize) -> usize {
    const LINE: usize = 16;
    (len.div_ceil(LINE) | 1) * LINE
}
