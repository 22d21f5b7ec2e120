//! The obvious loops, in `f64`: what every fast path is checked against.
//!
//! They share no helper with the code they check: output sizes are derived from the arrays' own shapes, and padding
//! is computed here anew from TensorFlow's definition. Clarity over speed throughout.

use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayView4};

/// `A B` by three loops.
pub fn matmul(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Array2<f64> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| {
        (0..a.ncols()).map(|p| a[[i, p]] * b[[p, j]]).sum()
    })
}

/// How a reference convolution slides: stride and dilation (height, width), and whether padding is SAME.
#[derive(Debug, Clone, Copy)]
pub struct Slide {
    /// Stride along height and width.
    pub stride: (usize, usize),
    /// Dilation along height and width.
    pub dilation: (usize, usize),
    /// SAME padding if true, VALID if not.
    pub same: bool,
}

impl Slide {
    /// Output size and padding before, along one axis, as TensorFlow's documentation defines them.
    fn axis(&self, input: usize, kernel: usize, stride: usize, dilation: usize) -> (usize, isize) {
        let extent = (kernel as isize - 1) * dilation as isize + 1;
        if self.same {
            let output = (input as f64 / stride as f64).ceil() as isize;
            let padding = ((output - 1) * stride as isize + extent - input as isize).max(0);
            (output as usize, padding / 2)
        } else {
            let output = ((input as f64 - extent as f64 + 1.0) / stride as f64).ceil();
            (output as usize, 0)
        }
    }

    /// Calls `visit(output y, output x, kernel y, kernel x, input y, input x)` for every tap inside the input.
    fn taps(
        &self,
        input: (usize, usize),
        kernel: (usize, usize),
        mut visit: impl FnMut(usize, usize, usize, usize, usize, usize),
    ) {
        let (oh, top) = self.axis(input.0, kernel.0, self.stride.0, self.dilation.0);
        let (ow, left) = self.axis(input.1, kernel.1, self.stride.1, self.dilation.1);
        for oy in 0..oh {
            for ox in 0..ow {
                for ky in 0..kernel.0 {
                    for kx in 0..kernel.1 {
                        let iy = (oy * self.stride.0 + ky * self.dilation.0) as isize - top;
                        let ix = (ox * self.stride.1 + kx * self.dilation.1) as isize - left;
                        if (0..input.0 as isize).contains(&iy) && (0..input.1 as isize).contains(&ix) {
                            visit(oy, ox, ky, kx, iy as usize, ix as usize);
                        }
                    }
                }
            }
        }
    }

    /// Output height and width for an input and a kernel (height, width).
    pub fn output(&self, input: (usize, usize), kernel: (usize, usize)) -> (usize, usize) {
        let (oh, _) = self.axis(input.0, kernel.0, self.stride.0, self.dilation.0);
        let (ow, _) = self.axis(input.1, kernel.1, self.stride.1, self.dilation.1);
        (oh, ow)
    }
}

/// Convolution as TensorFlow defines it (a cross-correlation): `x` NHWC, `w` HWIO.
///
/// `y[n, oy, ox, o] = sum over ky, kx, i of x[n, iy, ix, i] w[ky, kx, i, o]`
pub fn conv2d(x: ArrayView4<f64>, w: ArrayView4<f64>, slide: Slide) -> Array4<f64> {
    let (n, h, wd, cin) = x.dim();
    let (kh, kw, _, cout) = w.dim();
    let (oh, ow) = slide.output((h, wd), (kh, kw));
    let mut y = Array4::zeros((n, oh, ow, cout));
    slide.taps((h, wd), (kh, kw), |oy, ox, ky, kx, iy, ix| {
        for b in 0..n {
            for i in 0..cin {
                for o in 0..cout {
                    y[[b, oy, ox, o]] += x[[b, iy, ix, i]] * w[[ky, kx, i, o]];
                }
            }
        }
    });
    y
}

/// The gradients of [`conv2d`] with respect to its input and its filter, from the gradient `dy` of its output.
pub fn conv2d_gradients(
    x: ArrayView4<f64>,
    w: ArrayView4<f64>,
    dy: ArrayView4<f64>,
    slide: Slide,
) -> (Array4<f64>, Array4<f64>) {
    let (n, h, wd, cin) = x.dim();
    let (kh, kw, _, cout) = w.dim();
    let (mut dx, mut dw) = (Array4::zeros(x.dim()), Array4::zeros(w.dim()));
    slide.taps((h, wd), (kh, kw), |oy, ox, ky, kx, iy, ix| {
        for b in 0..n {
            for i in 0..cin {
                for o in 0..cout {
                    dx[[b, iy, ix, i]] += dy[[b, oy, ox, o]] * w[[ky, kx, i, o]];
                    dw[[ky, kx, i, o]] += dy[[b, oy, ox, o]] * x[[b, iy, ix, i]];
                }
            }
        }
    });
    (dx, dw)
}

/// Max-pool of a `size x size` window: the largest value inside the input (padding never wins), and the gradient of
/// the input for `dy`, which goes to the first of the largest values in row order.
pub fn max_pool(
    x: ArrayView4<f64>,
    size: usize,
    slide: Slide,
    dy: Option<ArrayView4<f64>>,
) -> (Array4<f64>, Array4<f64>) {
    let (n, h, w, c) = x.dim();
    let (oh, ow) = slide.output((h, w), (size, size));
    let mut y = Array4::from_elem((n, oh, ow, c), f64::NEG_INFINITY);
    let mut winner = Array4::from_elem((n, oh, ow, c), (0, 0));
    slide.taps((h, w), (size, size), |oy, ox, _, _, iy, ix| {
        for b in 0..n {
            for k in 0..c {
                if x[[b, iy, ix, k]] > y[[b, oy, ox, k]] {
                    y[[b, oy, ox, k]] = x[[b, iy, ix, k]];
                    winner[[b, oy, ox, k]] = (iy, ix);
                }
            }
        }
    });
    let mut dx = Array4::zeros(x.dim());
    if let Some(dy) = dy {
        for ((b, oy, ox, k), &(iy, ix)) in winner.indexed_iter() {
            dx[[b, iy, ix, k]] += dy[[b, oy, ox, k]];
        }
    }
    (y, dx)
}

/// Average-pool of a `size x size` window: the mean of the values inside the input (padding is not counted), and the
/// gradient of the input for `dy`.
pub fn avg_pool(
    x: ArrayView4<f64>,
    size: usize,
    slide: Slide,
    dy: Option<ArrayView4<f64>>,
) -> (Array4<f64>, Array4<f64>) {
    let (n, h, w, c) = x.dim();
    let (oh, ow) = slide.output((h, w), (size, size));
    let mut count = Array2::<f64>::zeros((oh, ow));
    slide.taps((h, w), (size, size), |oy, ox, _, _, _, _| count[[oy, ox]] += 1.0);
    let (mut y, mut dx) = (Array4::zeros((n, oh, ow, c)), Array4::zeros(x.dim()));
    slide.taps((h, w), (size, size), |oy, ox, _, _, iy, ix| {
        for b in 0..n {
            for k in 0..c {
                y[[b, oy, ox, k]] += x[[b, iy, ix, k]] / count[[oy, ox]];
                if let Some(dy) = dy {
                    dx[[b, iy, ix, k]] += dy[[b, oy, ox, k]] / count[[oy, ox]];
                }
            }
        }
    });
    (y, dx)
}

/// Mean softmax cross-entropy of logits (batch, classes) against target distributions, and its gradient.
pub fn softmax_cross_entropy(logits: ArrayView2<f64>, targets: ArrayView2<f64>) -> (f64, Array2<f64>) {
    let n = logits.nrows() as f64;
    let mut probabilities = logits.to_owned();
    let mut loss = 0.0;
    for (mut row, target) in probabilities.rows_mut().into_iter().zip(targets.rows()) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = largest + row.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
        loss += row.iter().zip(target).map(|(z, t)| t * (log_sum - z)).sum::<f64>();
        let mass: f64 = target.sum();
        row.mapv_inplace(|z| (z - log_sum).exp() * mass);
        row -= &target;
    }
    (loss / n, probabilities / n)
}

/// Per-channel mean and biased variance over all but the last axis.
pub fn channel_moments(x: ArrayView2<f64>) -> (Array1<f64>, Array1<f64>) {
    let n = x.nrows() as f64;
    let mean = Array1::from_iter(x.columns().into_iter().map(|c| c.sum() / n));
    let variance = Array1::from_iter(
        x.columns().into_iter().zip(&mean).map(|(c, m)| c.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / n),
    );
    (mean, variance)
}
