//! Transposed copies.

use super::{Matrix, Simd};

/// `to[j to_stride + i] = from[i][j]`.
///
/// # Panics
/// If `to` is too short, or its rows overlap.
#[inline(always)]
pub fn transpose<S: Simd>(simd: S, from: Matrix<'_>, to: &mut [f32], to_stride: usize) {
    let (rows, columns) = (from.rows(), from.columns());
    if rows == 0 || columns == 0 {
        return;
    }
    let end = (columns - 1).checked_mul(to_stride).and_then(|last| last.checked_add(rows));
    assert!(rows <= to_stride || columns == 1, "rows that don't overlap");
    assert!(end.is_some_and(|end| end <= to.len()), "a transposed matrix within its slice");
    for i in (0..rows).step_by(S::LANES) {
        for j in (0..columns).step_by(S::LANES) {
            let (height, width) = (S::LANES.min(rows - i), S::LANES.min(columns - j));
            if (height, width) == (S::LANES, S::LANES) {
                // SAFETY: all of the square lies within the rows and columns of both sides.
                unsafe {
                    let (values, stride) = from.raw();
                    let to = to.as_mut_ptr().add(j * to_stride + i);
                    simd.transpose_ptr(values.add(i * stride + j), stride, to, to_stride);
                }
                continue;
            }
            for i in i..i + height {
                for (j, value) in
                    from.row(i)[j..j + width].iter().enumerate().map(|(at, value)| (j + at, value))
                {
                    to[j * to_stride + i] = *value;
                }
            }
        }
    }
}
