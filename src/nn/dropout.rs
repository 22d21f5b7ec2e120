//! Dropout (Srivastava et al. 2014), inverted: scaled in training, the identity in inference.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{Backward, CHUNK, Forward, Input, Layer, Memory, Mode, Shape, ShapeError};
use floret_math::parallel::{for_each_chunk, for_each_chunk_with_codes};
use floret_math::simd::Isa;

/// In training `y = x / (1 - rate)` with probability `1 - rate`, else 0; in inference `y = x`.
///
/// TensorFlow-1 scripts give the probability to keep: `tf.nn.dropout(x, keep_prob)` is `Dropout::new(1.0 - keep_prob)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dropout {
    /// Probability that a value is dropped, in [0, 1).
    pub rate: f32,
}

impl Dropout {
    /// Drops each value with probability `rate`.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }

    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(ShapeError::new(format!(
                "the dropout rate must be at least 0 and under 1, not {}",
                self.rate
            )));
        }
        Ok(Built::layer(DropoutLayer { shape: input, rate: self.rate }))
    }
}

#[derive(Debug)]
struct DropoutLayer {
    shape: Shape,
    rate: f32,
}

impl Layer for DropoutLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn memory(&self, batch: usize) -> Memory {
        Memory { saved_bytes: batch * self.shape.len(), ..Memory::default() }
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let Mode::Train { saved, seed, .. } = pass.mode else {
            y.copy_from_slice(x);
            return;
        };
        let scale = 1.0 / (1.0 - self.rate);
        let len = self.shape.len();
        // Each example draws from a stream of its own, so the mask does not depend on the number of threads.
        for_each_chunk_with_codes(y, saved.bytes, len, &|example, y, keep| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(example as u64);
            for ((y, &x), keep) in y.iter_mut().zip(&x[example * len..]).zip(keep) {
                *keep = u8::from(rng.random::<f32>() >= self.rate);
                *y = if *keep == 1 { scale * x } else { 0.0 };
            }
        });
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let Some(dx) = x.gradient() else { return };
        let scale = 1.0 / (1.0 - self.rate);
        // y = keep ? scale x : 0
        let (dy, keep) = (&*dy, &*pass.saved.bytes);
        for_each_chunk(dx, CHUNK, &|chunk, dx| {
            let start = chunk * CHUNK;
            for ((dx, dy), keep) in dx.iter_mut().zip(&dy[start..]).zip(&keep[start..]) {
                *dx = if *keep == 1 { scale * dy } else { 0.0 };
            }
        });
    }
}
