//! Sizes that no memory holds are refused before a pointer is made from them, also where the arithmetic on them overflows.
//!
//! The messages are part of the tests: with overflow checks, as in debug builds, an unchecked product would panic too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use floret_math::simd::{
    Grid, GridMut, Matrix, MatrixMut, PanelLayout, Portable, Simd, Store, multiply_rows, multiply_tile,
    transpose,
};

const HALF: usize = 1 << (usize::BITS - 1);

fn take<T>(_: T) {}

#[track_caller]
fn refused(what: &str, f: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("sizes beyond the slice were taken");
    let message = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    assert!(message.contains(what), "`{message}` does not say `{what}`");
}

#[test]
fn matrices_that_reach_beyond_their_slice() {
    let refused = |f: &mut dyn FnMut()| refused("a matrix within its slice", f);
    let mut values = [0.0f32; 4];
    // (rows - 1) row_stride is 2^64, then 2^64 - 1 with one column more.
    for (rows, columns, stride) in [
        ((1 << 24) + 1, 1, 1 << 40),
        (2, 2, usize::MAX),
        (3, 1, HALF),
        (2, usize::MAX, usize::MAX),
        (2, 3, 2),
    ] {
        refused(&mut || take(Matrix::new(&values, rows, columns, stride)));
        refused(&mut || take(MatrixMut::new(&mut values, rows, columns, stride)));
    }
    // Rows that overlap would be two mutable borrows of one value.
    refused(&mut || take(MatrixMut::new(&mut values, 2, 2, 1)));
    assert_eq!(Matrix::new(&values, 2, 2, 1).row(1).len(), 2);
}

#[test]
fn windows_that_reach_beyond_their_matrix() {
    let refused = |f: &mut dyn FnMut()| refused("a window of its matrix", f);
    let mut values = [0.0f32; 6];
    for (row, column, rows, columns) in [
        (usize::MAX, 0, 1, 1),
        (usize::MAX, 0, 2, 1),
        (0, usize::MAX, 1, 1),
        (0, usize::MAX, 1, 3),
        (2, 0, 1, 1),
        (0, 3, 1, 1),
    ] {
        refused(&mut || take(Matrix::new(&values, 2, 3, 3).window(row, column, rows, columns)));
        refused(&mut || take(MatrixMut::new(&mut values, 2, 3, 3).window(row, column, rows, columns)));
    }
    // Empty ones have a place behind the last row.
    assert_eq!(Matrix::new(&values, 2, 3, 3).window(2, 3, 0, 0).rows(), 0);
    let (above, below) = MatrixMut::new(&mut values, 2, 3, 3).split_rows(2);
    assert_eq!((above.rows(), below.rows()), (2, 0));
}

#[test]
fn grids_that_reach_beyond_their_slice() {
    let mut values = [0.0f32; 8];
    for (size, strides, len) in [
        ((2, 2), (HALF, HALF), 1),
        ((3, 1), (HALF, 1), 1),
        ((1, 2), (1, usize::MAX), 1),
        ((2, 2), (4, 2), 3),
        ((1, 1), (1, 1), 9),
    ] {
        let what = "a grid within its slice";
        refused(what, || take(Grid::new(&values, size, strides, len)));
        refused(what, || take(GridMut::new(&mut values, size, strides, len)));
    }
    for (size, rows) in [((HALF, 2), 0), ((HALF + 1, 2), 2), ((0, 5), 0), ((2, 2), 3)] {
        let grid = |values: &mut [f32]| take(MatrixMut::new(values, rows, 2, 2).grid(0, size, 1));
        refused("a grid of all rows", || grid(&mut values));
    }
    for (column, len) in [(usize::MAX, 1), (usize::MAX, 3), (1, 2)] {
        let grid = |values: &mut [f32]| take(MatrixMut::new(values, 4, 2, 2).grid(column, (2, 2), len));
        refused("a window of its matrix", || grid(&mut values));
    }
}

#[test]
fn transposes_beyond_their_slice() {
    let values = [0.0f32; 3];
    let simd = Portable::new().unwrap();
    let mut to = [0.0f32; 8];
    // (columns - 1) to_stride is 2^64.
    let from = Matrix::new(&values, 1, 3, 3);
    refused("a transposed matrix within its slice", || transpose(simd, from, &mut to, HALF));
    refused("a transposed matrix within its slice", || transpose(simd, from, &mut to, 4));
    refused("rows that don't overlap", || transpose(simd, Matrix::new(&values, 2, 2, 1), &mut to, 1));
}

#[test]
fn panels_beyond_their_slice() {
    let simd = Portable::new().unwrap();
    let (a, b) = ([0.0f32; 32], [0.0f32; 32]);
    let mut c = [0.0f32; 8];
    let mut tile = |k, layout, b_stride| {
        let c = MatrixMut::new(&mut c, 1, 8, 8);
        multiply_tile(simd, k, &a, layout, &b, b_stride, c, Store::Overwrite);
    };
    let rows = PanelLayout::Rows { stride: 4 };
    // (k - 1) b_stride is 2^64.
    refused("a panel of B", || tile(3, rows, HALF));
    refused("a panel of B", || tile(2, rows, 25));
    tile(2, rows, 24);
    for (k, layout) in [
        (3, PanelLayout::Columns { stride: HALF }),
        // (k - 1) stride + 1 is 2^64.
        (2, PanelLayout::Columns { stride: usize::MAX }),
        (3, PanelLayout::Runs { stride: 1, run: 1, run_stride: HALF }),
        (4, PanelLayout::Runs { stride: 1, run: 3, run_stride: 0 }),
        (2, PanelLayout::Runs { stride: 1, run: 0, run_stride: 0 }),
        (33, PanelLayout::Rows { stride: 0 }),
        (9, PanelLayout::Blocked),
        // k / LANES * mr * LANES is 3 * 2^64.
        (HALF + 1, PanelLayout::Blocked),
    ] {
        refused("a panel of A", || tile(k, layout, 0));
    }
    let matrix = Matrix::new(&a, 1, 3, 3);
    let c = MatrixMut::new(&mut c, 1, 8, 8);
    refused("a panel of B", || multiply_rows(simd, matrix, &b, HALF, c, Store::Overwrite));
}
