//! What a description of a layer becomes.

use super::join::Join;
use super::{Layer, Shape};

/// What building a layer gives.
#[derive(Debug)]
pub(crate) enum Built {
    /// Something to compute of one input.
    Layer(Box<dyn Layer>),
    /// Something to compute of several.
    Join(Join),
    /// The same values under another shape.
    Reshape(Shape),
}

impl Built {
    /// Shape of one example's output.
    pub fn output(&self) -> Shape {
        match self {
            Built::Layer(layer) => layer.output(),
            Built::Join(join) => join.output(),
            Built::Reshape(shape) => *shape,
        }
    }
}
