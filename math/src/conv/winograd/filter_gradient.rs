//! The gradient of the filter: `dW = G^T [ sum over tiles of (B^T d B) (.) (A dY A^T) ] G`.
//!
//! For each of the n^2 places of a tile the sum is a matrix product over the tiles, `dU = V^T Z`, with V (tiles x cin)
//! the transformed inputs and Z (tiles x cout) the transformed gradients. Three ways to cut it keep what they can in a core's
//! L2 cache:
//!
//! - groups, where dU is small: groups of tiles sum dU's of their own, each on one thread, a few tiles at a time;
//! - blocks, where the tiles are few: once all are transformed, each task takes some input by some output channels of dU
//!   through all places to dW, so that dU is never stored as a whole;
//! - rounds, where both are large: many tiles at a time are transformed in parallel, then multiplied in parallel over the
//!   places into one dU.
//!
//! The cut and the order of each sum depend on the shape alone.

use std::cell::RefCell;
use std::ops::Range;

use crate::parallel::{for_each_chunk, for_each_columns};
use crate::simd::{MatrixMut, PanelLayout, Simd, Store, dispatch, multiply_tile};

use super::sides::{Layout, Side};
use super::source::Source;
use super::stages::Convolution;
use super::tile_transforms::Parts;
use super::{plane, sized, tile_columns, tile_transforms};

/// Bytes of V and Z together, about, where all threads share them: a share of the L3 cache.
const SHARED_BYTES: usize = 8 << 20;

/// Bytes of V and Z together, about, where a group has its own.
const GROUP_BYTES: usize = 3 << 18;

/// Bytes of dU up to which groups have their own.
const SMALL_DU: usize = 1 << 20;

/// Groups, at most.
const GROUPS: usize = 16;

/// Tiles in a group, at least.
const GROUP_TILES: usize = 32;

/// Tiles up to which dU is computed in blocks.
const BLOCK_TILES: usize = 64;

/// Input channels side by side in V, which are those of a block too.
const CHANNELS: usize = 32;

/// Output channels of a block, about: its dU then has half a megabyte.
const COLUMNS: usize = 64;

thread_local! {
    /// A block of dU, reused from call to call.
    static BLOCK: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// How the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Groups,
    Blocks,
    Rounds,
}

/// How the work is cut, and the buffers' sizes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    cut: Cut,
    /// Groups of rows of tiles that sum on their own, and rows in a group.
    groups: usize,
    group_rows: usize,
    /// Rows of tiles transformed at a time.
    rows: usize,
    /// Places of a tile.
    places: usize,
    v: Layout,
    z: Layout,
    /// Floats of one input channel of dU, of one place, and of all.
    du_row: usize,
    du_plane: usize,
    du: usize,
}

impl Sizes {
    pub fn new(convolution: &Convolution<'_>, batch: usize) -> Self {
        let Convolution { isa, cin, cout, tiling, .. } = *convolution;
        let (places, all) = (tiling.tile.places(), batch * tiling.rows);
        let du_row = cout.next_multiple_of(tile_columns(isa));
        let du_plane = plane(cin * du_row);
        let groups = all * tiling.columns / GROUP_TILES;
        let cut = match all * tiling.columns {
            tiles if tiles <= BLOCK_TILES => Cut::Blocks,
            _ if 4 * places * du_plane <= SMALL_DU && groups > 1 => Cut::Groups,
            _ => Cut::Rounds,
        };
        let (groups, bytes) =
            if cut == Cut::Groups { (groups.min(GROUPS), GROUP_BYTES) } else { (1, SHARED_BYTES) };
        let group_rows = all.div_ceil(groups);
        let groups = all.div_ceil(group_rows);
        let channels = cin.next_multiple_of(CHANNELS) + du_row;
        let tiles = (bytes / (4 * places * channels)).max(16);
        let rows = if cut == Cut::Blocks { all } else { (tiles / tiling.columns).clamp(1, group_rows) };
        let rows = group_rows.div_ceil(group_rows.div_ceil(rows));
        let tiles = rows * tiling.columns;
        let (v, z) = (Layout::new(cin, CHANNELS, tiles), Layout::new(cout, tile_columns(isa), tiles));
        let du = if cut == Cut::Blocks { 0 } else { places * du_plane };
        Self { cut, groups, group_rows, rows, places, v, z, du_row, du_plane, du }
    }

    /// Floats that a group works in: V, Z and dU.
    fn group(&self) -> usize {
        self.places * (self.v.plane + self.z.plane) + self.du
    }

    /// Floats of room to work in.
    pub fn scratch(&self) -> usize {
        self.groups * self.group()
    }
}

/// Overwrites `dw` (HWIO). `scratch` holds [`Sizes::scratch`] floats.
pub fn filter_gradient(
    convolution: &Convolution<'_>,
    batch: usize,
    dy: Source<'_>,
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let Convolution { isa, cin, cout, tiling, .. } = *convolution;
    let sizes = Sizes::new(convolution, batch);
    let (tile, all) = (tiling.tile, batch * tiling.rows);
    let dw = MatrixMut::new(dw, tile.taps() * tile.taps(), cin * cout, cin * cout);
    let scratch = &mut scratch[..sizes.scratch()];
    if sizes.cut == Cut::Blocks {
        let (v, z) = scratch.split_at_mut(sizes.places * sizes.v.plane);
        transform(convolution, &sizes, 0..all, dy, v, z);
        let (v, z) = (&*v, &*z);
        for_each_columns(dw, 0..cin, cout, CHANNELS, &|channels, mut dw| {
            BLOCK.with_borrow_mut(|du| {
                for first in (0..cout).step_by(COLUMNS) {
                    let (inputs, outputs) = (channels.clone(), first..cout.min(first + COLUMNS));
                    let tiles = all * tiling.columns;
                    dispatch!(isa, |simd| block(
                        simd,
                        convolution,
                        &sizes,
                        tiles,
                        inputs,
                        outputs,
                        v,
                        z,
                        &mut dw,
                        du
                    ));
                }
            });
        });
        return;
    }
    for_each_chunk(scratch, sizes.group(), &|group, scratch| {
        let rows = group * sizes.group_rows..all.min((group + 1) * sizes.group_rows);
        sum(convolution, &sizes, rows, dy, scratch);
    });
    let sums = &*scratch;
    for_each_columns(dw, 0..cin, cout, CHANNELS / 4, &|channels, mut dw| {
        let values = &sums[channels.start * sizes.du_row..];
        let du = Parts { values, part: sizes.group(), place: sizes.du_plane, row: sizes.du_row };
        dispatch!(isa, |simd| tile_transforms::filter_gradient(simd, tile, du, cout, 0..cout, &mut dw));
    });
}

/// dU of rows `rows` of tiles, at the beginning of `scratch`; in parallel where there is but one group.
fn sum(
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    rows: Range<usize>,
    dy: Source<'_>,
    scratch: &mut [f32],
) {
    let (du, rest) = scratch.split_at_mut(sizes.du);
    let (v, z) = rest.split_at_mut(sizes.places * sizes.v.plane);
    let Convolution { isa, cin, cout, tiling, .. } = *convolution;
    let start = rows.start;
    for first in rows.clone().step_by(sizes.rows) {
        let rows = first..rows.end.min(first + sizes.rows);
        let tiles = rows.len() * tiling.columns;
        transform(convolution, sizes, rows, dy, v, z);
        let store = if first == start { Store::Overwrite } else { Store::Add };
        let (v, z) = (&*v, &*z);
        let multiply = |place: usize, du: &mut [f32]| {
            let (v, z) = (&v[place * sizes.v.plane..], &z[place * sizes.z.plane..]);
            let du = MatrixMut::new(du, cin, sizes.du_row, sizes.du_row);
            dispatch!(isa, |simd| multiply(simd, sizes, tiles, 0..cin, 0..cout, v, z, du, store));
        };
        if sizes.cut == Cut::Rounds {
            for_each_chunk(du, sizes.du_plane, &multiply);
        } else {
            du.chunks_exact_mut(sizes.du_plane).enumerate().for_each(|(place, du)| multiply(place, du));
        }
    }
}

/// V and Z of rows `rows` of tiles, in parallel where they are not a group's own.
fn transform(
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    rows: Range<usize>,
    dy: Source<'_>,
    v: &mut [f32],
    z: &mut [f32],
) {
    let Convolution { isa, cin, cout, pad, tiling, source } = *convolution;
    let places = sizes.places;
    let panel = |panels: &Layout, channels: usize| channels.div_ceil(panels.width) * panels.stride;
    let v = MatrixMut::new(v, places, panel(&sizes.v, cin), sizes.v.plane);
    let z = MatrixMut::new(z, places, panel(&sizes.z, cout), sizes.z.plane);
    let input = Side { isa, source, pad, gradient: false, layout: sizes.v, tiling };
    let gradient = Side { isa, source: dy, pad: (0, 0), gradient: true, layout: sizes.z, tiling };
    if sizes.cut == Cut::Groups {
        input.transform_panels(rows.clone(), 0..cin, v);
        gradient.transform_panels(rows, 0..cout, z);
    } else {
        rayon::join(
            || input.share_panels(rows.clone(), 0..cin, v),
            || gradient.share_panels(rows.clone(), 0..cout, z),
        );
    }
}

/// `dU = V^T Z` or `dU += V^T Z` at one place, for some input and output channels; both begin with a panel.
#[allow(clippy::too_many_arguments, reason = "a product's operands and sizes")]
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    sizes: &Sizes,
    tiles: usize,
    inputs: Range<usize>,
    outputs: Range<usize>,
    v: &[f32],
    z: &[f32],
    mut du: MatrixMut<'_>,
    store: Store,
) {
    let (mr, nr) = (S::TILE.0, S::TILE.1 * S::LANES);
    let layout = PanelLayout::Columns { stride: CHANNELS };
    for output in outputs.clone().step_by(nr) {
        let z = &z[output / nr * sizes.z.stride..];
        for input in inputs.clone().step_by(CHANNELS) {
            let v = &v[input / CHANNELS * sizes.v.stride..];
            let channels = CHANNELS.min(inputs.end - input);
            // Tiles of about equal height: one of few rows takes as long as one of some more.
            let count = channels.div_ceil(mr);
            for index in 0..count {
                let rows = index * channels / count..(index + 1) * channels / count;
                let row = input - inputs.start + rows.start;
                let tile = du.window(row, output - outputs.start, rows.len(), nr);
                multiply_tile(simd, tiles, &v[rows.start..], layout, z, nr, tile, store);
            }
        }
    }
}

/// One block of dU and dW. `du` is room to work in.
#[allow(clippy::too_many_arguments, reason = "a product's operands and sizes")]
#[inline(always)]
fn block<S: Simd>(
    simd: S,
    convolution: &Convolution<'_>,
    sizes: &Sizes,
    tiles: usize,
    inputs: Range<usize>,
    outputs: Range<usize>,
    v: &[f32],
    z: &[f32],
    dw: &mut MatrixMut<'_>,
    du: &mut Vec<f32>,
) {
    let width = outputs.len().next_multiple_of(S::TILE.1 * S::LANES);
    let du_plane = plane(inputs.len() * width);
    let du = sized(du, sizes.places * du_plane);
    let operands = v.chunks_exact(sizes.v.plane).zip(z.chunks_exact(sizes.z.plane));
    for (du, (v, z)) in du.chunks_exact_mut(du_plane).zip(operands) {
        let du = MatrixMut::new(du, inputs.len(), width, width);
        multiply(simd, sizes, tiles, inputs.clone(), outputs.clone(), v, z, du, Store::Overwrite);
    }
    let du = Parts { values: du, part: du.len(), place: du_plane, row: width };
    tile_transforms::filter_gradient(simd, convolution.tiling.tile, du, convolution.cout, outputs, dw);
}
