//! Numbers only: matrix products, convolution, pooling. Nothing here knows of layers, files or training.
//!
//! This crate is the inside of `floret` and has no API of its own that others should rely on. It is a crate so that it is
//! compiled once, and with all optimizations even where the tests around it are not.
//!
//! Arrays are flat `f32` slices in row-major order; images are NHWC, convolution filters HWIO, dense kernels
//! (in, out). The caller has checked shapes (`floret::nn` does it once, when a network is built).
//!
//! | question | file |
//! | --- | --- |
//! | what is the output size of a convolution or a pool? | `window.rs`: the only place that computes it |
//! | where is the convolution? | `conv/` (forward and both gradients); of groups of channels `grouped/`, depthwise with its neighbours `separable.rs` |
//! | where are the activations? | `activation.rs`, as functions of vectors |
//! | which matrix product runs? | `gemm.rs`; its own are `native.rs` and, of few rows, `thin.rs`; the foreign ones are called in `backend.rs` |
//! | which instruction set? | a value that is handed down, `simd::Isa`; `env.rs` reads what the environment asks for |
//! | which threads? | `parallel.rs`: the one door to rayon |
//! | what is it checked against? | `reference.rs`: the obvious loops, in `f64` |
#![deny(unsafe_code, missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod activation;
mod backend;
pub mod buffer;
pub mod channels;
pub mod conv;
pub mod env;
pub mod gemm;
pub mod grouped;
pub mod layer_norm;
mod native;
pub mod parallel;
pub mod peak;
pub mod pool;
pub mod rearrange;
pub mod reduce;
pub mod reference;
pub mod separable;
pub mod simd;
mod thin;
pub mod window;
