//! Sums and changes of each channel, the last axis: what batch norm is made of.
//!
//! `x` and `dy` are rows of `channels` values. The order of sums depends on sizes alone, never on the number of threads.

use std::ops::Range;

use super::parallel::for_each_chunk;
use super::simd::{Isa, Simd, dispatch};

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
pub fn moments(isa: Isa, x: &[f32], pivot: &[f32]) -> Vec<f64> {
    let channels = pivot.len();
    two_sums(
        isa,
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
pub fn gradient_sums(isa: Isa, x: &[f32], dy: &[f32], mean: &[f32]) -> Vec<f64> {
    let channels = mean.len();
    two_sums(
        isa,
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
    isa: Isa,
    rows: usize,
    channels: usize,
    add: impl Fn(usize, usize, &mut [f32], &mut [f32]) + Copy + Sync,
) -> Vec<f64> {
    let mut blocks = vec![0.0; rows.div_ceil(ROWS) * 2 * channels];
    for_each_chunk(&mut blocks, 2 * channels, &|block, sums| {
        let rows = block * ROWS..rows.min((block + 1) * ROWS);
        dispatch!(isa, |simd| add_block(simd, rows, sums, add));
    });
    let mut total = vec![0.0; 2 * channels];
    for sums in blocks.chunks_exact(2 * channels) {
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
pub fn scale_and_shift(isa: Isa, x: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32]) {
    let channels = scale.len();
    for_each_chunk(y, ROWS * channels, &|index, y| {
        let x = &x[index * ROWS * channels..][..y.len()];
        dispatch!(isa, |_simd| {
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                    *y = scale * x + shift;
                }
            }
        });
    });
}

/// `x = a dy + b (x - mean) + c`.
pub fn combine(isa: Isa, x: &mut [f32], dy: &[f32], mean: &[f32], [a, b, c]: [&[f32]; 3]) {
    let channels = mean.len();
    for_each_chunk(x, ROWS * channels, &|index, x| {
        let dy = &dy[index * ROWS * channels..][..x.len()];
        dispatch!(isa, |_simd| {
            for (x, dy) in x.chunks_exact_mut(channels).zip(dy.chunks_exact(channels)) {
                let constants = mean.iter().zip(a).zip(b).zip(c);
                for ((x, dy), (((mean, a), b), c)) in x.iter_mut().zip(dy).zip(constants) {
                    *x = a * dy + b * (*x - mean) + c;
                }
            }
        });
    });
}
