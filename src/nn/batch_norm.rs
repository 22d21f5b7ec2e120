//! Batch normalisation (Ioffe and Szegedy 2015), as Keras defines it.

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Init, Input, Layer, Memory, Mode, Param, Shape, ShapeError};
use floret_math::channels::{combine, gradient_sums, moments, scale_and_shift};
use floret_math::simd::Isa;

/// Per channel (the last axis): `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`.
///
/// In training mean and (biased) variance are the batch's, and the moving averages follow as
/// `moving = momentum moving + (1 - momentum) batch`; in inference they are the moving averages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        if !(0.0..=1.0).contains(&self.momentum) || self.epsilon.is_nan() || self.epsilon <= 0.0 {
            return Err(ShapeError::new(format!(
                "batch norm needs a momentum in [0, 1] and an epsilon over 0, got {} and {}",
                self.momentum, self.epsilon
            )));
        }
        Ok(Built::Layer(Box::new(BatchNormLayer { spec: *self, shape: input, isa })))
    }
}

#[derive(Debug)]
struct BatchNormLayer {
    spec: BatchNorm,
    shape: Shape,
    isa: Isa,
}

impl BatchNormLayer {
    fn channels(&self) -> usize {
        self.shape.channels()
    }

    /// Scale and shift that normalise with these moments and then apply gamma and beta.
    fn factors(&self, w: &[f32], mean: &[f32], variance: impl Iterator<Item = f32>) -> (Vec<f32>, Vec<f32>) {
        let (gamma, beta) = w.split_at(self.channels());
        let scale: Vec<f32> =
            gamma.iter().zip(variance).map(|(g, v)| g / (v + self.spec.epsilon).sqrt()).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        (scale, shift)
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
        // The batch's mean and 1 / sqrt(variance + epsilon).
        Memory { saved_floats: 2 * self.channels(), ..Memory::default() }
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let c = self.channels();
        let (state, saved) = match pass.mode {
            Mode::Infer { state, .. } => {
                let (mean, variance) = state.split_at(c);
                let (scale, shift) = self.factors(w, mean, variance.iter().copied());
                return scale_and_shift(self.isa, x, &scale, &shift, y);
            }
            Mode::Train { state, saved, .. } => (state, saved),
        };
        let n = (x.len() / c) as f64;
        let pivot = sampled_mean(x, c);
        let sums = moments(self.isa, x, &pivot);
        let (first, second) = sums.split_at(c);
        let (saved_mean, saved_rstd) = saved.floats.split_at_mut(c);
        let (moving_mean, moving_variance) = state.split_at_mut(c);
        let momentum = self.spec.momentum;
        let mut variances = vec![0.0; c];
        for i in 0..c {
            let shift = first[i] / n;
            let mean = f64::from(pivot[i]) + shift;
            let variance = second[i] / n - shift * shift;
            // By rounding alone; a NaN stays one.
            let variance = if variance < 0.0 { 0.0 } else { variance };
            variances[i] = variance as f32;
            saved_mean[i] = mean as f32;
            saved_rstd[i] = (1.0 / (variance + f64::from(self.spec.epsilon)).sqrt()) as f32;
            moving_mean[i] = momentum * moving_mean[i] + (1.0 - momentum) * mean as f32;
            moving_variance[i] = momentum * moving_variance[i] + (1.0 - momentum) * variance as f32;
        }
        let (scale, shift) = self.factors(w, saved_mean, variances.into_iter());
        scale_and_shift(self.isa, x, &scale, &shift, y);
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let c = self.channels();
        let (gamma, _) = w.split_at(c);
        let (mean, rstd) = pass.saved.floats.split_at(c);
        // y = gamma xhat + beta, xhat = (x - mean) rstd
        let sums = gradient_sums(self.isa, x.values(), dy, mean);
        let (centred, plain) = sums.split_at(c);
        let (dgamma, dbeta) = dw.split_at_mut(c);
        for i in 0..c {
            dgamma[i] = (centred[i] * f64::from(rstd[i])) as f32;
            dbeta[i] = plain[i] as f32;
        }
        let n = (dy.len() / c) as f32;
        let Some(dx) = x.gradient() else { return };
        // Mean and variance depend on x too: dx = gamma rstd (dy - (dbeta + xhat dgamma) / n)
        let of_dy: Vec<f32> = gamma.iter().zip(rstd).map(|(g, r)| g * r).collect();
        let of_x: Vec<f32> = (0..c).map(|i| -of_dy[i] * rstd[i] * dgamma[i] / n).collect();
        let constant: Vec<f32> = (0..c).map(|i| -of_dy[i] * dbeta[i] / n).collect();
        combine(self.isa, dx, dy, mean, [&of_dy, &of_x, &constant]);
    }
}

/// The mean of some rows, far apart: a value among each channel's.
fn sampled_mean(x: &[f32], channels: usize) -> Vec<f32> {
    // No divisor of common batch sizes, so that they are not all of one corner of their images, which may be unlike the rest.
    const SAMPLES: usize = 7;
    let rows = x.len() / channels;
    let samples = rows.min(SAMPLES);
    let mut mean = vec![0.0; channels];
    for sample in 0..samples {
        let row = &x[sample * rows / samples * channels..][..channels];
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / samples as f32);
    }
    mean
}
