//! All gradients in one pass, for batches of several images: dy and x are read once, and dx is written over x, row by row.
//!
//! A row of x is overwritten once every row of dy that reads it has added to the filter's gradient; rows that dx still needs are
//! held beside.

use super::data_gradient::{data_gradient_row, gradient_layout, outputs};
use super::filter_gradient::{add_groups, add_row, groups, sums_len};
use super::forward::{input_layout, inputs};
use super::rows::{ROOM, Room, copy_rows};
use super::shape::{Filter, GroupedShape, lanes};
use crate::buffer::sized;
use crate::parallel::for_each_two_chunks;
use crate::simd::{Isa, Simd, dispatch};

/// Images of a batch from which on it is the way: a task takes whole images.
const LEAST: usize = 8;

/// Whether [`backward`] is the way to the gradients of so many images.
pub fn in_one_pass(batch: usize) -> bool {
    batch >= LEAST
}

/// Floats of a group's sums: the filter's gradient, then the bias's.
fn group_len(shape: &GroupedShape, lanes: usize) -> usize {
    sums_len(shape, lanes) + shape.cout.next_multiple_of(lanes)
}

/// Floats of room that [`backward`] works in.
pub fn backward_scratch(isa: Isa, shape: &GroupedShape, batch: usize) -> usize {
    groups(batch).1 * group_len(shape, lanes(isa))
}

/// The gradients from `dy` where the codes in `winners` let it through; they may be empty. Overwrites x by dx, `dw`, and `db`,
/// which may be empty, by the sum of dy's pixels. A packed filter is that of the [`GroupedShape::backward_reach`].
#[allow(clippy::too_many_arguments, reason = "a convolution's operands and their gradients")]
pub fn backward(
    isa: Isa,
    shape: &GroupedShape,
    x: &mut [f32],
    dy: &[f32],
    winners: &[u8],
    filter: Filter<'_>,
    (dw, db): (&mut [f32], &mut [f32]),
    scratch: &mut [f32],
) {
    let (input, output, len) = (shape.input_len(), shape.output_len(), group_len(shape, lanes(isa)));
    let (images, groups) = groups(x.len() / input);
    let sums = &mut scratch[..groups * len];
    for_each_two_chunks((x, images * input), (sums, len), &|group, x, sums| {
        sums.fill(0.0);
        ROOM.with_borrow_mut(|room| {
            for (image, x) in (group * images..).zip(x.chunks_exact_mut(input)) {
                let all = image * output..(image + 1) * output;
                let winners = if winners.is_empty() { &[] } else { &winners[all.clone()] };
                dispatch!(isa, |simd| backward_of_image(
                    simd, shape, x, &dy[all], winners, filter, sums, room
                ));
            }
        });
    });
    dispatch!(isa, |simd| add_groups(simd, shape, sums, len, dw));
    db.fill(0.0);
    for sums in sums.chunks_exact(len) {
        db.iter_mut().zip(&sums[sums_len(shape, lanes(isa))..]).for_each(|(db, sum)| *db += sum);
    }
}

/// Adds to `sums` what one image gives, and overwrites it by its gradient.
#[allow(clippy::too_many_arguments, reason = "a convolution's operands and their gradients")]
#[inline(always)]
fn backward_of_image<S: Simd>(
    simd: S,
    shape: &GroupedShape,
    x: &mut [f32],
    dy: &[f32],
    winners: &[u8],
    filter: Filter<'_>,
    sums: &mut [f32],
    room: &mut Room,
) {
    let GroupedShape { window, cin, cout, .. } = *shape;
    let (layout, of_gradients) = (input_layout(shape), gradient_layout(shape));
    let rows = sized(&mut room.rows, layout.held * layout.row_len::<S>());
    let gradients = sized(&mut room.gradients, of_gradients.held * of_gradients.row_len::<S>());
    let (row_in, row_out) = (window.x.input * cin, window.x.output * cout);
    let (of_filter, of_bias) = sums.split_at_mut(sums_len(shape, S::LANES));
    let (mut copied, mut next) = (0, 0);
    for iy in 0..window.y.input {
        let end = outputs(&window.y, iy).end;
        for oy in next..end {
            copy_rows(simd, &layout, x, inputs(&window.y, oy), &mut copied, rows);
            let dy = &dy[oy * row_out..][..row_out];
            match winners {
                [] => of_gradients.copy(simd, dy, oy, gradients),
                winners => {
                    of_gradients.copy_masked(simd, dy, &winners[oy * row_out..][..row_out], oy, gradients);
                }
            }
            let row = &gradients[of_gradients.at::<S>(oy, 0)..];
            add_row(simd, shape, rows, oy, row, of_gradients.width, of_filter, &mut room.taps);
            for (vector, sum) in of_bias.chunks_exact_mut(S::LANES).take(cout.div_ceil(S::LANES)).enumerate()
            {
                let row = &row[vector * of_gradients.width * S::LANES..][..window.x.output * S::LANES];
                let mut of_row = simd.splat(0.0);
                for pixel in row.chunks_exact(S::LANES) {
                    of_row = simd.add(of_row, simd.load(pixel));
                }
                simd.store(simd.add(simd.load(sum), of_row), sum);
            }
        }
        next = next.max(end);
        let dx = &mut x[iy * row_in..][..row_in];
        data_gradient_row(simd, shape, gradients, filter, iy, dx, &mut room.taps);
    }
    // Padding is less than the window's extent: each row of dy reads a row of x.
    debug_assert_eq!(next, window.y.output);
}
