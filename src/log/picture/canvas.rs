//! Drawing on RGB arrays.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView3, s};

pub(super) type Colour = [u8; 3];

pub(super) const PAPER: Colour = [255; 3];
pub(super) const INK: Colour = [34; 3];

/// A picture of nothing but paper.
pub(super) fn blank(height: usize, width: usize) -> Array3<u8> {
    let mut picture = Array3::zeros((height, width, 3));
    fill(&mut picture, 0..height, 0..width, PAPER);
    picture
}

pub(super) fn fill(picture: &mut Array3<u8>, rows: Range<usize>, columns: Range<usize>, colour: Colour) {
    for mut pixel in picture.slice_mut(s![rows, columns, ..]).rows_mut() {
        pixel.assign(&ndarray::aview1(&colour));
    }
}

/// Puts a part in its place; it must fit.
pub(super) fn draw(picture: &mut Array3<u8>, (y, x): (usize, usize), part: ArrayView3<'_, u8>) {
    let (height, width, _) = part.dim();
    picture.slice_mut(s![y..y + height, x..x + width, ..]).assign(&part);
}

/// Colours the pixels of `stencil` that are set; it must fit.
pub(super) fn write(
    picture: &mut Array3<u8>,
    (y, x): (usize, usize),
    stencil: &Array2<bool>,
    colour: Colour,
) {
    for ((row, column), _) in stencil.indexed_iter().filter(|(_, set)| **set) {
        fill(picture, y + row..y + row + 1, x + column..x + column + 1, colour);
    }
}

/// From `from` at 0 to `to` at 1.
pub(super) fn mix(from: Colour, to: Colour, share: f64) -> Colour {
    let level = |channel: usize| {
        let (from, to) = (f64::from(from[channel]), f64::from(to[channel]));
        (from + (to - from) * share).round() as u8
    };
    [level(0), level(1), level(2)]
}
