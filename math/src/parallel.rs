//! The one door to rayon's threads.
//!
//! Work is handed over as `dyn Fn`, so that rayon's machinery is compiled once and not for each loop. No function says in
//! which order its parts run: each part writes what is its own, so results do not depend on it.

use std::ops::Range;

use rayon::prelude::*;

use crate::simd::MatrixMut;

/// Calls `work` with each index below `count`.
pub fn for_each(count: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..count).into_par_iter().for_each(work);
}

/// Calls `work` with each chunk of `len` values, the last one maybe shorter, and its index.
pub fn for_each_chunk<T: Send>(values: &mut [T], len: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    values.par_chunks_mut(len).enumerate().for_each(|(index, chunk)| work(index, chunk));
}

/// Threads of the pool at hand.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// [`for_each_chunk`] of values and of the codes that belong to them, which may be empty as a whole.
pub fn for_each_chunk_with_codes(
    values: &mut [f32],
    codes: &mut [u8],
    len: usize,
    work: &(dyn Fn(usize, &mut [f32], &mut [u8]) + Sync),
) {
    if codes.is_empty() {
        return for_each_chunk(values, len, &|index, values| work(index, values, &mut []));
    }
    let chunks = values.par_chunks_mut(len).zip(codes.par_chunks_mut(len));
    chunks.enumerate().for_each(|(index, (values, codes))| work(index, values, codes));
}

/// [`for_each_chunk`] of two slices at once, as far as both go.
pub fn for_each_two_chunks(
    (a, a_len): (&mut [f32], usize),
    (b, b_len): (&mut [f32], usize),
    work: &(dyn Fn(usize, &mut [f32], &mut [f32]) + Sync),
) {
    let chunks = a.par_chunks_mut(a_len).zip(b.par_chunks_mut(b_len));
    chunks.enumerate().for_each(|(index, (a, b))| work(index, a, b));
}

/// Shares the items `items` of a matrix, each of which has `width` columns, among the threads: calls `work` with at most
/// `most` items and their columns.
pub fn for_each_columns(
    matrix: MatrixMut<'_>,
    items: Range<usize>,
    width: usize,
    most: usize,
    work: &(dyn Fn(Range<usize>, MatrixMut<'_>) + Sync),
) {
    if items.len() <= most {
        return work(items, matrix);
    }
    let half = items.len().div_ceil(most) / 2 * most;
    let (before, after) = matrix.split_columns(half * width);
    let middle = items.start + half;
    rayon::join(
        || for_each_columns(before, items.start..middle, width, most, work),
        || for_each_columns(after, middle..items.end, width, most, work),
    );
}
