//! What a name in a graph stands for.

use ndarray::ArrayD;

use super::model::Tensor;
use super::steps::StepId;
use crate::nn::Shape;

/// An axis of a value as the graph sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    Batch,
    Height,
    Width,
    Channels,
    /// All values of a vector.
    Flat,
    /// Of size 1, and of no other meaning.
    One,
    /// Channels (or the values of a vector) were reshaped to groups: the axis of so many groups,
    Groups(usize),
    /// and that of so many channels in each.
    InGroup(usize),
    /// All values of the batch behind one another: those of the first image, of the second, and so on.
    All,
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
    /// Zeros around it that await their convolution or pool: top, left, bottom, right.
    pub pads: [usize; 4],
    /// Whether several nodes take it: the layer that made it must not change any more.
    pub shared: bool,
}

impl Activation {
    /// The place of the axis along which the channels are, or the values of a vector.
    pub fn channels(&self) -> Option<usize> {
        self.axes.iter().rposition(|axis| matches!(axis, Axis::Channels | Axis::Flat))
    }
}

/// What a name in a graph stands for.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Activation(Activation),
    /// A constant whose values are still in the file.
    Tensor(Tensor<'a>),
    /// A constant that was computed, or a shape.
    Constant(Constant),
}

/// A constant that was computed.
#[derive(Debug, Clone)]
pub enum Constant {
    Floats(ArrayD<f32>),
    Ints(ArrayD<Size>),
}

/// NCHW, as ONNX's operators want it.
pub const NCHW: [Axis; 4] = [Axis::Batch, Axis::Channels, Axis::Height, Axis::Width];
/// NHWC, as floret has it.
pub const NHWC: [Axis; 4] = [Axis::Batch, Axis::Height, Axis::Width, Axis::Channels];

/// A whole number that is known, or one that depends on the images of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The number of images.
    Batch,
    Known(i64),
    /// Along an axis of size 1 that stands for the batch: `times i + plus` for the image i.
    OfImage {
        times: i64,
        plus: i64,
    },
}

impl Size {
    pub fn known(self) -> Option<i64> {
        match self {
            Size::Known(size) => Some(size),
            Size::Batch | Size::OfImage { .. } => None,
        }
    }
}

/// The size of an axis of a value of this shape; `None` is the batch.
pub fn axis_size(axis: Axis, shape: Shape) -> Option<usize> {
    let (height, width) = match shape {
        Shape::Image { height, width, .. } => (height, width),
        Shape::Vector(_) => (1, 1),
    };
    match axis {
        Axis::Batch | Axis::All => None,
        Axis::Height => Some(height),
        Axis::Width => Some(width),
        Axis::Channels | Axis::Flat => Some(shape.channels()),
        Axis::One => Some(1),
        Axis::Groups(size) | Axis::InGroup(size) => Some(size),
    }
}

/// An index that counts from the end where it is negative: one below `len`, or `None`.
pub fn wrapped(index: i64, len: usize, from_end: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(from_end as i64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}
