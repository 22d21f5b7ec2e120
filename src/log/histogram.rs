//! Values counted in buckets.

/// Buckets of a histogram, as many as TensorBoard's own have.
pub(super) const BUCKETS: usize = 30;

/// Left edge, right edge and count of [`BUCKETS`] buckets of one width from the least value to the greatest, row by row;
/// TensorBoard's `tf.summary.histogram`.
///
/// A value on an edge counts to its right, the greatest to the last bucket. Where all values are the same they are in the
/// last, and every edge is that value. Values that are not finite are left out; without any other all is 0.
pub(super) fn buckets(values: impl Iterator<Item = f32> + Clone) -> Vec<f64> {
    let values = values.filter(|value| value.is_finite()).map(f64::from);
    let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
    values.clone().for_each(|value| (least, greatest) = (least.min(value), greatest.max(value)));
    if least > greatest {
        return vec![0.0; 3 * BUCKETS];
    }
    let last = BUCKETS - 1;
    let width = (greatest - least) / BUCKETS as f64;
    let mut counts = [0u64; BUCKETS];
    for value in values {
        let bucket = if width > 0.0 { ((value - least) / width) as usize } else { last };
        counts[bucket.min(last)] += 1;
    }
    let edge = |index: usize| if index > last { greatest } else { least + index as f64 * width };
    let rows = counts.iter().enumerate();
    rows.flat_map(|(index, &count)| [edge(index), edge(index + 1), count as f64]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_edges_and_values_that_are_the_same() {
        // Thirty buckets of width 1; each whole number begins one, and 30 ends the last.
        let rows = buckets((0..=30).map(|v| v as f32));
        for (index, row) in rows.chunks(3).enumerate() {
            let count = if index == 29 { 2.0 } else { 1.0 };
            assert_eq!(row, [index as f64, index as f64 + 1.0, count]);
        }
        let same = buckets([-2.5f32; 7].into_iter());
        assert_eq!(same[..3], [-2.5, -2.5, 0.0]);
        assert_eq!(same[87..], [-2.5, -2.5, 7.0]);
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(buckets(odd.into_iter()), [0.0; 90]);
        assert_eq!(buckets([].into_iter()), [0.0; 90]);
        let some = [1.0, f32::NAN, 2.0, f32::INFINITY, f32::MIN, f32::MAX];
        let rows = buckets(some.into_iter());
        assert_eq!(rows.chunks(3).map(|row| row[2]).sum::<f64>(), 4.0);
        assert_eq!((rows[0], rows[88]), (f64::from(f32::MIN), f64::from(f32::MAX)));
    }
}
