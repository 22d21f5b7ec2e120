//! Windows of row-major matrices: to read from, or to write to, such as a tile of C that one thread owns among others.

use std::marker::PhantomData;

use ndarray::{ArrayView2, ArrayViewMut2};

/// `rows x columns` values in rows `row_stride` apart.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: *const f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    borrow: PhantomData<&'a [f32]>,
}

impl<'a> Matrix<'a> {
    /// The first `rows x columns` values of a row-major slice whose rows are `row_stride` apart.
    ///
    /// # Panics
    /// If the slice is too short.
    #[inline(always)]
    pub fn new(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(rows_fit(values.len(), rows, columns, row_stride), "a matrix within its slice");
        Self { values: values.as_ptr(), rows, columns, row_stride, borrow: PhantomData }
    }

    /// An array view as such a matrix, if its rows are contiguous.
    pub fn of(view: ArrayView2<'a, f32>) -> Option<Self> {
        let row_stride = row_stride(view.dim(), view.strides())?;
        let (rows, columns) = view.dim();
        Some(Self { values: view.as_ptr(), rows, columns, row_stride, borrow: PhantomData })
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
    pub fn window(&self, row: usize, column: usize, rows: usize, columns: usize) -> Matrix<'a> {
        assert_window((self.rows, self.columns), (row, column), (rows, columns));
        let values = self.values.wrapping_add(window_offset(row, column, self.row_stride));
        Matrix { values, rows, columns, ..*self }
    }

    /// Row `row`.
    ///
    /// # Panics
    /// If there is none.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [f32] {
        assert!(row < self.rows);
        // SAFETY: a row's values are contiguous and inside the borrow: `new` or the array view checked the last row's.
        unsafe { std::slice::from_raw_parts(self.values.add(row * self.row_stride), self.columns) }
    }

    /// Where the values begin and the distance from row to row.
    #[inline(always)]
    pub(super) fn raw(&self) -> (*const f32, usize) {
        (self.values, self.row_stride)
    }
}

/// `rows x columns` values in rows `row_stride` apart, borrowed mutably.
///
/// Unlike a slice it covers only its own columns, so windows side by side can be written by different threads.
#[derive(Debug)]
pub struct MatrixMut<'a, T = f32> {
    values: *mut T,
    rows: usize,
    columns: usize,
    row_stride: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: a `MatrixMut` is an exclusive borrow of plain values, like `&mut [T]`, and no two cover the same value.
unsafe impl<T: Send> Send for MatrixMut<'_, T> {}

impl<'a, T> MatrixMut<'a, T> {
    /// The first `rows x columns` values of a row-major slice whose rows are `row_stride` apart.
    ///
    /// # Panics
    /// If the slice is too short, or rows overlap.
    #[inline(always)]
    pub fn new(values: &'a mut [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        let fits = rows_fit(values.len(), rows, columns, row_stride);
        assert!(fits && (rows == 0 || columns <= row_stride), "a matrix within its slice");
        Self { values: values.as_mut_ptr(), rows, columns, row_stride, borrow: PhantomData }
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
    pub fn window(&mut self, row: usize, column: usize, rows: usize, columns: usize) -> MatrixMut<'_, T> {
        assert_window((self.rows, self.columns), (row, column), (rows, columns));
        let values = self.values.wrapping_add(window_offset(row, column, self.row_stride));
        MatrixMut { values, rows, columns, row_stride: self.row_stride, borrow: PhantomData }
    }

    /// The columns before `column`, and the rest.
    ///
    /// # Panics
    /// If there are fewer columns.
    pub fn split_columns(self, column: usize) -> (Self, Self) {
        assert!(column <= self.columns);
        // The halves share no value: rows don't overlap.
        let right = self.values.wrapping_add(column);
        let half = |values, columns| MatrixMut { values, columns, borrow: PhantomData, ..self };
        (half(self.values, column), half(right, self.columns - column))
    }

    /// The rows before `row`, and the rest.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn split_rows(self, row: usize) -> (Self, Self) {
        assert!(row <= self.rows);
        // The halves share no value.
        let below = self.values.wrapping_add(window_offset(row, 0, self.row_stride));
        let half = |values, rows| MatrixMut { values, rows, borrow: PhantomData, ..self };
        (half(self.values, row), half(below, self.rows - row))
    }

    /// Row `row`.
    ///
    /// # Panics
    /// If there is none.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows);
        // SAFETY: a row's values are contiguous, inside the borrow as in `Matrix::row`, and borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(row * self.row_stride), self.columns) }
    }

    /// Where the values begin and the distance from row to row.
    #[inline(always)]
    pub(super) fn raw(&mut self) -> (*mut T, usize) {
        (self.values, self.row_stride)
    }
}

impl<'a> MatrixMut<'a> {
    /// An array view as such a matrix, if its rows are contiguous.
    pub fn of(mut view: ArrayViewMut2<'a, f32>) -> Option<Self> {
        let row_stride = row_stride(view.dim(), view.strides())?;
        let (rows, columns) = view.dim();
        // With distinct elements (as in any mutable view) and contiguous rows, rows can't overlap; a stride under the
        // row's length would mean interleaved single columns.
        (row_stride >= columns).then(|| Self {
            values: view.as_mut_ptr(),
            rows,
            columns,
            row_stride,
            borrow: PhantomData,
        })
    }

    /// Runs of `len` values of all rows that begin at column `column`, as a grid of `size` with its rows one after another.
    ///
    /// # Panics
    /// If there are other than `size.0 * size.1` rows, or fewer columns.
    #[inline(always)]
    pub fn grid(&mut self, column: usize, size: (usize, usize), len: usize) -> GridMut<'_> {
        assert!(self.rows > 0 && size.0.checked_mul(size.1) == Some(self.rows), "a grid of all rows");
        assert_window((self.rows, self.columns), (0, column), (self.rows, len));
        // Run (i, j) lies in row `i size.1 + j`. With a single row of runs the first stride is not used, and may be any.
        let values = self.values.wrapping_add(column);
        let strides = opaque((size.1.wrapping_mul(self.row_stride), self.row_stride));
        GridMut { values, size, strides, len, borrow: PhantomData }
    }
}

/// Whether `held` values hold the last of `rows x columns` in rows `row_stride` apart.
#[inline(always)]
fn rows_fit(held: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    let last = |before: usize| before.checked_mul(row_stride)?.checked_add(columns);
    rows.checked_sub(1).is_none_or(|before| last(before).is_some_and(|end| end <= held))
}

/// Where a window begins. With no rows it may begin outside of the memory, or anywhere: nothing of it is read.
#[inline(always)]
fn window_offset(row: usize, column: usize, row_stride: usize) -> usize {
    row.wrapping_mul(row_stride).wrapping_add(column)
}

#[inline(always)]
fn assert_window(size: (usize, usize), at: (usize, usize), window: (usize, usize)) {
    let within = |size: usize, at: usize, len: usize| at <= size && len <= size - at;
    assert!(within(size.0, at.0, window.0) && within(size.1, at.1, window.1), "a window of its matrix");
}

/// The distance from row to row of a view whose rows are contiguous and follow one another upwards.
fn row_stride((rows, columns): (usize, usize), strides: &[isize]) -> Option<usize> {
    if columns > 1 && strides[1] != 1 {
        return None;
    }
    // A single row has no next one, whatever its stride.
    if rows <= 1 { Some(columns) } else { usize::try_from(strides[0]).ok() }
}

/// Runs of `len` values at regular distances: run (i, j) begins at `i * row_stride + j * column_stride`.
///
/// Where sizes and indices are constants the checks of [`run`](Self::run) vanish, and with them the address arithmetic.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    values: *const f32,
    size: (usize, usize),
    strides: (usize, usize),
    len: usize,
    borrow: PhantomData<&'a [f32]>,
}

impl<'a> Grid<'a> {
    /// A grid of `size` (rows, columns) runs.
    ///
    /// # Panics
    /// If the slice does not hold the last one.
    #[inline(always)]
    pub fn new(values: &'a [f32], size: (usize, usize), strides: (usize, usize), len: usize) -> Self {
        assert_holds(values.len(), size, strides, len);
        let strides = opaque(strides);
        Self { values: values.as_ptr(), size, strides, len, borrow: PhantomData }
    }

    /// Run (i, j).
    ///
    /// # Panics
    /// If there is none.
    #[inline(always)]
    pub fn run(&self, i: usize, j: usize) -> &'a [f32] {
        assert!(i < self.size.0 && j < self.size.1);
        // SAFETY: the run farthest behind was checked, and strides are not negative.
        unsafe {
            let first = self.values.add(i * self.strides.0 + j * self.strides.1);
            std::slice::from_raw_parts(first, self.len)
        }
    }
}

/// [`Grid`], mutable.
#[derive(Debug)]
pub struct GridMut<'a> {
    values: *mut f32,
    size: (usize, usize),
    strides: (usize, usize),
    len: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a> GridMut<'a> {
    /// A grid of `size` (rows, columns) runs.
    ///
    /// # Panics
    /// If the slice does not hold the last one.
    #[inline(always)]
    pub fn new(values: &'a mut [f32], size: (usize, usize), strides: (usize, usize), len: usize) -> Self {
        assert_holds(values.len(), size, strides, len);
        let strides = opaque(strides);
        Self { values: values.as_mut_ptr(), size, strides, len, borrow: PhantomData }
    }

    /// Rows and columns of runs.
    #[inline(always)]
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Values of a run.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where the values begin and the distances from row to row and from column to column.
    #[inline(always)]
    pub(super) fn raw(&mut self) -> (*mut f32, (usize, usize)) {
        (self.values, self.strides)
    }

    /// Run (i, j).
    ///
    /// # Panics
    /// If there is none.
    #[inline(always)]
    pub fn run(&mut self, i: usize, j: usize) -> &mut [f32] {
        assert!(i < self.size.0 && j < self.size.1);
        // SAFETY: as in `Grid::run`; `&mut self` lends one run at a time.
        unsafe {
            let first = self.values.add(i * self.strides.0 + j * self.strides.1);
            std::slice::from_raw_parts_mut(first, self.len)
        }
    }
}

/// The same strides, of which the compiler knows nothing beforehand.
///
/// Else it keeps a pointer for each place of a grid through the loop around it, sixty-four in memory that are all moved on
/// from tile to tile; so it adds up each address where it needs it, which costs far less.
#[inline(always)]
fn opaque(strides: (usize, usize)) -> (usize, usize) {
    (std::hint::black_box(strides.0), std::hint::black_box(strides.1))
}

#[inline(always)]
fn assert_holds(held: usize, (rows, columns): (usize, usize), strides: (usize, usize), len: usize) {
    assert!(rows > 0 && columns > 0);
    let farthest = (rows - 1).checked_mul(strides.0).zip((columns - 1).checked_mul(strides.1));
    let end = farthest.and_then(|(i, j)| i.checked_add(j)?.checked_add(len));
    assert!(end.is_some_and(|end| end <= held), "a grid within its slice");
}
