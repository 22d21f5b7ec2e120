//! The two sides of the filter gradient's product: V, the transformed inputs, and Z, the transformed gradients.

use std::cell::RefCell;
use std::ops::Range;

use crate::simd::{MatrixMut, Simd, dispatch};

use super::points::MAX_N;
use super::source::Source;
use super::tiles::{Filtering, Tiling};
use super::transform::{OutputTransposed, in_two_dimensions};
use super::{plane, stages};

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
    pub source: Source<'a>,
    /// Pixels of the first tile before the image.
    pub pad: (usize, usize),
    /// Rows and columns of pixels of a tile: N for V, M for Z.
    pub side: (usize, usize),
    pub layout: Layout,
    pub tiling: Tiling,
}

impl Side<'_> {
    /// Transforms channels `channels` of rows `rows` of tiles to `to`, panels and rows shared among the threads.
    pub fn share_panels<F: Filtering>(&self, rows: Range<usize>, channels: Range<usize>, to: MatrixMut<'_>) {
        let width = self.layout.width;
        if channels.len() > width {
            let panels = channels.len().div_ceil(width) / 2;
            let middle = channels.start + panels * width;
            let (before, after) = to.split_columns(panels * self.layout.stride);
            rayon::join(
                || self.share_panels::<F>(rows.clone(), channels.start..middle, before),
                || self.share_panels::<F>(rows.clone(), middle..channels.end, after),
            );
        } else if rows.len() > 1 && rows.len() * self.tiling.columns > TASK {
            let half = rows.len() / 2;
            let middle = rows.start + half;
            let (before, after) = to.split_columns(half * self.tiling.columns * width);
            rayon::join(
                || self.share_panels::<F>(rows.start..middle, channels.clone(), before),
                || self.share_panels::<F>(middle..rows.end, channels.clone(), after),
            );
        } else {
            self.transform_panels::<F>(rows, channels, to);
        }
    }

    /// [`share_panels`](Self::share_panels) on the calling thread.
    pub fn transform_panels<F: Filtering>(
        &self,
        rows: Range<usize>,
        channels: Range<usize>,
        to: MatrixMut<'_>,
    ) {
        STRIP.with_borrow_mut(|strip| {
            dispatch!(|simd| self.transform::<_, F>(simd, rows, channels, to, strip));
        });
    }

    #[inline(always)]
    fn transform<S: Simd, F: Filtering>(
        &self,
        simd: S,
        rows: Range<usize>,
        channels: Range<usize>,
        mut to: MatrixMut<'_>,
        strip: &mut Vec<f32>,
    ) {
        let mut between = [[simd.splat(0.0); MAX_N]; MAX_N];
        let Layout { width, stride, .. } = self.layout;
        let size = (self.side.0, (self.tiling.columns - 1) * F::M.1 + self.side.1);
        for (index, start) in channels.clone().step_by(width).enumerate() {
            let channels = start..channels.end.min(start + width);
            for (tile, row) in rows.clone().enumerate() {
                let y = (row % self.tiling.rows * F::M.0) as isize - self.pad.0 as isize;
                let corner = (y, -(self.pad.1 as isize));
                let pixels =
                    self.source.strip(simd, row / self.tiling.rows, corner, size, channels.clone(), strip);
                for column in 0..self.tiling.columns {
                    for channel in (0..channels.len()).step_by(S::LANES) {
                        let cut = pixels.cut(simd, column * F::M.1, self.side, channel);
                        let at = index * stride + (tile * self.tiling.columns + column) * width + channel;
                        let mut to = to.grid(at, F::N, S::LANES);
                        if self.side == F::N {
                            stages::input_tile::<S, F>(simd, &mut between, cut, to);
                            continue;
                        }
                        in_two_dimensions::<S, F, OutputTransposed>(
                            simd,
                            &mut between,
                            #[inline(always)]
                            |y, x| simd.load(cut.run(y, x)),
                            #[inline(always)]
                            |y, x, value| simd.store(value, to.run(y, x)),
                        );
                    }
                }
            }
        }
    }
}
