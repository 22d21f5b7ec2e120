//! Activations: functions of one value. Each takes images and vectors alike, and keeps their shape. Building a network refuses
//! bounds and slopes that make no sense.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Input, Layer, Shape, ShapeError};
use floret_math::activation::Activation;
use floret_math::simd::Isa;

/// `y = max(x, 0)`, `dx = dy where x > 0, else 0`. A NaN stays NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Relu;

impl Relu {
    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        Ok(built(Activation::Relu, input, isa))
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

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        if !self.slope.is_finite() {
            return Err(ShapeError::new(format!("the slope must be a finite number, not {}", self.slope)));
        }
        Ok(built(Activation::LeakyRelu { slope: self.slope }, input, isa))
    }
}

/// `y = min(max(x, 0), 6)`, `dx = dy where 0 < x < 6, else 0` (Krizhevsky 2010); MobileNet's rectifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Relu6;

impl Relu6 {
    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        Clip::new(0.0, 6.0).build(input, isa)
    }
}

/// `y = min(max(x, min), max)`, `dx = dy where min < x < max, else 0`; PyTorch's `Hardtanh`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Clip {
    /// The least output.
    pub min: f32,
    /// The largest output.
    pub max: f32,
}

impl Clip {
    /// Keeps values between `min` and `max`. They must be finite, and `min` the smaller.
    pub fn new(min: f32, max: f32) -> Self {
        Self { min, max }
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        let Clip { min, max } = *self;
        if !(min.is_finite() && max.is_finite() && min < max) {
            return Err(ShapeError::new(format!(
                "a clip needs finite bounds, min under max, not {min} and {max}"
            )));
        }
        Ok(built(Activation::Clip { min, max }, input, isa))
    }
}

/// `y = s(x) = 1 / (1 + e^-x)`, `dx = s (1 - s) dy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sigmoid;

impl Sigmoid {
    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        Ok(built(Activation::Sigmoid, input, isa))
    }
}

/// `y = h(x) = clip(x / 6 + 1/2, 0, 1)`, `dx = dy / 6 where -3 < x < 3, else 0` (Howard et al. 2019); PyTorch's. Keras' before
/// version 3 has the slope 0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HardSigmoid;

impl HardSigmoid {
    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        Ok(built(Activation::HardSigmoid, input, isa))
    }
}

/// `y = x s(x)` with s the sigmoid, `dx = s (1 + x (1 - s)) dy`: SiLU, also called swish (Elfwing et al. 2018).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Silu;

impl Silu {
    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        Ok(built(Activation::Silu, input, isa))
    }
}

/// `y = x h(x)` with h the hard sigmoid, `dx = (h + x h') dy`: MobileNet v3's (Howard et al. 2019).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HardSwish;

impl HardSwish {
    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        Ok(built(Activation::HardSwish, input, isa))
    }
}

/// `y = x Phi(x)` with Phi the normal distribution function, `dx = (Phi + x Phi') dy` (Hendrycks and Gimpel 2016).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gelu {
    /// Whether Phi is `(1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, which is off by at most 5e-4 and no faster here, rather than
    /// exact. For networks trained so, such as Keras' with `approximate=True`.
    pub approximate: bool,
}

impl Gelu {
    /// The exact form, PyTorch's default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The approximation by tanh.
    pub fn approximate(mut self) -> Self {
        self.approximate = true;
        self
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        let activation = if self.approximate { Activation::GeluTanh } else { Activation::Gelu };
        Ok(built(activation, input, isa))
    }
}

fn built(activation: Activation, shape: Shape, isa: Isa) -> Built {
    Built::Activation(activation, Arc::new(ActivationLayer { activation, shape, isa }))
}

#[derive(Debug)]
struct ActivationLayer {
    activation: Activation,
    shape: Shape,
    isa: Isa,
}

impl Layer for ActivationLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        self.activation.forward(self.isa, x, y);
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        // y = f(x)
        if let Some(x) = x.gradient() {
            self.activation.backward(self.isa, x, dy);
        }
    }
}
