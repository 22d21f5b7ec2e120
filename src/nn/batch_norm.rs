//! Batch normalization (Ioffe and Szegedy 2015), as Keras defines it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Init, Input, Layer, Memory, Mode, Param, Shape, ShapeError};
use floret_math::activation::Activation;
use floret_math::channels::{Activated, combine, gradient_sums, moments, scale_activated, scale_and_shift};
use floret_math::simd::Isa;

/// Per channel (the last axis): `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`.
///
/// In training mean and (biased) variance are the batch's, and the moving averages follow as
/// `moving = momentum moving + (1 - momentum) batch`; in inference they are the moving averages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchNorm {
    /// Share of the moving averages kept in each step; default 0.9 (Keras 0.99 suits longer training).
    pub momentum: f32,
    /// Added to the variance; default 1e-3, as Keras.
    pub epsilon: f32,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNorm {
    /// With momentum 0.9 and epsilon 1e-3.
    pub fn new() -> Self {
        Self { momentum: 0.9, epsilon: 1e-3 }
    }

    /// Sets the momentum of the moving averages.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets what is added to the variance.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        if !(0.0..=1.0).contains(&self.momentum) || self.epsilon.is_nan() || self.epsilon <= 0.0 {
            return Err(ShapeError::new(format!(
                "batch norm needs a momentum in [0, 1] and an epsilon over 0, got {} and {}",
                self.momentum, self.epsilon
            )));
        }
        Ok(Built::layer(BatchNormLayer { spec: *self, shape: input, isa, frozen: false, activation: None }))
    }

    /// The layer with averages that don't move, for an input that it was [built](Self::build) for before.
    pub(super) fn build_frozen(&self, input: Shape, isa: Isa) -> Built {
        Built::layer(BatchNormLayer { spec: *self, shape: input, isa, frozen: true, activation: None })
    }

    /// The layer with an activation behind it, for an input that it was [built](Self::build) for before.
    pub(super) fn build_with(
        &self,
        input: Shape,
        activation: Activation,
        frozen: bool,
        isa: Isa,
    ) -> Arc<dyn Layer> {
        Arc::new(BatchNormLayer { spec: *self, shape: input, isa, frozen, activation: Some(activation) })
    }

    /// `scale = gamma / sqrt(variance + epsilon)`, `shift = beta - mean scale`: `y = x scale + shift`. `w` holds gamma,
    /// then beta.
    pub(super) fn factors(
        &self,
        w: &[f32],
        mean: &[f32],
        variance: &[f32],
        (scale, shift): (&mut [f32], &mut [f32]),
    ) {
        let (gamma, beta) = w.split_at(mean.len());
        for i in 0..mean.len() {
            scale[i] = gamma[i] / (variance[i] + self.epsilon).sqrt();
            shift[i] = beta[i] - mean[i] * scale[i];
        }
    }
}

#[derive(Debug)]
struct BatchNormLayer {
    spec: BatchNorm,
    shape: Shape,
    isa: Isa,
    /// Whether training normalizes by the moving averages, which then stay.
    frozen: bool,
    /// The activation behind, which is computed in the same pass. What lies between is kept nowhere: backward computes it again.
    activation: Option<Activation>,
}

impl BatchNormLayer {
    fn channels(&self) -> usize {
        self.shape.channels()
    }
}

impl Layer for BatchNormLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn params(&self) -> Vec<Param> {
        let c = self.channels();
        vec![Param::vector("gamma", c, Init::Constant(1.0)), Param::vector("beta", c, Init::Constant(0.0))]
    }

    fn state(&self) -> Vec<Param> {
        let c = self.channels();
        vec![
            Param::vector("moving_mean", c, Init::Constant(0.0)),
            Param::vector("moving_variance", c, Init::Constant(1.0)),
        ]
    }

    fn memory(&self, _batch: usize) -> Memory {
        let c = self.channels();
        // Kept are scale and shift, and the batch's mean and 1 / sqrt(variance + epsilon). To work in: those of inference; in training the
        // pivot of the moments and the variance, or backward's three factors.
        let saved_floats = if self.frozen { 2 * c } else { 4 * c };
        Memory { saved_floats, train_scratch: 3 * c, infer_scratch: 2 * c, ..Memory::default() }
    }

    fn reads_input(&self) -> bool {
        !self.frozen || self.activation.is_some()
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let c = self.channels();
        let factors = match pass.mode {
            Mode::Infer { state, .. } => {
                let (mean, variance) = state.split_at(c);
                let factors = &mut pass.scratch[..2 * c];
                self.spec.factors(w, mean, variance, factors.split_at_mut(c));
                factors
            }
            Mode::Train { state, saved, .. } if self.frozen => {
                let (mean, variance) = state.split_at(c);
                self.spec.factors(w, mean, variance, saved.floats.split_at_mut(c));
                saved.floats
            }
            Mode::Train { state, saved, .. } => {
                let (pivot, scratch) = pass.scratch.split_at_mut(c);
                let variance = &mut scratch[..c];
                let (factors, moments_of_batch) = saved.floats.split_at_mut(2 * c);
                let (mean, rstd) = moments_of_batch.split_at_mut(c);
                sampled_mean(x, pivot);
                moments(self.isa, x, pivot, mean, variance);
                let (moving_mean, moving_variance) = state.split_at_mut(c);
                let momentum = self.spec.momentum;
                for i in 0..c {
                    rstd[i] = 1.0 / (variance[i] + self.spec.epsilon).sqrt();
                    moving_mean[i] = momentum * moving_mean[i] + (1.0 - momentum) * mean[i];
                    moving_variance[i] = momentum * moving_variance[i] + (1.0 - momentum) * variance[i];
                }
                self.spec.factors(w, mean, variance, factors.split_at_mut(c));
                factors
            }
        };
        let (scale, shift) = factors.split_at(c);
        scale_and_shift(self.isa, x, scale, shift, self.activation, y);
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let c = self.channels();
        let (factors, moments_of_batch) = pass.saved.floats.split_at(2 * c);
        let (scale, shift) = factors.split_at(c);
        let activated = self.activation.map(|activation| Activated { scale, shift, activation });
        if self.frozen {
            // y = f(scale x + shift), of constants
            let Some(dx) = x.gradient() else { return };
            match activated {
                Some(activated) => scale_activated(self.isa, dx, dy, activated),
                None => floret_math::channels::scale(self.isa, dy, scale, dx),
            }
            return;
        }
        let (gamma, _) = w.split_at(c);
        let (mean, rstd) = moments_of_batch.split_at(c);
        // y = f(z), z = gamma xhat + beta, xhat = (x - mean) rstd
        let (dgamma, dbeta) = dw.split_at_mut(c);
        gradient_sums(self.isa, x.values(), dy, mean, activated, [dgamma, dbeta]);
        dgamma.iter_mut().zip(rstd).for_each(|(dgamma, rstd)| *dgamma *= rstd);
        let n = (dy.len() / c) as f32;
        let Some(dx) = x.gradient() else { return };
        // Mean and variance depend on x too: dx = gamma rstd (dz - (dbeta + xhat dgamma) / n)
        let (of_dz, scratch) = pass.scratch.split_at_mut(c);
        let (of_x, scratch) = scratch.split_at_mut(c);
        let constant = &mut scratch[..c];
        for i in 0..c {
            of_dz[i] = gamma[i] * rstd[i];
            of_x[i] = -of_dz[i] * rstd[i] * dgamma[i] / n;
            constant[i] = -of_dz[i] * dbeta[i] / n;
        }
        combine(self.isa, dx, dy, mean, activated, [of_dz, of_x, constant]);
    }
}

/// The mean of some rows, far apart: a value among each channel's. Overwrites `mean`.
fn sampled_mean(x: &[f32], mean: &mut [f32]) {
    // No divisor of common batch sizes, so that they are not all of one corner of their images, which may be unlike the rest.
    const SAMPLES: usize = 7;
    let channels = mean.len();
    let rows = x.len() / channels;
    let samples = rows.min(SAMPLES);
    mean.fill(0.0);
    for sample in 0..samples {
        let row = &x[sample * rows / samples * channels..][..channels];
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / samples as f32);
    }
}
