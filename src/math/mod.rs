//! Numbers only: matrix products, convolution, pooling. Nothing here knows of layers, files or training.
//!
//! Arrays are flat `f32` slices in row-major order; images are NHWC, convolution filters HWIO, dense kernels
//! (in, out). Shapes have been checked by the caller ([`crate::nn`] does it once, when a network is built).
//!
//! | question | file |
//! | --- | --- |
//! | what is the output size of a convolution or a pool? | `window.rs`: the only place that computes it |
//! | where is the convolution? | `conv/` (forward and both gradients) |
//! | which matrix product runs? | `gemm.rs`; its own are `native.rs` and, of few rows, `thin.rs`; the foreign ones are called in `backend.rs` |
//! | what is it checked against? | `reference.rs`: the obvious loops, in `f64` |

mod backend;
pub(crate) mod buffer;
pub(crate) mod channels;
pub mod conv;
pub mod gemm;
mod native;
pub mod pool;
pub mod reduce;
pub mod reference;
pub mod simd;
mod thin;
pub mod window;
