//! Batch normalisation (Ioffe and Szegedy 2015), as Keras defines it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::spec::Built;
use super::{Backward, Forward, Init, Input, Layer, Memory, Mode, Param, Shape, ShapeError};
use crate::math::reduce::sum_rows;

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

    pub(crate) fn build(&self, input: Shape) -> Result<Built, ShapeError> {
        if !(0.0..=1.0).contains(&self.momentum) || self.epsilon.is_nan() || self.epsilon <= 0.0 {
            return Err(ShapeError::new(format!(
                "batch norm needs a momentum in [0, 1] and an epsilon over 0, got {} and {}",
                self.momentum, self.epsilon
            )));
        }
        Ok(Built::Layer(Box::new(BatchNormLayer { spec: *self, shape: input })))
    }
}

#[derive(Debug)]
struct BatchNormLayer {
    spec: BatchNorm,
    shape: Shape,
}

/// Rows of channels a task works on.
const ROWS: usize = 256;

impl BatchNormLayer {
    fn channels(&self) -> usize {
        self.shape.channels()
    }

    /// `y = scale x + shift` per channel.
    fn apply(&self, x: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32]) {
        let c = self.channels();
        y.par_chunks_mut(ROWS * c).zip(x.par_chunks(ROWS * c)).for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                    *y = scale * x + shift;
                }
            }
        });
    }

    /// Scale and shift that normalise with these moments and then apply gamma and beta.
    fn scale_and_shift(
        &self,
        w: &[f32],
        mean: &[f32],
        variance: impl Iterator<Item = f32>,
    ) -> (Vec<f32>, Vec<f32>) {
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
                let (scale, shift) = self.scale_and_shift(w, mean, variance.iter().copied());
                return self.apply(x, &scale, &shift, y);
            }
            Mode::Train { state, saved, .. } => (state, saved),
        };
        let n = (x.len() / c) as f64;
        let mut mean = sum_rows(x, c, c, |sums, _, row| {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        });
        mean.iter_mut().for_each(|m| *m /= n);
        // Two passes: E[x^2] - mean^2 would lose the variance of channels far from zero.
        let squares = sum_rows(x, c, c, |sums, _, row| {
            for ((s, v), m) in sums.iter_mut().zip(row).zip(&mean) {
                *s += (f64::from(*v) - m).powi(2);
            }
        });
        let (saved_mean, saved_rstd) = saved.floats.split_at_mut(c);
        let (moving_mean, moving_variance) = state.split_at_mut(c);
        let momentum = self.spec.momentum;
        for i in 0..c {
            let variance = squares[i] / n;
            saved_mean[i] = mean[i] as f32;
            saved_rstd[i] = (1.0 / (variance + f64::from(self.spec.epsilon)).sqrt()) as f32;
            moving_mean[i] = momentum * moving_mean[i] + (1.0 - momentum) * mean[i] as f32;
            moving_variance[i] = momentum * moving_variance[i] + (1.0 - momentum) * variance as f32;
        }
        let variances = squares.iter().map(|s| (s / n) as f32);
        let (scale, shift) = self.scale_and_shift(w, saved_mean, variances);
        self.apply(x, &scale, &shift, y);
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let c = self.channels();
        let (gamma, _) = w.split_at(c);
        let (mean, rstd) = pass.saved.floats.split_at(c);
        // y = gamma xhat + beta, xhat = (x - mean) rstd
        let sums = sum_rows(x.values(), c, 2 * c, |sums, row, x| {
            let dy = &dy[row * c..][..c];
            let (dgamma, dbeta) = sums.split_at_mut(c);
            for i in 0..c {
                dgamma[i] += f64::from(dy[i] * (x[i] - mean[i]) * rstd[i]);
                dbeta[i] += f64::from(dy[i]);
            }
        });
        dw.iter_mut().zip(&sums).for_each(|(d, s)| *d = *s as f32);
        let n = (dy.len() / c) as f64;
        let Some(dx) = x.gradient() else { return };
        // Mean and variance depend on x too: dx = gamma rstd (dy - (dbeta + xhat dgamma) / n)
        let scaled: Vec<f32> = sums.iter().map(|s| (s / n) as f32).collect();
        let (dgamma, dbeta) = scaled.split_at(c);
        dx.par_chunks_mut(ROWS * c).zip(dy.par_chunks(ROWS * c)).for_each(|(x, dy)| {
            for (x, dy) in x.chunks_exact_mut(c).zip(dy.chunks_exact(c)) {
                for i in 0..c {
                    let xhat = (x[i] - mean[i]) * rstd[i];
                    x[i] = gamma[i] * rstd[i] * (dy[i] - dbeta[i] - xhat * dgamma[i]);
                }
            }
        });
    }
}
