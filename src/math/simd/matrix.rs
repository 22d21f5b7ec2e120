//! A window of a row-major matrix to write to, such as a tile of C that one thread owns among others.

use std::marker::PhantomData;

use ndarray::ArrayViewMut2;

/// `rows x columns` floats in rows `row_stride` apart, borrowed mutably.
///
/// Unlike a slice it covers only its own columns, so windows side by side can be written by different threads.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `MatrixMut` is an exclusive borrow of plain floats, like `&mut [f32]`, and no two cover the same float.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// The first `rows x columns` values of a row-major slice whose rows are `row_stride` apart.
    ///
    /// # Panics
    /// If the slice is too short, or rows overlap.
    #[inline(always)]
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(rows == 0 || columns <= row_stride && (rows - 1) * row_stride + columns <= values.len());
        Self { values: values.as_mut_ptr(), rows, columns, row_stride, borrow: PhantomData }
    }

    /// An array view as such a matrix, if its rows are contiguous.
    pub fn of(mut view: ArrayViewMut2<'a, f32>) -> Option<Self> {
        let ((rows, columns), strides) = (view.dim(), view.strides());
        let contiguous = columns <= 1 || strides[1] == 1;
        // A single row has no next one, whatever its stride.
        let row_stride = if rows <= 1 { columns } else { usize::try_from(strides[0]).ok()? };
        // With distinct elements (as in any mutable view) and contiguous rows, rows can't overlap; a stride under the
        // row's length would mean interleaved single columns.
        (contiguous && row_stride >= columns).then(|| Self {
            values: view.as_mut_ptr(),
            rows,
            columns,
            row_stride,
            borrow: PhantomData,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The window of `rows x columns` values that begins at row `row` and column `column`.
    ///
    /// # Panics
    /// If it does not lie inside.
    #[inline(always)]
    pub fn window(&mut self, row: usize, column: usize, rows: usize, columns: usize) -> MatrixMut<'_> {
        assert!(row + rows <= self.rows && column + columns <= self.columns);
        // SAFETY: the offset of a value inside the matrix, or one past the last of an empty window, stays within the
        // borrowed memory.
        let values = unsafe { self.values.add(row * self.row_stride + column) };
        MatrixMut { values, rows, columns, row_stride: self.row_stride, borrow: PhantomData }
    }

    /// The columns before `column`, and the rest.
    ///
    /// # Panics
    /// If there are fewer columns.
    pub fn split_columns(self, column: usize) -> (MatrixMut<'a>, MatrixMut<'a>) {
        assert!(column <= self.columns);
        // SAFETY: as in `window`. The halves share no value: rows don't overlap.
        let right = unsafe { self.values.add(if self.rows == 0 { 0 } else { column }) };
        let half = |values, columns| MatrixMut { values, columns, borrow: PhantomData, ..self };
        (half(self.values, column), half(right, self.columns - column))
    }

    /// The rows before `row`, and the rest.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn split_rows(self, row: usize) -> (MatrixMut<'a>, MatrixMut<'a>) {
        assert!(row <= self.rows);
        // The rest may be empty: one past the last row's first value could lie outside of the memory.
        let offset = if row == self.rows { 0 } else { row * self.row_stride };
        // SAFETY: the offset of a row inside the matrix. The halves share no value.
        let below = unsafe { self.values.add(offset) };
        let half = |values, rows| MatrixMut { values, rows, borrow: PhantomData, ..self };
        (half(self.values, row), half(below, self.rows - row))
    }

    /// Row `row`.
    ///
    /// # Panics
    /// If there is none.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows);
        // SAFETY: a row's values are contiguous, inside the borrow, and borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(row * self.row_stride), self.columns) }
    }

    /// Where the values begin and the distance from row to row.
    #[inline(always)]
    pub(super) fn raw(&mut self) -> (*mut f32, usize) {
        (self.values, self.row_stride)
    }
}
