//! The shape of a grouped convolution, and which channels of one side read which of the other.

use std::ops::Range;

use crate::conv::ConvShape;
use crate::parallel::for_each_chunk;
use crate::simd::{Isa, Simd, dispatch};
use crate::window::Window;

/// The shape of a grouped convolution over one image. `groups` divides both numbers of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupedShape {
    /// How the filter slides.
    pub window: Window,
    /// Input channels of all groups.
    pub cin: usize,
    /// Output channels of all groups.
    pub cout: usize,
    /// Groups.
    pub groups: usize,
}

impl GroupedShape {
    /// That of a depthwise convolution: one filter for each channel.
    pub fn depthwise(window: Window, channels: usize) -> Self {
        Self { window, cin: channels, cout: channels, groups: channels }
    }

    /// Whether it is depthwise.
    pub fn is_depthwise(&self) -> bool {
        (self.cin, self.cout) == (self.groups, self.groups)
    }

    /// Values of one input image.
    pub fn input_len(&self) -> usize {
        self.window.input_pixels() * self.cin
    }

    /// Values of one output image.
    pub fn output_len(&self) -> usize {
        self.window.output_pixels() * self.cout
    }

    /// The convolution of one group.
    pub(super) fn of_group(&self) -> ConvShape {
        let GroupedShape { window, cin, cout, groups } = *self;
        ConvShape { window, cin: cin / groups, cout: cout / groups }
    }

    /// The input channels of group `group`.
    pub(super) fn inputs(&self, group: usize) -> Range<usize> {
        let len = self.cin / self.groups;
        group * len..(group + 1) * len
    }

    /// The output channels of group `group`, which are also the columns of its filter.
    pub(super) fn outputs(&self, group: usize) -> Range<usize> {
        let len = self.cout / self.groups;
        group * len..(group + 1) * len
    }

    /// Images in an array of inputs.
    pub(super) fn batch(&self, x: &[f32]) -> usize {
        x.len() / self.input_len()
    }

    /// Values of the filter.
    pub fn filter_len(&self) -> usize {
        self.groups * self.of_group().filter_len()
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        self.groups as u64 * self.of_group().multiply_adds()
    }

    /// How outputs read inputs, in vectors of so many lanes.
    pub(super) fn forward_reach(&self, lanes: usize) -> Reach {
        Reach::new(lanes, (self.cout, self.cout / self.groups), (self.cin, self.cin / self.groups))
    }

    /// How gradients of inputs read those of outputs.
    pub(super) fn backward_reach(&self, lanes: usize) -> Reach {
        Reach::new(lanes, (self.cin, self.cin / self.groups), (self.cout, self.cout / self.groups))
    }
}

/// Lanes of a vector.
pub fn lanes(isa: Isa) -> usize {
    #[inline(always)]
    fn lanes<S: Simd>(_: S) -> usize {
        S::LANES
    }
    dispatch!(isa, |simd| lanes(simd))
}

/// Which channels of one side each vector of channels of the other reads: those of all groups that it touches.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    lanes: usize,
    /// Channels of the side that reads: of all groups, and of one.
    readers: (usize, usize),
    /// Those of the side that is read.
    read: (usize, usize),
    /// Channels that a vector reads.
    pub len: usize,
}

impl Reach {
    fn new(lanes: usize, readers: (usize, usize), read: (usize, usize)) -> Self {
        let of_group = readers.1;
        let aligned = of_group.is_multiple_of(lanes) || lanes.is_multiple_of(of_group);
        let touched = lanes.div_ceil(of_group) + usize::from(!aligned);
        Self { lanes, readers, read, len: (touched * read.1).min(read.0) }
    }

    /// The first channel that a vector reads.
    pub fn first(&self, vector: usize) -> usize {
        (vector * self.lanes / self.readers.1 * self.read.1).min(self.read.0 - self.len)
    }

    /// Floats of a filter of so many taps as [`pack`](Self::pack) lays it out.
    pub fn packed_len(&self, taps: usize) -> usize {
        self.readers.0.div_ceil(self.lanes) * taps * self.len * self.lanes
    }

    /// Packs a filter as `[vectors][taps][channels that are read][lanes]`, zeros between channels of different groups. `weight` gives the
    /// weight of a tap between a channel that is read and one that reads.
    pub fn pack(&self, taps: usize, to: &mut [f32], weight: &(dyn Fn(usize, usize, usize) -> f32 + Sync)) {
        for_each_chunk(to, taps * self.len * self.lanes, &|vector, to| {
            let first = self.first(vector);
            for (at, to) in to.chunks_exact_mut(self.lanes).enumerate() {
                let (tap, read) = (at / self.len, first + at % self.len);
                for (lane, to) in to.iter_mut().enumerate() {
                    let reader = vector * self.lanes + lane;
                    let joined = reader < self.readers.0 && reader / self.readers.1 == read / self.read.1;
                    *to = if joined { weight(tap, read, reader) } else { 0.0 };
                }
            }
        });
    }
}

/// A filter as the kernels read it.
#[derive(Debug, Clone, Copy)]
pub enum Filter<'a> {
    /// As it is: one weight of each tap for each channel.
    Depthwise(&'a [f32]),
    /// [Packed](Reach::pack).
    Packed(&'a [f32], Reach),
}
