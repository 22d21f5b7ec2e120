//! Winograd's minimal filtering for stride-1 convolutions of 3x3 and 5x5: forward, data gradient, filter gradient.
//!
//! | file | |
//! | --- | --- |
//! | `points.rs`, `transform.rs`, `tile_transforms.rs` | what the transforms come from; the transforms; those of whole tiles |
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
mod tile_transforms;
mod tiles;
mod transform;

use filter::packed_len;
pub use filter::{Filter, Weights};
use filter_gradient::Sizes;
use output::Output;
use source::Source;
use stages::Convolution;
pub use tiles::Tile;
use tiles::Tiling;

use super::{ConvShape, Epilogue, Finish, sized, tile_columns};
use crate::simd::{Isa, MatrixMut};
use crate::window::Window;

/// A stride-1 convolution planned for one kind of tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Winograd {
    /// The instruction set of its kernels.
    pub isa: Isa,
    /// The shape, of stride 1 and as many taps along both sides as the tile has.
    pub shape: ConvShape,
    /// What follows in the same pass.
    pub finish: Finish,
    /// The kind of tile.
    pub tile: Tile,
}

impl Winograd {
    /// The tile that takes least for this shape; `None` where the convolution is not stride 1 and 3x3 or 5x5.
    pub fn new(isa: Isa, shape: &ConvShape, finish: impl Into<Finish>) -> Option<Self> {
        let Window { y, x } = &shape.window;
        let steps = [y.stride, x.stride, y.dilation, x.dilation];
        if steps != [1; 4] || y.kernel != x.kernel {
            return None;
        }
        let tile = Tile::fitting(y.kernel, y.output, x.output)?;
        Some(Self { isa, shape: *shape, finish: finish.into(), tile })
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
        Source { values: dy, winners, epilogue: self.finish.epilogue, size }
    }

    /// The convolution as it is.
    fn convolution<'a>(&self, x: &'a [f32]) -> Convolution<'a> {
        let ConvShape { window, cin, cout } = self.shape;
        let pad = (window.y.pad_before, window.x.pad_before);
        let tiling = Tiling::over_output(self.tile, &self.shape);
        Convolution { isa: self.isa, cin, cout, pad, tiling, source: self.input(x) }
    }

    /// The convolution that maps output gradients to input gradients.
    fn backwards<'a>(&self, dy: Source<'a>) -> Convolution<'a> {
        let ConvShape { window, cin, cout } = self.shape;
        let last = self.tile.taps() - 1;
        let pad = (last - window.y.pad_before, last - window.x.pad_before);
        let tiling = Tiling::over_input(self.tile, &self.shape);
        Convolution { isa: self.isa, cin: cout, cout: cin, pad, tiling, source: dy }
    }

    /// Floats of room that the forward pass works in.
    pub fn forward_scratch(&self) -> usize {
        packed_len(self.isa, self.tile, self.shape.cin, self.shape.cout)
    }

    /// Floats of room that the two gradients work in, one after the other.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        let ConvShape { cin, cout, .. } = self.shape;
        let sizes = Sizes::new(&self.convolution(&[]), batch);
        packed_len(self.isa, self.tile, cout, cin).max(sizes.scratch())
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
        filter::pack(self.isa, self.tile, &self.filter(w, false), to);
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
        let out = Output { finish: self.finish, bias, y, winners, width: window.x.output, first: 0 };
        convolve(&self.convolution(x), x.len() / self.shape.input_len(), w, out, scratch);
    }

    /// The gradient of the input. Overwrites `dx`.
    pub fn data_gradient(&self, dy: &[f32], winners: &[u8], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        let ConvShape { window, cin, .. } = self.shape;
        let (batch, pixels) = (dx.len() / self.shape.input_len(), dx.len() / cin);
        let y = MatrixMut::new(dx, pixels, cin, cin);
        let out = Output {
            finish: Finish::default(),
            bias: &[],
            y,
            winners: None,
            width: window.x.input,
            first: 0,
        };
        let w = Weights::Plain(self.filter(w, true));
        let dy = self.gradient(dy, winners);
        convolve(&self.backwards(dy), batch, w, out, scratch);
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
        filter_gradient::filter_gradient(&self.convolution(x), batch, dy, dw, scratch);
    }
}

/// Convolves in the order that needs less room: it is the faster one.
fn convolve(
    convolution: &Convolution<'_>,
    batch: usize,
    w: Weights<'_>,
    out: Output<'_>,
    scratch: &mut [f32],
) {
    let Convolution { isa, cin, cout, tiling, .. } = *convolution;
    let rows = batch * tiling.rows;
    let tiles = rows * tiling.columns;
    let packed = packed_len(isa, tiling.tile, cin, cout);
    if by_channels::scratch(isa, tiling.tile, tiles, cin) <= packed {
        by_channels::convolve(convolution, tiles, w, scratch, out);
        return;
    }
    let u = match w {
        Weights::Packed(u) => u,
        Weights::Plain(filter) => {
            let u = &mut scratch[..packed];
            filter::pack(isa, tiling.tile, &filter, u);
            u
        }
    };
    by_tiles::convolve(convolution, rows, u, out);
}

/// The distance from one place's plane of `len` floats to the next one's: an odd number of cache lines, so that the same
/// value of all places does not fall on few sets of the cache.
fn plane(len: usize) -> usize {
    const LINE: usize = 16;
    (len.div_ceil(LINE) | 1) * LINE
}
