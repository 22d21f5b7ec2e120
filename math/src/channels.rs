//! Sums and changes of each channel, the last axis: what normalisation is made of.
//!
//! `x` and `dy` are rows of `channels` values. The order of sums depends on sizes alone, never on the number of threads.

use std::ops::Range;

use super::activation::Activation;
use super::parallel::{for_each_chunk, for_each_two_chunks};
use super::simd::{Isa, Matrix, MatrixMut, Simd, dispatch};

/// Rows of a task.
const ROWS: usize = 512;

/// Rows added in `f32` before their sum goes into one of `f64`: its error stays that of so few terms.
const FEW: usize = 32;

/// Channels whose sums are in the first cache at a time. Most layers have no more, so that their rows are read through; 64 at a time
/// MobileNet v2 with batch norms that train took 1.12 times as long (AVX2, medians of three).
const STRIP: usize = 256;

/// Rows of a strip that a pass over it leaves in the first cache for the next one.
const GROUP: usize = 8;

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
        |rows, first, a, b, _| {
            let n = a.len();
            let pivot = &pivot[first..][..n];
            for row in rows {
                let x = &x[row * channels + first..][..n];
                for i in 0..n {
                    let d = x[i] - pivot[i];
                    a[i] += d;
                    b[i] += d * d;
                }
            }
        },
    )
}

/// `y = f(scale x + shift)`, as [`scale_and_shift`] computes it: what the gradient of an activation behind needs.
#[derive(Debug, Clone, Copy)]
pub struct Activated<'a> {
    /// A factor of each channel.
    pub scale: &'a [f32],
    /// What is added to each channel.
    pub shift: &'a [f32],
    /// The function f.
    pub activation: Activation,
}

impl Activated<'_> {
    /// The gradient before the activation, `dz = dy f'(scale x + shift)`, of these rows and of the channels from `first` on, `n` of them.
    /// Overwrites as many rows of n values in `dz`.
    #[inline(always)]
    fn gradient<S: Simd>(
        &self,
        simd: S,
        (x, dy): (&[f32], &[f32]),
        rows: Range<usize>,
        (first, n): (usize, usize),
        dz: &mut [f32],
    ) {
        let (channels, start, len) = (self.scale.len(), rows.start * self.scale.len() + first, rows.len());
        let [x, dy] = [x, dy].map(|values| Matrix::new(&values[start..], len, n, channels));
        let factors = (&self.scale[first..][..n], &self.shift[first..][..n]);
        self.activation.gradients_of(simd, (x, dy), factors, MatrixMut::new(dz, len, n, n));
    }
}

/// For each channel `centred = sum of dz (x - mean)` and `plain = sum of dz`, where dz is `dy`, or what comes of it before an activation.
/// Overwrites `centred` and `plain`.
pub fn gradient_sums(
    isa: Isa,
    x: &[f32],
    dy: &[f32],
    mean: &[f32],
    activated: Option<Activated<'_>>,
    [centred, plain]: [&mut [f32]; 2],
) {
    let channels = mean.len();
    #[inline(always)]
    fn add(x: &[f32], dz: &[f32], mean: &[f32], a: &mut [f32], b: &mut [f32]) {
        let n = a.len();
        let (x, dz, mean) = (&x[..n], &dz[..n], &mean[..n]);
        for i in 0..n {
            a[i] += dz[i] * (x[i] - mean[i]);
            b[i] += dz[i];
        }
    }
    let finish = |_: usize, centred: f64, plain: f64| [centred as f32, plain as f32];
    let (rows, to) = (x.len() / channels, [centred, plain]);
    let Some(activated) = activated else {
        return two_sums(
            isa,
            rows,
            to,
            finish,
            #[inline(always)]
            |rows, first, a, b, _| {
                for start in rows.map(|row| row * channels + first) {
                    add(&x[start..], &dy[start..], &mean[first..], a, b);
                }
            },
        );
    };
    two_sums(
        isa,
        rows,
        to,
        finish,
        #[inline(always)]
        |rows, first, a, b, room| {
            let n = a.len();
            let dz = &mut room[..rows.len() * n];
            dispatch!(isa, |simd| activated.gradient(simd, (x, dy), rows.clone(), (first, n), dz));
            for (row, dz) in rows.zip(dz.chunks_exact(n)) {
                add(&x[row * channels + first..], dz, &mean[first..], a, b);
            }
        },
    );
}

/// Two sums over `rows` for each channel; `finish(channel, first, second)` makes of them what is written `to`.
///
/// `add(rows, first, a, b, room)` adds what [some](GROUP) rows have to the sums of the channels from `first` on.
pub(crate) fn two_sums(
    isa: Isa,
    rows: usize,
    to: [&mut [f32]; 2],
    finish: impl Fn(usize, f64, f64) -> [f32; 2] + Sync,
    add: impl Fn(Range<usize>, usize, &mut [f32], &mut [f32], &mut Room) + Copy + Sync,
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

/// A value for each channel of a strip in some rows.
type Room = [f32; GROUP * STRIP];

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
    add: impl Fn(Range<usize>, usize, &mut [f32], &mut [f32], &mut Room),
) {
    let mut room = [0.0; GROUP * STRIP];
    for start in rows.clone().step_by(FEW) {
        let (mut a, mut b) = ([0.0; STRIP], [0.0; STRIP]);
        let (a, b) = (&mut a[..channels], &mut b[..channels]);
        let end = rows.end.min(start + FEW);
        for start in (start..end).step_by(GROUP) {
            add(start..end.min(start + GROUP), first, a, b, &mut room);
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

/// `y = f(scale x + shift)`, where f is an activation or leaves values as they are.
pub fn scale_and_shift(
    isa: Isa,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Option<Activation>,
    y: &mut [f32],
) {
    let channels = scale.len();
    for_each_chunk(y, ROWS * channels, &|index, y| {
        let x = &x[index * ROWS * channels..][..y.len()];
        dispatch!(isa, |simd| match activation {
            Some(activation) => {
                let rows = y.len() / channels;
                let x = Matrix::new(x, rows, channels, channels);
                activation.values_of(simd, x, (scale, shift), MatrixMut::new(y, rows, channels, channels));
            }
            None => {
                for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                        *y = scale * x + shift;
                    }
                }
            }
        });
    });
}

/// `x = a dz + b (x - mean) + c`, where dz is `dy`, or what comes of it before an activation.
pub fn combine(
    isa: Isa,
    x: &mut [f32],
    dy: &[f32],
    mean: &[f32],
    activated: Option<Activated<'_>>,
    [a, b, c]: [&[f32]; 3],
) {
    let row = |first: usize, x: &mut [f32], dz: &[f32]| {
        let constants = mean[first..].iter().zip(&a[first..]).zip(&b[first..]).zip(&c[first..]);
        for ((x, dz), (((mean, a), b), c)) in x.iter_mut().zip(dz).zip(constants) {
            *x = a * dz + b * (*x - mean) + c;
        }
    };
    if let Some(activated) = activated {
        return replace(isa, x, dy, activated, row);
    }
    let channels = mean.len();
    for_each_chunk(x, ROWS * channels, &|index, x| {
        let dy = &dy[index * ROWS * channels..][..x.len()];
        dispatch!(isa, |_simd| {
            x.chunks_exact_mut(channels).zip(dy.chunks_exact(channels)).for_each(|(x, dy)| row(0, x, dy));
        });
    });
}

/// `x = scale dz`: the gradient of `y = f(scale x + shift)` for constants.
pub fn scale_activated(isa: Isa, x: &mut [f32], dy: &[f32], activated: Activated<'_>) {
    replace(
        isa,
        x,
        dy,
        activated,
        #[inline(always)]
        |first, x, dz| {
            x.iter_mut().zip(dz).zip(&activated.scale[first..]).for_each(|((x, dz), scale)| *x = scale * dz)
        },
    );
}

/// Calls `row(first, x, dz)` with each row's channels from `first` on, as many as a [strip](STRIP) has or there are.
fn replace(
    isa: Isa,
    x: &mut [f32],
    dy: &[f32],
    activated: Activated<'_>,
    row: impl Fn(usize, &mut [f32], &[f32]) + Sync,
) {
    let channels = activated.scale.len();
    for_each_chunk(x, ROWS * channels, &|index, x| {
        let dy = &dy[index * ROWS * channels..][..x.len()];
        let rows = x.len() / channels;
        dispatch!(isa, |simd| {
            let mut room: Room = [0.0; GROUP * STRIP];
            for start in (0..rows).step_by(GROUP) {
                let group = start..rows.min(start + GROUP);
                for first in (0..channels).step_by(STRIP) {
                    let n = STRIP.min(channels - first);
                    let dz = &mut room[..group.len() * n];
                    activated.gradient(simd, (x, dy), group.clone(), (first, n), dz);
                    for (at, dz) in group.clone().zip(dz.chunks_exact(n)) {
                        row(first, &mut x[at * channels + first..][..n], dz);
                    }
                }
            }
        });
    });
}
