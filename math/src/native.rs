//! floret's own matrix product: the five loops of Goto and van de Geijn (2008) around the register tile of
//! [`super::simd`], with the places of A and B changed.
//!
//! B is packed into panels of `nr` columns, A into panels of `mr` rows, each a block at a time, so that the tile reads
//! memory in the order it lies in, from the cache that holds it.

use std::cell::RefCell;

use ndarray::{ArrayView2, s};

use super::buffer::sized;
use super::simd::{
    Isa, Matrix, MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_rows, multiply_tile, transpose,
};
use super::thin;

/// Steps of k in a block. A panel of B (`KC x nr`) has 64 KB with AVX-512, 32 KB with AVX2; with half as many steps C is read
/// and written twice as often, which at 2048 cubed took 3 to 10 % longer.
const KC: usize = 512;

/// Rows of A in a block: `MC x KC` floats are 4 MB, a share of the L3 cache.
const MC: usize = 2048;

/// Columns of B in a block: `KC x NC` floats are 512 KB, which an L2 cache of 1 MB holds. One panel of A at a time, 28 KB or
/// 12 KB, stays in L1 and meets them all; with the blocks the other way round, A's in L2 and panels of B, too large for L1,
/// passing by, 2048 cubed took 4 % longer with AVX-512 and 1 % with AVX2.
const NC: usize = 256;

/// Panels of B up to which A is read where it lies. At 4096x800x64, two to four panels, packing it took a third of the time.
const IN_PLACE_PANELS: usize = 16;

thread_local! {
    /// Packed blocks of A and B, reused from call to call.
    static PACKED: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// `C = alpha A B + beta C` on the calling thread; sizes agree and none is 0.
pub(super) fn sgemm(
    isa: Isa,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: MatrixMut<'_>,
) {
    match beta {
        0.0 | 1.0 => {}
        _ => (0..c.rows()).for_each(|i| c.row(i).iter_mut().for_each(|v| *v *= beta)),
    }
    if let (true, 1.0, Some(b)) = (c.rows() <= thin::MOST_ROWS, alpha, Matrix::of(b)) {
        if beta == 0.0 {
            (0..c.rows()).for_each(|i| c.row(i).fill(0.0));
        }
        return thin::multiply(isa, a, b, c);
    }
    let store = if beta == 0.0 { Store::Overwrite } else { Store::Add };
    PACKED.with_borrow_mut(|(packed_a, packed_b)| {
        dispatch!(isa, |simd| sgemm_with(simd, alpha, a, b, c, store, packed_a, packed_b));
    });
}

#[allow(clippy::too_many_arguments, reason = "the operands of GEMM and room to pack them")]
#[inline(always)]
fn sgemm_with<S: Simd>(
    simd: S,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    mut c: MatrixMut<'_>,
    store: Store,
    packed_a: &mut Vec<f32>,
    packed_b: &mut Vec<f32>,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    // For few columns of B packing A would take a large part of the time.
    let in_place = Matrix::of(a).filter(|_| alpha == 1.0 && n <= IN_PLACE_PANELS * nr);
    // LOOP 5: blocks of rows of A and C
    let most = MC.next_multiple_of(mr);
    for ic in (0..m).step_by(most) {
        let mc = most.min(m - ic);
        // LOOP 4: blocks of k
        for pc in (0..k).step_by(KC) {
            let kc = KC.min(k - pc);
            let store = if pc == 0 { store } else { Store::Add };
            let block = match in_place {
                Some(a) => Block::InPlace(a.window(ic, pc, mc, kc)),
                None => pack_a(simd, alpha, a.slice(s![ic..ic + mc, pc..pc + kc]), packed_a),
            };
            // LOOP 3: blocks of columns of B and C
            for jc in (0..n).step_by(NC) {
                let nc = NC.min(n - jc);
                let b_panel = kc * nr;
                let packed_b = sized(packed_b, nc.div_ceil(nr) * b_panel);
                pack_b(simd, b.slice(s![pc..pc + kc, jc..jc + nc]), packed_b);
                let tiles = Tiles { mc, nc, mr, nr, packed_b, b_panel };
                // Told apart here, since it costs less than at each tile.
                match block {
                    Block::InPlace(a) => tiles.for_each(|ir, jr, rows, columns, b| {
                        let tile = c.window(ic + ir, jc + jr, rows, columns);
                        multiply_rows(simd, a.window(ir, 0, rows, kc), b, nr, tile, store);
                    }),
                    Block::Packed { panels, layout, panel } => tiles.for_each(|ir, jr, rows, columns, b| {
                        let tile = c.window(ic + ir, jc + jr, rows, columns);
                        multiply_tile(simd, kc, &panels[ir / mr * panel..], layout, b, nr, tile, store);
                    }),
                }
            }
        }
    }
}

/// The tiles of a block of C.
struct Tiles<'a> {
    mc: usize,
    nc: usize,
    mr: usize,
    nr: usize,
    packed_b: &'a [f32],
    /// Floats in a panel of B.
    b_panel: usize,
}

impl Tiles<'_> {
    /// Calls `f` with each tile's row, column, rows and columns and its panel of B.
    #[inline(always)]
    fn for_each(self, mut f: impl FnMut(usize, usize, usize, usize, &[f32])) {
        let Tiles { mc, nc, mr, nr, packed_b, b_panel } = self;
        // LOOP 2: panels of A
        for ir in (0..mc).step_by(mr) {
            // LOOP 1: panels of B
            for (jr, b) in (0..nc).step_by(nr).zip(packed_b.chunks(b_panel)) {
                f(ir, jr, mr.min(mc - ir), nr.min(nc - jr), b);
            }
        }
    }
}

/// A block of A.
#[derive(Debug, Clone, Copy)]
enum Block<'a> {
    InPlace(Matrix<'a>),
    /// Panels of `mr` rows, `panel` floats apart.
    Packed {
        panels: &'a [f32],
        layout: PanelLayout,
        panel: usize,
    },
}

/// Packs a block of B (kc x nc) into panels `[kc][nr]`, the last one filled up with zeros.
#[inline(always)]
fn pack_b<S: Simd>(simd: S, b: ArrayView2<f32>, packed: &mut [f32]) {
    let ((kc, nc), nr) = (b.dim(), S::TILE.1 * S::LANES);
    let mut done = 0;
    if let Some(rows) = Matrix::of(b) {
        // The whole panels, row by row as memory lies.
        done = nc / nr;
        for p in 0..kc {
            let panels = packed.chunks_exact_mut(kc * nr);
            for (from, panel) in rows.row(p).chunks_exact(nr).zip(panels) {
                let to = &mut panel[p * nr..][..nr];
                for (from, to) in from.chunks_exact(S::LANES).zip(to.chunks_exact_mut(S::LANES)) {
                    simd.store(simd.load(from), to);
                }
            }
        }
    }
    for (panel, first) in packed.chunks_exact_mut(kc * nr).zip((0..nc).step_by(nr)).skip(done) {
        let columns = nr.min(nc - first);
        let source = b.slice(s![.., first..first + columns]);
        if columns < nr {
            panel.fill(0.0);
        }
        if let Some(source) = Matrix::of(source) {
            for (row, to) in panel.chunks_exact_mut(nr).enumerate() {
                to[..columns].copy_from_slice(source.row(row));
            }
        } else if let Some(source) = Matrix::of(source.reversed_axes()) {
            transpose(simd, source, panel, nr);
        } else {
            // Columns are read in order and written across.
            for (j, column) in source.columns().into_iter().enumerate() {
                panel[j..].iter_mut().step_by(nr).zip(column).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// Packs a block of A (mc x kc), times `alpha`, into panels of `mr` rows. Rows beyond the last are left as they are: the tile
/// does not read them.
#[inline(always)]
fn pack_a<'a, S: Simd>(_: S, alpha: f32, a: ArrayView2<f32>, packed: &'a mut Vec<f32>) -> Block<'a> {
    let (mc, kc) = a.dim();
    let (mr, lanes) = (S::TILE.0, S::LANES);
    let panel = kc.next_multiple_of(lanes) * mr;
    let packed = sized(packed, mc.div_ceil(mr) * panel);
    if a.strides()[1] == 1 || kc == 1 {
        for (i, row) in a.rows().into_iter().enumerate() {
            let to = &mut packed[i / mr * panel + i % mr * lanes..];
            match row.to_slice() {
                Some(row) => {
                    for (to, from) in to.chunks_mut(mr * lanes).zip(row.chunks(lanes)) {
                        to.iter_mut().zip(from).for_each(|(t, f)| *t = alpha * f);
                    }
                }
                None => to[0] = alpha * row[0],
            }
        }
        return Block::Packed { panels: packed, layout: PanelLayout::Blocked, panel };
    }
    for (first, panel) in (0..mc).step_by(mr).zip(packed.chunks_exact_mut(panel)) {
        let rows = a.slice(s![first..mc.min(first + mr), ..]);
        for (column, to) in rows.columns().into_iter().zip(panel.chunks_exact_mut(mr)) {
            match column.to_slice() {
                Some(column) => to.iter_mut().zip(column).for_each(|(t, f)| *t = alpha * f),
                None => to.iter_mut().zip(column).for_each(|(t, f)| *t = alpha * f),
            }
        }
    }
    Block::Packed { panels: packed, layout: PanelLayout::Columns { stride: mr }, panel }
}
