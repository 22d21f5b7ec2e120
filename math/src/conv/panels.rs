//! The filter as the register tile reads it: panels of `nr` columns, each row by row.

use super::tile_columns;
use crate::parallel::for_each_chunk;
use crate::simd::{Isa, Matrix, Simd, dispatch, transpose};

/// Floats of a packed matrix of `k` rows and `n` columns.
pub fn packed_len(isa: Isa, k: usize, n: usize) -> usize {
    k * n.next_multiple_of(tile_columns(isa))
}

/// Packs `w` (k x n). Overwrites `to`, columns behind the last with zeros.
pub fn pack(isa: Isa, w: &[f32], k: usize, n: usize, to: &mut [f32]) {
    let nr = tile_columns(isa);
    for_each_chunk(to, k * nr, &|panel, packed| {
        let columns = panel * nr..n.min(panel * nr + nr);
        for (row, to) in w.chunks_exact(n).zip(packed.chunks_exact_mut(nr)) {
            to[..columns.len()].copy_from_slice(&row[columns.clone()]);
            to[columns.len()..].fill(0.0);
        }
    });
}

/// Packs the transpose of `w` (n x k). Overwrites `to`, columns behind the last with zeros.
pub fn pack_transposed(isa: Isa, w: &[f32], n: usize, k: usize, to: &mut [f32]) {
    let nr = tile_columns(isa);
    for_each_chunk(to, k * nr, &|panel, packed| {
        let columns = nr.min(n - panel * nr);
        if columns < nr {
            packed.fill(0.0);
        }
        let rows = Matrix::new(&w[panel * nr * k..], columns, k, k);
        dispatch!(isa, |simd| transposed(simd, rows, packed));
    });
}

#[inline(always)]
fn transposed<S: Simd>(simd: S, rows: Matrix<'_>, to: &mut [f32]) {
    transpose(simd, rows, to, S::TILE.1 * S::LANES);
}
