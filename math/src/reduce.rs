//! Sums whose order depends on sizes alone, never on the number of threads.

use rayon::prelude::*;

use super::simd::{Simd, dispatch};

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
/// `prepare(first, block)` may change a block of rows, the values from `first` on, before it is summed. `scratch` holds
/// [`column_sums_scratch`] floats.
pub fn column_sums(
    x: &mut [f32],
    columns: usize,
    sums: &mut [f32],
    scratch: &mut [f32],
    prepare: impl Fn(usize, &mut [f32]) + Sync,
) {
    let rows = x.len() / columns;
    let block = sum_block(rows) * columns;
    let scratch = &mut scratch[..column_sums_scratch(rows, columns)];
    let blocks = x.par_chunks_mut(block).zip(scratch.par_chunks_mut(columns)).enumerate();
    blocks.for_each(|(index, (x, partial))| {
        prepare(index * block, x);
        if !sums.is_empty() {
            dispatch!(|simd| sum_rows_of(simd, x, partial));
        }
    });
    for (column, sum) in sums.iter_mut().enumerate() {
        *sum = scratch.iter().skip(column).step_by(columns).map(|&v| f64::from(v)).sum::<f64>() as f32;
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
    values.par_chunks(CHUNK).all(|chunk| chunk.iter().fold(true, |finite, v| finite & v.is_finite()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_that_is_not_finite_is_found_wherever_it_stands() {
        let mut values = vec![f32::MAX; 2 * CHUNK + 3];
        assert!(all_finite(&values) && all_finite(&[]));
        for place in [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 2] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let good = std::mem::replace(&mut values[place], bad);
                assert!(!all_finite(&values), "{bad} at {place}");
                values[place] = good;
            }
        }
    }
}
