//! Sums and changes of each channel, the last axis: what normalisation is made of.
//!
//! `x` and `dy` are rows of `channels` values. The order of sums depends on sizes alone, never on the number of threads.

use std::ops::Range;

use super::parallel::{for_each_chunk, for_each_two_chunks};
use super::simd::{Isa, Simd, dispatch};

/// Rows of a task.
const ROWS: usize = 512;

/// Rows added in `f32` before their sum goes into one of `f64`: its error stays that of so few terms.
const FEW: usize = 32;

/// Channels whose sums are in registers and the first cache at a time.
const STRIP: usize = 64;

/// Each channel's mean and (biased) variance, in one pass. Overwrites `mean` and `variance`.
///
/// With `s = sum of (x - pivot)` and `q = sum of (x - pivot)^2` over n rows they are `pivot + s / n` and
/// `q / n - (s / n)^2`. The difference loses the digits by which `(pivot - mean)^2` is larger than the variance: none to
/// speak of for a pivot within the values' spread, where a pivot of zero loses most for channels far from it.
pub fn moments(isa: Isa, x: &[f32], pivot: &[f32], mean: &mut [f32], variance: &mut [f32]) {
    let channels = pivot.len();
    let rows = x.len() / channels;
    let n = rows as f64;
    two_sums(
        isa,
        rows,
        [mean, variance],
        |channel, first, second| {
            let shift = first / n;
            let variance = second / n - shift * shift;
            // Below zero by rounding alone; a NaN stays one.
            let variance = if variance < 0.0 { 0.0 } else { variance };
            [(f64::from(pivot[channel]) + shift) as f32, variance as f32]
        },
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

/// For each channel `centred = sum of dy (x - mean)` and `plain = sum of dy`. Overwrites `centred` and `plain`.
pub fn gradient_sums(isa: Isa, x: &[f32], dy: &[f32], mean: &[f32], centred: &mut [f32], plain: &mut [f32]) {
    let channels = mean.len();
    two_sums(
        isa,
        x.len() / channels,
        [centred, plain],
        |_, centred, plain| [centred as f32, plain as f32],
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

/// Two sums over `rows` for each channel; `finish(channel, first, second)` makes of them what is written `to`.
///
/// `add(row, first, a, b)` adds what a row has to the sums of the channels from `first` on.
pub(crate) fn two_sums(
    isa: Isa,
    rows: usize,
    to: [&mut [f32]; 2],
    finish: impl Fn(usize, f64, f64) -> [f32; 2] + Sync,
    add: impl Fn(usize, usize, &mut [f32], &mut [f32]) + Copy + Sync,
) {
    let [a, b] = to;
    for_each_two_chunks((a, STRIP), (b, STRIP), &|strip, a, b| {
        let first = strip * STRIP;
        let sums = strip_sums(0..rows, &|rows| {
            let mut sums = [[0.0; STRIP]; 2];
            dispatch!(isa, |simd| add_block(simd, rows, first, a.len(), &mut sums, add));
            sums
        });
        for (i, (a, b)) in a.iter_mut().zip(b).enumerate() {
            [*a, *b] = finish(first + i, sums[0][i], sums[1][i]);
        }
    });
}

/// Two sums for each channel of a strip.
type StripSums = [[f64; STRIP]; 2];

/// The sums of each block of rows, added as a balanced tree whose form depends on the number of rows alone.
fn strip_sums(rows: Range<usize>, block_sums: &(impl Fn(Range<usize>) -> StripSums + Sync)) -> StripSums {
    let blocks = rows.len().div_ceil(ROWS);
    if blocks <= 1 {
        return block_sums(rows);
    }
    let middle = rows.start + blocks / 2 * ROWS;
    let (mut sums, others) = rayon::join(
        || strip_sums(rows.start..middle, block_sums),
        || strip_sums(middle..rows.end, block_sums),
    );
    sums.iter_mut().flatten().zip(others.iter().flatten()).for_each(|(sum, other)| *sum += other);
    sums
}

/// Adds `rows` to the sums of the `channels` of a strip, the first of which is `first`.
#[inline(always)]
fn add_block<S: Simd>(
    _: S,
    rows: Range<usize>,
    first: usize,
    channels: usize,
    [first_sums, second_sums]: &mut StripSums,
    add: impl Fn(usize, usize, &mut [f32], &mut [f32]),
) {
    for start in rows.clone().step_by(FEW) {
        let (mut a, mut b) = ([0.0; STRIP], [0.0; STRIP]);
        let (a, b) = (&mut a[..channels], &mut b[..channels]);
        for row in start..rows.end.min(start + FEW) {
            add(row, first, a, b);
        }
        first_sums.iter_mut().zip(a).for_each(|(sum, few)| *sum += f64::from(*few));
        second_sums.iter_mut().zip(b).for_each(|(sum, few)| *sum += f64::from(*few));
    }
}

/// `y = scale x`.
pub fn scale(isa: Isa, x: &[f32], scale: &[f32], y: &mut [f32]) {
    let channels = scale.len();
    for_each_chunk(y, ROWS * channels, &|index, y| {
        let x = &x[index * ROWS * channels..][..y.len()];
        dispatch!(isa, |_simd| {
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                y.iter_mut().zip(x).zip(scale).for_each(|((y, x), scale)| *y = scale * x);
            }
        });
    });
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
