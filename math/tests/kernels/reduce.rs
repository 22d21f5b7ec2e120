//! Sums over all values and over rows.

use floret_math::reduce::{all_finite, column_sums, column_sums_scratch, sum_of_squares};

use crate::sets::instruction_sets;

/// Values looked at by one task.
const CHUNK: usize = 1 << 16;

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

/// Blocks of rows and strips of columns, whole and ragged.
#[test]
fn column_sums_are_those_of_the_obvious_loop() {
    for (rows, columns) in [(1, 1), (3, 70), (256, 64), (700, 65)] {
        let x: Vec<f32> = (0..rows * columns).map(|i| ((i * 7919) % 1013) as f32 / 506.0 - 1.0).collect();
        let wanted = |c: usize| x.iter().skip(c).step_by(columns).map(|&v| f64::from(v)).sum::<f64>();
        let mut scratch = vec![f32::NAN; column_sums_scratch(rows, columns)];
        for isa in instruction_sets() {
            let mut sums = vec![f32::NAN; columns];
            column_sums(isa, &x, columns, &mut sums, &mut scratch);
            for (column, sum) in sums.iter().enumerate() {
                let error = (f64::from(*sum) - wanted(column)).abs();
                assert!(error < 1e-6 * rows as f64, "{isa:?} {rows} x {columns}: {sum}");
            }
        }
    }
}

#[test]
fn squares_are_summed_over_chunks() {
    let values = vec![2.0; 2 * CHUNK + 3];
    assert_eq!(sum_of_squares(&values), 4.0 * values.len() as f64);
    assert_eq!(sum_of_squares(&[]), 0.0);
}
