//! Channels, the last axis, in another order or some of them: copies only.
//!
//! `x` and `y` are rows of channels, one after another.

use std::ops::Range;

use super::parallel::for_each_chunk;

/// Values of a task, about.
const CHUNK: usize = 1 << 14;

/// Rows of so many values that a task takes.
fn rows(channels: usize) -> usize {
    CHUNK.div_ceil(channels)
}

/// `y[row, i] = x[row, part.start + i]`: the channels `part` of the `channels` of x. Overwrites `y`.
pub fn take(x: &[f32], channels: usize, part: Range<usize>, y: &mut [f32]) {
    let rows = rows(channels);
    for_each_chunk(y, rows * part.len(), &|index, y| {
        let x = x[index * rows * channels..].chunks_exact(channels);
        for (y, x) in y.chunks_exact_mut(part.len()).zip(x) {
            y.copy_from_slice(&x[part.clone()]);
        }
    });
}

/// The reverse of [`take`]: `x[row, part.start + i] = y[row, i]`. Other channels of x stay.
pub fn put(y: &[f32], x: &mut [f32], channels: usize, part: Range<usize>) {
    let rows = rows(channels);
    for_each_chunk(x, rows * channels, &|index, x| {
        let y = y[index * rows * part.len()..].chunks_exact(part.len());
        for (x, y) in x.chunks_exact_mut(channels).zip(y) {
            x[part.clone()].copy_from_slice(y);
        }
    });
}

/// `y[row, j groups + i] = x[row, i (channels / groups) + j]`: one channel of each group after another. Overwrites `y`.
///
/// Its reverse is a shuffle of `channels / groups` groups.
pub fn shuffle(x: &[f32], channels: usize, groups: usize, y: &mut [f32]) {
    let (rows, size) = (rows(channels), channels / groups);
    for_each_chunk(y, rows * channels, &|index, y| {
        let x = x[index * rows * channels..].chunks_exact(channels);
        for (y, x) in y.chunks_exact_mut(channels).zip(x) {
            for (j, y) in y.chunks_exact_mut(groups).enumerate() {
                y.iter_mut().zip(x[j..].iter().step_by(size)).for_each(|(y, x)| *y = *x);
            }
        }
    });
}
