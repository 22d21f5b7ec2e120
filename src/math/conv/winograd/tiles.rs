//! How the tiles of a convolution cover its images.

use crate::math::conv::ConvShape;

use super::transform::Filtering;

/// The tiles of one convolution: each computes M x M outputs from N x N inputs, `M` apart.
#[derive(Debug, Clone, Copy)]
pub struct Tiling {
    /// Outputs along a tile's side.
    pub m: usize,
    /// Rows and columns of tiles on one image.
    pub rows: usize,
    /// Columns of tiles on one image.
    pub columns: usize,
    /// Height of what they cover.
    pub height: usize,
}

impl Tiling {
    /// The tiles of the forward pass and of the filter gradient, which cover the output.
    pub fn over_output<F: Filtering>(shape: &ConvShape) -> Self {
        Self::over::<F>(shape.window.y.output, shape.window.x.output)
    }

    /// The tiles of the data gradient, which cover the input.
    pub fn over_input<F: Filtering>(shape: &ConvShape) -> Self {
        Self::over::<F>(shape.window.y.input, shape.window.x.input)
    }

    fn over<F: Filtering>(height: usize, width: usize) -> Self {
        Self { m: F::M, rows: height.div_ceil(F::M), columns: width.div_ceil(F::M), height }
    }
}
