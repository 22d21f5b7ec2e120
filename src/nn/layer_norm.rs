//! Layer normalization (Ba et al. 2016) over the channels of each pixel.

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Init, Input, Layer, Memory, Mode, Param, Shape, ShapeError};
use floret_math::layer_norm::{data_gradient, forward, parameter_gradients};
use floret_math::simd::Isa;

/// Per pixel, over its channels: `y = gamma (x - mean) / sqrt(variance + epsilon) + beta` (Ba et al. 2016), with the biased
/// variance; gamma and beta have a value for each channel. The output has the input's shape, an image's or a vector's.
///
/// Mean and variance are those of one pixel, in training as in inference: this is ConvNeXt's layer norm, and PyTorch's
/// `LayerNorm(channels)` of images laid out as here, channels last. A vector is a single pixel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerNorm {
    /// Added to the variance; default 1e-6, as in ConvNeXt (PyTorch's default is 1e-5, Keras' 1e-3).
    pub epsilon: f32,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNorm {
    /// With epsilon 1e-6.
    pub fn new() -> Self {
        Self { epsilon: 1e-6 }
    }

    /// Sets what is added to the variance.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(ShapeError::new(format!("layer norm needs an epsilon over 0, got {}", self.epsilon)));
        }
        Ok(Built::layer(LayerNormLayer { epsilon: self.epsilon, shape: input, isa }))
    }
}

#[derive(Debug)]
struct LayerNormLayer {
    epsilon: f32,
    shape: Shape,
    isa: Isa,
}

impl Layer for LayerNormLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn params(&self) -> Vec<Param> {
        let c = self.shape.channels();
        vec![Param::vector("gamma", c, Init::Constant(1.0)), Param::vector("beta", c, Init::Constant(0.0))]
    }

    fn memory(&self, batch: usize) -> Memory {
        // Mean and 1 / sqrt(variance + epsilon) of each pixel.
        Memory::default().saved_floats(2 * batch * (self.shape.len() / self.shape.channels()))
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let (gamma, beta) = w.split_at(self.shape.channels());
        let moments = match pass.mode {
            Mode::Train { saved, .. } => saved.floats,
            Mode::Infer { .. } => &mut [],
        };
        forward(self.isa, x, gamma, beta, self.epsilon, y, moments);
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let (gamma, _) = w.split_at(self.shape.channels());
        let moments = &*pass.saved.floats;
        // y = gamma xhat + beta, xhat = (x - mean) rstd
        if !pass.frozen {
            let (dgamma, dbeta) = dw.split_at_mut(self.shape.channels());
            parameter_gradients(self.isa, x.values(), dy, moments, dgamma, dbeta);
        }
        if let Some(x) = x.gradient() {
            data_gradient(self.isa, x, dy, gamma, moments);
        }
    }
}
