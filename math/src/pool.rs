//! Max and average pooling of NHWC images, forward and backward.

use super::parallel::{for_each_chunk, for_each_chunk_with_codes};
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
    #[inline]
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

    /// Where tap `tap` of output `(oy, ox)` begins in the input image; the tap must lie inside.
    #[inline]
    fn tap_offset(&self, oy: usize, ox: usize, tap: u8) -> usize {
        let Window { y, x } = &self.window;
        let (ky, kx) = (tap as usize / x.kernel, tap as usize % x.kernel);
        let iy = oy * y.stride + ky - y.pad_before;
        let ix = ox * x.stride + kx - x.pad_before;
        (iy * x.input + ix) * self.channels
    }

    /// What each tap has of a mean, where `inside` of the window's lie within the input.
    fn share(&self, count_padding: bool, inside: usize) -> f32 {
        1.0 / if count_padding { self.window.taps() } else { inside } as f32
    }

    /// Calls `visit(oy, ox, offset)` for each output pixel: its place and where it begins in the output image.
    fn for_each_output(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for oy in 0..self.window.y.output {
            for ox in 0..self.window.x.output {
                visit(oy, ox, (oy * self.window.x.output + ox) * self.channels);
            }
        }
    }
}

/// `y = max of x over the window`; padding never wins. Overwrites `y` and, where given, `winners`: the number of the
/// tap that won, the first of equals in row order, as TensorFlow breaks ties on the CPU. A NaN in the window wins.
///
/// The window has at most 255 taps (checked when the layer is built).
pub fn max_forward(shape: &PoolShape, x: &[f32], y: &mut [f32], winners: Option<&mut [u8]>) {
    let c = shape.channels;
    let (input, output) = (shape.input_len(), shape.output_len());
    for_each_chunk_with_codes(y, winners.unwrap_or_default(), output, &|image, y, winners| {
        let x = &x[image * input..][..input];
        shape.for_each_output(|oy, ox, at| {
            let y = &mut y[at..at + c];
            y.fill(f32::NEG_INFINITY);
            match winners.get_mut(at..at + c) {
                Some(winners) => {
                    let mut first = true;
                    shape.for_each_tap(oy, ox, |tap, from| {
                        for ((y, winner), &x) in y.iter_mut().zip(&mut *winners).zip(&x[from..from + c]) {
                            // Not `x > y`: a NaN must win and stay.
                            let wins = first | (x > *y) | (x.is_nan() & !y.is_nan());
                            *y = if wins { x } else { *y };
                            *winner = if wins { tap } else { *winner };
                        }
                        first = false;
                    });
                }
                None => shape.for_each_tap(oy, ox, |_, from| {
                    for (y, &x) in y.iter_mut().zip(&x[from..from + c]) {
                        *y = if (x > *y) | x.is_nan() { x } else { *y };
                    }
                }),
            }
        });
    });
}

/// Backward of [`max_forward`]: each `dy` goes to its winner. Overwrites `dx`.
pub fn max_backward(shape: &PoolShape, dy: &[f32], winners: &[u8], dx: &mut [f32]) {
    let (c, output) = (shape.channels, shape.output_len());
    for_each_chunk(dx, shape.input_len(), &|image, dx| {
        let (dy, winners) = (&dy[image * output..][..output], &winners[image * output..][..output]);
        dx.fill(0.0);
        shape.for_each_output(|oy, ox, at| {
            for (channel, (&dy, &winner)) in dy[at..at + c].iter().zip(&winners[at..at + c]).enumerate() {
                dx[shape.tap_offset(oy, ox, winner) + channel] += dy;
            }
        });
    });
}

/// `y = mean of x over the window`. Padding is left out as in TensorFlow, or with `count_padding` counts as zeros. Overwrites `y`.
pub fn avg_forward(shape: &PoolShape, count_padding: bool, x: &[f32], y: &mut [f32]) {
    let (c, input) = (shape.channels, shape.input_len());
    for_each_chunk(y, shape.output_len(), &|image, y| {
        let x = &x[image * input..][..input];
        shape.for_each_output(|oy, ox, at| {
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
        });
    });
}

/// Backward of [`avg_forward`]: each `dy` is shared among the taps it was the mean of. Overwrites `dx`.
pub fn avg_backward(shape: &PoolShape, count_padding: bool, dy: &[f32], dx: &mut [f32]) {
    let (c, output) = (shape.channels, shape.output_len());
    for_each_chunk(dx, shape.input_len(), &|image, dx| {
        let dy = &dy[image * output..][..output];
        dx.fill(0.0);
        shape.for_each_output(|oy, ox, at| {
            let mut taps = 0;
            shape.for_each_tap(oy, ox, |_, _| taps += 1);
            let scale = shape.share(count_padding, taps);
            shape.for_each_tap(oy, ox, |_, to| {
                for (dx, dy) in dx[to..to + c].iter_mut().zip(&dy[at..at + c]) {
                    *dx += scale * dy;
                }
            });
        });
    });
}
