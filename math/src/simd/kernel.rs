//! The matrix product's register tile: the innermost loop of everything that multiplies matrices here.
//!
//! A tile of C, at most `mr` rows by `nr` columns ([`Simd::TILE`]), stays in registers while the loop runs along k: each
//! step loads `nr` values of B's row and, for each row of A, broadcasts one value and multiplies and adds.

use super::{GridMut, Matrix, MatrixMut, Simd};

/// How a panel of A (at most `mr` rows) lies in memory. Both ways have a constant distance from row to row, which leaves
/// the address arithmetic to the instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanelLayout {
    /// `[k / LANES][mr][LANES]`: for each block of `LANES` steps of k, row after row. Row-contiguous sources are copied to
    /// it vector by vector.
    Blocked,
    /// `[k][stride]`: for each step of k, the values of all rows side by side. Column-contiguous sources lie so already.
    Columns {
        /// Distance from one step of k to the next.
        stride: usize,
    },
    /// `[k / run][..][run]`: runs of `run` contiguous steps of k, `run_stride` apart; row i begins `stride` behind row
    /// i - 1, within the same values. Patches of an image with few channels lie so already.
    Runs {
        /// Distance from row to row.
        stride: usize,
        /// Steps in a run; divides k.
        run: usize,
        /// Distance from run to run.
        run_stride: usize,
    },
    /// `[mr][stride]`: row after row, as in a row-major matrix.
    Rows {
        /// Distance from row to row.
        stride: usize,
    },
}

/// What the tile does to C.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Store<'a> {
    /// `C = A B`; C is not read.
    Overwrite,
    /// `C += A B`.
    Add,
    /// `C = A B + bias`, or `C += A B + bias`, held between two bounds. A NaN stays one. A reference, so that the other
    /// two are handed to the kernel in registers.
    Bounded(&'a Bounded<'a>),
}

/// What [`Store::Bounded`] adds and holds C to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded<'a> {
    /// Whether C is added.
    pub adds: bool,
    /// One value for each of the tile's columns, or none.
    pub bias: &'a [f32],
    /// The least and the largest value.
    pub bounds: (f32, f32),
}

impl Store<'_> {
    #[inline(always)]
    fn adds(self) -> bool {
        match self {
            Store::Overwrite => false,
            Store::Add => true,
            Store::Bounded(bounded) => bounded.adds,
        }
    }

    /// Whether it has a bias for each of so many columns, if any.
    #[inline(always)]
    fn fits(self, columns: usize) -> bool {
        match self {
            Store::Bounded(Bounded { bias, .. }) => bias.is_empty() || bias.len() >= columns,
            _ => true,
        }
    }
}

/// Multiplies a panel of A by a panel of B into a tile of C, over `k` steps.
///
/// `a` lies as `layout` says, for panels of `mr` rows. Row p of `b` begins at `p * b_stride` and has `nr` readable values,
/// of which only the tile's columns count.
///
/// # Panics
/// If a slice is too short for what is asked of it, or C is no tile (1 to `mr` rows, 1 to `nr` columns).
#[allow(clippy::too_many_arguments, reason = "three operands with their layouts")]
#[inline(always)]
pub fn multiply_tile<S: Simd>(
    simd: S,
    k: usize,
    a: &[f32],
    layout: PanelLayout,
    b: &[f32],
    b_stride: usize,
    mut c: MatrixMut<'_>,
    store: Store<'_>,
) {
    let (mr, nv) = S::TILE;
    let nr = nv * S::LANES;
    let (rows, columns) = (c.rows(), c.columns());
    assert!((1..=mr).contains(&rows) && (1..=nr).contains(&columns) && store.fits(columns));
    if k == 0 {
        let nothing = [0.0; MOST_TILE_VALUES];
        (0..rows).for_each(|i| store_row(c.row(i), &nothing, store));
        return;
    }
    assert!(holds(b.len(), [(k, b_stride)], nr), "a panel of B within its slice");
    let held = match layout {
        PanelLayout::Blocked => {
            // Of the last block, whole or not, the kernel reads `rows` rows only.
            let last = (k - 1) % S::LANES + 1;
            holds(a.len(), [(k.div_ceil(S::LANES), mr * S::LANES), (rows, S::LANES)], last)
        }
        PanelLayout::Columns { stride } => holds(a.len(), [(k, stride)], rows),
        PanelLayout::Runs { stride, run, run_stride } => {
            k.is_multiple_of(run) && holds(a.len(), [(k / run, run_stride), (rows, stride)], run)
        }
        PanelLayout::Rows { stride } => holds(a.len(), [(rows, stride)], k),
    };
    assert!(held, "a panel of A within its slice");
    // SAFETY: the assertions above are the duties of `run_tile`.
    unsafe { run_tile(simd, k, a.as_ptr(), layout, b.as_ptr(), b_stride, c, store) }
}

/// Whether `held` values hold the last `len` at these numbers, all over 0, of strides.
#[inline(always)]
fn holds<const N: usize>(held: usize, steps: [(usize, usize); N], len: usize) -> bool {
    let mut end = Some(len);
    for (count, stride) in steps {
        end = end.zip((count - 1).checked_mul(stride)).and_then(|(end, last)| end.checked_add(last));
    }
    end.is_some_and(|end| end <= held)
}

/// [`multiply_tile`] with the rows of A read where they lie.
///
/// # Panics
/// As [`multiply_tile`], and if A and C have different numbers of rows.
#[inline(always)]
pub fn multiply_rows<S: Simd>(
    simd: S,
    a: Matrix<'_>,
    b: &[f32],
    b_stride: usize,
    c: MatrixMut<'_>,
    store: Store<'_>,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let (rows, k) = (a.rows(), a.columns());
    assert!((1..=mr).contains(&rows) && rows == c.rows() && (1..=nr).contains(&c.columns()));
    assert!(store.fits(c.columns()));
    assert!(k > 0 && holds(b.len(), [(k, b_stride)], nr), "a panel of B within its slice");
    let (a, stride) = a.raw();
    // SAFETY: the assertions above are the duties of `run_tile`.
    unsafe { run_tile(simd, k, a, PanelLayout::Rows { stride }, b.as_ptr(), b_stride, c, store) }
}

/// [`multiply_rows`] into strips: vector v of row i of the product is run (i, v) of `c`, whose runs have as many values as a vector.
///
/// # Panics
/// As [`multiply_rows`], and if a bias has other than a value for each lane.
#[inline(always)]
pub fn multiply_strips<S: Simd>(
    simd: S,
    a: Matrix<'_>,
    b: &[f32],
    b_stride: usize,
    mut c: GridMut<'_>,
    store: Store<'_>,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let ((rows, k), (c_rows, vectors), len) = ((a.rows(), a.columns()), c.size(), c.len());
    assert!((1..=mr).contains(&rows) && rows == c_rows && (1..=2).contains(&vectors) && len == S::LANES);
    assert!(k > 0 && holds(b.len(), [(k, b_stride)], nr), "a panel of B within its slice");
    assert!(store.fits(vectors * S::LANES));
    let (a, stride) = a.raw();
    let layout = PanelLayout::Rows { stride };
    // SAFETY: the assertions above are the duties of `run`; a grid's runs lie in its slice.
    unsafe {
        if has_kernel::<S>((rows, vectors)) {
            let (c, c_strides) = c.raw();
            run_sized(simd, (rows, vectors), k, a, layout, b.as_ptr(), b_stride, c, c_strides, store);
            return;
        }
        let mut beside = [0.0; MOST_TILE_VALUES];
        let strides = (nr, S::LANES);
        run_sized(
            simd,
            (rows, 2),
            k,
            a,
            layout,
            b.as_ptr(),
            b_stride,
            beside.as_mut_ptr(),
            strides,
            Store::Overwrite,
        );
        for i in 0..rows {
            store_row(c.run(i, 0), &beside[i * nr..], store);
        }
    }
}

/// Multiplies into a tile of any size.
///
/// # Safety
/// As [`run`], for as many rows and columns as C has, but for C itself.
#[allow(clippy::too_many_arguments, reason = "three operands with their layouts")]
#[inline(always)]
unsafe fn run_tile<S: Simd>(
    simd: S,
    k: usize,
    a: *const f32,
    layout: PanelLayout,
    b: *const f32,
    b_stride: usize,
    mut c: MatrixMut<'_>,
    store: Store<'_>,
) {
    let nr = S::TILE.1 * S::LANES;
    let (rows, columns) = (c.rows(), c.columns());
    // SAFETY: the caller vouches for A and B; C has as many columns as the kernel writes: `nr`, or one vector.
    unsafe {
        let vectors = columns.div_ceil(S::LANES);
        if columns == vectors * S::LANES && has_kernel::<S>((rows, vectors)) {
            let (c, c_stride) = c.raw();
            run_sized(simd, (rows, vectors), k, a, layout, b, b_stride, c, (c_stride, S::LANES), store);
            return;
        }
        // A narrower tile is computed whole beside C, then copied.
        let mut beside = [0.0; MOST_TILE_VALUES];
        run_sized(
            simd,
            (rows, 2),
            k,
            a,
            layout,
            b,
            b_stride,
            beside.as_mut_ptr(),
            (nr, S::LANES),
            Store::Overwrite,
        );
        for i in 0..rows {
            store_row(c.row(i), &beside[i * nr..], store);
        }
    }
}

/// Stores a row of a product, value by value.
#[inline(always)]
fn store_row(to: &mut [f32], from: &[f32], store: Store<'_>) {
    let from = &from[..to.len()];
    match store {
        Store::Overwrite => to.copy_from_slice(from),
        Store::Add => to.iter_mut().zip(from).for_each(|(t, f)| *t += f),
        Store::Bounded(&Bounded { adds, bias, bounds: (min, max) }) => {
            for (column, (t, f)) in to.iter_mut().zip(from).enumerate() {
                let c = if adds { *t } else { 0.0 };
                let value = c + f + bias.get(column).copied().unwrap_or_default();
                // A NaN compares with nothing.
                *t = match value {
                    value if value < min => min,
                    value if value > max => max,
                    value => value,
                };
            }
        }
    }
}

/// Values of the largest tile of any instruction set.
const MOST_TILE_VALUES: usize = 14 * 32;

/// Whether there is a kernel for so many rows and vectors of columns. For one vector there is that of all rows: half of the
/// multiplications would be in vain in a network whose layers have 24 or 40 channels.
#[inline(always)]
fn has_kernel<S: Simd>((rows, vectors): (usize, usize)) -> bool {
    vectors == 2 || rows == S::TILE.0
}

/// Calls the kernel for exactly so many rows and vectors of columns. Each is a function of its own: inlined, it would lose registers to
/// its surroundings.
///
/// # Safety
/// As [`run`], for these sizes.
#[allow(clippy::too_many_arguments, reason = "a kernel's pointers and strides")]
#[inline(always)]
unsafe fn run_sized<S: Simd>(
    simd: S,
    size: (usize, usize),
    k: usize,
    a: *const f32,
    layout: PanelLayout,
    b: *const f32,
    b_stride: usize,
    c: *mut f32,
    c_strides: (usize, usize),
    store: Store<'_>,
) {
    const { assert!(S::TILE.0 * S::TILE.1 * S::LANES <= MOST_TILE_VALUES && S::TILE.1 == 2) };
    macro_rules! by_size {
        ($($n:literal)+) => {
            match size {
                // Constants: kernels of more rows than the tile has are not compiled.
                $(($n, 2) if const { $n <= S::TILE.0 } => simd.call(
                    #[inline(always)]
                    // SAFETY: the caller's duties are the same.
                    || unsafe { run::<S, $n, 2>(simd, k, a, layout, b, b_stride, c, c_strides, store) },
                ),
                ($n, 1) if const { $n == S::TILE.0 } => simd.call(
                    #[inline(always)]
                    // SAFETY: the caller's duties are the same.
                    || unsafe { run::<S, $n, 1>(simd, k, a, layout, b, b_stride, c, c_strides, store) },
                ),)+
                _ => unreachable!("no kernel of {size:?} rows and vectors"),
            }
        };
    }
    by_size!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// Steps of k from which on C is asked for ahead.
const LONG: usize = 256;

/// The kernel for `MR` rows and `NV` vectors of columns.
///
/// # Safety
/// - `a` is valid for reading what `layout` says of `MR` rows (in panels of `S::TILE.0`) and `k` steps;
/// - `b` for `NV LANES` values at each of `k` multiples of `b_stride`;
/// - `c` for writing, and where it is added reading, `LANES` values at each of `MR` multiples of the first of `c_strides` and `NV`
///   of the second;
/// - a bias has `NV LANES` values.
#[allow(clippy::too_many_arguments, reason = "a kernel's pointers and strides")]
#[inline(always)]
unsafe fn run<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    k: usize,
    a: *const f32,
    layout: PanelLayout,
    b: *const f32,
    b_stride: usize,
    c: *mut f32,
    c_strides: (usize, usize),
    store: Store<'_>,
) {
    let mut acc = [[simd.splat(0.0); NV]; MR];
    // C is wanted at the end: while the loop runs it comes nearer.
    for i in 0..if k >= LONG { MR } else { 0 } {
        for v in 0..NV {
            simd.prefetch(c.wrapping_add(i * c_strides.0 + v * c_strides.1 + S::LANES - 1));
        }
    }
    // SAFETY: the caller vouches for every address below: step p of k reads `b + p b_stride` (`NV` vectors), and for
    // row i of A `a + p/LANES * mr LANES + i LANES + p%LANES` (blocked), `a + p stride + i` (columns),
    // `a + p/run * run_stride + i stride + p%run` (runs)
    // or `a + i stride + p` (rows). Pointers that move on may end outside of the memory, where nothing is read.
    unsafe {
        match layout {
            PanelLayout::Blocked => {
                let (mut a, mut b) = (a, b);
                for _ in 0..k / S::LANES {
                    for p in 0..S::LANES {
                        step(simd, &mut acc, a.add(p), S::LANES, b);
                        b = b.wrapping_add(b_stride);
                    }
                    a = a.wrapping_add(S::TILE.0 * S::LANES);
                }
                for p in 0..k % S::LANES {
                    step(simd, &mut acc, a.add(p), S::LANES, b);
                    b = b.wrapping_add(b_stride);
                }
            }
            PanelLayout::Columns { stride } => {
                for p in 0..k {
                    step(simd, &mut acc, a.add(p * stride), 1, b.add(p * b_stride));
                }
            }
            PanelLayout::Runs { stride, run, run_stride } => {
                let (mut a, mut b) = (a, b);
                for _ in 0..k / run {
                    for p in 0..run {
                        // Of one channel and of three the distance is written out, for the address arithmetic's sake.
                        match stride {
                            1 => step(simd, &mut acc, a.add(p), 1, b),
                            3 => step(simd, &mut acc, a.add(p), 3, b),
                            _ => step(simd, &mut acc, a.add(p), stride, b),
                        }
                        b = b.wrapping_add(b_stride);
                    }
                    a = a.wrapping_add(run_stride);
                }
            }
            PanelLayout::Rows { stride } => {
                for p in 0..k {
                    step(simd, &mut acc, a.add(p), stride, b.add(p * b_stride));
                }
            }
        }
        let at = |i: usize, v: usize| c.add(i * c_strides.0 + v * c_strides.1);
        if store.adds() {
            for (i, values) in acc.iter_mut().enumerate() {
                for (v, value) in values.iter_mut().enumerate() {
                    *value = simd.add(simd.load_ptr(at(i, v)), *value);
                }
            }
        }
        if let Store::Bounded(&Bounded { bias, bounds: (min, max), .. }) = store {
            let (min, max) = (simd.splat(min), simd.splat(max));
            for v in 0..NV {
                let bias = match bias {
                    [] => simd.splat(0.0),
                    bias => simd.load_ptr(bias.as_ptr().add(v * S::LANES)),
                };
                for values in &mut acc {
                    // Of a NaN and a bound both give the NaN.
                    values[v] = simd.min(max, simd.max(min, simd.add(values[v], bias)));
                }
            }
        }
        for (i, values) in acc.into_iter().enumerate() {
            for (v, value) in values.into_iter().enumerate() {
                simd.store_ptr(value, at(i, v));
            }
        }
    }
}

/// One step of k: `acc[i] += a[i] b`.
///
/// # Safety
/// `a` is valid for reading at `MR` multiples of `row`, `b` for `NV` vectors.
#[inline(always)]
unsafe fn step<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    acc: &mut [[S::V; NV]; MR],
    a: *const f32,
    row: usize,
    b: *const f32,
) {
    // SAFETY: the caller vouches for these addresses.
    unsafe {
        let mut of_b = [simd.splat(0.0); NV];
        for (v, of_b) in of_b.iter_mut().enumerate() {
            *of_b = simd.load_ptr(b.add(v * S::LANES));
        }
        for (i, acc) in acc.iter_mut().enumerate() {
            let value = simd.splat(*a.add(i * row));
            for (acc, b) in acc.iter_mut().zip(of_b) {
                *acc = simd.mul_add(value, b, *acc);
            }
        }
    }
}
