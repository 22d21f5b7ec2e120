//! Sums and changes of each channel, the last axis: what batch norm is made of.
//!
//! `x` and `dy` are rows of `channels` values. The order of sums depends on sizes alone, never on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::simd::{Simd, dispatch};

/// Rows of a task.
const ROWS: usize = 512;

/// Rows added in `f32` before their sum goes into one of `f64`: its error stays that of so few terms.
const FEW: usize = 32;

/// Channels whose sums are in registers and the first cache at a time.
const STRIP: usize = 64;

/// For each channel `sum of (x - pivot)`, then for each `sum of (x - pivot)^2`, in one pass.
///
/// Mean and variance follow as `pivot + s / n` and `q / n - (s / n)^2`. The difference loses the digits by which
/// `(pivot - mean)^2` is larger than the variance: none to speak of for a pivot within the values' spread, where a pivot of zero
/// loses most for channels far from it.
pub fn moments(x: &[f32], pivot: &[f32]) -> Vec<f64> {
    let channels = pivot.len();
    two_sums(
        x.len() / channels,
        channels,
        #[inline(always)]
        |row, first, a, b| {
            let n = a.len();
            let (x, pivot) = (&x[row * channels + first..][..n], &pivot[first..][..n]);
            for i in 0..n {
                let d = x[i] - pivot[i];
                a[i] += d;
                b[i] += d * d;
            }
        },
    )
}

/// For each channel `sum of dy (x - mean)`, then for each `sum of dy`.
pub fn gradient_sums(x: &[f32], dy: &[f32], mean: &[f32]) -> Vec<f64> {
    let channels = mean.len();
    two_sums(
        x.len() / channels,
        channels,
        #[inline(always)]
        |row, first, a, b| {
            let (n, start) = (a.len(), row * channels + first);
            let (x, dy, mean) = (&x[start..][..n], &dy[start..][..n], &mean[first..][..n]);
            for i in 0..n {
                a[i] += dy[i] * (x[i] - mean[i]);
                b[i] += dy[i];
            }
        },
    )
}

/// Two sums for each channel. `add(row, first, a, b)` adds what a row has to those of the channels from `first` on.
fn two_sums(
    rows: usize,
    channels: usize,
    add: impl Fn(usize, usize, &mut [f32], &mut [f32]) + Copy + Sync,
) -> Vec<f64> {
    let sums_of = |block: usize| {
        let mut sums = vec![0.0; 2 * channels];
        let of_block = block * ROWS..rows.min((block + 1) * ROWS);
        dispatch!(|simd| add_block(simd, of_block, &mut sums, add));
        sums
    };
    let blocks: Vec<Vec<f64>> = (0..rows.div_ceil(ROWS)).into_par_iter().map(sums_of).collect();
    let mut total = vec![0.0; 2 * channels];
    for sums in blocks {
        total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
    }
    total
}

#[inline(always)]
fn add_block<S: Simd>(
    _: S,
    rows: Range<usize>,
    sums: &mut [f64],
    add: impl Fn(usize, usize, &mut [f32], &mut [f32]),
) {
    let channels = sums.len() / 2;
    let (firsts, seconds) = sums.split_at_mut(channels);
    let strips = firsts.chunks_mut(STRIP).zip(seconds.chunks_mut(STRIP));
    for (strip, (first_sums, second_sums)) in strips.enumerate() {
        for start in rows.clone().step_by(FEW) {
            let (mut a, mut b) = ([0.0; STRIP], [0.0; STRIP]);
            let (a, b) = (&mut a[..first_sums.len()], &mut b[..first_sums.len()]);
            for row in start..rows.end.min(start + FEW) {
                add(row, strip * STRIP, a, b);
            }
            first_sums.iter_mut().zip(a).for_each(|(sum, few)| *sum += f64::from(*few));
            second_sums.iter_mut().zip(b).for_each(|(sum, few)| *sum += f64::from(*few));
        }
    }
}

/// `y = scale x + shift`.
pub fn scale_and_shift(x: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32]) {
    let channels = scale.len();
    y.par_chunks_mut(ROWS * channels).zip(x.par_chunks(ROWS * channels)).for_each(|(y, x)| {
        dispatch!(|_simd| {
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                    *y = scale * x + shift;
                }
            }
        });
    });
}

/// `x = a dy + b (x - mean) + c`.
pub fn combine(x: &mut [f32], dy: &[f32], mean: &[f32], [a, b, c]: [&[f32]; 3]) {
    let channels = mean.len();
    x.par_chunks_mut(ROWS * channels).zip(dy.par_chunks(ROWS * channels)).for_each(|(x, dy)| {
        dispatch!(|_simd| {
            for (x, dy) in x.chunks_exact_mut(channels).zip(dy.chunks_exact(channels)) {
                let constants = mean.iter().zip(a).zip(b).zip(c);
                for ((x, dy), (((mean, a), b), c)) in x.iter_mut().zip(dy).zip(constants) {
                    *x = a * dy + b * (*x - mean) + c;
                }
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize, offset: f32) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed) % 1013) as f32 / 506.0 - 1.0 + offset).collect()
    }

    /// Row by row in `f64`. Channels and rows around the sizes of strips, blocks and their parts; channels far from zero.
    #[test]
    fn sums_are_those_of_the_obvious_loop() {
        for (rows, channels) in
            [(1, 1), (FEW + 1, 3), (ROWS, STRIP), (ROWS + 1, STRIP + 1), (2 * ROWS + 37, 200)]
        {
            let x = values(rows * channels, 1, 100.0);
            let dy = values(rows * channels, 5, 0.0);
            let pivot = values(channels, 3, 100.0);
            let mut wanted = vec![0.0; 4 * channels];
            for (i, (&x, &dy)) in x.iter().zip(&dy).enumerate() {
                let (channel, d) = (i % channels, f64::from(x) - f64::from(pivot[i % channels]));
                for (sum, value) in [d, d * d, f64::from(dy) * d, f64::from(dy)].into_iter().enumerate() {
                    wanted[sum * channels + channel] += value;
                }
            }
            let got = [moments(&x, &pivot), gradient_sums(&x, &dy, &pivot)].concat();
            // Of terms under 4, each rounded to 24 bits, a few at a time.
            let limit = 1e-6 * rows as f64 * 4.0;
            for (got, wanted) in got.iter().zip(&wanted) {
                assert!((got - wanted).abs() < limit, "{rows} x {channels}: {got} {wanted}");
            }
        }
    }
}
