//! AVX-512F: thirty-two registers of sixteen floats.

use std::arch::x86_64::*;

use super::{Isa, Simd};

/// Proof that the processor has AVX-512F.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

// SAFETY of every block below: the token exists only where the processor has AVX-512F (`new`), which is all that
// these operations on values ask for.
impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    // 28 accumulators, 2 for B, 1 for a value of A, of 32 registers.
    const TILE: (usize, usize) = (14, 2);
    const ISA: Isa = Isa::Avx512;

    fn new() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn inner<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        // SAFETY: the token proves the features.
        unsafe { inner(f) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> __m512 {
        // SAFETY: the token proves the features; the caller vouches for sixteen values.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store_ptr(self, v: __m512, to: *mut f32) {
        // SAFETY: the token proves the features; the caller vouches for sixteen places.
        unsafe { _mm512_storeu_ps(to, v) }
    }
}
