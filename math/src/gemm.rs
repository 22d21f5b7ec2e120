//! General matrix multiply, `C = alpha A B + beta C`, in single precision.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

use super::simd::{Isa, MatrixMut};
use super::{backend, native, thin};

/// Who multiplies. All give the same product up to rounding; the tests hold each to the same cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Backend {
    /// floret's own: packed panels, microkernels for AVX-512, AVX2 and whatever the compiler makes of plain arrays.
    #[default]
    Native,
    /// The pure-Rust crate `matrixmultiply`.
    MatrixMultiply,
    /// The system's OpenBLAS, on one thread.
    #[cfg(feature = "openblas")]
    OpenBlas,
}

impl Backend {
    /// Every backend of this build.
    pub const ALL: &[Backend] = &[
        Backend::Native,
        Backend::MatrixMultiply,
        #[cfg(feature = "openblas")]
        Backend::OpenBlas,
    ];
}

/// `C = alpha A B + beta C` on the calling thread, by the given backend. floret's own uses the instruction set `isa`; others
/// choose for themselves.
///
/// A is m x k, B is k x n, C is m x n, each at any strides (a transposed operand is `view.t()`, no copy). With
/// `beta == 0` C is written without being read, so it may hold NaN. Any size may be 0 (an empty sum is 0).
///
/// # Panics
/// If the sizes do not agree.
pub fn gemm_with(
    backend: Backend,
    isa: Isa,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    assert_eq!(
        (a.nrows(), a.ncols(), b.ncols()),
        (c.nrows(), b.nrows(), c.ncols()),
        "sizes of A B and C differ"
    );
    if c.is_empty() {
        return;
    }
    if a.ncols() == 0 {
        // An empty sum; the backends leave this case to taste.
        if beta == 0.0 {
            c.fill(0.0)
        } else {
            c.mapv_inplace(|v| beta * v)
        }
        return;
    }
    match backend {
        Backend::Native => native(isa, alpha, a, b, beta, c),
        Backend::MatrixMultiply => backend::matrixmultiply(alpha, a, b, beta, c),
        #[cfg(feature = "openblas")]
        Backend::OpenBlas => backend::openblas(alpha, a, b, beta, c),
    }
}

/// [`Backend::Native`], which wants contiguous rows of C.
fn native(
    isa: Isa,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    if let Some(c) = MatrixMut::of(c.view_mut()) {
        native::sgemm(isa, alpha, a, b, beta, c);
    } else if let Some(transposed) = MatrixMut::of(c.view_mut().reversed_axes()) {
        native::sgemm(isa, alpha, b.t(), a.t(), beta, transposed);
    } else {
        let mut copy = c.to_owned();
        native(isa, alpha, a, b, beta, copy.view_mut());
        c.assign(&copy);
    }
}

/// [`gemm_with`] the default backend.
pub fn gemm(isa: Isa, alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, c: ArrayViewMut2<f32>) {
    gemm_with(Backend::default(), isa, alpha, a, b, beta, c);
}

/// [`gemm`] on rayon's threads, over blocks of C's rows or columns.
///
/// The result is the same for any number of threads.
pub fn par_gemm(
    isa: Isa,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    c: ArrayViewMut2<f32>,
) {
    // Blocks of at least 64: each packs its operand anew, which 64 rows or columns amortise.
    const BLOCK: usize = 64;
    let (m, n) = c.dim();
    let (axis, block) = if m >= n {
        (Axis(0), m.div_ceil(8).max(BLOCK))
    } else {
        // Of few rows the blocks are as wide as can be: each reads its columns of B from row to row. Whole vectors in all but
        // the last one leave no trace of how many there are.
        let block = if m <= thin::MOST_ROWS {
            n.div_ceil(rayon::current_num_threads()).next_multiple_of(BLOCK)
        } else {
            n.div_ceil(8).max(BLOCK)
        };
        (Axis(1), block)
    };
    for_each_block(axis, block, 0, c, &|first, c| {
        let part = first..first + c.len_of(axis);
        let (a, b) = match axis {
            Axis(0) => (a.slice(s![part, ..]), b),
            _ => (a, b.slice(s![.., part])),
        };
        gemm(isa, alpha, a, b, beta, c);
    });
}

/// Calls `work` with blocks of at most `block` rows or columns of C, which begins with number `first`, and where each begins.
fn for_each_block(
    axis: Axis,
    block: usize,
    first: usize,
    c: ArrayViewMut2<f32>,
    work: &(dyn Fn(usize, ArrayViewMut2<f32>) + Sync),
) {
    let blocks = c.len_of(axis).div_ceil(block);
    if blocks <= 1 {
        return work(first, c);
    }
    let middle = blocks / 2 * block;
    let (before, after) = c.split_at(axis, middle);
    rayon::join(
        || for_each_block(axis, block, first, before, work),
        || for_each_block(axis, block, first + middle, after, work),
    );
}

/// A slice as a row-major matrix.
///
/// # Panics
/// If the slice does not hold `rows x columns` values.
pub fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("the slice holds rows x columns values")
}

/// [`matrix`], mutable.
pub fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("the slice holds rows x columns values")
}
