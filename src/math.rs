//! The matrix product, and the instruction sets that kernels are compiled for.
//!
//! The kernels themselves are the crate `floret-math`, which is compiled once and is no public API.

pub use floret_math::env::EnvError;
pub use floret_math::gemm::{Backend, gemm, gemm_with, par_gemm};
pub use floret_math::peak::multiply_adds_per_second as peak_multiply_adds;
pub use floret_math::simd::{Isa, Unavailable};
