//! Products with few rows of A: each value of B is met once or a few times, so reading B as it lies is all that counts.

use ndarray::ArrayView2;

use super::simd::{Isa, Matrix, MatrixMut, Simd, dispatch};

/// Rows of A up to which [`multiply`] is the faster way: with more, the register tile's reuse of B pays for packing it.
pub(super) const MOST_ROWS: usize = 4;

/// `C += A B`, with the rows of B contiguous.
pub(super) fn multiply(isa: Isa, a: ArrayView2<f32>, b: Matrix<'_>, c: MatrixMut<'_>) {
    dispatch!(isa, |simd| multiply_with(simd, a, b, c));
}

#[inline(always)]
fn multiply_with<S: Simd>(simd: S, a: ArrayView2<f32>, b: Matrix<'_>, mut c: MatrixMut<'_>) {
    let (k, n) = (b.rows(), b.columns());
    assert!(a.dim() == (c.rows(), k) && c.columns() == n);
    let fours = k / 4 * 4;
    // Four rows of B at a time save reading and writing C as often.
    for p in (0..fours).step_by(4) {
        let rows = [b.row(p), b.row(p + 1), b.row(p + 2), b.row(p + 3)];
        for i in 0..c.rows() {
            let factors = [a[[i, p]], a[[i, p + 1]], a[[i, p + 2]], a[[i, p + 3]]];
            add_four(simd, factors, rows, c.row(i));
        }
    }
    for p in fours..k {
        for i in 0..c.rows() {
            add(simd, a[[i, p]], b.row(p), c.row(i));
        }
    }
}

/// `c += factor row`.
#[inline(always)]
fn add<S: Simd>(simd: S, factor: f32, row: &[f32], c: &mut [f32]) {
    let splat = simd.splat(factor);
    let (c, c_rest) = c.split_at_mut(c.len() / S::LANES * S::LANES);
    let (row, rest) = row.split_at(c.len());
    for (c, r) in c.chunks_exact_mut(S::LANES).zip(row.chunks_exact(S::LANES)) {
        simd.store(simd.mul_add(simd.load(r), splat, simd.load(c)), c);
    }
    c_rest.iter_mut().zip(rest).for_each(|(c, r)| *c += factor * r);
}

/// `c += the sum of factors[i] rows[i]`.
#[inline(always)]
fn add_four<S: Simd>(simd: S, factors: [f32; 4], rows: [&[f32]; 4], c: &mut [f32]) {
    let [f0, f1, f2, f3] = factors;
    let splats = [simd.splat(f0), simd.splat(f1), simd.splat(f2), simd.splat(f3)];
    let (c, c_rest) = c.split_at_mut(c.len() / S::LANES * S::LANES);
    let (r0, rest0) = rows[0].split_at(c.len());
    let (r1, rest1) = rows[1].split_at(c.len());
    let (r2, rest2) = rows[2].split_at(c.len());
    let (r3, rest3) = rows[3].split_at(c.len());
    let (left, right) = (r0.chunks_exact(S::LANES).zip(r1.chunks_exact(S::LANES)), r2.chunks_exact(S::LANES));
    let rows = left.zip(right.zip(r3.chunks_exact(S::LANES)));
    for (c, ((r0, r1), (r2, r3))) in c.chunks_exact_mut(S::LANES).zip(rows) {
        let mut sum = simd.mul_add(simd.load(r0), splats[0], simd.load(c));
        sum = simd.mul_add(simd.load(r1), splats[1], sum);
        sum = simd.mul_add(simd.load(r2), splats[2], sum);
        sum = simd.mul_add(simd.load(r3), splats[3], sum);
        simd.store(sum, c);
    }
    for (j, c) in c_rest.iter_mut().enumerate() {
        *c += f0 * rest0[j] + f1 * rest1[j] + f2 * rest2[j] + f3 * rest3[j];
    }
}
