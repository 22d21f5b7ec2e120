//! The two sides of the filter gradient's product: V, the transformed inputs, and Z, the transformed gradients.

use std::cell::RefCell;
use std::ops::Range;

use crate::parallel::for_each_columns;
use crate::simd::{Isa, MatrixMut, Simd, dispatch};

use super::plane;
use super::points::MAX_N;
use super::source::Source;
use super::tile_transforms::{self, Places};
use super::tiles::Tiling;

/// Tiles that one task transforms, about.
const TASK: usize = 64;

thread_local! {
    /// Pixels that a row of tiles is cut from, reused from call to call.
    static STRIP: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// V or Z of some tiles: `[place][channels / width][tile][width]`, as the register tile reads them.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Channels side by side.
    pub width: usize,
    /// Distance from panel to panel: room for the tiles of a round.
    pub stride: usize,
    /// Distance from place to place.
    pub plane: usize,
}

impl Layout {
    pub fn new(channels: usize, width: usize, tiles: usize) -> Self {
        Self { width, stride: tiles * width, plane: plane(channels.div_ceil(width) * tiles * width) }
    }
}

/// What V or Z is made from.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub isa: Isa,
    pub source: Source<'a>,
    /// Pixels of the first tile before the image.
    pub pad: (usize, usize),
    /// Whether it is Z, from tiles of M x M gradients, or V, from N x N inputs.
    pub gradient: bool,
    pub layout: Layout,
    pub tiling: Tiling,
}

impl Side<'_> {
    /// Transforms channels `channels` of rows `rows` of tiles to `to`, panels and rows shared among the threads.
    pub fn share_panels(&self, rows: Range<usize>, channels: Range<usize>, to: MatrixMut<'_>) {
        let width = self.layout.width;
        let panels = 0..channels.len().div_ceil(width);
        for_each_columns(to, panels, self.layout.stride, 1, &|panel, to| {
            let first = channels.start + panel.start * width;
            let channels = first..channels.end.min(first + width);
            let per_row = self.tiling.columns * width;
            let most = (TASK / self.tiling.columns).max(1);
            for_each_columns(to, rows.clone(), per_row, most, &|rows, to| {
                self.transform_panels(rows, channels.clone(), to);
            });
        });
    }

    /// [`share_panels`](Self::share_panels) on the calling thread.
    pub fn transform_panels(&self, rows: Range<usize>, channels: Range<usize>, to: MatrixMut<'_>) {
        STRIP.with_borrow_mut(|strip| {
            dispatch!(self.isa, |simd| self.transform(simd, rows, channels, to, strip));
        });
    }

    #[inline(always)]
    fn transform<S: Simd>(
        &self,
        simd: S,
        rows: Range<usize>,
        channels: Range<usize>,
        mut to: MatrixMut<'_>,
        strip: &mut Vec<f32>,
    ) {
        let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
        let Layout { width, stride, .. } = self.layout;
        let tile = self.tiling.tile;
        let (m, side) = (tile.m(), if self.gradient { tile.m() } else { tile.n() });
        let size = (side.0, (self.tiling.columns - 1) * m.1 + side.1);
        for (index, start) in channels.clone().step_by(width).enumerate() {
            let channels = start..channels.end.min(start + width);
            for (number, row) in rows.clone().enumerate() {
                let y = (row % self.tiling.rows * m.0) as isize - self.pad.0 as isize;
                let corner = (y, -(self.pad.1 as isize));
                let image = row / self.tiling.rows;
                let pixels = self.source.strip(simd, image, corner, size, channels.clone(), strip);
                for column in 0..self.tiling.columns {
                    let at = index * stride + (number * self.tiling.columns + column) * width;
                    let places = Places { to: &mut to, at, step: 1 };
                    let (x, count) = (column * m.1, channels.len());
                    if self.gradient {
                        tile_transforms::gradient(simd, tile, &mut between, &pixels, x, count, places);
                    } else {
                        tile_transforms::input(simd, tile, &mut between, &pixels, x, count, places);
                    }
                }
            }
        }
    }
}
