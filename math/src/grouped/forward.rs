//! The forward pass.

use std::ops::Range;

use super::rows::{Layout, Line, Room, SIDE_BY_SIDE, Tap, for_each_band};
use super::shape::{Filter, GroupedShape};
use crate::buffer::sized;
use crate::conv::{Epilogue, Finish};
use crate::simd::{Isa, Simd, dispatch};
use crate::window::{Axis, Window};

/// Forward pass over all images of `x`. Overwrites `y` and `winners`. An empty `bias` adds nothing.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands")]
pub fn forward(
    isa: Isa,
    shape: &GroupedShape,
    finish: Finish,
    x: &[f32],
    filter: Filter<'_>,
    bias: &[f32],
    y: &mut [f32],
    winners: &mut [u8],
) {
    let (row_len, input) = (shape.window.x.output * shape.cout, shape.input_len());
    for_each_band(y, winners, shape.window.y.output, row_len, &|image, first, y, winners, room| {
        let x = &x[image * input..][..input];
        dispatch!(isa, |simd| forward_band(simd, shape, finish, x, filter, bias, first, y, winners, room));
    });
}

/// The rows of outputs from `first` on that `y` holds, of one image.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands")]
#[inline(always)]
fn forward_band<S: Simd>(
    simd: S,
    shape: &GroupedShape,
    finish: Finish,
    x: &[f32],
    filter: Filter<'_>,
    bias: &[f32],
    first: usize,
    y: &mut [f32],
    winners: &mut [u8],
    room: &mut Room,
) {
    let row_len = shape.window.x.output * shape.cout;
    let mut forward = Forward::new::<S>(shape, finish, filter, bias, room);
    for (index, y) in y.chunks_exact_mut(row_len).enumerate() {
        let winners = if winners.is_empty() { &mut [] } else { &mut winners[index * row_len..][..row_len] };
        for row in forward.missing(first + index) {
            forward.copy(simd, row, &x[row * shape.window.x.input * shape.cin..]);
        }
        forward.row(simd, first + index, y, winners);
    }
}

/// One row of outputs after another, as the rows of the input come.
pub struct Forward<'a> {
    shape: &'a GroupedShape,
    finish: Finish,
    filter: Filter<'a>,
    bias: &'a [f32],
    layout: Layout,
    taps: &'a mut Vec<Tap>,
    rows: &'a mut [f32],
    /// The row behind the last one that was copied.
    copied: usize,
}

impl<'a> Forward<'a> {
    /// An empty `bias` adds nothing.
    #[inline(always)]
    pub fn new<S: Simd>(
        shape: &'a GroupedShape,
        finish: Finish,
        filter: Filter<'a>,
        bias: &'a [f32],
        room: &'a mut Room,
    ) -> Self {
        let layout = input_layout(shape);
        let rows = sized(&mut room.rows, layout.held * layout.row_len::<S>());
        Self { shape, finish, filter, bias, layout, taps: &mut room.taps, rows, copied: 0 }
    }

    /// The rows of the input to [`copy`](Self::copy) before row `oy` of the outputs can be computed.
    #[inline(always)]
    pub fn missing(&self, oy: usize) -> Range<usize> {
        let wanted = inputs(&self.shape.window.y, oy);
        wanted.start.max(self.copied)..wanted.end
    }

    /// Takes row `row` of the input, which begins `x`.
    #[inline(always)]
    pub fn copy<S: Simd>(&mut self, simd: S, row: usize, x: &[f32]) {
        let len = self.shape.window.x.input * self.shape.cin;
        self.layout.copy(simd, &x[..len], row, self.rows);
        self.copied = row + 1;
    }

    /// Where row `row` of the input goes: its pixels' first vectors of channels one behind another; and the distance from one vector to
    /// the next of the same pixel.
    #[inline(always)]
    pub fn strips<S: Simd>(&mut self, row: usize) -> (&mut [f32], usize) {
        self.copied = row + 1;
        (self.layout.strips::<S>(row, self.rows), self.layout.width * S::LANES)
    }

    /// Pixels of a row of the input that are read.
    pub fn pixels(&self) -> usize {
        self.layout.inside()
    }

    /// Overwrites `y` by row `oy` of the outputs and, unless they are empty, `winners`.
    #[inline(always)]
    pub fn row<S: Simd>(&mut self, simd: S, oy: usize, y: &mut [f32], winners: &mut [u8]) {
        let GroupedShape { window, cout, .. } = *self.shape;
        let Finish { epilogue, adds } = self.finish;
        self.taps.clear();
        for ky in 0..window.y.kernel {
            let Some(iy) = window.y.tap(oy, ky) else { continue };
            let layout = &self.layout;
            self.taps.extend((0..window.x.kernel).map(|kx| Tap {
                number: ky * window.x.kernel + kx,
                at: layout.at::<S>(iy, (kx * window.x.dilation) as isize - window.x.pad_before as isize),
            }));
        }
        let bounds = epilogue.bounds().filter(|_| epilogue != Epilogue::Bias);
        let line = Line {
            taps: self.taps,
            layout: self.layout,
            step: window.x.stride,
            filter: self.filter,
            filter_taps: window.taps(),
            channels: cout,
            bias: self.bias,
            count: window.x.output,
            to_step: 1,
            adds,
            bounds,
        };
        line.compute(simd, self.rows, y);
        let Some(activation) = epilogue.activation() else { return };
        if bounds.is_none() {
            activation.finish_values(simd, y);
        } else if !winners.is_empty() {
            activation.codes_of_values(simd, y, winners);
        }
    }
}

/// How the rows of the input are laid out.
pub fn input_layout(shape: &GroupedShape) -> Layout {
    let Window { y, x } = &shape.window;
    let outputs = x.output.next_multiple_of(SIDE_BY_SIDE);
    let read = (outputs - 1) * x.stride + (x.kernel - 1) * x.dilation + 1;
    let held = (y.kernel - 1) * y.dilation + 1;
    Layout::new(x.input, shape.cin, x.pad_before, read.saturating_sub(x.pad_before), held)
}

/// The inputs from the first to the last that output `o` may read.
pub fn inputs(axis: &Axis, o: usize) -> Range<usize> {
    let first = o * axis.stride;
    let end = (first + (axis.kernel - 1) * axis.dilation + 1).saturating_sub(axis.pad_before);
    first.saturating_sub(axis.pad_before)..end.min(axis.input)
}
