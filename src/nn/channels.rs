//! Channels in another order, or some of them.

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Input, Layer, Shape, ShapeError};
use floret_math::rearrange::{put, shuffle, take};
use floret_math::simd::Isa;

/// Mixes the channels of groups: of g groups of n channels each, `y[.., j g + i] = x[.., i n + j]` (Zhang et al. 2018, ShuffleNet).
///
/// Between two grouped convolutions it lets each group of the second see all groups of the first. The output has the input's
/// shape, an image's or a vector's. Groups that do not divide the channels are refused when the network is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelShuffle {
    /// Groups of channels.
    pub groups: usize,
}

impl ChannelShuffle {
    /// Mixes so many groups.
    pub fn new(groups: usize) -> Self {
        Self { groups }
    }

    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        let (groups, channels) = (self.groups, input.channels());
        if groups == 0 || channels % groups != 0 {
            return Err(ShapeError::new(format!(
                "{groups} groups do not divide {channels} channels into equal parts"
            )));
        }
        Ok(Built::layer(ChannelShuffleLayer { groups, shape: input }))
    }
}

#[derive(Debug)]
struct ChannelShuffleLayer {
    groups: usize,
    shape: Shape,
}

impl Layer for ChannelShuffleLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        shuffle(x, self.shape.channels(), self.groups, y);
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        // y[j g + i] = x[i n + j]: the reverse is a shuffle of n groups.
        if let Some(dx) = x.gradient() {
            shuffle(dy, self.shape.channels(), self.shape.channels() / self.groups, dx);
        }
    }
}

/// Some of the channels: `y[.., i] = x[.., start + i]` for i below `len`, of an image or a vector.
///
/// ShuffleNet v2 (Ma et al. 2018) splits its channels so. Channels that the input does not have are refused when the network is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelSlice {
    /// The first channel.
    pub start: usize,
    /// Number of channels, at least 1.
    pub len: usize,
}

impl ChannelSlice {
    /// The channels from `start` to before `start + len`.
    pub fn new(start: usize, len: usize) -> Self {
        Self { start, len }
    }

    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        let ChannelSlice { start, len } = *self;
        let channels = input.channels();
        if len == 0 || start.checked_add(len).is_none_or(|end| end > channels) {
            return Err(ShapeError::new(format!(
                "{len} channels from channel {start} on are no part of {channels} channels"
            )));
        }
        Ok(Built::layer(ChannelSliceLayer { spec: *self, input }))
    }
}

#[derive(Debug)]
struct ChannelSliceLayer {
    spec: ChannelSlice,
    input: Shape,
}

impl Layer for ChannelSliceLayer {
    fn output(&self) -> Shape {
        match self.input {
            Shape::Image { height, width, .. } => Shape::Image { height, width, channels: self.spec.len },
            Shape::Vector(_) => Shape::Vector(self.spec.len),
        }
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        let ChannelSlice { start, len } = self.spec;
        take(x, self.input.channels(), start..start + len, y);
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        let ChannelSlice { start, len } = self.spec;
        // y[i] = x[start + i]
        if let Some(dx) = x.gradient() {
            dx.fill(0.0);
            put(dy, dx, self.input.channels(), start..start + len);
        }
    }
}
