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
    fn call<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f")]
        #[inline(never)]
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
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn where_greater(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), y, x) }
    }

    #[inline(always)]
    fn nan_or(self, x: __m512, y: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x), y, x) }
    }

    #[inline(always)]
    fn power_of_two(self, n: __m512) -> __m512 {
        // SAFETY: the token proves the features.
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }

    #[inline(always)]
    fn store_codes(self, v: __m512, to: &mut [u8], count: usize) {
        let mut bytes = [0; 16];
        // SAFETY: the token proves the features; sixteen bytes are written to an array of as many.
        unsafe {
            let codes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
            _mm_storeu_si128(bytes.as_mut_ptr().cast(), codes);
        }
        let count = count.min(16);
        to[..count].copy_from_slice(&bytes[..count]);
    }

    #[inline(always)]
    fn where_code(self, codes: &[u8], code: u8, v: __m512) -> __m512 {
        let codes: &[u8; 16] = codes[..16].try_into().expect("sixteen of sixteen");
        // SAFETY: the token proves the features; sixteen bytes are read from an array of as many.
        unsafe {
            let codes = _mm512_cvtepu8_epi32(_mm_loadu_si128(codes.as_ptr().cast()));
            let mask = _mm512_cmpeq_epi32_mask(codes, _mm512_set1_epi32(i32::from(code)));
            _mm512_maskz_mov_ps(mask, v)
        }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        // SAFETY: prefetching reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn transpose_ptr(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the token proves the features; the caller vouches for the addresses.
        unsafe { transpose(from, from_stride, to, to_stride) }
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

/// [`Simd::transpose_ptr`]; a function with the features of its own, which its closures share.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    // SAFETY: the caller vouches for sixteen values in each of sixteen rows.
    unsafe {
        let row = |i: usize| _mm512_loadu_ps(from.add(i * from_stride));
        // Pairs of rows, then fours, then quarters change places.
        let pair = |i: usize| {
            let (a, b) = (row(i), row(i + 1));
            (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
        };
        let four = |i: usize| {
            let ((a, b), (c, d)) = (pair(i), pair(i + 2));
            [
                _mm512_shuffle_ps::<0x44>(a, c),
                _mm512_shuffle_ps::<0xEE>(a, c),
                _mm512_shuffle_ps::<0x44>(b, d),
                _mm512_shuffle_ps::<0xEE>(b, d),
            ]
        };
        let fours = [four(0), four(4), four(8), four(12)];
        #[allow(clippy::needless_range_loop, reason = "one row of each four")]
        for j in 0..4 {
            let [a, b, c, d] = [fours[0][j], fours[1][j], fours[2][j], fours[3][j]];
            let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
            let (even_below, odd_below) =
                (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xDD>(c, d));
            for (quarter, (above, below)) in [(0, (even, even_below)), (1, (odd, odd_below))] {
                let first = _mm512_shuffle_f32x4::<0x88>(above, below);
                let second = _mm512_shuffle_f32x4::<0xDD>(above, below);
                _mm512_storeu_ps(to.add((4 * quarter + j) * to_stride), first);
                _mm512_storeu_ps(to.add((4 * quarter + 8 + j) * to_stride), second);
            }
        }
    }
}
