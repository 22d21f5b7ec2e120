//! The gradient of the input.

use std::ops::Range;

use super::rows::{Layout, Line, Room, SIDE_BY_SIDE, Tap, copy_rows, for_each_band};
use super::shape::{Filter, GroupedShape};
use crate::buffer::sized;
use crate::simd::{Isa, Simd, dispatch};
use crate::window::{Axis, Window};

/// The gradient of the input; a packed filter is that of the [`GroupedShape::backward_reach`]. Overwrites `dx`.
pub fn data_gradient(isa: Isa, shape: &GroupedShape, dy: &[f32], filter: Filter<'_>, dx: &mut [f32]) {
    let (row_len, output) = (shape.window.x.input * shape.cin, shape.output_len());
    for_each_band(dx, &mut [], shape.window.y.input, row_len, &|image, first, dx, _, room| {
        let dy = &dy[image * output..][..output];
        dispatch!(isa, |simd| data_gradient_band(simd, shape, dy, filter, first, dx, room));
    });
}

/// The rows of `dx` from `first` on, of one image.
#[inline(always)]
fn data_gradient_band<S: Simd>(
    simd: S,
    shape: &GroupedShape,
    dy: &[f32],
    filter: Filter<'_>,
    first: usize,
    dx: &mut [f32],
    room: &mut Room,
) {
    let layout = gradient_layout(shape);
    let rows = sized(&mut room.rows, layout.held * layout.row_len::<S>());
    let mut copied = 0;
    for (iy, dx) in (first..).zip(dx.chunks_exact_mut(shape.window.x.input * shape.cin)) {
        copy_rows(simd, &layout, dy, outputs(&shape.window.y, iy), &mut copied, rows);
        data_gradient_row(simd, shape, rows, filter, iy, dx, &mut room.taps);
    }
}

/// How the rows of dy are laid out.
pub fn gradient_layout(shape: &GroupedShape) -> Layout {
    let Window { y, x } = &shape.window;
    // The outputs that the taps of input pixels 0 to stride - 1 reach, at most so far before and behind them.
    let before = (x.kernel - 1) * x.dilation / x.stride + 1;
    let count = x.input.div_ceil(x.stride).next_multiple_of(SIDE_BY_SIDE);
    let behind = (x.pad_before + x.stride) / x.stride + count;
    let held = (y.kernel - 1) * y.dilation / y.stride + 1;
    Layout::new(x.output, shape.cout, before, behind, held)
}

/// Row `iy` of dx from those of dy that are held. Overwrites `dx`.
#[inline(always)]
pub fn data_gradient_row<S: Simd>(
    simd: S,
    shape: &GroupedShape,
    rows: &[f32],
    filter: Filter<'_>,
    iy: usize,
    dx: &mut [f32],
    taps: &mut Vec<Tap>,
) {
    let GroupedShape { window: Window { y: axis_y, x: axis_x }, cin, .. } = *shape;
    let layout = gradient_layout(shape);
    for phase in 0..axis_x.stride.min(axis_x.input) {
        taps.clear();
        for ky in 0..axis_y.kernel {
            let oy = reader(&axis_y, iy, ky).and_then(|oy| usize::try_from(oy).ok());
            let Some(oy) = oy.filter(|&oy| oy < axis_y.output) else { continue };
            taps.extend((0..axis_x.kernel).filter_map(|kx| {
                let number = ky * axis_x.kernel + kx;
                reader(&axis_x, phase, kx).map(|pixel| Tap { number, at: layout.at::<S>(oy, pixel) })
            }));
        }
        let line = Line {
            taps,
            layout,
            step: 1,
            filter,
            filter_taps: shape.window.taps(),
            channels: cin,
            bias: &[],
            count: (axis_x.input - phase).div_ceil(axis_x.stride),
            to_step: axis_x.stride,
            adds: false,
            bounds: None,
        };
        line.compute(simd, rows, &mut dx[phase * cin..]);
    }
}

/// The outputs from the first to the last that may read input `i`.
pub fn outputs(axis: &Axis, i: usize) -> Range<usize> {
    let last = i + axis.pad_before;
    let first = last.saturating_sub((axis.kernel - 1) * axis.dilation).div_ceil(axis.stride);
    first..(last / axis.stride + 1).min(axis.output)
}

/// The output position, perhaps outside, that reads input position `i` by tap `k`; `None` if the stride passes it over.
fn reader(axis: &Axis, i: usize, k: usize) -> Option<isize> {
    let padded = (i + axis.pad_before) as isize - (k * axis.dilation) as isize;
    let stride = axis.stride as isize;
    (padded.rem_euclid(stride) == 0).then(|| padded.div_euclid(stride))
}
