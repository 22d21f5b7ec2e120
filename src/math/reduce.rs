//! Sums whose order depends on sizes alone, never on the number of threads.

use rayon::prelude::*;

/// Rows summed by one task. Partial sums of such blocks are then added in order.
const BLOCK_ROWS: usize = 1024;

/// For each of `channels` columns, sums `values(row)` over all rows of row-major `x`, in `f64`.
///
/// `add(sums, row)` adds one row of `x` into `sums`, which has as many entries as the caller asked for.
pub fn sum_rows(
    x: &[f32],
    channels: usize,
    sums: usize,
    add: impl Fn(&mut [f64], usize, &[f32]) + Sync,
) -> Vec<f64> {
    let partial: Vec<Vec<f64>> = x
        .par_chunks(BLOCK_ROWS * channels)
        .enumerate()
        .map(|(block, rows)| {
            let mut partial = vec![0.0; sums];
            for (row, values) in rows.chunks_exact(channels).enumerate() {
                add(&mut partial, block * BLOCK_ROWS + row, values);
            }
            partial
        })
        .collect();
    let mut total = vec![0.0; sums];
    for partial in partial {
        total.iter_mut().zip(partial).for_each(|(t, p)| *t += p);
    }
    total
}

/// `db[c] = sum over rows of dy[row, c]`: the gradient of a bias. Overwrites `db`.
pub fn column_sums(dy: &[f32], db: &mut [f32]) {
    let sums = sum_rows(dy, db.len(), db.len(), |sums, _, row| {
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
    });
    db.iter_mut().zip(sums).for_each(|(d, s)| *d = s as f32);
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
    values
        .par_chunks(CHUNK)
        .map(|chunk| chunk.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>())
        .collect::<Vec<_>>()
        .iter()
        .sum()
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
