//! The gradient of the filter: that of each tap is a sum over the outputs, kept in registers for a row of them.

use super::forward::{input_layout, inputs};
use super::rows::{Layout, ROOM, Room, Tap, copy_rows};
use super::shape::{GroupedShape, lanes};
use crate::buffer::sized;
use crate::parallel::for_each_chunk;
use crate::simd::{Grid, Isa, Simd, dispatch};
use crate::window::{Axis, Window};

/// Groups of images, at most, whose filter gradients are summed separately.
const GROUPS: usize = 16;

/// Taps along a side of a depthwise filter whose gradients are summed together, in registers.
const TILE: usize = 3;

/// Inputs of another filter whose gradients are.
const INPUTS: usize = 8;

/// Images of a group, and groups.
pub fn groups(batch: usize) -> (usize, usize) {
    let images = batch.div_ceil(GROUPS).max(1);
    (images, batch.div_ceil(images))
}

/// Floats of the sums of a group of images: `[channels / lanes][taps][lanes]`, or as the packed filter lies.
pub fn sums_len(shape: &GroupedShape, lanes: usize) -> usize {
    match shape.is_depthwise() {
        true => shape.window.taps() * shape.cout.next_multiple_of(lanes),
        false => shape.forward_reach(lanes).packed_len(shape.window.taps()),
    }
}

/// Floats of room that [`filter_gradient`] works in.
pub fn filter_gradient_scratch(isa: Isa, shape: &GroupedShape, batch: usize) -> usize {
    groups(batch).1 * sums_len(shape, lanes(isa))
}

/// The gradient of the filter, summed over all images. Overwrites `dw`.
pub fn filter_gradient(
    isa: Isa,
    shape: &GroupedShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let (input, output, len) = (shape.input_len(), shape.output_len(), sums_len(shape, lanes(isa)));
    let (images, groups) = groups(x.len() / input);
    let sums = &mut scratch[..groups * len];
    for_each_chunk(sums, len, &|group, sums| {
        let of_group = |image: usize, len: usize| image * images * len;
        let (x, dy) = (&x[of_group(group, input)..], &dy[of_group(group, output)..]);
        sums.fill(0.0);
        ROOM.with_borrow_mut(|room| {
            for (x, dy) in x.chunks_exact(input).zip(dy.chunks_exact(output)).take(images) {
                dispatch!(isa, |simd| add_image(simd, shape, x, dy, sums, room));
            }
        });
    });
    dispatch!(isa, |simd| add_groups(simd, shape, sums, len, dw));
}

/// The sum of the groups' sums, `len` floats from one to the next, in the order of the filter. Overwrites `dw`.
#[inline(always)]
pub fn add_groups<S: Simd>(_: S, shape: &GroupedShape, sums: &[f32], len: usize, dw: &mut [f32]) {
    let (taps, of_group, of_outputs) = (shape.window.taps(), shape.of_group().cin, shape.of_group().cout);
    let (depthwise, reach) = (shape.is_depthwise(), shape.forward_reach(S::LANES));
    for (row, dw) in dw.chunks_exact_mut(shape.cout).enumerate() {
        let (tap, input) = (row / of_group, row % of_group);
        for (vector, dw) in dw.chunks_mut(S::LANES).enumerate() {
            dw.fill(0.0);
            for sums in sums.chunks_exact(len) {
                if depthwise {
                    let sums = &sums[(vector * taps + tap) * S::LANES..];
                    dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum);
                    continue;
                }
                for (lane, dw) in dw.iter_mut().enumerate() {
                    let group = (vector * S::LANES + lane) / of_outputs;
                    let read = group * of_group + input - reach.first(vector);
                    *dw += sums[((vector * taps + tap) * reach.len + read) * S::LANES + lane];
                }
            }
        }
    }
}

/// Adds what one image gives to the gradient of the filter.
#[inline(always)]
fn add_image<S: Simd>(
    simd: S,
    shape: &GroupedShape,
    x: &[f32],
    dy: &[f32],
    sums: &mut [f32],
    room: &mut Room,
) {
    let GroupedShape { window, cout, .. } = *shape;
    let layout = input_layout(shape);
    let rows = sized(&mut room.rows, layout.held * layout.row_len::<S>());
    let of_gradients = Layout::new(window.x.output, cout, 0, window.x.output, 1);
    let gradients = sized(&mut room.gradients, of_gradients.row_len::<S>());
    let mut copied = 0;
    for (oy, dy) in dy.chunks_exact(window.x.output * cout).enumerate() {
        copy_rows(simd, &layout, x, inputs(&window.y, oy), &mut copied, rows);
        of_gradients.copy(simd, dy, 0, gradients);
        add_row(simd, shape, rows, oy, gradients, of_gradients.width, sums, &mut room.taps);
    }
}

/// Adds what row `oy` of dy gives to the gradient of the filter, with the rows of x that it reads in `rows`. The row's first vector of
/// channels begins `gradients`, and there are `width` pixels from one to the next.
#[allow(clippy::too_many_arguments, reason = "two operands with their layouts")]
#[inline(always)]
pub fn add_row<S: Simd>(
    simd: S,
    shape: &GroupedShape,
    rows: &[f32],
    oy: usize,
    gradients: &[f32],
    width: usize,
    sums: &mut [f32],
    row_taps: &mut Vec<Tap>,
) {
    let GroupedShape { window: Window { y: axis_y, x: axis_x }, cout, .. } = *shape;
    let layout = input_layout(shape);
    let (taps, kernel) = (axis_y.kernel * axis_x.kernel, axis_x.kernel);
    let (depthwise, reach) = (shape.is_depthwise(), shape.forward_reach(S::LANES));
    let first = -(axis_x.pad_before as isize);
    let of_row = |(ky, row)| Tap { number: ky * kernel, at: layout.at::<S>(row, first) };
    row_taps.clear();
    row_taps.extend((0..axis_y.kernel).filter_map(|ky| Some((ky, axis_y.tap(oy, ky)?))).map(of_row));
    let of_tap = if depthwise { S::LANES } else { reach.len * S::LANES };
    for (vector, sums) in sums.chunks_exact_mut(taps * of_tap).take(cout.div_ceil(S::LANES)).enumerate() {
        let dy = &gradients[vector * width * S::LANES..][..axis_x.output * S::LANES];
        if !depthwise {
            for tap in &*row_taps {
                for kx in 0..kernel {
                    let sums = &mut sums[(tap.number + kx) * of_tap..][..of_tap];
                    let row = &rows[tap.at + kx * axis_x.dilation * S::LANES..];
                    add_inputs(simd, row, &layout, reach.first(vector), axis_x.stride, dy, sums);
                }
            }
            continue;
        }
        for some in row_taps.chunks(TILE) {
            for kx in (0..kernel).step_by(TILE) {
                let strips = Strips { rows, layout: &layout, axis: &axis_x, vector, kx };
                macro_rules! by_size {
                    ($($rows:literal $columns:literal),+) => {
                        match (some.len(), kernel - kx) {
                            $(($rows, $columns..) => add_taps::<S, $rows, $columns>(simd, &strips, some, dy, sums),)+
                            _ => unreachable!("a tile of at least one tap"),
                        }
                    };
                }
                by_size!(3 3, 3 2, 3 1, 2 3, 2 2, 2 1, 1 3, 1 2, 1 1);
            }
        }
    }
}

/// Adds what a row of outputs gives to the gradients of one tap's weights between a vector of them and the inputs from channel `first`
/// on; the row's first pixel for this tap begins `row`.
#[inline(always)]
fn add_inputs<S: Simd>(
    simd: S,
    row: &[f32],
    layout: &Layout,
    first: usize,
    stride: usize,
    dy: &[f32],
    sums: &mut [f32],
) {
    let (count, step) = (dy.len() / S::LANES, stride * S::LANES);
    for (part, sums) in sums.chunks_mut(INPUTS * S::LANES).enumerate() {
        let inputs = sums.len() / S::LANES;
        // A part that is not whole computes its last input several times.
        let pixels: [&[f32]; INPUTS] = std::array::from_fn(
            #[inline(always)]
            |i| {
                let channel = first + part * INPUTS + i.min(inputs - 1);
                &row[layout.channel::<S>(channel)..][..(count - 1) * step + 1]
            },
        );
        let mut of_inputs = [simd.splat(0.0); INPUTS];
        for (i, dy) in dy.chunks_exact(S::LANES).enumerate().take(count) {
            let gradient = simd.load(dy);
            for (pixels, of_input) in pixels.iter().zip(&mut of_inputs) {
                *of_input = simd.mul_add(simd.splat(pixels[i * step]), gradient, *of_input);
            }
        }
        for (sum, of_input) in sums.chunks_exact_mut(S::LANES).zip(of_inputs) {
            simd.store(simd.add(simd.load(sum), of_input), sum);
        }
    }
}

/// The rows of one vector of channels, from tap `kx` on.
struct Strips<'a> {
    rows: &'a [f32],
    layout: &'a Layout,
    axis: &'a Axis,
    vector: usize,
    kx: usize,
}

/// Adds what a row of outputs gives to the gradients of `R x K` taps.
#[inline(always)]
fn add_taps<S: Simd, const R: usize, const K: usize>(
    simd: S,
    strips: &Strips<'_>,
    taps: &[Tap],
    dy: &[f32],
    sums: &mut [f32],
) {
    let Strips { rows, layout, axis, vector, kx } = *strips;
    let count = dy.len() / S::LANES;
    let steps = (axis.stride * S::LANES, axis.dilation * S::LANES);
    let pixels: [Grid<'_>; R] = std::array::from_fn(
        #[inline(always)]
        |r| {
            let row = &rows[taps[r].at + (vector * layout.width + kx * axis.dilation) * S::LANES..];
            Grid::new(row, (count, K), steps, S::LANES)
        },
    );
    let mut of_taps = [[simd.splat(0.0); K]; R];
    for (i, dy) in dy.chunks_exact(S::LANES).enumerate().take(count) {
        let gradient = simd.load(dy);
        for (pixels, of_taps) in pixels.iter().zip(&mut of_taps) {
            for (k, of_tap) in of_taps.iter_mut().enumerate() {
                *of_tap = simd.mul_add(simd.load(pixels.run(i, k)), gradient, *of_tap);
            }
        }
    }
    for (tap, of_taps) in taps.iter().zip(of_taps) {
        for (k, of_tap) in of_taps.into_iter().enumerate() {
            let sum = &mut sums[(tap.number + kx + k) * S::LANES..];
            simd.store(simd.add(simd.load(sum), of_tap), sum);
        }
    }
}
