//! Batch norm as a part of the convolution before it.
//!
//! Where its averages don't move, as in inference, batch norm is `s y + t` with constants of each channel. Of a convolution's output
//! that is again a convolution: `s (x * w + b) + t = x * (s w) + (s b + t)`, so that no pass over the output is needed.

use super::CHUNK;
use super::arrays::Arrays;
use super::batch_norm::BatchNorm;
use floret_math::parallel::for_each_chunk;

/// The batch norm behind a convolution.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub norm: BatchNorm,
    /// Those of the batch norm.
    pub arrays: Arrays,
    /// Those of the convolution: the kernel, whose last axis is the channels, then its bias if it has one.
    pub conv: Arrays,
    /// Values of the kernel.
    pub kernel: usize,
    pub channels: usize,
}

impl Fold {
    /// Floats of the kernel and the bias of both together.
    pub fn weights(&self) -> usize {
        self.kernel + self.channels
    }

    /// Floats that [`fold`](Self::fold) writes: the weights, then s.
    pub fn len(&self) -> usize {
        self.weights() + self.channels
    }

    /// `w' = s w`, `b' = s b + t`, with s and t from the arrays of all layers. Overwrites `to` by w', b' and s.
    pub fn fold(&self, w: &[f32], state: &[f32], to: &mut [f32]) {
        let (kernel, rest) = to.split_at_mut(self.kernel);
        let (bias, scale) = rest.split_at_mut(self.channels);
        let (mean, variance) = state[self.arrays.state.clone()].split_at(self.channels);
        self.norm.factors(&w[self.arrays.params.clone()], mean, variance, scale, bias);
        let (conv, conv_bias) = w[self.conv.params.clone()].split_at(self.kernel);
        bias.iter_mut().zip(&*scale).zip(conv_bias).for_each(|((b, s), of_conv)| *b += s * of_conv);
        self.scaled(scale, conv, kernel);
    }

    /// The gradients of the convolution's own weights from those of w' and b': `dw = s dw'`, `db = s db'`. Overwrites `dw`.
    pub fn unfold(&self, scale: &[f32], of_both: &[f32], dw: &mut [f32]) {
        let (kernel, bias) = dw.split_at_mut(self.kernel);
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
