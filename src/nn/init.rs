//! How weights begin.

use ndarray::Array1;
use ndarray_rand::rand_distr::{Distribution, Normal, Uniform};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Param;

/// An initializer of weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// Every value the same.
    Constant(f32),
    /// Normal with this standard deviation, redrawn beyond two of them (TensorFlow's `truncated_normal`).
    TruncatedNormal {
        /// The standard deviation before truncation.
        stddev: f32,
    },
    /// Normal, truncated at two standard deviations, with variance `2 / fan_in` after truncation: for ReLU networks
    /// (He et al. 2015; Keras `he_normal`).
    HeNormal,
    /// Uniform within `+-sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010; Keras `glorot_uniform`).
    GlorotUniform,
}

impl Init {
    /// TensorFlow scripts' usual choice, and floret's default for kernels: truncated normal, stddev 0.05.
    pub const TRUNCATED_NORMAL: Init = Init::TruncatedNormal { stddev: 0.05 };

    /// Draws the values of `param`.
    pub fn draw(&self, param: &Param, rng: &mut ChaCha8Rng) -> Array1<f32> {
        /// The standard deviation of a unit normal truncated at +-2: he_normal is stated after truncation.
        const TRUNCATED_STDDEV: f32 = 0.879_625_7;
        let (len, (fan_in, fan_out)) = (param.len(), param.fans);
        match *self {
            Init::Constant(value) => Array1::from_elem(len, value),
            Init::TruncatedNormal { stddev } => truncated_normal(len, stddev, rng),
            Init::HeNormal => {
                let stddev = (2.0 / fan_in.max(1) as f32).sqrt();
                truncated_normal(len, stddev / TRUNCATED_STDDEV, rng)
            }
            Init::GlorotUniform => {
                let limit = (6.0 / (fan_in + fan_out).max(1) as f32).sqrt();
                let uniform =
                    Uniform::new_inclusive(-limit, limit).expect("fans are finite, so the limit is");
                rng.sample_iter(uniform).take(len).collect()
            }
        }
    }
}

fn truncated_normal(len: usize, stddev: f32, rng: &mut ChaCha8Rng) -> Array1<f32> {
    rng.sample_iter(TruncatedNormal { stddev }).take(len).collect()
}

struct TruncatedNormal {
    stddev: f32,
}

impl Distribution<f32> for TruncatedNormal {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f32 {
        let unit = Normal::new(0.0f32, 1.0).expect("a unit normal is valid");
        loop {
            let value = unit.sample(rng);
            if value.abs() <= 2.0 {
                return value * self.stddev;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn moments(init: Init, fans: (usize, usize)) -> (f64, f64, f32) {
        let param = Param { name: "kernel".into(), shape: vec![200, 500], init, fans, decays: true };
        let values = init.draw(&param, &mut ChaCha8Rng::seed_from_u64(7));
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt(), values.iter().fold(0.0, |m, v| m.max(v.abs())))
    }

    /// 100,000 draws: the mean's own error is 0.3 % of the deviation, the deviation's 0.25 %; five of each allowed.
    #[test]
    fn moments_are_as_documented() {
        let (mean, stddev, largest) = moments(Init::TruncatedNormal { stddev: 0.05 }, (1, 1));
        assert!(mean.abs() < 0.016 * 0.05 && largest <= 0.1, "{mean} {largest}");
        assert!((stddev / (0.05 * 0.879_625_66) - 1.0).abs() < 0.0125, "{stddev}");
        let (mean, stddev, _) = moments(Init::HeNormal, (50, 7));
        assert!(mean.abs() < 0.016 * 0.2 && (stddev / 0.2 - 1.0).abs() < 0.0125, "{mean} {stddev}");
        let (mean, stddev, largest) = moments(Init::GlorotUniform, (4, 2));
        assert!(mean.abs() < 0.016 && largest <= 1.0, "{mean} {largest}");
        assert!((stddev * 3f64.sqrt() - 1.0).abs() < 0.0125, "{stddev}");
    }
}
