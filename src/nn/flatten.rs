//! An image as a vector.

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Shape, ShapeError};
use floret_math::simd::Isa;

/// The same values as a vector, in row-major order (height, width, channels). Costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flatten;

impl Flatten {
    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        Ok(Built::Reshape(Shape::Vector(input.len())))
    }
}
