//! Vectors of `f32` on each instruction set, chosen at run time. The crate's only `unsafe` beside calls into
//! foreign matrix products lives here.
//!
//! An instruction set is a token: [`Simd::new`] returns one only where the processor has it, and vector operations are
//! methods of the token, so "was it detected?" is a question of types. Code is written once, generic over
//! [`Simd`], marked `#[inline(always)]` down to the vector operations, and run through [`Simd::vectorize`], which
//! compiles it with the instruction set enabled. Which one is a value, [`Isa`], that the kernels are handed; `dispatch!` takes
//! its token.
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

use std::fmt;
use std::sync::OnceLock;

use crate::env::{EnvError, named};

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use kernel::{Bounded, PanelLayout, Store, multiply_rows, multiply_strips, multiply_tile};
pub use matrix::{Grid, GridMut, Matrix, MatrixMut};
pub use portable::Portable;
pub use transpose::transpose;

/// An instruction set that floret has kernels for. Kernels that are asked for on one which this processor does not have panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
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

    /// The same, or an error where this processor does not have it.
    pub fn check(self) -> Result<Isa, Unavailable> {
        if self.is_available() { Ok(self) } else { Err(Unavailable(self)) }
    }

    /// Every instruction set that this processor has, best last.
    pub fn available() -> impl DoubleEndedIterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The one that the environment variable `FLORET_ISA` names (for measurements), else the best one that this processor has.
    ///
    /// # Panics
    /// If [`try_best`](Self::try_best) is an error.
    pub fn best() -> Isa {
        Isa::try_best().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The one that `FLORET_ISA` names.
    fn from_env() -> Result<Option<Isa>, EnvError> {
        let variable = "FLORET_ISA";
        let isa = named(variable, std::env::var_os(variable), &Isa::ALL, Isa::name)?;
        if let Some(missing) = isa.filter(|isa| !isa.is_available()) {
            let available = Isa::available().map(Isa::name).collect();
            return Err(EnvError::Unavailable { variable, value: missing.name(), available });
        }
        Ok(isa)
    }

    /// [`best`](Self::best), or what is wrong with `FLORET_ISA`.
    pub fn try_best() -> Result<Isa, EnvError> {
        static BEST: OnceLock<Result<Isa, EnvError>> = OnceLock::new();
        let best = || Ok(Isa::from_env()?.or(Isa::available().last()).unwrap_or(Isa::Portable));
        BEST.get_or_init(best).clone()
    }
}

/// An instruction set that this processor does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable(pub Isa);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Isa::available().map(Isa::name).collect();
        write!(
            f,
            "this processor does not have the instruction set {}; it has {}",
            self.0.name(),
            names.join(", ")
        )
    }
}

impl std::error::Error for Unavailable {}

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

    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a b + c`, with one rounding where the instruction set has it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// Lane by lane `a` where `a > b`, else `b`; where `a` is NaN, `b`.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;

    /// Lane by lane `a` where `a < b`, else `b`; where `a` is NaN, `b`.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;

    /// Lane by lane `x` where `a > b`, else `y`; where `a` or `b` is NaN, `y`.
    fn where_greater(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;

    /// Lane by lane `x` where `x` is NaN, else `y`.
    fn nan_or(self, x: Self::V, y: Self::V) -> Self::V;

    /// Lane by lane `2^n`; the lanes hold whole numbers from -126 to 127. Of a NaN it is some finite number.
    fn power_of_two(self, n: Self::V) -> Self::V;

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

/// The token of an instruction set, which is the proof that this processor has it.
///
/// # Panics
/// If it does not.
#[inline]
pub(crate) fn token<S: Simd>() -> S {
    S::new().unwrap_or_else(|| missing(S::ISA))
}

/// The end of a kernel that was asked for on an instruction set that this processor does not have.
#[cold]
#[inline(never)]
pub(crate) fn missing(isa: Isa) -> ! {
    panic!("{}", Unavailable(isa))
}

/// Runs `$body` with `$simd` the token of instruction set `$isa`, compiled for it.
///
/// # Panics
/// If this processor does not have the instruction set.
macro_rules! dispatch {
    ($isa:expr, |$simd:ident| $body:expr) => {{
        use $crate::simd::{Isa, Simd};
        match $isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                let $simd = $crate::simd::token::<$crate::simd::Avx512>();
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                let $simd = $crate::simd::token::<$crate::simd::Avx2>();
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            #[cfg(not(target_arch = "x86_64"))]
            isa @ (Isa::Avx512 | Isa::Avx2) => $crate::simd::missing(isa),
            Isa::Portable => {
                let $simd = $crate::simd::token::<$crate::simd::Portable>();
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
        }
    }};
}
pub(crate) use dispatch;
