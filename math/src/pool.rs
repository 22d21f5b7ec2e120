//! Max and average pooling of NHWC images, forward and backward.

use super::parallel::{for_each_chunk, for_each_chunk_with_codes};
use super::simd::{Isa, Simd, dispatch};
use super::window::Window;

/// The shape of a pool over one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// How the window slides.
    pub window: Window,
    /// Channels, pooled independently.
    pub channels: usize,
}

impl PoolShape {
    /// Values of one input image.
    pub fn input_len(&self) -> usize {
        self.window.input_pixels() * self.channels
    }

    /// Values of one output image.
    pub fn output_len(&self) -> usize {
        self.window.output_pixels() * self.channels
    }

    /// Calls `visit(tap, offset)` for each tap of output `(oy, ox)` inside the input, in row order: the tap's number
    /// and where its pixel begins in the input image.
    #[inline(always)]
    fn for_each_tap(&self, oy: usize, ox: usize, mut visit: impl FnMut(u8, usize)) {
        let Window { y, x } = &self.window;
        for ky in 0..y.kernel {
            let Some(iy) = y.tap(oy, ky) else { continue };
            for kx in 0..x.kernel {
                let Some(ix) = x.tap(ox, kx) else { continue };
                visit((ky * x.kernel + kx) as u8, (iy * x.input + ix) * self.channels);
            }
        }
    }

    /// What each tap has of a mean, where `inside` of the window's lie within the input.
    fn share(&self, count_padding: bool, inside: usize) -> f32 {
        1.0 / if count_padding { self.window.taps() } else { inside } as f32
    }

    /// Calls `visit(oy, ox, offset)` for each output pixel: its place and where it begins in the output image.
    #[inline(always)]
    fn for_each_output(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for oy in 0..self.window.y.output {
            for ox in 0..self.window.x.output {
                visit(oy, ox, (oy * self.window.x.output + ox) * self.channels);
            }
        }
    }
}

/// Vectors of channels whose maxima are in registers at a time.
const VECTORS: usize = 4;

/// `y = max of x over the window`; padding never wins. Overwrites `y` and, where given, `winners`: the number of the
/// tap that won, the first of equals in row order, as TensorFlow breaks ties on the CPU. A NaN in the window wins.
///
/// The window has at most 255 taps (checked when the layer is built).
pub fn max_forward(isa: Isa, shape: &PoolShape, x: &[f32], y: &mut [f32], winners: Option<&mut [u8]>) {
    let (input, output) = (shape.input_len(), shape.output_len());
    for_each_chunk_with_codes(y, winners.unwrap_or_default(), output, &|image, y, winners| {
        let x = &x[image * input..][..input];
        dispatch!(isa, |simd| max_of_image(simd, shape, x, y, winners));
    });
}

#[inline(always)]
fn max_of_image<S: Simd>(simd: S, shape: &PoolShape, x: &[f32], y: &mut [f32], winners: &mut [u8]) {
    let c = shape.channels;
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    for oy in 0..shape.window.y.output {
        for ox in 0..shape.window.x.output {
            let at = (oy * shape.window.x.output + ox) * c;
            for first in (0..c).step_by(VECTORS * S::LANES) {
                let vectors = VECTORS.min((c - first).div_ceil(S::LANES));
                let left = |vector: usize| c - first - vector * S::LANES;
                let mut best = [simd.splat(f32::NEG_INFINITY); VECTORS];
                let mut winner = [simd.splat(0.0); VECTORS];
                let mut is_first = true;
                shape.for_each_tap(oy, ox, |tap, from| {
                    let tap = simd.splat(f32::from(tap));
                    for vector in 0..vectors {
                        let value = simd.load_up_to(&x[from + first + vector * S::LANES..], left(vector));
                        let (best, winner) = (&mut best[vector], &mut winner[vector]);
                        // A NaN wins and stays. The first wins also with -infinity.
                        let larger = simd.where_greater(value, *best, tap, *winner);
                        let larger = simd.where_greater(simd.nan_or(value, one), zero, larger, tap);
                        let larger = simd.where_greater(simd.nan_or(*best, one), zero, larger, *winner);
                        *winner = if is_first { tap } else { larger };
                        let largest = simd.where_greater(value, *best, value, *best);
                        *best = simd.nan_or(*best, simd.nan_or(value, largest));
                    }
                    is_first = false;
                });
                for vector in 0..vectors {
                    let at = at + first + vector * S::LANES;
                    simd.store_up_to(best[vector], &mut y[at..], left(vector));
                    if !winners.is_empty() {
                        simd.store_codes(winner[vector], &mut winners[at..], left(vector));
                    }
                }
            }
        }
    }
}

/// Backward of [`max_forward`]: each `dy` goes to its winner. Overwrites `dx`.
pub fn max_backward(isa: Isa, shape: &PoolShape, dy: &[f32], winners: &[u8], dx: &mut [f32]) {
    let output = shape.output_len();
    for_each_chunk(dx, shape.input_len(), &|image, dx| {
        let (dy, winners) = (&dy[image * output..][..output], &winners[image * output..][..output]);
        dx.fill(0.0);
        dispatch!(isa, |simd| to_winners(simd, shape, dy, winners, dx));
    });
}

#[inline(always)]
fn to_winners<S: Simd>(simd: S, shape: &PoolShape, dy: &[f32], winners: &[u8], dx: &mut [f32]) {
    let c = shape.channels;
    shape.for_each_output(|oy, ox, at| {
        let (dy, winners) = (&dy[at..at + c], &winners[at..at + c]);
        shape.for_each_tap(oy, ox, |tap, to| {
            let dx = &mut dx[to..to + c];
            for first in (0..c).step_by(S::LANES) {
                let left = c - first;
                let part = simd.load_up_to(&dy[first..], left);
                let part = simd.where_code_up_to(&winners[first..], tap, part, left);
                let sum = simd.add(simd.load_up_to(&dx[first..], left), part);
                simd.store_up_to(sum, &mut dx[first..], left);
            }
        });
    });
}

/// `y = mean of x over the window`. Padding is left out as in TensorFlow, or with `count_padding` counts as zeros. Overwrites `y`.
pub fn avg_forward(isa: Isa, shape: &PoolShape, count_padding: bool, x: &[f32], y: &mut [f32]) {
    let (c, input) = (shape.channels, shape.input_len());
    for_each_chunk(y, shape.output_len(), &|image, y| {
        let x = &x[image * input..][..input];
        dispatch!(isa, |_simd| shape.for_each_output(|oy, ox, at| {
            let y = &mut y[at..at + c];
            y.fill(0.0);
            let mut taps = 0;
            shape.for_each_tap(oy, ox, |_, from| {
                taps += 1;
                for (y, x) in y.iter_mut().zip(&x[from..from + c]) {
                    *y += x;
                }
            });
            let scale = shape.share(count_padding, taps);
            y.iter_mut().for_each(|y| *y *= scale);
        }));
    });
}

/// Backward of [`avg_forward`]: each `dy` is shared among the taps it was the mean of. Overwrites `dx`.
pub fn avg_backward(isa: Isa, shape: &PoolShape, count_padding: bool, dy: &[f32], dx: &mut [f32]) {
    let (c, output) = (shape.channels, shape.output_len());
    for_each_chunk(dx, shape.input_len(), &|image, dx| {
        let dy = &dy[image * output..][..output];
        dx.fill(0.0);
        dispatch!(isa, |_simd| shape.for_each_output(|oy, ox, at| {
            let mut taps = 0;
            shape.for_each_tap(oy, ox, |_, _| taps += 1);
            let scale = shape.share(count_padding, taps);
            shape.for_each_tap(oy, ox, |_, to| {
                for (dx, dy) in dx[to..to + c].iter_mut().zip(&dy[at..at + c]) {
                    *dx += scale * dy;
                }
            });
        }));
    });
}
