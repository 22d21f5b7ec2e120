//! Transposed copies.

use floret_math::simd::{Isa, Matrix, Portable, Simd, transpose};

use crate::sets::instruction_sets;

/// The transpose on an instruction set.
fn run(isa: Isa, from: Matrix<'_>, to: &mut [f32], stride: usize) {
    fn with<S: Simd>(from: Matrix<'_>, to: &mut [f32], stride: usize) {
        let simd = S::new().expect("an instruction set that this processor has");
        simd.vectorize(
            #[inline(always)]
            || transpose(simd, from, to, stride),
        );
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => with::<floret_math::simd::Avx512>(from, to, stride),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => with::<floret_math::simd::Avx2>(from, to, stride),
        _ => with::<Portable>(from, to, stride),
    }
}

#[test]
fn every_value_changes_row_for_column_and_nothing_else_is_touched() {
    for isa in instruction_sets() {
        for (rows, columns) in [(1, 1), (3, 40), (16, 16), (33, 17), (48, 8), (0, 5), (5, 0)] {
            let (from_stride, to_stride) = (columns + 3, rows + 2);
            let from: Vec<f32> = (0..rows * from_stride).map(|v| v as f32).collect();
            let mut to = vec![-1.0; columns * to_stride];
            run(isa, Matrix::new(&from, rows, columns, from_stride), &mut to, to_stride);
            for (at, &value) in to.iter().enumerate() {
                let (j, i) = (at / to_stride, at % to_stride);
                let want = if i < rows { from[i * from_stride + j] } else { -1.0 };
                assert_eq!(value, want, "{isa:?} {rows}x{columns}: row {j}, column {i}");
            }
        }
    }
}
