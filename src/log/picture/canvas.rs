//! Drawing on RGB arrays.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView3, s};

pub(super) type Color = [u8; 3];

pub(super) const PAPER: Color = [255; 3];
pub(super) const INK: Color = [34; 3];

/// A picture of nothing but paper.
pub(super) fn blank(height: usize, width: usize) -> Array3<u8> {
    let mut picture = Array3::zeros((height, width, 3));
    fill(&mut picture, 0..height, 0..width, PAPER);
    picture
}

pub(super) fn fill(picture: &mut Array3<u8>, rows: Range<usize>, columns: Range<usize>, color: Color) {
    for mut pixel in picture.slice_mut(s![rows, columns, ..]).rows_mut() {
        pixel.assign(&ndarray::aview1(&color));
    }
}

/// Puts a part in its place; it must fit.
pub(super) fn draw(picture: &mut Array3<u8>, (y, x): (usize, usize), part: ArrayView3<'_, u8>) {
    let (height, width, _) = part.dim();
    picture.slice_mut(s![y..y + height, x..x + width, ..]).assign(&part);
}

/// Colors the pixels of `stencil` that are set; it must fit.
pub(super) fn write(picture: &mut Array3<u8>, (y, x): (usize, usize), stencil: &Array2<bool>, color: Color) {
    for ((row, column), _) in stencil.indexed_iter().filter(|(_, set)| **set) {
        fill(picture, y + row..y + row + 1, x + column..x + column + 1, color);
    }
}

/// From `from` at 0 to `to` at 1.
pub(super) fn mix(from: Color, to: Color, share: f64) -> Color {
    let level = |channel: usize| {
        let (from, to) = (f64::from(from[channel]), f64::from(to[channel]));
        (from + (to - from) * share).round() as u8
    };
    [level(0), level(1), level(2)]
}
