//! The calls into foreign matrix products: `matrixmultiply`, and the system's OpenBLAS with `--features openblas`.
//!
//! Both are C-style functions over pointers and strides, so this file holds their `unsafe` and its proofs.
#![allow(unsafe_code)]

use ndarray::{ArrayView2, ArrayViewMut2};

/// `C = alpha A B + beta C` by the crate `matrixmultiply`, on the calling thread. `beta == 0` never reads C.
pub(super) fn matrixmultiply(
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    let (a_strides, b_strides) = ([a.strides()[0], a.strides()[1]], [b.strides()[0], b.strides()[1]]);
    let c_strides = [c.strides()[0], c.strides()[1]];
    // SAFETY: the views are valid for m x k, k x n and m x n elements at the strides passed with them (the caller,
    // `gemm`, has checked that the sizes agree), and `c` is borrowed mutably, so it overlaps neither `a` nor `b` and
    // none of its elements coincide, as sgemm requires.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            alpha,
            a.as_ptr(),
            a_strides[0],
            a_strides[1],
            b.as_ptr(),
            b_strides[0],
            b_strides[1],
            beta,
            c.as_mut_ptr(),
            c_strides[0],
            c_strides[1],
        );
    }
}

#[cfg(feature = "openblas")]
pub(super) use openblas::sgemm as openblas;

#[cfg(feature = "openblas")]
mod openblas {
    extern crate blas_src as _;

    use std::sync::Once;

    use cblas_sys::{CBLAS_LAYOUT, CBLAS_TRANSPOSE, cblas_sgemm};
    use ndarray::{Array2, ArrayView2, ArrayViewMut2};

    unsafe extern "C" {
        fn openblas_set_num_threads(threads: i32);
    }

    /// `C = alpha A B + beta C` by OpenBLAS, held to one thread: its own threads would fight rayon's for the cores.
    ///
    /// BLAS wants one stride of each matrix to be 1; other operands are copied first.
    pub(crate) fn sgemm(
        alpha: f32,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        beta: f32,
        mut c: ArrayViewMut2<f32>,
    ) {
        static ONE_THREAD: Once = Once::new();
        // SAFETY: the function is OpenBLAS's own, takes a plain integer and may be called at any time.
        ONE_THREAD.call_once(|| unsafe { openblas_set_num_threads(1) });

        let ((m, k), n) = (a.dim(), b.ncols());
        if row_stride(&c.view()).is_none() {
            let mut copy = if beta == 0.0 { Array2::zeros((m, n)) } else { c.to_owned() };
            sgemm(alpha, a, b, beta, copy.view_mut());
            c.assign(&copy);
            return;
        }
        let (mut a_copy, mut b_copy) = (None, None);
        let (a, a_transposed, lda) = operand(a, &mut a_copy);
        let (b, b_transposed, ldb) = operand(b, &mut b_copy);
        let ldc = row_stride(&c.view()).expect("checked above");
        // SAFETY: `operand` returns views whose rows (columns, where transposed) are contiguous and `ld` apart, and
        // C's rows are contiguous and `ldc` apart; the sizes agree (checked by `gemm`) and fit an i32 (below). `c` is
        // borrowed mutably, so it overlaps neither operand.
        unsafe {
            cblas_sgemm(
                CBLAS_LAYOUT::CblasRowMajor,
                a_transposed,
                b_transposed,
                blas_int(m),
                blas_int(n),
                blas_int(k),
                alpha,
                a.as_ptr(),
                lda,
                b.as_ptr(),
                ldb,
                beta,
                c.as_mut_ptr(),
                ldc,
            );
        }
    }

    /// The distance of two rows if each row is contiguous, as BLAS's leading dimension.
    fn row_stride(matrix: &ArrayView2<f32>) -> Option<i32> {
        let ((rows, columns), strides) = (matrix.dim(), matrix.strides());
        let contiguous = columns <= 1 || strides[1] == 1;
        // A single row has no next one: its stride may be anything, BLAS asks for at least `columns`.
        let stride = if rows <= 1 { columns.max(1) as isize } else { strides[0] };
        (contiguous && stride >= columns.max(1) as isize).then(|| blas_int(stride as usize))
    }

    /// `matrix` as BLAS takes it: plain, transposed, or copied into `copy` where neither fits.
    fn operand<'a>(
        matrix: ArrayView2<'a, f32>,
        copy: &'a mut Option<Array2<f32>>,
    ) -> (ArrayView2<'a, f32>, CBLAS_TRANSPOSE, i32) {
        if let Some(stride) = row_stride(&matrix) {
            return (matrix, CBLAS_TRANSPOSE::CblasNoTrans, stride);
        }
        if let Some(stride) = row_stride(&matrix.t()) {
            return (matrix, CBLAS_TRANSPOSE::CblasTrans, stride);
        }
        let matrix = copy.insert(matrix.as_standard_layout().into_owned()).view();
        let stride = row_stride(&matrix).expect("a copy in standard layout has contiguous rows");
        (matrix, CBLAS_TRANSPOSE::CblasNoTrans, stride)
    }

    fn blas_int(size: usize) -> i32 {
        i32::try_from(size)
            .expect("OpenBLAS indexes with 32 bits; use the matrixmultiply backend for larger matrices")
    }
}
