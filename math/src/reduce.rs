//! Sums whose order depends on sizes alone, never on the number of threads.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::parallel::{for_each, for_each_chunk, for_each_two_chunks};
use super::simd::{Isa, Simd, dispatch};

/// Rows that one task of [`column_sums`] sums: many, so that few partial sums are added in the end.
fn sum_block(rows: usize) -> usize {
    rows.div_ceil(64).max(256)
}

/// Floats of room that [`column_sums`] works in.
pub fn column_sums_scratch(rows: usize, columns: usize) -> usize {
    rows.div_ceil(sum_block(rows)) * columns
}

/// `sums[c] = sum over rows of x[row, c]`: the gradient of a bias, where x is dy. Overwrites `sums`, which may be empty.
///
/// `scratch` holds [`column_sums_scratch`] floats.
pub fn column_sums(isa: Isa, x: &[f32], columns: usize, sums: &mut [f32], scratch: &mut [f32]) {
    if sums.is_empty() {
        return;
    }
    let rows = x.len() / columns;
    let block = sum_block(rows) * columns;
    let scratch = &mut scratch[..column_sums_scratch(rows, columns)];
    for_each_chunk(scratch, columns, &|index, partial| {
        let x = &x[index * block..][..block.min(x.len() - index * block)];
        dispatch!(isa, |simd| sum_rows_of(simd, x, partial));
    });
    add_partial_sums(scratch, sums);
}

/// [`column_sums`] of blocks that `prepare` changes first: it is called with each block of rows and the index of the block's
/// first value, whether or not there are sums to write.
pub(crate) fn prepared_column_sums(
    isa: Isa,
    x: &mut [f32],
    columns: usize,
    sums: &mut [f32],
    scratch: &mut [f32],
    prepare: &(dyn Fn(usize, &mut [f32]) + Sync),
) {
    let rows = x.len() / columns;
    let block = sum_block(rows) * columns;
    let scratch = &mut scratch[..column_sums_scratch(rows, columns)];
    for_each_two_chunks((x, block), (scratch, columns), &|index, x, partial| {
        prepare(index * block, x);
        if !sums.is_empty() {
            dispatch!(isa, |simd| sum_rows_of(simd, x, partial));
        }
    });
    add_partial_sums(scratch, sums);
}

/// Adds rows of partial sums, in their order. Overwrites `sums`.
fn add_partial_sums(partial: &[f32], sums: &mut [f32]) {
    let columns = sums.len();
    for (column, sum) in sums.iter_mut().enumerate() {
        *sum = partial.iter().skip(column).step_by(columns).map(|&v| f64::from(v)).sum::<f64>() as f32;
    }
}

/// Sums the rows of a block. Overwrites `sums`.
#[inline(always)]
fn sum_rows_of<S: Simd>(_: S, x: &[f32], sums: &mut [f32]) {
    // Many rows are added as sums of a few, which keeps float32's rounding down.
    const FEW: usize = 64;
    const STRIP: usize = 64;
    let columns = sums.len();
    for (first, sums) in (0..columns).step_by(STRIP).zip(sums.chunks_mut(STRIP)) {
        sums.fill(0.0);
        for rows in x.chunks(FEW * columns) {
            let mut few = [0.0; STRIP];
            for row in rows.chunks_exact(columns) {
                few.iter_mut().zip(&row[first..first + sums.len()]).for_each(|(s, v)| *s += v);
            }
            sums.iter_mut().zip(few).for_each(|(s, f)| *s += f);
        }
    }
}

/// Values looked at by one task.
const CHUNK: usize = 1 << 16;

/// Whether no value is infinite or NaN.
pub fn all_finite(values: &[f32]) -> bool {
    // Within a chunk without an early exit, which would keep the compiler from comparing many at once.
    let all = AtomicBool::new(true);
    for_each(values.len().div_ceil(CHUNK), &|index| {
        if all.load(Relaxed) {
            let finite = chunk(values, index).iter().fold(true, |finite, v| finite & v.is_finite());
            all.fetch_and(finite, Relaxed);
        }
    });
    all.into_inner()
}

/// `sum of v^2` over all values, in `f64`.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let chunks = values.len().div_ceil(CHUNK);
    if chunks <= 1 {
        return values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    }
    // A tree whose form depends on the number of values alone.
    let (first, second) = values.split_at(chunks / 2 * CHUNK);
    let (first, second) = rayon::join(|| sum_of_squares(first), || sum_of_squares(second));
    first + second
}

fn chunk(values: &[f32], index: usize) -> &[f32] {
    &values[index * CHUNK..values.len().min((index + 1) * CHUNK)]
}
