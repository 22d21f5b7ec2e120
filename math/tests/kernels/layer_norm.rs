//! Layer normalization and its gradients against the obvious loops in `f64`, over several tasks of rows.

use floret_math::layer_norm::{data_gradient, forward, parameter_gradients};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::close::assert_close;
use crate::sets::instruction_sets;

const EPSILON: f32 = 1e-3;

/// Sums of up to a thousand values, each with the rounding of a mean and a root.
const TOLERANCE: f64 = 1e-5;

struct Wanted {
    y: Vec<f64>,
    dx: Vec<f64>,
    dgamma: Vec<f64>,
    dbeta: Vec<f64>,
}

/// By `dx[i] = sum over j of dy[j] gamma[j] (d xhat[j] / d x[i])`, the derivative written out.
fn wanted(x: &[f32], dy: &[f32], gamma: &[f32], beta: &[f32]) -> Wanted {
    let c = gamma.len();
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let (gamma, beta) = (wide(gamma), wide(beta));
    let (mut y, mut dx) = (Vec::new(), Vec::new());
    let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
    for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
        let (x, dy) = (wide(x), wide(dy));
        let n = c as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let rstd = 1.0 / (variance + f64::from(EPSILON)).sqrt();
        let xhat: Vec<f64> = x.iter().map(|x| (x - mean) * rstd).collect();
        for j in 0..c {
            y.push(gamma[j] * xhat[j] + beta[j]);
            dgamma[j] += dy[j] * xhat[j];
            dbeta[j] += dy[j];
        }
        for i in 0..c {
            let of_each = (0..c).map(|j| {
                let same = f64::from(u8::from(i == j));
                dy[j] * gamma[j] * rstd * (same - 1.0 / n - xhat[i] * xhat[j] / n)
            });
            dx.push(of_each.sum());
        }
    }
    Wanted { y, dx, dgamma, dbeta }
}

#[test]
fn rows_of_any_length() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (rows, channels) in [(5, 1), (3, 16), (1500, 23), (901, 64), (70, 300)] {
        let mut random = |len: usize, around: f32| -> Vec<f32> {
            (0..len).map(|_| around + rng.random_range(-1.0f32..1.0)).collect()
        };
        let (x, dy) = (random(rows * channels, 3.0), random(rows * channels, 0.0));
        let (gamma, beta) = (random(channels, 1.0), random(channels, 0.0));
        let want = wanted(&x, &dy, &gamma, &beta);
        for isa in instruction_sets() {
            let what = |pass: &str| format!("{pass} of {rows} x {channels} with {isa:?}");
            let (mut y, mut moments) = (vec![f32::NAN; x.len()], vec![f32::NAN; 2 * rows]);
            forward(isa, &x, &gamma, &beta, EPSILON, &mut y, &mut moments);
            assert_close(&what("forward"), &y, &want.y, TOLERANCE);
            let kept = y.clone();
            y.fill(f32::NAN);
            forward(isa, &x, &gamma, &beta, EPSILON, &mut y, &mut []);
            assert_eq!(y, kept, "{}", what("forward of inference"));
            let (mut dgamma, mut dbeta) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
            parameter_gradients(isa, &x, &dy, &moments, &mut dgamma, &mut dbeta);
            if channels > 1 {
                assert_close(&what("dgamma"), &dgamma, &want.dgamma, TOLERANCE);
            } else {
                // A single value is its mean, up to rounding that epsilon divides.
                assert!(dgamma[0].abs() < 1e-4, "{dgamma:?}");
            }
            assert_close(&what("dbeta"), &dbeta, &want.dbeta, TOLERANCE);
            let (mut dx, mut dy) = (x.clone(), dy.clone());
            data_gradient(isa, &mut dx, &mut dy, &gamma, &moments);
            if channels > 1 {
                assert_close(&what("dx"), &dx, &want.dx, TOLERANCE);
            } else {
                assert!(dx.iter().all(|dx| dx.abs() < 1e-4), "{dx:?}");
            }
        }
    }
}
