//! Activations, value by value, and their gradients.
//!
//! Each one is a `Function` of vectors, so that a kernel can apply it to values that it still holds in registers. A NaN
//! stays a NaN, so that training notices it.
//!
//! Over [-100, 100] and on every instruction set, values err by at most 2e-7 of `max(1, |x|)` against `f64`, derivatives by at
//! most 2e-7; the tests hold them to it.

use super::parallel::{for_each_chunk, for_each_chunk_with_codes};
use super::simd::{Isa, Matrix, MatrixMut, Simd, dispatch};

/// Values of a task.
const CHUNK: usize = 1 << 14;

/// The code of a value that no gradient passes: ReLU or Clip cut it off, or all of its window behind which there is a pool.
pub(crate) const NO_WINNER: u8 = 4;

/// What a layer does to each of its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` over 0, else `slope x`.
    LeakyRelu {
        /// The slope below zero.
        slope: f32,
    },
    /// `min(max(x, min), max)`.
    Clip {
        /// The least value.
        min: f32,
        /// The largest.
        max: f32,
    },
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `clip(x / 6 + 1 / 2, 0, 1)`.
    HardSigmoid,
    /// `x sigmoid(x)`.
    Silu,
    /// `x hard_sigmoid(x)`.
    HardSwish,
    /// `x Phi(x)`, where Phi is the normal distribution function.
    Gelu,
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
}

/// Runs `$body` with `$function` the [`Function`] of an activation.
macro_rules! with_function {
    ($activation:expr, |$function:ident| $body:expr) => {
        match $activation {
            Activation::Relu => {
                let $function = Relu;
                $body
            }
            Activation::LeakyRelu { slope } => {
                let $function = LeakyRelu { slope };
                $body
            }
            Activation::Clip { min, max } => {
                let $function = Clip { min, max };
                $body
            }
            Activation::Sigmoid => {
                let $function = Sigmoid;
                $body
            }
            Activation::HardSigmoid => {
                let $function = HardSigmoid;
                $body
            }
            Activation::Silu => {
                let $function = Silu;
                $body
            }
            Activation::HardSwish => {
                let $function = HardSwish;
                $body
            }
            Activation::Gelu => {
                let $function = Gelu;
                $body
            }
            Activation::GeluTanh => {
                let $function = GeluTanh;
                $body
            }
        }
    };
}

impl Activation {
    /// `y = f(x)`. Overwrites `y`.
    pub fn forward(self, isa: Isa, x: &[f32], y: &mut [f32]) {
        with_function!(self, |function| for_each_chunk(y, CHUNK, &|index, y| {
            let x = &x[index * CHUNK..][..y.len()];
            dispatch!(isa, |simd| values(simd, function, x, y));
        }));
    }

    /// `dx = f'(x) dy`. Overwrites x by dx, in place.
    pub fn backward(self, isa: Isa, x: &mut [f32], dy: &[f32]) {
        with_function!(self, |function| for_each_chunk(x, CHUNK, &|index, x| {
            let dy = &dy[index * CHUNK..][..x.len()];
            dispatch!(isa, |simd| gradients(simd, function, x, dy));
        }));
    }

    /// `y = f(scale x + shift)` for each row, on the calling thread; scale and shift are of each column. Overwrites `y`.
    #[inline(never)]
    pub(crate) fn values_of<S: Simd>(
        self,
        simd: S,
        x: Matrix<'_>,
        (scale, shift): (&[f32], &[f32]),
        mut y: MatrixMut<'_>,
    ) {
        with_function!(self, |function| simd.call(
            #[inline(always)]
            || for row in 0..y.rows() {
                let (x, y) = (x.row(row), y.row(row));
                for_each_vector::<S>(
                    y.len(),
                    #[inline(always)]
                    |at, n| {
                        let z = scale_and_shift(simd, &x[at..], &scale[at..], &shift[at..], n);
                        simd.store_up_to(function.value(simd, z), &mut y[at..], n);
                    },
                );
            },
        ));
    }

    /// `dz = f'(scale x + shift) dy` likewise. Overwrites `dz`.
    #[inline(never)]
    pub(crate) fn gradients_of<S: Simd>(
        self,
        simd: S,
        (x, dy): (Matrix<'_>, Matrix<'_>),
        (scale, shift): (&[f32], &[f32]),
        mut dz: MatrixMut<'_>,
    ) {
        with_function!(self, |function| simd.call(
            #[inline(always)]
            || for row in 0..dz.rows() {
                let (x, dy, dz) = (x.row(row), dy.row(row), dz.row(row));
                for_each_vector::<S>(
                    dz.len(),
                    #[inline(always)]
                    |at, n| {
                        let z = scale_and_shift(simd, &x[at..], &scale[at..], &shift[at..], n);
                        let dy = simd.load_up_to(&dy[at..], n);
                        simd.store_up_to(function.gradient(simd, z, dy), &mut dz[at..], n);
                    },
                );
            },
        ));
    }

    /// Whether a gradient passes whole or not at all, so that one code for each value tells it.
    pub fn gates(self) -> bool {
        matches!(self, Activation::Relu | Activation::Clip { .. })
    }

    /// The codes of values from what they became, `y`; only of an activation that [`gates`](Self::gates), which leaves every
    /// value as it is that a gradient passes. Overwrites `codes`.
    pub(crate) fn codes(self, isa: Isa, y: &mut [f32], codes: &mut [u8]) {
        for_each_chunk_with_codes(y, codes, CHUNK, &|_, y, codes| {
            dispatch!(isa, |simd| self.codes_of_values(simd, y, codes));
        });
    }

    /// [`codes`](Self::codes) of a row of values on the calling thread.
    #[inline(always)]
    pub(crate) fn codes_of_values<S: Simd>(self, simd: S, y: &mut [f32], codes: &mut [u8]) {
        let len = y.len();
        self.codes_of(simd, MatrixMut::new(y, 1, len, len), MatrixMut::new(codes, 1, len, len));
    }

    /// [`codes`](Self::codes) of each row of values on the calling thread.
    #[inline(never)]
    pub(crate) fn codes_of<S: Simd>(self, simd: S, mut y: MatrixMut<'_>, mut codes: MatrixMut<'_, u8>) {
        // Codes tell where the value is over the lower bound and not cut off by the upper one.
        let (min, max, bounded) = match self {
            Activation::Relu => (0.0, 0.0, false),
            Activation::Clip { min, max } => (min, max, true),
            _ => unreachable!("{self:?} keeps no codes"),
        };
        simd.call(
            #[inline(always)]
            || {
                for row in 0..y.rows() {
                    for (code, y) in codes.row(row).iter_mut().zip(&*y.row(row)) {
                        // A NaN does not pass.
                        let passes = (*y > min) & ((*y < max) | !bounded);
                        *code = if passes { 0 } else { NO_WINNER };
                    }
                }
            },
        );
    }

    /// `y = f(y)`.
    #[inline(always)]
    pub(crate) fn finish_values<S: Simd>(self, simd: S, y: &mut [f32]) {
        let len = y.len();
        self.finish(simd, MatrixMut::new(y, 1, len, len), &[]);
    }

    /// `y = f(y + bias)` for each row of y, on the calling thread; an empty bias adds nothing.
    #[inline(never)]
    pub(crate) fn finish<S: Simd>(self, simd: S, y: MatrixMut<'_>, bias: &[f32]) {
        with_function!(self, |function| simd.call(
            #[inline(always)]
            || finish(simd, function, y, bias),
        ));
    }
}

/// Calls `work` with where each vector of `len` values begins, and how many values it has: the last one may have fewer than the others.
#[inline(always)]
fn for_each_vector<S: Simd>(len: usize, mut work: impl FnMut(usize, usize)) {
    let whole = len / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        // A constant, so that nothing is asked for each vector.
        work(at, S::LANES);
    }
    if whole < len {
        work(whole, len - whole);
    }
}

/// `scale x + shift` of the first `n` values, rounded twice, as a loop over plain numbers does.
#[inline(always)]
fn scale_and_shift<S: Simd>(simd: S, x: &[f32], scale: &[f32], shift: &[f32], n: usize) -> S::V {
    let product = simd.mul(simd.load_up_to(scale, n), simd.load_up_to(x, n));
    simd.add(product, simd.load_up_to(shift, n))
}

#[inline(always)]
fn finish<S: Simd, F: Function>(simd: S, function: F, mut y: MatrixMut<'_>, bias: &[f32]) {
    for row in 0..y.rows() {
        let y = y.row(row);
        for_each_vector::<S>(
            y.len(),
            #[inline(always)]
            |at, n| {
                let mut x = simd.load_up_to(&y[at..], n);
                if !bias.is_empty() {
                    x = simd.add(x, simd.load_up_to(&bias[at..], n));
                }
                simd.store_up_to(function.value(simd, x), &mut y[at..], n);
            },
        );
    }
}

#[inline(always)]
fn values<S: Simd>(simd: S, function: impl Function, x: &[f32], y: &mut [f32]) {
    for_each_vector::<S>(
        y.len(),
        #[inline(always)]
        |at, n| simd.store_up_to(function.value(simd, simd.load_up_to(&x[at..], n)), &mut y[at..], n),
    );
}

#[inline(always)]
fn gradients<S: Simd>(simd: S, function: impl Function, x: &mut [f32], dy: &[f32]) {
    for_each_vector::<S>(
        x.len(),
        #[inline(always)]
        |at, n| {
            let dx = function.gradient(simd, simd.load_up_to(&x[at..], n), simd.load_up_to(&dy[at..], n));
            simd.store_up_to(dx, &mut x[at..], n);
        },
    );
}

/// A function of each lane of a vector, and its gradient.
pub(crate) trait Function: Copy + Send + Sync {
    /// `f(x)`.
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V;

    /// `f'(x) dy`.
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V;
}

#[derive(Clone, Copy)]
struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        // max(0, NaN) is NaN here; the operand order matters.
        simd.max(simd.splat(0.0), x)
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        simd.where_greater(x, simd.splat(0.0), dy, simd.splat(0.0))
    }
}

#[derive(Clone, Copy)]
struct LeakyRelu {
    slope: f32,
}

impl Function for LeakyRelu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        simd.where_greater(x, simd.splat(0.0), x, simd.mul(simd.splat(self.slope), x))
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        simd.where_greater(x, simd.splat(0.0), dy, simd.mul(simd.splat(self.slope), dy))
    }
}

#[derive(Clone, Copy)]
struct Clip {
    min: f32,
    max: f32,
}

impl Function for Clip {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        let (min, max) = (simd.splat(self.min), simd.splat(self.max));
        // A NaN compares with nothing, so it is passed on.
        let x = simd.where_greater(min, x, min, x);
        simd.where_greater(x, max, max, x)
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        where_between(simd, (self.min, self.max), x, dy)
    }
}

#[derive(Clone, Copy)]
struct Sigmoid;

impl Sigmoid {
    /// The sigmoid s and `1 - s`, neither of which is a difference of larger numbers.
    #[inline(always)]
    fn both<S: Simd>(simd: S, x: S::V) -> (S::V, S::V) {
        // With e = e^-|x| they are 1 / (1 + e) and e / (1 + e), the larger first where x is positive.
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        let e = exp_of_negative(simd, simd.where_greater(x, zero, simd.sub(zero, x), x));
        let larger = simd.div(one, simd.add(one, e));
        let smaller = simd.mul(e, larger);
        (simd.where_greater(x, zero, larger, smaller), simd.where_greater(x, zero, smaller, larger))
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        Self::both(simd, x).0
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        // s' = s (1 - s)
        let (s, rest) = Self::both(simd, x);
        simd.mul(simd.mul(s, rest), dy)
    }
}

#[derive(Clone, Copy)]
struct HardSigmoid;

impl Function for HardSigmoid {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        let line = simd.mul_add(x, simd.splat(1.0 / 6.0), simd.splat(0.5));
        Clip { min: 0.0, max: 1.0 }.value(simd, line)
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        where_between(simd, (-3.0, 3.0), x, simd.mul(simd.splat(1.0 / 6.0), dy))
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        simd.mul(x, Sigmoid.value(simd, x))
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        // (x s)' = s + x s (1 - s)
        let (s, rest) = Sigmoid::both(simd, x);
        simd.mul(simd.mul_add(simd.mul(x, s), rest, s), dy)
    }
}

#[derive(Clone, Copy)]
struct HardSwish;

impl Function for HardSwish {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        simd.mul(x, HardSigmoid.value(simd, x))
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        // (x h)' = h + x h'
        simd.mul_add(HardSigmoid.value(simd, x), dy, HardSigmoid.gradient(simd, x, simd.mul(x, dy)))
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Gelu {
    /// The normal distribution function at x, and `e^(-x^2 / 2)`.
    ///
    /// `Phi(-z) = e^(-z^2 / 2) h(z)`, where h falls slowly from 1/2; for z from 0 on it is `t P(t)` with `t = 1 / (1 + 0.35 z)`.
    /// P was fitted for the least relative error on [0, 14], which is 4e-8. Behind that the power of e is 0.
    #[inline(always)]
    fn distribution<S: Simd>(simd: S, x: S::V) -> (S::V, S::V) {
        const P: [f32; 9] = [
            -0.029146073,
            0.1439724,
            -0.25571567,
            0.15917577,
            -0.023110922,
            0.105508454,
            0.119832754,
            0.13986188,
            0.1396214,
        ];
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        let e = exp_of_negative(simd, simd.mul(simd.mul(simd.splat(-0.5), x), x));
        let z = simd.where_greater(x, zero, x, simd.sub(zero, x));
        let t = simd.div(one, simd.mul_add(z, simd.splat(0.35), one));
        let tail = simd.mul(simd.mul(e, t), polynomial(simd, P, t));
        (simd.where_greater(x, zero, simd.sub(one, tail), tail), e)
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        simd.mul(x, Self::distribution(simd, x).0)
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        // (x Phi)' = Phi + x e^(-x^2 / 2) / sqrt(2 pi)
        const SCALE: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2 / 2.0;
        let (phi, e) = Self::distribution(simd, x);
        simd.mul(simd.mul_add(simd.mul(simd.splat(SCALE), x), e, phi), dy)
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl GeluTanh {
    // (1 + tanh u) / 2 = sigmoid(2 u), and 2 u = x (LINEAR + CUBIC x^2).
    const LINEAR: f32 = 2.0 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    const CUBIC: f32 = 0.044715 * Self::LINEAR;

    #[inline(always)]
    fn sigmoid<S: Simd>(simd: S, x: S::V) -> (S::V, S::V) {
        let factor = simd.mul_add(simd.mul(x, x), simd.splat(Self::CUBIC), simd.splat(Self::LINEAR));
        Sigmoid::both(simd, simd.mul(x, factor))
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::V) -> S::V {
        simd.mul(x, Self::sigmoid(simd, x).0)
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, simd: S, x: S::V, dy: S::V) -> S::V {
        // (x s)' = s + x s (1 - s) (2 u)'
        let (s, rest) = Self::sigmoid(simd, x);
        // Far out s is 0 or 1 to the last digit; no square may be infinite there.
        let x = Clip { min: -32.0, max: 32.0 }.value(simd, x);
        let slope = simd.mul_add(simd.mul(x, x), simd.splat(3.0 * Self::CUBIC), simd.splat(Self::LINEAR));
        simd.mul(simd.mul_add(simd.mul(simd.mul(x, s), rest), slope, s), dy)
    }
}

/// `v` where x lies between the bounds, else 0.
#[inline(always)]
fn where_between<S: Simd>(simd: S, (low, high): (f32, f32), x: S::V, v: S::V) -> S::V {
    let zero = simd.splat(0.0);
    simd.where_greater(x, simd.splat(low), simd.where_greater(simd.splat(high), x, v, zero), zero)
}

/// A polynomial by Horner's rule; the first coefficient is the highest power's.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, coefficients: [f32; N], x: S::V) -> S::V {
    let mut sum = simd.splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = simd.mul_add(sum, x, simd.splat(coefficient));
    }
    sum
}

/// `e^x` for x of at most 0, with a relative error of at most 1.2e-7; 0 below -87, where it is next to the least normal number.
///
/// `e^x = 2^n e^r` with `x = n ln 2 + r` and n whole; the polynomial for e^r is that of Cephes' `expf`.
#[inline(always)]
fn exp_of_negative<S: Simd>(simd: S, x: S::V) -> S::V {
    // Added to a number of up to 2^22 and subtracted again, it leaves the nearest whole one.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    // ln 2 in two parts; a multiple of the first is exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    const P: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
    let (least, one) = (simd.splat(-87.0), simd.splat(1.0));
    let bounded = simd.max(least, x);
    let n = simd.mul_add(bounded, simd.splat(std::f32::consts::LOG2_E), simd.splat(ROUND));
    let n = simd.sub(n, simd.splat(ROUND));
    let r = simd.mul_add(n, simd.splat(-LN_2.0), bounded);
    let r = simd.mul_add(n, simd.splat(-LN_2.1), r);
    let e = simd.mul_add(simd.mul(polynomial(simd, P, r), r), r, simd.add(r, one));
    let e = simd.mul(e, simd.power_of_two(n));
    simd.where_greater(least, x, simd.splat(0.0), e)
}
