//! Shapes of one example, and the error of those that do not fit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most values of one example between two layers, and of one parameter: 8 GB of floats. More is a mistake, or a damaged
/// description read from a file.
const MAX_VALUES: usize = i32::MAX as usize;

/// Fails if an array of these sizes has more than [`MAX_VALUES`], also where their product is no number.
pub(crate) fn check_values(what: &str, sizes: &[usize]) -> Result<(), ShapeError> {
    let values = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    match values {
        Some(..=MAX_VALUES) => Ok(()),
        _ => {
            let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
            let sizes = sizes.join(" x ");
            Err(ShapeError::new(format!("{what} of {sizes} values is over the limit of {MAX_VALUES} values")))
        }
    }
}

/// The shape of one example between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// Height x width x channels.
    Image {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
    },
    /// A flat vector.
    Vector(usize),
}

impl Shape {
    /// Number of values of one example.
    pub fn len(&self) -> usize {
        match *self {
            Shape::Image { height, width, channels } => height * width * channels,
            Shape::Vector(len) => len,
        }
    }

    /// Whether an example holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels of an image, or the length of a vector: the axis that is laid out last.
    pub fn channels(&self) -> usize {
        match *self {
            Shape::Image { channels, .. } => channels,
            Shape::Vector(len) => len,
        }
    }

    /// Fails if there are more values than may be.
    pub(crate) fn check(&self, what: &str) -> Result<(), ShapeError> {
        match *self {
            Shape::Image { height, width, channels } => check_values(what, &[height, width, channels]),
            Shape::Vector(len) => check_values(what, &[len]),
        }
    }

    /// Height, width and channels, or an error that says `what` needs an image.
    pub(crate) fn image(&self, what: &str) -> Result<(usize, usize, usize), ShapeError> {
        match *self {
            Shape::Image { height, width, channels } => Ok((height, width, channels)),
            Shape::Vector(_) => Err(ShapeError::new(format!(
                "{what} needs an image (height x width x channels), but its input is a vector of {self} values"
            ))),
        }
    }
}

impl From<(usize, usize, usize)> for Shape {
    /// (height, width, channels).
    fn from((height, width, channels): (usize, usize, usize)) -> Self {
        Shape::Image { height, width, channels }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Image { height, width, channels } => write!(f, "{height}x{width}x{channels}"),
            Shape::Vector(len) => write!(f, "{len}"),
        }
    }
}

/// A height and a width; one number stands for both.
///
/// Kernels, strides and windows are given as `impl Into<HeightWidth>`: `5`, or `(3, 5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeightWidth {
    /// Along the height.
    pub height: usize,
    /// Along the width.
    pub width: usize,
}

impl From<usize> for HeightWidth {
    fn from(side: usize) -> Self {
        Self { height: side, width: side }
    }
}

impl From<(usize, usize)> for HeightWidth {
    /// (height, width).
    fn from((height, width): (usize, usize)) -> Self {
        Self { height, width }
    }
}

impl From<HeightWidth> for (usize, usize) {
    fn from(sides: HeightWidth) -> Self {
        (sides.height, sides.width)
    }
}

/// A layer that does not fit its input, or whose hyper-parameters make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}{message}", if layer.is_empty() { String::new() } else { format!("layer `{}`: ", layer.escape_debug()) })]
pub struct ShapeError {
    /// The layer's name within its network; empty while it has none.
    pub layer: String,
    /// What was wanted and what came.
    pub message: String,
}

impl ShapeError {
    /// An error that says what was wanted and what came. The network that is built adds the layer's name.
    pub fn new(message: impl Into<String>) -> Self {
        Self { layer: String::new(), message: message.into() }
    }

    /// The error of a layer that takes another number of inputs.
    pub(crate) fn of_inputs(want: usize, got: usize) -> Self {
        let s = if want == 1 { "" } else { "s" };
        Self::new(format!("it takes {want} input{s}, got {got}"))
    }

    /// The same error, said of the layer `name`.
    pub(crate) fn of(mut self, name: &str) -> Self {
        self.layer = if self.layer.is_empty() { name.to_owned() } else { format!("{name}/{}", self.layer) };
        self
    }
}
