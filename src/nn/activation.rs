//! Activations, value by value.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, CHUNK, Forward, Input, Layer, Shape, ShapeError};
use floret_math::simd::Isa;

/// `y = max(x, 0)`, `dx = dy where x > 0, else 0`. A NaN stays NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Relu;

impl Relu {
    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        Ok(Built::Layer(Box::new(Rectifier { shape: input, slope: 0.0 })))
    }
}

/// `y = x where x > 0, else slope x`; backward likewise (Maas et al. 2013).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeakyRelu {
    /// The slope below zero.
    pub slope: f32,
}

impl LeakyRelu {
    /// A leaky rectifier of this slope below zero; Keras' default is 0.3, PyTorch's 0.01.
    pub fn new(slope: f32) -> Self {
        Self { slope }
    }

    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        if !self.slope.is_finite() {
            return Err(ShapeError::new(format!("the slope must be a finite number, not {}", self.slope)));
        }
        Ok(Built::Layer(Box::new(Rectifier { shape: input, slope: self.slope })))
    }
}

/// A rectifier of any slope below zero; 0 is ReLU.
#[derive(Debug)]
struct Rectifier {
    shape: Shape,
    slope: f32,
}

impl Layer for Rectifier {
    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        let slope = self.slope;
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
            if slope == 0.0 {
                // `0 * x` would turn an infinite negative input into NaN.
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x <= 0.0 { 0.0 } else { x });
            } else {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x <= 0.0 { slope * x } else { x });
            }
        });
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        let slope = self.slope;
        let Some(x) = x.gradient() else { return };
        // y = x <= 0 ? slope x : x
        x.par_chunks_mut(CHUNK).zip(dy.par_chunks(CHUNK)).for_each(|(x, dy)| {
            x.iter_mut().zip(dy).for_each(|(x, &dy)| *x = if *x <= 0.0 { slope * dy } else { dy });
        });
    }
}
