//! Rows of an image as the kernels read them, and the loop over the outputs of one row.
//!
//! Pixels of NHWC images lie far apart for one vector of channels, which the processor does not foresee; so a task copies each row
//! once, in the order of memory, to where the pixels of one vector of channels are neighbours, with zeros around them, in the nearest
//! caches.
//!
//! Forward pass and data gradient are the same loop, `Line`, over other taps: with stride s the gradient of every s-th input
//! pixel has the same taps.

use std::cell::RefCell;
use std::ops::Range;

use super::shape::{Filter, Reach};
use crate::parallel::for_each_chunk_with_codes;
use crate::simd::Simd;

/// Outputs that are computed side by side: as many accumulators, which share the weights they load.
pub const SIDE_BY_SIDE: usize = 8;

/// Values of a band of rows that a task computes, about: several rows, since each band copies those at its border anew.
const BAND: usize = 1 << 16;

/// A tap of a line.
#[derive(Debug, Clone, Copy)]
pub struct Tap {
    /// Its number in the filter.
    pub number: usize,
    /// Where in the rows that are held the first output's pixel begins, of the first vector of channels: no division is left
    /// to the loops.
    pub at: usize,
}

/// Room of the task at hand, reused from call to call.
#[derive(Default)]
pub struct Room {
    pub taps: Vec<Tap>,
    pub rows: Vec<f32>,
    pub gradients: Vec<f32>,
}

thread_local! {
    pub static ROOM: RefCell<Room> = RefCell::new(Room::default());
}

/// How the rows of an image are laid out for the kernels, the last few of those that were asked for:
/// `[row % held][channels / LANES][zeros, pixels, zeros][LANES]`.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Pixels of a row, and their channels.
    pixels: usize,
    channels: usize,
    /// Pixels of zeros before them, and pixels with all zeros.
    before: usize,
    pub width: usize,
    /// Rows that are held.
    pub held: usize,
}

impl Layout {
    /// Rows of at least `behind` pixels from the first one on.
    pub fn new(pixels: usize, channels: usize, before: usize, behind: usize, held: usize) -> Self {
        // Odd, so that the vectors of one pixel do not fall on few sets of the cache.
        Self { pixels, channels, before, width: (before + behind) | 1, held }
    }

    /// The pixels of a row in each vector of channels, of a row that has zeros around them.
    #[inline(always)]
    pub fn strips<'a, S: Simd>(&self, row: usize, rows: &'a mut [f32]) -> &'a mut [f32] {
        let to = &mut rows[row % self.held * self.row_len::<S>()..][..self.row_len::<S>()];
        for of_vector in to.chunks_exact_mut(self.width * S::LANES) {
            of_vector[..self.before * S::LANES].fill(0.0);
            of_vector[(self.before + self.inside()) * S::LANES..].fill(0.0);
        }
        &mut to[self.before * S::LANES..]
    }

    /// Pixels of a row that are read.
    pub fn inside(&self) -> usize {
        self.pixels.min(self.width - self.before)
    }

    /// Floats of a row.
    pub fn row_len<S: Simd>(&self) -> usize {
        self.channels.div_ceil(S::LANES) * self.width * S::LANES
    }

    /// Where pixel `pixel` of a row begins, of the first vector of channels; before the first one there are zeros.
    pub fn at<S: Simd>(&self, row: usize, pixel: isize) -> usize {
        let pixel =
            self.before.checked_add_signed(pixel).expect("zeros before the pixels, as many as taps read");
        row % self.held * self.row_len::<S>() + pixel * S::LANES
    }

    /// How far behind a pixel's first channel this one is.
    #[inline(always)]
    pub fn channel<S: Simd>(&self, channel: usize) -> usize {
        channel / S::LANES * self.width * S::LANES + channel % S::LANES
    }

    /// Copies a row to where row number `row` is held.
    #[inline(always)]
    pub fn copy<S: Simd>(&self, simd: S, from: &[f32], row: usize, rows: &mut [f32]) {
        self.copy_with(simd, from, row, rows, |values, _| simd.load_up_to(values, values.len()));
    }

    /// The same of a row of gradients, those alone whose code is 0.
    #[inline(always)]
    pub fn copy_masked<S: Simd>(&self, simd: S, from: &[f32], codes: &[u8], row: usize, rows: &mut [f32]) {
        self.copy_with(simd, from, row, rows, |values, at| {
            let v = simd.load_up_to(values, values.len());
            simd.where_code_up_to(&codes[at..], 0, v, values.len())
        });
    }

    /// The same with `load` called for each vector of values, with the index of its first one.
    #[inline(always)]
    fn copy_with<S: Simd>(
        &self,
        simd: S,
        from: &[f32],
        row: usize,
        rows: &mut [f32],
        load: impl Fn(&[f32], usize) -> S::V,
    ) {
        let to = self.strips::<S>(row, rows);
        for (pixel, from) in from.chunks_exact(self.channels).take(self.inside()).enumerate() {
            let vectors = from.chunks(S::LANES).zip(to.chunks_mut(self.width * S::LANES));
            for (channel, (from, to)) in (pixel * self.channels..).step_by(S::LANES).zip(vectors) {
                simd.store(load(from, channel), &mut to[pixel * S::LANES..]);
            }
        }
    }
}

/// Copies of these rows those behind all that were copied before; `copied` is their number.
#[inline(always)]
pub fn copy_rows<S: Simd>(
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

/// Outputs of one row that have the same taps.
pub struct Line<'a> {
    pub taps: &'a [Tap],
    pub layout: Layout,
    /// Distance of the pixels that one tap of neighbouring outputs reads.
    pub step: usize,
    pub filter: Filter<'a>,
    /// Taps of the filter.
    pub filter_taps: usize,
    /// Channels of the outputs.
    pub channels: usize,
    /// Empty for none.
    pub bias: &'a [f32],
    /// Outputs, and the distance in pixels from one to the next.
    pub count: usize,
    pub to_step: usize,
    /// Whether they are added to what is there.
    pub adds: bool,
    /// The least and the largest output.
    pub bounds: Option<(f32, f32)>,
}

impl Line<'_> {
    /// Overwrites the line's outputs, the first of which begins `to`.
    #[inline(always)]
    pub fn compute<S: Simd>(&self, simd: S, rows: &[f32], to: &mut [f32]) {
        match (self.filter, self.step) {
            (Filter::Depthwise(w), 1) => self.depthwise::<S, 1>(simd, w, rows, to),
            (Filter::Depthwise(w), 2) => self.depthwise::<S, 2>(simd, w, rows, to),
            (Filter::Depthwise(w), _) => self.depthwise::<S, 0>(simd, w, rows, to),
            (Filter::Packed(w, reach), 1) => self.packed::<S, 1>(simd, w, reach, rows, to),
            (Filter::Packed(w, reach), 2) => self.packed::<S, 2>(simd, w, reach, rows, to),
            (Filter::Packed(w, reach), _) => self.packed::<S, 0>(simd, w, reach, rows, to),
        }
    }

    /// The outputs of a depthwise filter, with a `STEP` that is known, or 0.
    #[inline(always)]
    fn depthwise<S: Simd, const STEP: usize>(&self, simd: S, w: &[f32], rows: &[f32], to: &mut [f32]) {
        let (channels, width) = (self.channels, self.layout.width);
        let step = if STEP == 0 { self.step } else { STEP };
        for (vector, channel) in (0..channels).step_by(S::LANES).enumerate() {
            let bias = self.bias(simd, channel);
            for j in (0..self.count).step_by(SIDE_BY_SIDE) {
                let mut sums = [bias; SIDE_BY_SIDE];
                for tap in self.taps {
                    let w = simd.load_up_to(&w[tap.number * channels + channel..], channels - channel);
                    let at = tap.at + (vector * width + j * step) * S::LANES;
                    let pixels = &rows[at..][..((SIDE_BY_SIDE - 1) * step + 1) * S::LANES];
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.mul_add(simd.load(&pixels[i * step * S::LANES..]), w, *sum);
                    }
                }
                self.store(simd, sums, j, channel, to);
            }
        }
    }

    /// Those of a packed one: each channel that is read is multiplied by the weights of a vector of outputs.
    #[inline(always)]
    fn packed<S: Simd, const STEP: usize>(
        &self,
        simd: S,
        w: &[f32],
        reach: Reach,
        rows: &[f32],
        to: &mut [f32],
    ) {
        let step = if STEP == 0 { self.step } else { STEP };
        let of_tap = reach.len * S::LANES;
        for (vector, channel) in (0..self.channels).step_by(S::LANES).enumerate() {
            let (bias, first) = (self.bias(simd, channel), reach.first(vector));
            let w = &w[vector * self.filter_taps * of_tap..][..self.filter_taps * of_tap];
            for j in (0..self.count).step_by(SIDE_BY_SIDE) {
                let mut sums = [bias; SIDE_BY_SIDE];
                for tap in self.taps {
                    let w = w[tap.number * of_tap..][..of_tap].chunks_exact(S::LANES);
                    for (read, w) in (first..).zip(w) {
                        let w = simd.load(w);
                        let at = tap.at + j * step * S::LANES + self.layout.channel::<S>(read);
                        let pixels = &rows[at..][..(SIDE_BY_SIDE - 1) * step * S::LANES + 1];
                        for (i, sum) in sums.iter_mut().enumerate() {
                            *sum = simd.mul_add(simd.splat(pixels[i * step * S::LANES]), w, *sum);
                        }
                    }
                }
                self.store(simd, sums, j, channel, to);
            }
        }
    }

    #[inline(always)]
    fn bias<S: Simd>(&self, simd: S, channel: usize) -> S::V {
        match self.bias {
            [] => simd.splat(0.0),
            bias => simd.load_up_to(&bias[channel..], self.channels - channel),
        }
    }

    /// Stores a vector of channels of the outputs from number `first` on.
    #[inline(always)]
    fn store<S: Simd>(
        &self,
        simd: S,
        sums: [S::V; SIDE_BY_SIDE],
        first: usize,
        channel: usize,
        to: &mut [f32],
    ) {
        let left = self.channels - channel;
        for (i, mut sum) in sums.into_iter().enumerate().take(self.count - first) {
            let to = &mut to[(first + i) * self.to_step * self.channels + channel..];
            if self.adds {
                sum = simd.add(sum, simd.load_up_to(to, left));
            }
            if let Some((min, max)) = self.bounds {
                // Of a NaN and a bound both give the NaN.
                sum = simd.min(simd.splat(max), simd.max(simd.splat(min), sum));
            }
            simd.store_up_to(sum, to, left);
        }
    }
}

/// Calls `work` with each band of rows of each image of `to` and its codes, which may be empty: image, first row, and room to
/// work in. In parallel.
pub fn for_each_band(
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
