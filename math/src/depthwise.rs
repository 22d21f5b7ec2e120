//! Depthwise convolution, a filter for each channel, and its gradients: images NHWC, filters (kernel height, kernel width,
//! channels).
//!
//! ```text
//! y[oy, ox, c] = b[c] + sum over ky, kx of x[oy s + ky d - p, ox s + kx d - p, c] w[ky, kx, c]
//! ```
//!
//! There is one multiply-add for each value that is loaded, so memory decides. Pixels of NHWC images lie far apart for one
//! vector of channels, which the processor does not foresee; so a task copies each row once, in the order of memory, to `Rows`:
//! there the pixels of one vector of channels are neighbours, with zeros around them, in the nearest caches. Forward pass and
//! data gradient are the same loop, `Line`, over other taps: with stride s the gradient of every s-th input pixel has the same
//! taps.
//!
//! How the work is cut depends on the shape alone, and sums run in a fixed order.

use std::cell::RefCell;
use std::ops::Range;

use super::buffer::sized;
use super::conv::Finish;
use super::parallel::{for_each_chunk, for_each_chunk_with_codes};
use super::simd::{Grid, Isa, MOST_LANES, Simd, dispatch};
use super::window::{Axis, Window};

/// Outputs that are computed side by side: as many accumulators, which share the weights they load.
const SIDE_BY_SIDE: usize = 8;

/// Values of a band of rows that a task computes, about: several rows, since each band copies those at its border anew.
const BAND: usize = 1 << 16;

/// Groups of images, at most, whose filter gradients are summed separately.
const GROUPS: usize = 16;

/// Taps along a side whose gradients are summed together, in registers.
const TILE: usize = 3;

/// The shape of a depthwise convolution over one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DepthwiseShape {
    /// How the filter slides.
    pub window: Window,
    /// Channels of input and output.
    pub channels: usize,
}

impl DepthwiseShape {
    /// Values of one input image.
    pub fn input_len(&self) -> usize {
        self.window.input_pixels() * self.channels
    }

    /// Values of one output image.
    pub fn output_len(&self) -> usize {
        self.window.output_pixels() * self.channels
    }

    /// Values of the filter.
    pub fn filter_len(&self) -> usize {
        self.window.taps() * self.channels
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        (self.window.output_pixels() * self.filter_len()) as u64
    }
}

/// A tap of a line.
#[derive(Debug, Clone, Copy)]
struct Tap {
    /// Where its weights begin in the filter.
    weights: usize,
    /// Where in the rows that are held the first output's pixel begins, of the first vector of channels: no division is left
    /// to the loops.
    at: usize,
}

/// Room of the task at hand, reused from call to call.
#[derive(Default)]
struct Room {
    taps: Vec<Tap>,
    rows: Vec<f32>,
    gradients: Vec<f32>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::default());
}

/// How the rows of an image are laid out for the kernels, the last few of those that were asked for:
/// `[row % held][channels / LANES][zeros, pixels, zeros][LANES]`.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Pixels of a row, and their channels.
    pixels: usize,
    channels: usize,
    /// Pixels of zeros before them, and pixels with all zeros.
    before: usize,
    width: usize,
    /// Rows that are held.
    held: usize,
}

impl Layout {
    /// Rows of at least `behind` pixels from the first one on.
    fn new(pixels: usize, channels: usize, before: usize, behind: usize, held: usize) -> Self {
        // Odd, so that the vectors of one pixel do not fall on few sets of the cache.
        Self { pixels, channels, before, width: (before + behind) | 1, held }
    }

    /// Floats of a row.
    fn row_len<S: Simd>(&self) -> usize {
        self.channels.div_ceil(S::LANES) * self.width * S::LANES
    }

    /// Where pixel `pixel` of a row begins, of the first vector of channels; before the first one there are zeros.
    fn at<S: Simd>(&self, row: usize, pixel: isize) -> usize {
        let pixel =
            self.before.checked_add_signed(pixel).expect("zeros before the pixels, as many as taps read");
        row % self.held * self.row_len::<S>() + pixel * S::LANES
    }

    /// Copies a row to where row number `row` is held.
    #[inline(always)]
    fn copy<S: Simd>(&self, simd: S, from: &[f32], row: usize, rows: &mut [f32]) {
        let to = &mut rows[row % self.held * self.row_len::<S>()..][..self.row_len::<S>()];
        let len = self.width * S::LANES;
        let inside = self.pixels.min(self.width - self.before);
        for of_vector in to.chunks_exact_mut(len) {
            of_vector[..self.before * S::LANES].fill(0.0);
            of_vector[(self.before + inside) * S::LANES..].fill(0.0);
        }
        for (pixel, from) in from.chunks_exact(self.channels).take(inside).enumerate() {
            let at = (self.before + pixel) * S::LANES;
            for (from, to) in from.chunks(S::LANES).zip(to.chunks_exact_mut(len)) {
                simd.store(simd.load_up_to(from, from.len()), &mut to[at..]);
            }
        }
    }
}

/// Outputs of one row that have the same taps.
struct Line<'a> {
    taps: &'a [Tap],
    layout: Layout,
    /// Distance of the pixels that one tap of neighbouring outputs reads.
    step: usize,
    w: &'a [f32],
    /// Empty for none.
    bias: &'a [f32],
    /// Outputs, and the distance in pixels from one to the next.
    count: usize,
    to_step: usize,
    /// Whether they are added to what is there.
    adds: bool,
}

impl Line<'_> {
    /// Overwrites the line's outputs, the first of which begins `to`.
    #[inline(always)]
    fn compute<S: Simd>(&self, simd: S, rows: &[f32], to: &mut [f32]) {
        match self.step {
            1 => self.compute_with::<S, 1>(simd, rows, to),
            2 => self.compute_with::<S, 2>(simd, rows, to),
            _ => self.compute_with::<S, 0>(simd, rows, to),
        }
    }

    /// The same with a `STEP` that is known, or 0.
    #[inline(always)]
    fn compute_with<S: Simd, const STEP: usize>(&self, simd: S, rows: &[f32], to: &mut [f32]) {
        let Layout { channels, width, .. } = self.layout;
        let step = if STEP == 0 { self.step } else { STEP };
        for (vector, channel) in (0..channels).step_by(S::LANES).enumerate() {
            let left = channels - channel;
            let bias = match self.bias {
                [] => simd.splat(0.0),
                bias => simd.load_up_to(&bias[channel..], left),
            };
            for j in (0..self.count).step_by(SIDE_BY_SIDE) {
                let mut sums = [bias; SIDE_BY_SIDE];
                for tap in self.taps {
                    let w = simd.load_up_to(&self.w[tap.weights + channel..], left);
                    let at = tap.at + (vector * width + j * step) * S::LANES;
                    let pixels = &rows[at..][..((SIDE_BY_SIDE - 1) * step + 1) * S::LANES];
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.mul_add(simd.load(&pixels[i * step * S::LANES..]), w, *sum);
                    }
                }
                for (i, sum) in sums.into_iter().enumerate() {
                    if j + i < self.count {
                        let to = &mut to[(j + i) * self.to_step * channels + channel..];
                        let sum = if self.adds { simd.add(sum, simd.load_up_to(to, left)) } else { sum };
                        simd.store_up_to(sum, to, left);
                    }
                }
            }
        }
    }
}

/// Calls `work` with each band of rows of each image of `to` and its codes, which may be empty: image, first row, and room to
/// work in. In parallel.
fn for_each_band(
    to: &mut [f32],
    codes: &mut [u8],
    rows: usize,
    row_len: usize,
    work: &(dyn Fn(usize, usize, &mut [f32], &mut [u8], &mut Room) + Sync),
) {
    let band = BAND.div_ceil(row_len).min(rows);
    for_each_chunk_with_codes(to, codes, rows * row_len, &|image, to, codes| {
        for_each_chunk_with_codes(to, codes, band * row_len, &|index, to, codes| {
            ROOM.with_borrow_mut(|room| work(image, index * band, to, codes, room));
        });
    });
}

/// Forward pass over all images of `x`. Overwrites `y` and `winners`. An empty `bias` adds nothing.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands")]
pub fn forward(
    isa: Isa,
    shape: &DepthwiseShape,
    finish: Finish,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    y: &mut [f32],
    winners: &mut [u8],
) {
    let (row_len, input) = (shape.window.x.output * shape.channels, shape.input_len());
    for_each_band(y, winners, shape.window.y.output, row_len, &|image, first, y, winners, room| {
        let x = &x[image * input..][..input];
        dispatch!(isa, |simd| forward_band(simd, shape, finish, x, w, bias, first, y, winners, room));
    });
}

/// How the rows of the input are laid out for [`forward`] and [`filter_gradient`].
fn input_layout(shape: &DepthwiseShape) -> Layout {
    let Window { y, x } = &shape.window;
    let outputs = x.output.next_multiple_of(SIDE_BY_SIDE);
    let read = (outputs - 1) * x.stride + (x.kernel - 1) * x.dilation + 1;
    let held = (y.kernel - 1) * y.dilation + 1;
    Layout::new(x.input, shape.channels, x.pad_before, read.saturating_sub(x.pad_before), held)
}

/// The rows of outputs from `first` on that `y` holds, of one image.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands")]
#[inline(always)]
fn forward_band<S: Simd>(
    simd: S,
    shape: &DepthwiseShape,
    finish: Finish,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    first: usize,
    y: &mut [f32],
    winners: &mut [u8],
    room: &mut Room,
) {
    let DepthwiseShape { window, channels } = *shape;
    let layout = input_layout(shape);
    let rows = sized(&mut room.rows, layout.held * layout.row_len::<S>());
    let row_len = window.x.output * channels;
    let mut copied = 0;
    for (index, y) in y.chunks_exact_mut(row_len).enumerate() {
        room.taps.clear();
        for ky in 0..window.y.kernel {
            let Some(iy) = window.y.tap(first + index, ky) else { continue };
            room.taps.extend((0..window.x.kernel).map(|kx| Tap {
                weights: (ky * window.x.kernel + kx) * channels,
                at: layout.at::<S>(iy, (kx * window.x.dilation) as isize - window.x.pad_before as isize),
            }));
        }
        copy_rows(simd, &layout, x, inputs(&window.y, first + index), &mut copied, rows);
        let line = Line {
            taps: &room.taps,
            layout,
            step: window.x.stride,
            w,
            bias,
            count: window.x.output,
            to_step: 1,
            adds: finish.adds,
        };
        line.compute(simd, rows, y);
        if let Some(activation) = finish.epilogue.activation() {
            let codes = if winners.is_empty() { &mut [] } else { &mut winners[index * row_len..][..row_len] };
            activation.finish_values(simd, y, codes);
        }
    }
}

/// Copies of these rows those behind all that were copied before; `copied` is their number.
#[inline(always)]
fn copy_rows<S: Simd>(
    simd: S,
    layout: &Layout,
    image: &[f32],
    wanted: Range<usize>,
    copied: &mut usize,
    rows: &mut [f32],
) {
    let len = layout.pixels * layout.channels;
    for row in wanted.start.max(*copied)..wanted.end {
        layout.copy(simd, &image[row * len..][..len], row, rows);
        *copied = row + 1;
    }
}

/// The inputs from the first to the last that output `o` may read.
fn inputs(axis: &Axis, o: usize) -> Range<usize> {
    let first = o * axis.stride;
    let end = (first + (axis.kernel - 1) * axis.dilation + 1).saturating_sub(axis.pad_before);
    first.saturating_sub(axis.pad_before)..end.min(axis.input)
}

/// The outputs from the first to the last that may read input `i`.
fn outputs(axis: &Axis, i: usize) -> Range<usize> {
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

/// The gradient of the input. Overwrites `dx`.
pub fn data_gradient(isa: Isa, shape: &DepthwiseShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let (row_len, output) = (shape.window.x.input * shape.channels, shape.output_len());
    for_each_band(dx, &mut [], shape.window.y.input, row_len, &|image, first, dx, _, room| {
        let dy = &dy[image * output..][..output];
        dispatch!(isa, |simd| data_gradient_band(simd, shape, dy, w, first, dx, room));
    });
}

/// The rows of `dx` from `first` on, of one image.
#[inline(always)]
fn data_gradient_band<S: Simd>(
    simd: S,
    shape: &DepthwiseShape,
    dy: &[f32],
    w: &[f32],
    first: usize,
    dx: &mut [f32],
    room: &mut Room,
) {
    let DepthwiseShape { window: Window { y: axis_y, x: axis_x }, channels } = *shape;
    // The outputs that the taps of input pixels 0 to stride - 1 reach, at most so far before and behind them.
    let before = (axis_x.kernel - 1) * axis_x.dilation / axis_x.stride + 1;
    let count = axis_x.input.div_ceil(axis_x.stride).next_multiple_of(SIDE_BY_SIDE);
    let behind = (axis_x.pad_before + axis_x.stride) / axis_x.stride + count;
    let held = (axis_y.kernel - 1) * axis_y.dilation / axis_y.stride + 1;
    let layout = Layout::new(axis_x.output, channels, before, behind, held);
    let rows = sized(&mut room.rows, held * layout.row_len::<S>());
    let mut copied = 0;
    for (index, dx) in dx.chunks_exact_mut(axis_x.input * channels).enumerate() {
        copy_rows(simd, &layout, dy, outputs(&axis_y, first + index), &mut copied, rows);
        for phase in 0..axis_x.stride.min(axis_x.input) {
            room.taps.clear();
            for ky in 0..axis_y.kernel {
                let oy = reader(&axis_y, first + index, ky).and_then(|oy| usize::try_from(oy).ok());
                let Some(oy) = oy.filter(|&oy| oy < axis_y.output) else { continue };
                room.taps.extend((0..axis_x.kernel).filter_map(|kx| {
                    let weights = (ky * axis_x.kernel + kx) * channels;
                    reader(&axis_x, phase, kx).map(|pixel| Tap { weights, at: layout.at::<S>(oy, pixel) })
                }));
            }
            let line = Line {
                taps: &room.taps,
                layout,
                step: 1,
                w,
                bias: &[],
                count: (axis_x.input - phase).div_ceil(axis_x.stride),
                to_step: axis_x.stride,
                adds: false,
            };
            line.compute(simd, rows, &mut dx[phase * channels..]);
        }
    }
}

/// Images of a group, and groups.
fn groups(batch: usize) -> (usize, usize) {
    let images = batch.div_ceil(GROUPS).max(1);
    (images, batch.div_ceil(images))
}

/// Floats of a group's sums: `[channels / LANES][taps][LANES]`, for vectors of any instruction set.
fn sums_len(shape: &DepthwiseShape) -> usize {
    shape.window.taps() * shape.channels.next_multiple_of(MOST_LANES)
}

/// Floats of room that [`filter_gradient`] works in.
pub fn filter_gradient_scratch(shape: &DepthwiseShape, batch: usize) -> usize {
    groups(batch).1 * sums_len(shape)
}

/// The gradient of the filter, summed over all images. Overwrites `dw`.
pub fn filter_gradient(
    isa: Isa,
    shape: &DepthwiseShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let (input, output, len) = (shape.input_len(), shape.output_len(), sums_len(shape));
    let (images, groups) = groups(x.len() / input);
    let sums = &mut scratch[..groups * len];
    for_each_chunk(sums, len, &|group, sums| {
        let of_group = |image: usize, len: usize| image * images * len;
        let (x, dy) = (&x[of_group(group, input)..], &dy[of_group(group, output)..]);
        sums.fill(0.0);
        ROOM.with_borrow_mut(|room| {
            for (x, dy) in x.chunks_exact(input).zip(dy.chunks_exact(output)).take(images) {
                dispatch!(isa, |simd| add_image(simd, shape, x, dy, sums, room));
            }
        });
    });
    dispatch!(isa, |simd| add_groups(simd, shape, sums, dw));
}

/// The groups' sums, in the order of the filter. Overwrites `dw`.
#[inline(always)]
fn add_groups<S: Simd>(_: S, shape: &DepthwiseShape, sums: &[f32], dw: &mut [f32]) {
    let taps = shape.window.taps();
    for (tap, dw) in dw.chunks_exact_mut(shape.channels).enumerate() {
        for (vector, dw) in dw.chunks_mut(S::LANES).enumerate() {
            dw.fill(0.0);
            for sums in sums.chunks_exact(sums_len(shape)) {
                let sums = &sums[(vector * taps + tap) * S::LANES..];
                dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum);
            }
        }
    }
}

/// Adds what one image gives to the gradient of the filter.
#[inline(always)]
fn add_image<S: Simd>(
    simd: S,
    shape: &DepthwiseShape,
    x: &[f32],
    dy: &[f32],
    sums: &mut [f32],
    room: &mut Room,
) {
    let DepthwiseShape { window: Window { y: axis_y, x: axis_x }, channels } = *shape;
    let layout = input_layout(shape);
    let rows = sized(&mut room.rows, layout.held * layout.row_len::<S>());
    let of_gradients = Layout::new(axis_x.output, channels, 0, axis_x.output, 1);
    let gradients = sized(&mut room.gradients, of_gradients.row_len::<S>());
    let (taps, kernel) = (axis_y.kernel * axis_x.kernel, axis_x.kernel);
    let mut copied = 0;
    for (oy, dy) in dy.chunks_exact(axis_x.output * channels).enumerate() {
        room.taps.clear();
        let first = -(axis_x.pad_before as isize);
        let of_row = |(ky, row)| Tap { weights: ky * kernel, at: layout.at::<S>(row, first) };
        room.taps.extend((0..axis_y.kernel).filter_map(|ky| Some((ky, axis_y.tap(oy, ky)?))).map(of_row));
        copy_rows(simd, &layout, x, inputs(&axis_y, oy), &mut copied, rows);
        of_gradients.copy(simd, dy, 0, gradients);
        for (vector, sums) in
            sums.chunks_exact_mut(taps * S::LANES).take(channels.div_ceil(S::LANES)).enumerate()
        {
            let dy = &gradients[vector * of_gradients.width * S::LANES..][..axis_x.output * S::LANES];
            for some in room.taps.chunks(TILE) {
                for kx in (0..kernel).step_by(TILE) {
                    let strips = Strips { rows, layout: &layout, axis: &axis_x, vector, kx };
                    macro_rules! by_size {
                        ($($rows:literal $columns:literal),+) => {
                            match (some.len(), kernel - kx) {
                                $(($rows, $columns..) => add_taps::<S, $rows, $columns>(simd, &strips, some, dy, sums),)+
                                _ => unreachable!("a tile of at least one tap"),
                            }
                        };
                    }
                    by_size!(3 3, 3 2, 3 1, 2 3, 2 2, 2 1, 1 3, 1 2, 1 1);
                }
            }
        }
    }
}

/// The rows of one vector of channels, from tap `kx` on.
struct Strips<'a> {
    rows: &'a [f32],
    layout: &'a Layout,
    axis: &'a Axis,
    vector: usize,
    kx: usize,
}

/// Adds what a row of outputs gives to the gradients of `R x K` taps.
#[inline(always)]
fn add_taps<S: Simd, const R: usize, const K: usize>(
    simd: S,
    strips: &Strips<'_>,
    taps: &[Tap],
    dy: &[f32],
    sums: &mut [f32],
) {
    let Strips { rows, layout, axis, vector, kx } = *strips;
    let count = dy.len() / S::LANES;
    let steps = (axis.stride * S::LANES, axis.dilation * S::LANES);
    let pixels: [Grid<'_>; R] = std::array::from_fn(
        #[inline(always)]
        |r| {
            let row = &rows[taps[r].at + (vector * layout.width + kx * axis.dilation) * S::LANES..];
            Grid::new(row, (count, K), steps, S::LANES)
        },
    );
    let mut of_taps = [[simd.splat(0.0); K]; R];
    for (i, dy) in dy.chunks_exact(S::LANES).enumerate().take(count) {
        let gradient = simd.load(dy);
        for (pixels, of_taps) in pixels.iter().zip(&mut of_taps) {
            for (k, of_tap) in of_taps.iter_mut().enumerate() {
                *of_tap = simd.mul_add(simd.load(pixels.run(i, k)), gradient, *of_tap);
            }
        }
    }
    for (tap, of_taps) in taps.iter().zip(of_taps) {
        for (k, of_tap) in of_taps.into_iter().enumerate() {
            let sum = &mut sums[(tap.weights + kx + k) * S::LANES..];
            simd.store(simd.add(simd.load(sum), of_tap), sum);
        }
    }
}
