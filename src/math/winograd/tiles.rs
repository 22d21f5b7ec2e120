//! How the tiles of a convolution cover its images.

use crate::math::conv::ConvShape;

use super::transform::Filtering;

/// The tiles of one convolution: each computes M x M outputs from N x N inputs, `M` apart.
#[derive(Debug, Clone, Copy)]
pub struct Tiling {
    /// Outputs along a tile's side.
    pub m: usize,
    /// Inputs along a tile's side.
    pub n: usize,
    /// Rows and columns of tiles on one image.
    pub rows: usize,
    /// Columns of tiles on one image.
    pub columns: usize,
    /// Output height of one image.
    pub height: usize,
}

impl Tiling {
    pub fn new<F: Filtering>(shape: &ConvShape) -> Self {
        let (height, width) = (shape.window.y.output, shape.window.x.output);
        Self { m: F::M, n: F::N, rows: height.div_ceil(F::M), columns: width.div_ceil(F::M), height }
    }

    /// Output rows that the rows of tiles before row `row` (counted through all images) compute.
    pub fn output_rows_before(&self, row: usize) -> usize {
        row / self.rows * self.height + row % self.rows * self.m
    }

    /// Image, row and column of a tile counted through all images.
    #[inline(always)]
    pub fn locate(&self, tile: usize) -> (usize, usize, usize) {
        let (row, column) = (tile / self.columns, tile % self.columns);
        (row / self.rows, row % self.rows, column)
    }
}
