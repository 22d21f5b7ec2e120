//! Vectors of `f32` on each instruction set, chosen at run time. The crate's only `unsafe` beside calls into
//! foreign matrix products lives here.
//!
//! An instruction set is a token: [`Simd::new`] returns one only where the processor has it, and vector operations are
//! methods of the token, so "was it detected?" is a question of types. Code is written once, generic over
//! [`Simd`], marked `#[inline(always)]` down to the vector operations, and run through [`Simd::vectorize`], which
//! compiles it with the instruction set enabled. `dispatch!` picks the best one.
//!
//! To add an instruction set: a token in a file of its own, and a line in `Isa` and `dispatch!`.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod kernel;
mod matrix;
mod portable;
mod transpose;

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use kernel::{PanelLayout, Store, multiply_rows, multiply_tile};
pub use matrix::{Grid, GridMut, Matrix, MatrixMut};
pub use portable::Portable;
pub use transpose::transpose;

/// An instruction set that floret has kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Whatever the compiler makes of plain arrays of four: SSE2, NEON.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl Isa {
    /// Every instruction set, best last.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// Its name, as the environment variable `FLORET_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// The best one that this processor has, at most the one that `FLORET_ISA` names (for measurements).
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let limit = std::env::var("FLORET_ISA").ok();
            let limit = limit.and_then(|name| Isa::ALL.into_iter().find(|isa| isa.name() == name));
            let allowed = |isa: &Isa| limit.is_none_or(|limit| *isa <= limit) && isa.is_available();
            Isa::ALL.into_iter().rev().find(allowed).unwrap_or(Isa::Portable)
        })
    }
}

/// A token for an instruction set that this processor has, and its operations on vectors of [`Self::LANES`] floats.
pub trait Simd: Copy + Send + Sync + 'static {
    /// A vector.
    type V: Copy;

    /// Floats in a vector.
    const LANES: usize;

    /// Rows and vectors of columns of the matrix product's register tile: as many accumulators as leave room for one
    /// row of B and a broadcast value.
    const TILE: (usize, usize);

    /// The instruction set.
    const ISA: Isa;

    /// The token, if the processor has the instruction set.
    fn new() -> Option<Self>;

    /// Runs `f` compiled for the instruction set. Everything in it must be `#[inline(always)]`.
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R;

    /// [`vectorize`](Self::vectorize) as a function of its own, whose registers do not depend on what surrounds the call.
    fn call<R>(self, f: impl FnOnce() -> R) -> R;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a b + c`, with one rounding where the instruction set has it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// Lane by lane `a` where `a > b`, else `b`; where `a` is NaN, `b`.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;

    /// Lane by lane `x` where `a > b`, else `y`; where `a` or `b` is NaN, `y`.
    fn where_greater(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;

    /// Lane by lane `x` where `x` is NaN, else `y`.
    fn nan_or(self, x: Self::V, y: Self::V) -> Self::V;

    /// Writes the first `count` lanes, at most all of them, as bytes. They hold whole numbers from 0 to 255.
    fn store_codes(self, v: Self::V, to: &mut [u8], count: usize);

    /// Lane by lane `v` where `codes` holds `code`, else 0. `codes` has at least [`Self::LANES`] entries.
    fn where_code(self, codes: &[u8], code: u8, v: Self::V) -> Self::V;

    /// Asks for the cache line that holds this value, which may be anywhere.
    fn prefetch(self, at: *const f32);

    /// Transposes a square of [`Self::LANES`] rows and columns: `to[j to_stride + i] = from[i from_stride + j]`.
    ///
    /// # Safety
    /// `from` is valid for reading [`Self::LANES`] values at each of as many multiples of `from_stride`, `to` for writing
    /// likewise.
    unsafe fn transpose_ptr(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);

    /// The first [`Self::LANES`] values.
    ///
    /// # Safety
    /// `from` is valid for reading so many.
    unsafe fn load_ptr(self, from: *const f32) -> Self::V;

    /// Writes the first [`Self::LANES`] values.
    ///
    /// # Safety
    /// `to` is valid for writing so many.
    unsafe fn store_ptr(self, v: Self::V, to: *mut f32);

    /// The first [`Self::LANES`] values of a slice.
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        assert!(from.len() >= Self::LANES);
        // SAFETY: the slice holds as many, as was just checked.
        unsafe { self.load_ptr(from.as_ptr()) }
    }

    /// Writes to the first [`Self::LANES`] values of a slice.
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32]) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: the slice holds as many, as was just checked.
        unsafe { self.store_ptr(v, to.as_mut_ptr()) }
    }

    /// The first `count` values of a slice, at most a vector of them; further lanes are 0.
    #[inline(always)]
    fn load_up_to(self, from: &[f32], count: usize) -> Self::V {
        if count >= Self::LANES {
            return self.load(from);
        }
        let mut lanes = [0.0; MOST_LANES];
        lanes[..count].copy_from_slice(&from[..count]);
        self.load(&lanes)
    }

    /// Writes the first `count` lanes, at most all of them.
    #[inline(always)]
    fn store_up_to(self, v: Self::V, to: &mut [f32], count: usize) {
        if count >= Self::LANES {
            return self.store(v, to);
        }
        let mut lanes = [0.0; MOST_LANES];
        self.store(v, &mut lanes);
        to[..count].copy_from_slice(&lanes[..count]);
    }

    /// [`where_code`](Self::where_code) of the first `count` lanes, at most all of them; further lanes are 0.
    #[inline(always)]
    fn where_code_up_to(self, codes: &[u8], code: u8, v: Self::V, count: usize) -> Self::V {
        if count >= Self::LANES {
            return self.where_code(codes, code, v);
        }
        let mut some = [u8::MAX; MOST_LANES];
        some[..count].copy_from_slice(&codes[..count]);
        self.where_code(&some, code, v)
    }
}

/// Floats in a vector of any instruction set, at most.
pub const MOST_LANES: usize = 16;

/// Runs `$body` with `$simd` the token of the best instruction set, compiled for it.
macro_rules! dispatch {
    (|$simd:ident| $body:expr) => {{
        use $crate::simd::{Isa, Portable, Simd};
        match Isa::best() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                let $simd = $crate::simd::Avx512::new().expect("Isa::best found it");
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                let $simd = $crate::simd::Avx2::new().expect("Isa::best found it");
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            _ => {
                let $simd = Portable::new().expect("every processor has it");
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
        }
    }};
}
pub(crate) use dispatch;
