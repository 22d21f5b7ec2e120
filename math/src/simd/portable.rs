//! Plain arrays of four, which the compiler turns into SSE2 or NEON registers.

use super::{Isa, Simd};

/// The instruction set that every processor of the target has.
#[derive(Debug, Clone, Copy)]
pub struct Portable(());

/// Four floats in one register.
#[derive(Debug, Clone, Copy)]
#[repr(align(16))]
pub struct F32x4([f32; 4]);

#[inline(always)]
fn lanes(f: impl Fn(usize) -> f32) -> F32x4 {
    F32x4([f(0), f(1), f(2), f(3)])
}

impl Simd for Portable {
    type V = F32x4;
    const LANES: usize = 4;
    // 12 accumulators of the 16 registers that SSE2 has (NEON has 32).
    const TILE: (usize, usize) = (6, 2);
    const ISA: Isa = Isa::Portable;

    fn new() -> Option<Self> {
        Some(Self(()))
    }

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(never)]
    fn call<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x4 {
        F32x4([x; 4])
    }

    #[inline(always)]
    fn add(self, a: F32x4, b: F32x4) -> F32x4 {
        lanes(|i| a.0[i] + b.0[i])
    }

    #[inline(always)]
    fn sub(self, a: F32x4, b: F32x4) -> F32x4 {
        lanes(|i| a.0[i] - b.0[i])
    }

    #[inline(always)]
    fn mul(self, a: F32x4, b: F32x4) -> F32x4 {
        lanes(|i| a.0[i] * b.0[i])
    }

    #[inline(always)]
    fn div(self, a: F32x4, b: F32x4) -> F32x4 {
        lanes(|i| a.0[i] / b.0[i])
    }

    #[inline(always)]
    fn mul_add(self, a: F32x4, b: F32x4, c: F32x4) -> F32x4 {
        // Two roundings: without the instruction `f32::mul_add` is a library call.
        lanes(|i| a.0[i] * b.0[i] + c.0[i])
    }

    #[inline(always)]
    fn max(self, a: F32x4, b: F32x4) -> F32x4 {
        lanes(|i| if a.0[i] > b.0[i] { a.0[i] } else { b.0[i] })
    }

    #[inline(always)]
    fn min(self, a: F32x4, b: F32x4) -> F32x4 {
        lanes(|i| if a.0[i] < b.0[i] { a.0[i] } else { b.0[i] })
    }

    #[inline(always)]
    fn where_greater(self, a: F32x4, b: F32x4, x: F32x4, y: F32x4) -> F32x4 {
        lanes(|i| if a.0[i] > b.0[i] { x.0[i] } else { y.0[i] })
    }

    #[inline(always)]
    fn nan_or(self, x: F32x4, y: F32x4) -> F32x4 {
        lanes(|i| if x.0[i].is_nan() { x.0[i] } else { y.0[i] })
    }

    #[inline(always)]
    fn power_of_two(self, n: F32x4) -> F32x4 {
        // The exponent's bits hold n + 127.
        lanes(|i| f32::from_bits(((n.0[i] as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn store_codes(self, v: F32x4, to: &mut [u8], count: usize) {
        to.iter_mut().zip(v.0).take(count).for_each(|(to, v)| *to = v as u8);
    }

    #[inline(always)]
    fn where_code(self, codes: &[u8], code: u8, v: F32x4) -> F32x4 {
        let codes = &codes[..4];
        lanes(|i| if codes[i] == code { v.0[i] } else { 0.0 })
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}

    #[inline(always)]
    unsafe fn transpose_ptr(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for i in 0..4 {
            for j in 0..4 {
                // SAFETY: the caller vouches for four values in each of four rows on both sides.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
            }
        }
    }

    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> F32x4 {
        // SAFETY: the caller vouches for four values; `read_unaligned` asks for no alignment.
        F32x4(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store_ptr(self, v: F32x4, to: *mut f32) {
        // SAFETY: the caller vouches for four places; `write_unaligned` asks for no alignment.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(v.0) }
    }
}
