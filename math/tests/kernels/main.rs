//! The kernels agree with the obvious loops in `f64` (`floret_math::reference`), for every backend, shape and instruction set that the
//! processor has.
//!
//! Outputs that must be overwritten hold NaN beforehand. Tolerances: a sum of K float32 products of values in [-1, 1]
//! errs by about sqrt(K) 6e-8; 1e-5 of the largest value leaves an order of magnitude. Winograd's transforms add and cancel
//! values several times larger: three times that for the largest error of thousands.

#[path = "../../../tests/common/close.rs"]
mod close;
#[path = "../../../tests/common/sets.rs"]
mod sets;

mod activation;
mod buffer;
mod channels;
mod conv;
mod depthwise;
mod environment;
mod gemm;
mod grouped;
mod layer_norm;
mod pools;
mod rearrange;
mod reduce;
mod separable;
mod soundness;
mod transpose;
mod window;
mod winograd;

use ndarray::{Array4, s};

const TOLERANCE: f64 = 1e-5;

fn narrow(a: &Array4<f64>) -> Vec<f32> {
    a.iter().map(|&v| v as f32).collect()
}

/// `value` around the images of a batch.
fn padded(
    x: &Array4<f64>,
    (top, bottom): (usize, usize),
    (left, right): (usize, usize),
    value: f64,
) -> Array4<f64> {
    let (n, h, w, c) = x.dim();
    let mut padded = Array4::from_elem((n, top + h + bottom, left + w + right, c), value);
    padded.slice_mut(s![.., top..top + h, left..left + w, ..]).assign(x);
    padded
}
