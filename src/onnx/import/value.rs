//! What a name in a graph stands for.

use super::model::Tensor;
use super::steps::StepId;

/// An axis of a value as the graph sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    Batch,
    Height,
    Width,
    Channels,
    /// All values of a vector.
    Flat,
    /// Of size 1, left over from a mean over all pixels.
    One,
}

/// The order of a vector's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of floret.
    Own,
    /// An image was flattened by channels, rows, columns.
    Chw { height: usize, width: usize, channels: usize },
}

/// Whether a value is of mirror images too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// It is of the images that the graph takes.
    No,
    /// Of their mirror images alone.
    Alone,
    /// Of the images, and behind them of their mirror images.
    Behind,
    /// The same, the two along an axis of their own before the others.
    Apart,
    /// The mean of the two.
    Mean,
}

/// A value that depends on the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// How floret computes it.
    pub step: StepId,
    /// How the graph sees it.
    pub axes: Vec<Axis>,
    pub order: Order,
    pub mirror: Mirror,
    /// Whether a softmax was taken of it.
    pub softmax: bool,
    /// Zeros around it that await their convolution: top, left, bottom, right.
    pub pads: [usize; 4],
}

/// What a name in a graph stands for.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Activation(Activation),
    Tensor(Tensor<'a>),
    Sizes(Sizes),
}

/// NCHW, as ONNX's operators want it.
pub const NCHW: [Axis; 4] = [Axis::Batch, Axis::Channels, Axis::Height, Axis::Width];
/// NHWC, as floret has it.
pub const NHWC: [Axis; 4] = [Axis::Batch, Axis::Height, Axis::Width, Axis::Channels];

/// A size of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The number of images.
    Batch,
    Known(i64),
}

/// Sizes, or one of them.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub sizes: Vec<Size>,
}
