//! Stochastic depth (Huang et al. 2016): the branch of a residual block is left out for some examples.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, Forward, Input, Layer, Memory, Mode, Shape, ShapeError};
use floret_math::parallel::for_each_chunk;
use floret_math::simd::Isa;

/// In training, for each whole example, `y = x / (1 - rate)` with probability `1 - rate`, else 0; in inference `y = x`
/// (Huang et al. 2016; also called drop path). torchvision's `StochasticDepth` in its mode `row`.
///
/// At the end of a residual block's body it leaves the shortcut alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StochasticDepth {
    /// Probability that an example is dropped, in [0, 1); any other is refused when the network is built.
    pub rate: f32,
}

impl StochasticDepth {
    /// Drops each example with probability `rate`.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }

    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(ShapeError::new(format!(
                "the rate of stochastic depth must be at least 0 and under 1, not {}",
                self.rate
            )));
        }
        Ok(Built::layer(StochasticDepthLayer { shape: input, rate: self.rate }))
    }
}

#[derive(Debug)]
struct StochasticDepthLayer {
    shape: Shape,
    rate: f32,
}

impl StochasticDepthLayer {
    /// Writes to each example of `to` the one of `from` scaled, or zeros where it is not kept.
    fn pass(&self, from: &[f32], keep: &[u8], to: &mut [f32]) {
        let scale = 1.0 / (1.0 - self.rate);
        let len = self.shape.len();
        for_each_chunk(to, len, &|example, to| {
            if keep[example] == 1 {
                to.iter_mut().zip(&from[example * len..]).for_each(|(to, from)| *to = scale * from);
            } else {
                to.fill(0.0);
            }
        });
    }
}

impl Layer for StochasticDepthLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn memory(&self, batch: usize) -> Memory {
        Memory::default().saved_bytes(batch)
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let Mode::Train { saved, seed, .. } = pass.mode else {
            y.copy_from_slice(x);
            return;
        };
        for (example, keep) in saved.bytes.iter_mut().enumerate() {
            // A stream for each example, as in dropout.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(example as u64);
            *keep = u8::from(rng.random::<f32>() >= self.rate);
        }
        self.pass(x, saved.bytes, y);
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        // y = keep ? scale x : 0
        if let Some(dx) = x.gradient() {
            self.pass(dy, pass.saved.bytes, dx);
        }
    }
}
