//! Depthwise convolution, a filter for each channel, and its gradients: images NHWC, filters (kernel height, kernel width,
//! channels).
//!
//! ```text
//! y[oy, ox, c] = b[c] + sum over ky, kx of x[oy s + ky d - p, ox s + kx d - p, c] w[ky, kx, c]
//! ```
//!
//! There is one multiply-add for each value that is loaded, so memory decides: a task goes through a few rows of an image,
//! pixel by pixel, and what the next row reads again is still in its cache. Forward pass and data gradient are the same
//! loop, `Line`, over other taps: with stride s the gradient of every s-th input pixel has the same taps.
//!
//! How the work is cut depends on the shape alone, and sums run in a fixed order.

use std::cell::RefCell;

use super::conv::Finish;
use super::parallel::{for_each_chunk, for_each_chunk_with_codes};
use super::simd::{Grid, Isa, MOST_LANES, Simd, dispatch};
use super::window::{Axis, Window};

/// Outputs that are computed side by side: as many accumulators, which share the weights they load.
const SIDE_BY_SIDE: usize = 8;

/// Values of a band of rows that a task computes, about.
const BAND: usize = 1 << 15;

/// Groups of images, at most, whose filter gradients are summed separately.
const GROUPS: usize = 16;

/// Output columns that the filter gradient takes at a time: their pixels stay in the first cache for all taps.
const COLUMNS: usize = 16;

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

/// A tap of a line: output j reads column `first + j step` of row `row` of the source, where that lies inside.
#[derive(Debug, Clone, Copy)]
struct Tap {
    /// Where its weights begin in the filter.
    weights: usize,
    row: usize,
    first: isize,
}

thread_local! {
    /// The taps of the line at hand, reused from call to call.
    static TAPS: RefCell<Vec<Tap>> = const { RefCell::new(Vec::new()) };
}

/// Outputs of one row that have the same taps.
struct Line<'a> {
    taps: &'a [Tap],
    /// An image, the width of its rows in pixels, and the distance of the columns that one tap of neighbouring outputs reads.
    source: &'a [f32],
    width: usize,
    step: usize,
    channels: usize,
    w: &'a [f32],
    /// Empty for none.
    bias: &'a [f32],
    /// Outputs, and the distance in pixels from one to the next.
    count: usize,
    to_step: usize,
    /// What follows; nothing but a sum where outputs do not lie side by side.
    finish: Finish,
}

impl Line<'_> {
    /// Overwrites the line's outputs, the first of which begins `to`, and their codes.
    #[inline(always)]
    fn compute<S: Simd>(&self, simd: S, to: &mut [f32], codes: &mut [u8]) {
        let (least, most) = self.taps.iter().fold((0, 0), |(a, b), tap| (tap.first.min(a), tap.first.max(b)));
        for j in (0..self.count).step_by(SIDE_BY_SIDE) {
            let last = j + SIDE_BY_SIDE - 1;
            let inside = last < self.count
                && least + (j * self.step) as isize >= 0
                && most + ((last * self.step) as isize) < self.width as isize;
            // The last vector of channels is computed anew where it overlaps the one before.
            for channel in (0..self.channels).step_by(S::LANES) {
                let first = channel.min(self.channels.saturating_sub(S::LANES));
                let again = channel - first;
                if self.channels < S::LANES {
                    self.few_channels(j, to);
                } else if inside {
                    self.block::<S, true>(simd, j, first, again, to);
                } else {
                    self.block::<S, false>(simd, j, first, again, to);
                }
            }
            if let Some(activation) = self.finish.epilogue.activation() {
                let some = j * self.channels..self.count.min(j + SIDE_BY_SIDE) * self.channels;
                let codes = if codes.is_empty() { &mut [] } else { &mut codes[some.clone()] };
                activation.finish_values(simd, &mut to[some], codes);
            }
        }
    }

    /// A vector of channels of outputs j, j + 1, ..., the first `again` of which are computed anew; `INSIDE`: there are
    /// [`SIDE_BY_SIDE`], and no tap reads padding.
    #[inline(always)]
    fn block<S: Simd, const INSIDE: bool>(
        &self,
        simd: S,
        j: usize,
        channel: usize,
        again: usize,
        to: &mut [f32],
    ) {
        let bias = if self.bias.is_empty() { simd.splat(0.0) } else { simd.load(&self.bias[channel..]) };
        let mut sums = [bias; SIDE_BY_SIDE];
        let step = self.step * self.channels;
        for tap in self.taps {
            let w = simd.load(&self.w[tap.weights + channel..]);
            let row = &self.source[tap.row * self.width * self.channels..][..self.width * self.channels];
            let first = tap.first + (j * self.step) as isize;
            if INSIDE {
                let row = &row[first as usize * self.channels + channel..];
                let pixels = Grid::new(row, (1, SIDE_BY_SIDE), (0, step), S::LANES);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add(simd.load(pixels.run(0, i)), w, *sum);
                }
            } else {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let column = first + (i * self.step) as isize;
                    if (0..self.width as isize).contains(&column) {
                        let x = simd.load(&row[column as usize * self.channels + channel..]);
                        *sum = simd.mul_add(x, w, *sum);
                    }
                }
            }
        }
        let count = if INSIDE { SIDE_BY_SIDE } else { SIDE_BY_SIDE.min(self.count - j) };
        for (i, sum) in sums.into_iter().enumerate().take(count) {
            let to = &mut to[(j + i) * self.to_step * self.channels + channel..];
            if !self.finish.adds {
                simd.store(sum, to);
            } else if again == 0 {
                simd.store(simd.add(sum, simd.load(to)), to);
            } else {
                let mut lanes = [0.0; MOST_LANES];
                simd.store(sum, &mut lanes);
                to[again..S::LANES].iter_mut().zip(&lanes[again..]).for_each(|(to, sum)| *to += sum);
            }
        }
    }

    /// The same where there are fewer channels than a vector has lanes.
    fn few_channels(&self, j: usize, to: &mut [f32]) {
        for j in j..self.count.min(j + SIDE_BY_SIDE) {
            for channel in 0..self.channels {
                let mut sum = self.bias.get(channel).copied().unwrap_or(0.0);
                for tap in self.taps {
                    let column = tap.first + (j * self.step) as isize;
                    if (0..self.width as isize).contains(&column) {
                        let at = (tap.row * self.width + column as usize) * self.channels + channel;
                        sum += self.source[at] * self.w[tap.weights + channel];
                    }
                }
                let to = &mut to[j * self.to_step * self.channels + channel];
                *to = if self.finish.adds { *to + sum } else { sum };
            }
        }
    }
}

/// Calls `work` with each row of each image of `to` and its codes, which may be empty: image, row, and room for taps. In
/// parallel, a band of rows at a time.
fn for_each_row(
    to: &mut [f32],
    codes: &mut [u8],
    rows: usize,
    row_len: usize,
    work: &(dyn Fn(usize, usize, &mut [f32], &mut [u8], &mut Vec<Tap>) + Sync),
) {
    let band = BAND.div_ceil(row_len).min(rows);
    for_each_chunk_with_codes(to, codes, rows * row_len, &|image, to, codes| {
        for_each_chunk_with_codes(to, codes, band * row_len, &|index, to, codes| {
            TAPS.with_borrow_mut(|taps| {
                for (row, to) in to.chunks_exact_mut(row_len).enumerate() {
                    let codes =
                        if codes.is_empty() { &mut [] } else { &mut codes[row * row_len..][..row_len] };
                    work(image, index * band + row, to, codes, taps);
                }
            });
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
    let (DepthwiseShape { window, channels }, input) = (*shape, shape.input_len());
    let row_len = window.x.output * channels;
    for_each_row(y, winners, window.y.output, row_len, &|image, row, y, winners, taps| {
        let source = &x[image * input..][..input];
        taps.clear();
        for ky in 0..window.y.kernel {
            let Some(iy) = window.y.tap(row, ky) else { continue };
            taps.extend((0..window.x.kernel).map(|kx| Tap {
                weights: (ky * window.x.kernel + kx) * channels,
                row: iy,
                first: (kx * window.x.dilation) as isize - window.x.pad_before as isize,
            }));
        }
        let line = Line {
            taps,
            source,
            width: window.x.input,
            step: window.x.stride,
            channels,
            w,
            bias,
            count: window.x.output,
            to_step: 1,
            finish,
        };
        dispatch!(isa, |simd| line.compute(simd, y, winners));
    });
}

/// The output position, perhaps outside, that reads input position `i` by tap `k`; `None` if the stride passes it over.
fn reader(axis: &Axis, i: usize, k: usize) -> Option<isize> {
    let padded = (i + axis.pad_before) as isize - (k * axis.dilation) as isize;
    let stride = axis.stride as isize;
    (padded.rem_euclid(stride) == 0).then(|| padded.div_euclid(stride))
}

/// The gradient of the input. Overwrites `dx`.
pub fn data_gradient(isa: Isa, shape: &DepthwiseShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let (DepthwiseShape { window, channels }, output) = (*shape, shape.output_len());
    let row_len = window.x.input * channels;
    for_each_row(dx, &mut [], window.y.input, row_len, &|image, row, dx, _, taps| {
        let source = &dy[image * output..][..output];
        for phase in 0..window.x.stride.min(window.x.input) {
            taps.clear();
            for ky in 0..window.y.kernel {
                let oy = reader(&window.y, row, ky).and_then(|oy| usize::try_from(oy).ok());
                let Some(oy) = oy.filter(|&oy| oy < window.y.output) else { continue };
                taps.extend((0..window.x.kernel).filter_map(|kx| {
                    let weights = (ky * window.x.kernel + kx) * channels;
                    reader(&window.x, phase, kx).map(|first| Tap { weights, row: oy, first })
                }));
            }
            let line = Line {
                taps,
                source,
                width: window.x.output,
                step: 1,
                channels,
                w,
                bias: &[],
                count: (window.x.input - phase).div_ceil(window.x.stride),
                to_step: window.x.stride,
                finish: Finish::default(),
            };
            dispatch!(isa, |simd| line.compute(simd, &mut dx[phase * channels..], &mut []));
        }
    });
}

/// Images of a group, and groups.
fn groups(batch: usize) -> (usize, usize) {
    let images = batch.div_ceil(GROUPS).max(1);
    (images, batch.div_ceil(images))
}

/// Floats of room that [`filter_gradient`] works in.
pub fn filter_gradient_scratch(shape: &DepthwiseShape, batch: usize) -> usize {
    groups(batch).1 * shape.filter_len()
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
    let (input, output, len) = (shape.input_len(), shape.output_len(), shape.filter_len());
    let (images, groups) = groups(x.len() / input);
    let sums = &mut scratch[..groups * len];
    for_each_chunk(sums, len, &|group, sums| {
        let of_group = |image: usize, len: usize| image * images * len;
        let (x, dy) = (&x[of_group(group, input)..], &dy[of_group(group, output)..]);
        sums.fill(0.0);
        for (x, dy) in x.chunks_exact(input).zip(dy.chunks_exact(output)).take(images) {
            dispatch!(isa, |simd| add_image(simd, shape, x, dy, sums));
        }
    });
    dw.copy_from_slice(&sums[..len]);
    for sums in sums.chunks_exact(len).skip(1) {
        dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum);
    }
}

/// Adds what one image gives to the gradient of the filter.
#[inline(always)]
fn add_image<S: Simd>(simd: S, shape: &DepthwiseShape, x: &[f32], dy: &[f32], sums: &mut [f32]) {
    let DepthwiseShape { window: Window { y: axis_y, x: axis_x }, channels } = shape;
    for oy in 0..axis_y.output {
        let dy = &dy[oy * axis_x.output * channels..][..axis_x.output * channels];
        for first in (0..axis_x.output).step_by(COLUMNS) {
            let columns = first..axis_x.output.min(first + COLUMNS);
            for channel in (0..*channels).step_by(S::LANES) {
                let lanes = S::LANES.min(channels - channel);
                for ky in 0..axis_y.kernel {
                    let Some(iy) = axis_y.tap(oy, ky) else { continue };
                    let x = &x[iy * axis_x.input * channels..][..axis_x.input * channels];
                    for kx in 0..axis_x.kernel {
                        let (begin, end) = readers(axis_x, kx);
                        let (begin, end) = (begin.max(columns.start), end.min(columns.end));
                        if begin >= end {
                            continue;
                        }
                        let ix = begin * axis_x.stride + kx * axis_x.dilation - axis_x.pad_before;
                        let sum = product(
                            simd,
                            (&dy[begin * channels + channel..], *channels),
                            (&x[ix * channels + channel..], axis_x.stride * channels),
                            end - begin,
                            lanes,
                        );
                        let to = &mut sums[(ky * axis_x.kernel + kx) * channels + channel..];
                        let before = simd.load_up_to(to, lanes);
                        simd.store_up_to(simd.add(before, sum), to, lanes);
                    }
                }
            }
        }
    }
}

/// The outputs for which tap `k` reads no padding: from the first to behind the last.
#[inline(always)]
fn readers(axis: &Axis, k: usize) -> (usize, usize) {
    let tap = k * axis.dilation;
    let begin = axis.pad_before.saturating_sub(tap).div_ceil(axis.stride);
    let end = (axis.input + axis.pad_before).saturating_sub(tap).div_ceil(axis.stride);
    (begin, end.min(axis.output))
}

/// `sum over i < count of a[i a_step ..] b[i b_step ..]`, lane by lane.
#[inline(always)]
fn product<S: Simd>(
    simd: S,
    (a, a_step): (&[f32], usize),
    (b, b_step): (&[f32], usize),
    count: usize,
    lanes: usize,
) -> S::V {
    // Sums that do not wait for each other.
    const SUMS: usize = 4;
    let mut sums = [simd.splat(0.0); SUMS];
    if lanes < S::LANES {
        for i in 0..count {
            let (a, b) = (simd.load_up_to(&a[i * a_step..], lanes), simd.load_up_to(&b[i * b_step..], lanes));
            sums[0] = simd.mul_add(a, b, sums[0]);
        }
        return sums[0];
    }
    let (a, b) =
        (Grid::new(a, (count, 1), (a_step, 0), S::LANES), Grid::new(b, (count, 1), (b_step, 0), S::LANES));
    let whole = count / SUMS * SUMS;
    for i in (0..whole).step_by(SUMS) {
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum = simd.mul_add(simd.load(a.run(i + j, 0)), simd.load(b.run(i + j, 0)), *sum);
        }
    }
    for i in whole..count {
        sums[0] = simd.mul_add(simd.load(a.run(i, 0)), simd.load(b.run(i, 0)), sums[0]);
    }
    let [s0, s1, s2, s3] = sums;
    simd.add(simd.add(s0, s1), simd.add(s2, s3))
}
