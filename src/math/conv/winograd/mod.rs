//! Winograd's minimal filtering for stride-1 convolutions of 3x3 and 5x5: forward, data gradient, filter gradient.
//!
//! | file | |
//! | --- | --- |
//! | `transform.rs` | the one-dimensional transforms and what they come from |
//! | `tiles.rs` | how tiles cover the images |
//! | `source.rs`, `output.rs` | where tiles are cut from, and where their outputs go |
//! | `filter.rs` | the transformed filter, packed for the matrix product |
//! | `forward.rs` | the forward pass, which with a turned filter is the data gradient |
//! | `filter_gradient.rs` | the gradient of the filter |
#![allow(clippy::needless_range_loop, reason = "loops over the places of a tile index several tiles alike")]

mod filter;
mod filter_gradient;
mod forward;
mod output;
mod source;
#[cfg(test)]
mod tests;
mod tiles;
mod transform;

use filter::{Filter, packed_len};
use filter_gradient::Sizes;
use forward::Convolution;
use output::Output;
use source::Source;
use tiles::Tiling;
use transform::{F2x5, F4x3, F4x5, F6x3};

use super::{ConvShape, Epilogue, sized, tile_columns};
use crate::math::window::Window;

/// A tile: which minimal filtering F(m, r) is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tile {
    /// F(4x4, 5x5): 6.25 times fewer multiplications.
    F4x5,
    /// F(6x6, 3x3): 5.06 times fewer.
    F6x3,
    /// F(2x2, 5x5): 2.78 times fewer.
    F2x5,
    /// F(4x4, 3x3): 4 times fewer.
    F4x3,
}

/// Calls `$body` with `$f` the type of the filtering.
macro_rules! with_filtering {
    ($tile:expr, $f:ident => $body:expr) => {
        match $tile {
            Tile::F4x5 => {
                type $f = F4x5;
                $body
            }
            Tile::F6x3 => {
                type $f = F6x3;
                $body
            }
            Tile::F2x5 => {
                type $f = F2x5;
                $body
            }
            Tile::F4x3 => {
                type $f = F4x3;
                $body
            }
        }
    };
}

/// A stride-1 convolution planned for one kind of tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winograd {
    shape: ConvShape,
    epilogue: Epilogue,
    tile: Tile,
}

impl Winograd {
    /// The tile that wastes least on this shape; `None` where the convolution is not stride 1 and 3x3 or 5x5.
    pub fn new(shape: &ConvShape, epilogue: Epilogue) -> Option<Self> {
        let Window { y, x } = &shape.window;
        let steps = [y.stride, x.stride, y.dilation, x.dilation];
        if steps != [1; 4] || y.kernel != x.kernel {
            return None;
        }
        let tile = match y.kernel {
            // Of a map of two rows or columns the larger tile would waste half.
            5 if y.output <= 2 || x.output <= 2 => Tile::F2x5,
            5 => Tile::F4x5,
            3 if y.output <= 4 || x.output <= 4 => Tile::F4x3,
            3 => Tile::F6x3,
            _ => return None,
        };
        Some(Self { shape: *shape, epilogue, tile })
    }

    fn convolution(&self) -> Convolution {
        let ConvShape { window, cin, cout } = self.shape;
        Convolution { cin, cout, pad: (window.y.pad_before, window.x.pad_before) }
    }

    /// The convolution that maps output gradients to input gradients.
    fn backwards(&self) -> Convolution {
        let Convolution { cin, cout, pad } = self.convolution();
        let reach = self.shape.window.y.kernel - 1;
        Convolution { cin: cout, cout: cin, pad: (reach - pad.0, reach - pad.1) }
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

    /// Floats of room that the forward pass works in.
    pub fn forward_scratch(&self) -> usize {
        let ConvShape { cin, cout, .. } = self.shape;
        with_filtering!(self.tile, F => packed_len::<F>(cin, cout))
    }

    /// Floats of room that the two gradients work in, one after the other.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        let ConvShape { cin, cout, .. } = self.shape;
        with_filtering!(self.tile, F => {
            let tiling = Tiling::over_output::<F>(&self.shape);
            packed_len::<F>(cout, cin).max(Sizes::new::<F>(&self.convolution(), &tiling, batch).scratch::<F>())
        })
    }

    /// Forward pass over all images of `x`. Overwrites `y` and `winners`.
    pub fn forward(
        &self,
        x: &[f32],
        w: &[f32],
        bias: &[f32],
        y: &mut [f32],
        winners: &mut [u8],
        scratch: &mut [f32],
    ) {
        let ConvShape { window, cin, cout } = self.shape;
        let batch = x.len() / self.shape.input_len();
        with_filtering!(self.tile, F => {
            let u = &mut scratch[..packed_len::<F>(cin, cout)];
            filter::pack::<F>(&Filter { w, cin, cout, turned: false }, u);
            let tiling = Tiling::over_output::<F>(&self.shape);
            let source = self.input(x);
            let size = (window.x.output, cout);
            let out = Output { epilogue: self.epilogue, bias, y, winners, size, first: 0 };
            forward::forward::<F>(&self.convolution(), &tiling, 0..batch * tiling.rows, source, u, out);
        });
    }

    /// The gradient of the input. Overwrites `dx`.
    pub fn data_gradient(&self, dy: &[f32], winners: &[u8], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        let ConvShape { window, cin, cout } = self.shape;
        let batch = dx.len() / self.shape.input_len();
        with_filtering!(self.tile, F => {
            let u = &mut scratch[..packed_len::<F>(cout, cin)];
            filter::pack::<F>(&Filter { w, cin, cout, turned: true }, u);
            let (convolution, tiling) = (self.backwards(), Tiling::over_input::<F>(&self.shape));
            let (rows, out_size) = (0..batch * tiling.rows, (window.x.input, cin));
            let out =
                Output { epilogue: Epilogue::Bias, bias: &[], y: dx, winners: &mut [], size: out_size, first: 0 };
            forward::forward::<F>(&convolution, &tiling, rows, self.gradient(dy, winners), u, out);
        });
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
        with_filtering!(self.tile, F => {
            let (convolution, tiling) = (self.convolution(), Tiling::over_output::<F>(&self.shape));
            let (x, dy) = (self.input(x), self.gradient(dy, winners));
            filter_gradient::filter_gradient::<F>(&convolution, &tiling, batch, x, dy, dw, scratch);
        });
    }
}

/// The distance from one place's plane of `len` floats to the next one's: an odd number of cache lines, so that the same
/// value of all places does not fall on few sets of the cache.
fn plane(len: usize) -> usize {
    const LINE: usize = 16;
    (len.div_ceil(LINE) | 1) * LINE
}
