//! Batch norm as a part of the convolution before it, and the weights of several convolutions that one layer computes.
//!
//! Where its averages don't move, as in inference, batch norm is `s y + t` with constants of each channel. Of a convolution's output
//! that is again a convolution: `s (x * w + b) + t = x * (s w) + (s b + t)`, so that no pass over the output is needed.

use super::CHUNK;
use super::arrays::Arrays;
use super::batch_norm::BatchNorm;
use floret_math::parallel::for_each_chunk;

/// A convolution whose weights are made for a pass.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    /// The batch norm behind it, with its arrays.
    pub norm: Option<(BatchNorm, Arrays)>,
    /// Those of the convolution: the kernel, whose last axis is the channels, then its bias if it has one.
    pub conv: Arrays,
    /// Values of the kernel.
    pub kernel: usize,
    pub channels: usize,
}

impl Fold {
    /// Floats of the kernel and the bias.
    fn weights(&self) -> usize {
        self.kernel + self.channels
    }

    /// `w' = s w`, `b' = s b + t`, with s and t from the arrays of all layers; without a batch norm s is 1 and t is 0. Overwrites
    /// `to` by w' and b', and `scale` by s.
    fn fold(&self, w: &[f32], state: &[f32], to: &mut [f32], scale: &mut [f32]) {
        let (kernel, bias) = to.split_at_mut(self.kernel);
        let (conv, conv_bias) = w[self.conv.params.clone()].split_at(self.kernel);
        match &self.norm {
            Some((norm, arrays)) => {
                let (mean, variance) = state[arrays.state.clone()].split_at(self.channels);
                norm.factors(&w[arrays.params.clone()], mean, variance, (scale, bias));
            }
            None => {
                scale.fill(1.0);
                bias.fill(0.0);
            }
        }
        bias.iter_mut().zip(&*scale).zip(conv_bias).for_each(|((b, s), of_conv)| *b += s * of_conv);
        self.scaled(scale, conv, kernel);
    }

    /// The gradients of the convolution's own weights from those of w' and b': `dw = s dw'`, `db = s db'`. Overwrites its part of
    /// `dw`, the gradients of all layers.
    fn unfold(&self, scale: &[f32], of_both: &[f32], dw: &mut [f32]) {
        let (kernel, bias) = dw[self.conv.params.clone()].split_at_mut(self.kernel);
        let (of_kernel, of_bias) = of_both.split_at(self.kernel);
        self.scaled(scale, of_kernel, kernel);
        bias.iter_mut().zip(of_bias).zip(scale).for_each(|((db, of_both), s)| *db = s * of_both);
    }

    /// A kernel with each channel's weights scaled.
    fn scaled(&self, scale: &[f32], from: &[f32], to: &mut [f32]) {
        let rows = CHUNK.div_ceil(self.channels) * self.channels;
        for_each_chunk(to, rows, &|index, to| {
            let from = &from[index * rows..][..to.len()];
            for (to, from) in to.chunks_exact_mut(self.channels).zip(from.chunks_exact(self.channels)) {
                to.iter_mut().zip(from).zip(scale).for_each(|((to, w), s)| *to = s * w);
            }
        });
    }
}

/// The convolutions whose weights one step takes, one behind another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folds(pub Vec<Fold>);

impl Folds {
    /// Whether the step takes its layer's weights as they are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Floats of all kernels and biases.
    pub fn weights(&self) -> usize {
        self.0.iter().map(Fold::weights).sum()
    }

    /// Floats that [`fold`](Self::fold) writes: the weights, then the scales.
    pub fn len(&self) -> usize {
        self.weights() + self.0.iter().map(|fold| fold.channels).sum::<usize>()
    }

    /// The weights from the arrays of all layers. Overwrites `to`.
    pub fn fold(&self, w: &[f32], state: &[f32], to: &mut [f32]) {
        let (mut weights, mut scales) = to.split_at_mut(self.weights());
        for fold in &self.0 {
            let (of_fold, rest) = weights.split_at_mut(fold.weights());
            let (scale, others) = scales.split_at_mut(fold.channels);
            fold.fold(w, state, of_fold, scale);
            (weights, scales) = (rest, others);
        }
    }

    /// From the scales and the gradients of the weights those of the convolutions' own, in `dw`, the gradients of all layers.
    pub fn unfold(&self, mut scales: &[f32], mut of_weights: &[f32], dw: &mut [f32]) {
        for fold in &self.0 {
            let (of_fold, rest) = of_weights.split_at(fold.weights());
            let (scale, others) = scales.split_at(fold.channels);
            fold.unfold(scale, of_fold, dw);
            (of_weights, scales) = (rest, others);
        }
    }
}
