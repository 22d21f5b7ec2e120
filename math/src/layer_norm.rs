//! Layer normalisation of rows: each row of channels by its own mean and variance.
//!
//! ```text
//! forward    y = gamma xhat + beta, xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + epsilon)
//! backward   dgamma = sum over rows of dy xhat, dbeta = sum over rows of dy
//!            dx = rstd (g - mean of g - xhat (mean of g xhat)), g = gamma dy; means are over a row
//! ```
//!
//! Sums run in an order that depends on the number of channels alone.

use super::channels::two_sums;
use super::parallel::{for_each_chunk, for_each_two_chunks};
use super::simd::{Isa, dispatch};

/// Values of a task, about.
const CHUNK: usize = 1 << 14;

/// Sums that do not wait for each other: a vector of any instruction set, or several.
const SUMS: usize = 16;

/// Overwrites `y`, and `moments` by mean and rstd of each row, one pair after another; empty `moments` are not kept.
pub fn forward(
    isa: Isa,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    y: &mut [f32],
    moments: &mut [f32],
) {
    let channels = gamma.len();
    let rows = CHUNK.div_ceil(channels);
    let work = |index: usize, y: &mut [f32], moments: &mut [f32]| {
        let x = &x[index * rows * channels..][..y.len()];
        dispatch!(isa, |_simd| {
            for (row, (y, x)) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).enumerate() {
                let (mean, rstd) = row_moments(x, epsilon);
                if let Some(kept) = moments.get_mut(2 * row..2 * row + 2) {
                    kept.copy_from_slice(&[mean, rstd]);
                }
                for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                    *y = gamma * ((x - mean) * rstd) + beta;
                }
            }
        });
    };
    if moments.is_empty() {
        for_each_chunk(y, rows * channels, &|index, y| work(index, y, &mut []));
    } else {
        for_each_two_chunks((y, rows * channels), (moments, rows * 2), &work);
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of a row, the variance (biased) from differences to the mean.
#[inline(always)]
fn row_moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x, x, |x, _| x) / n;
    let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// The sum of `term(a[i], b[i])`.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; SUMS];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..SUMS {
            sums[i] += term(a[i], b[i]);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(*a, *b);
    }
    sums.iter().sum()
}

/// The gradients of gamma and beta. Overwrites `dgamma` and `dbeta`. `moments` is what [`forward`] kept.
pub fn parameter_gradients(
    isa: Isa,
    x: &[f32],
    dy: &[f32],
    moments: &[f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let channels = dgamma.len();
    two_sums(
        isa,
        x.len() / channels,
        [dgamma, dbeta],
        |_, dgamma, dbeta| [dgamma as f32, dbeta as f32],
        #[inline(always)]
        |rows, first, a, b, _| {
            for row in rows {
                let (n, start) = (a.len(), row * channels + first);
                let (x, dy) = (&x[start..][..n], &dy[start..][..n]);
                let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
                for i in 0..n {
                    a[i] += dy[i] * ((x[i] - mean) * rstd);
                    b[i] += dy[i];
                }
            }
        },
    )
}

/// The gradient of the input. Overwrites x by dx, in place, and destroys `dy`. `moments` is what [`forward`] kept.
pub fn data_gradient(isa: Isa, x: &mut [f32], dy: &mut [f32], gamma: &[f32], moments: &[f32]) {
    let channels = gamma.len();
    let rows = CHUNK.div_ceil(channels);
    let len = rows * channels;
    for_each_two_chunks((x, len), (dy, len), &|index, x, dy| {
        let moments = moments[2 * index * rows..].chunks_exact(2);
        dispatch!(isa, |_simd| {
            let of_rows = x.chunks_exact_mut(channels).zip(dy.chunks_exact_mut(channels));
            for ((x, g), moments) in of_rows.zip(moments) {
                let (mean, rstd) = (moments[0], moments[1]);
                g.iter_mut().zip(gamma).for_each(|(g, gamma)| *g *= gamma);
                let n = channels as f32;
                let plain = sum(g, g, |g, _| g) / n;
                // The mean of g xhat, times the factor that makes xhat of x - mean.
                let centred = sum(g, x, |g, x| g * ((x - mean) * rstd)) / n * rstd;
                for (x, g) in x.iter_mut().zip(&*g) {
                    *x = rstd * (g - plain - (*x - mean) * centred);
                }
            }
        });
    });
}
