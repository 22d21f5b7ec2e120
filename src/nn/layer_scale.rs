//! A factor for each channel (Touvron et al. 2021).

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Init, Input, Layer, Memory, Param, Shape, ShapeError};
use floret_math::channels::{gradient_sums, scale};
use floret_math::simd::Isa;

/// `y[.., c] = gamma[c] x[.., c]`, of an image or a vector (Touvron et al. 2021, CaiT).
///
/// At the end of a residual block's body, with a small initial gamma, it lets a deep network begin near the identity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerScale {
    /// How each gamma begins; ConvNeXt takes 1e-6.
    pub initial: f32,
}

impl LayerScale {
    /// A factor for each channel that begins at `initial`, a finite number.
    pub fn new(initial: f32) -> Self {
        Self { initial }
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        if !self.initial.is_finite() {
            return Err(ShapeError::new(format!(
                "the initial scale must be a finite number, not {}",
                self.initial
            )));
        }
        Ok(Built::layer(LayerScaleLayer { initial: self.initial, shape: input, isa }))
    }
}

#[derive(Debug)]
struct LayerScaleLayer {
    initial: f32,
    shape: Shape,
    isa: Isa,
}

impl Layer for LayerScaleLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn params(&self) -> Vec<Param> {
        vec![Param::vector("gamma", self.shape.channels(), Init::Constant(self.initial))]
    }

    fn memory(&self, _batch: usize) -> Memory {
        // Zeros, and the sum of dy, which nobody wants.
        Memory { train_scratch: 2 * self.shape.channels(), ..Memory::default() }
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        scale(self.isa, x, w, y);
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        // y = gamma x
        if !pass.frozen {
            let (zeros, plain) = pass.scratch.split_at_mut(self.shape.channels());
            zeros.fill(0.0);
            gradient_sums(self.isa, x.values(), dy, zeros, None, [dw, &mut plain[..zeros.len()]]);
        }
        if let Some(dx) = x.gradient() {
            scale(self.isa, dy, w, dx);
        }
    }
}
