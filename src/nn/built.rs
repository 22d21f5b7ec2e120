//! What a description of a layer becomes.

use std::sync::Arc;

use super::join::Join;
use super::{Layer, Shape};
use floret_math::activation::Activation;

/// What building a layer gives.
#[derive(Debug, Clone)]
pub(crate) enum Built {
    /// Something to compute of one input.
    Layer(Arc<dyn Layer>),
    /// The same of each value: the layer of this activation.
    Activation(Activation, Arc<dyn Layer>),
    /// Something to compute of several.
    Join(Join),
    /// The same values, perhaps under another shape.
    Reshape(Shape),
}

impl Built {
    /// A layer.
    pub fn layer(layer: impl Layer + 'static) -> Self {
        Built::Layer(Arc::new(layer))
    }

    /// Shape of one example's output.
    pub fn output(&self) -> Shape {
        match self {
            Built::Layer(layer) | Built::Activation(_, layer) => layer.output(),
            Built::Join(join) => join.output(),
            Built::Reshape(shape) => *shape,
        }
    }
}
