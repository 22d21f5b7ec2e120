//! What a description of a layer becomes.

use super::{Layer, Shape};

/// What building a layer gives.
pub(crate) enum Built {
    /// Something to compute.
    Layer(Box<dyn Layer>),
    /// The same values under another shape.
    Reshape(Shape),
}
