//! The one-dimensional transforms of Winograd's minimal filtering, each along eight or six values.
//!
//! `F(m, r)` computes m outputs of an r-tap correlation from `n = m + r - 1` inputs with n multiplications (Winograd 1980;
//! Lavin and Gray 2016):
//!
//! ```text
//! y = A^T [ (G g) (.) (B^T d) ]         g: r taps, d: n inputs, y: m outputs, (.): value by value
//! ```
//!
//! They come from interpolation at n - 1 points a and at infinity, which B alone depends on: rows a of A hold the powers of a,
//! rows of G those powers over the product of the distances to the other points, rows of B^T the coefficients of the
//! polynomial with all other points as roots. The points are 0, +-1, +-2 and, for n = 8, +-1/2: small, and in pairs of
//! opposite sign, so that each pair shares the even and the odd half of its sums. The rows of +-1/2 are scaled by a power
//! of two, so that A holds whole numbers.
//!
//! In two dimensions each transform is applied to the columns of a tile, then to its rows. Transposed, the same three give
//! the gradient of the filter: `dg = G^T [ (A dy) (.) (B^T d) ]`.

use crate::math::simd::Simd;

/// Values along a tile's side, at most.
pub const MAX_N: usize = 8;

/// A minimal filtering F(m, r) as a type: its sizes, and what differs between them.
pub trait Filtering: Copy + Send + Sync + 'static {
    /// Outputs, m.
    const M: usize;
    /// Taps, r.
    const R: usize;
    /// Inputs, n = m + r - 1.
    const N: usize = Self::M + Self::R - 1;
    /// The positive point p of each pair +-p, and the factor 1 / (product of its distances to the other points), over the
    /// power of two that its row of A is scaled by.
    const PAIRS: &'static [(f32, f32)];
    /// The same factor of the point 0.
    const ZERO: f32;

    /// `B^T x`: N inputs to N values.
    fn input<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N];
}

/// F(4, 5) on eight values.
#[derive(Debug, Clone, Copy)]
pub struct F4x5;

/// F(6, 3) on eight values.
#[derive(Debug, Clone, Copy)]
pub struct F6x3;

/// F(2, 5) on six values.
#[derive(Debug, Clone, Copy)]
pub struct F2x5;

/// F(4, 3) on six values.
#[derive(Debug, Clone, Copy)]
pub struct F4x3;

impl Filtering for F4x5 {
    const M: usize = 4;
    const R: usize = 5;
    const PAIRS: &'static [(f32, f32)] = &[(1.0, -2.0 / 9.0), (2.0, 1.0 / 90.0), (0.5, 4.0 / 45.0)];
    const ZERO: f32 = 1.0;

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
        input8(simd, x)
    }
}

impl Filtering for F6x3 {
    const M: usize = 6;
    const R: usize = 3;
    const PAIRS: &'static [(f32, f32)] = &[(1.0, -2.0 / 9.0), (2.0, 1.0 / 90.0), (0.5, 1.0 / 45.0)];
    const ZERO: f32 = 1.0;

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
        input8(simd, x)
    }
}

impl Filtering for F2x5 {
    const M: usize = 2;
    const R: usize = 5;
    const PAIRS: &'static [(f32, f32)] = &[(1.0, -1.0 / 6.0), (2.0, 1.0 / 24.0)];
    const ZERO: f32 = 0.25;

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
        input6(simd, x)
    }
}

impl Filtering for F4x3 {
    const M: usize = 4;
    const R: usize = 3;
    const PAIRS: &'static [(f32, f32)] = &[(1.0, -1.0 / 6.0), (2.0, 1.0 / 24.0)];
    const ZERO: f32 = 0.25;

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
        input6(simd, x)
    }
}

/// `factor v + plus`.
#[inline(always)]
fn times<S: Simd>(simd: S, v: S::V, factor: f32, plus: S::V) -> S::V {
    simd.mul_add(v, simd.splat(factor), plus)
}

/// `B^T x` for the points 0, +-1, +-2, +-1/2 and infinity.
#[inline(always)]
fn input8<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let [x0, x1, x2, x3, x4, x5, x6, x7] = x;
    let even1 = times(simd, x4, -4.25, simd.add(x2, x6));
    let odd1 = times(simd, x3, -4.25, simd.add(x1, x5));
    let even2 = times(simd, x2, 0.25, times(simd, x4, -1.25, x6));
    let odd2 = times(simd, x1, 0.5, times(simd, x3, -2.5, simd.add(x5, x5)));
    let even3 = times(simd, x2, 4.0, times(simd, x4, -5.0, x6));
    let odd3 = times(simd, x5, 0.5, times(simd, x3, -2.5, simd.add(x1, x1)));
    [
        times(simd, simd.sub(x4, x2), 5.25, simd.sub(x0, x6)),
        simd.add(even1, odd1),
        simd.sub(even1, odd1),
        simd.add(even2, odd2),
        simd.sub(even2, odd2),
        simd.add(even3, odd3),
        simd.sub(even3, odd3),
        times(simd, simd.sub(x3, x5), 5.25, simd.sub(x7, x1)),
    ]
}

/// `B^T x` for the points 0, +-1, +-2 and infinity; the last two values are not used.
#[inline(always)]
fn input6<S: Simd>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let [x0, x1, x2, x3, x4, x5, ..] = x;
    let even1 = times(simd, x2, -4.0, x4);
    let odd1 = times(simd, x1, -4.0, x3);
    let even2 = simd.sub(x4, x2);
    let odd2 = simd.sub(x3, x1);
    let odd2 = simd.add(odd2, odd2);
    let zero = simd.splat(0.0);
    [
        times(simd, x0, 4.0, times(simd, x2, -5.0, x4)),
        simd.add(even1, odd1),
        simd.sub(even1, odd1),
        simd.add(even2, odd2),
        simd.sub(even2, odd2),
        times(simd, x1, 4.0, times(simd, x3, -5.0, x5)),
        zero,
        zero,
    ]
}

/// Runs a block for each constant `$i` below `$count`, at most [`MAX_N`], written out: a loop that the compiler leaves as one
/// would keep vectors in memory and raise powers at run time.
macro_rules! unrolled {
    ($i:ident < $count:expr => $body:block) => { unrolled!($i < $count => $body, 0 1 2 3 4 5 6 7) };
    ($i:ident < $count:expr => $body:block, $($n:literal)+) => {
        $(if $n < $count {
            const $i: usize = $n;
            $body
        })+
    };
}

/// Entry (i, pair) of A^T for the positive point p: p^i, scaled for p under 1 to whole numbers.
#[inline(always)]
fn output_power<F: Filtering>(i: usize, p: f32) -> f32 {
    if p < 1.0 { (1 << (F::M - 1 - i)) as f32 } else { p.powi(i as i32) }
}

/// `factor v + sum`; no product where the factor is 1, no sum where there is none yet.
#[inline(always)]
fn add_times<S: Simd>(simd: S, sum: Option<S::V>, v: S::V, factor: f32) -> Option<S::V> {
    Some(match sum {
        None if factor == 1.0 => v,
        None => simd.mul(v, simd.splat(factor)),
        Some(sum) if factor == 1.0 => simd.add(sum, v),
        Some(sum) => simd.mul_add(v, simd.splat(factor), sum),
    })
}

/// Sums and differences of the pairs among N values.
#[inline(always)]
fn halves<S: Simd, F: Filtering>(simd: S, z: &[S::V; MAX_N]) -> [[S::V; MAX_N / 2]; 2] {
    let mut halves = [[simd.splat(0.0); MAX_N / 2]; 2];
    unrolled!(PAIR < F::PAIRS.len() => {
        let (plus, minus) = (z[1 + 2 * PAIR], z[2 + 2 * PAIR]);
        (halves[0][PAIR], halves[1][PAIR]) = (simd.add(plus, minus), simd.sub(plus, minus));
    }, 0 1 2);
    halves
}

/// The values of each pair of points from their halves: even(pair) + odd(pair) and even(pair) - odd(pair).
#[inline(always)]
fn pair<S: Simd>(simd: S, even: Option<S::V>, odd: Option<S::V>) -> (S::V, S::V) {
    let (even, odd) = (even.unwrap_or(simd.splat(0.0)), odd.unwrap_or(simd.splat(0.0)));
    (simd.add(even, odd), simd.sub(even, odd))
}

/// `A^T z`: N values to M outputs, the first of those returned.
#[inline(always)]
pub fn output<S: Simd, F: Filtering>(simd: S, z: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let halves = halves::<S, F>(simd, &z);
    let mut y = [simd.splat(0.0); MAX_N];
    unrolled!(I < F::M => {
        let mut sum = None;
        unrolled!(PAIR < F::PAIRS.len() => {
            let power = output_power::<F>(I, F::PAIRS[PAIR].0);
            sum = add_times(simd, sum, halves[I % 2][PAIR], power);
        }, 0 1 2);
        if I == 0 {
            sum = add_times(simd, sum, z[0], 1.0);
        }
        if I == F::M - 1 {
            sum = add_times(simd, sum, z[F::N - 1], 1.0);
        }
        y[I] = sum.unwrap_or(y[I]);
    });
    y
}

/// `A y`, the transpose of [`output`]: M output gradients to N values.
#[inline(always)]
pub fn output_transposed<S: Simd, F: Filtering>(simd: S, y: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let mut z = [simd.splat(0.0); MAX_N];
    z[0] = y[0];
    z[F::N - 1] = y[F::M - 1];
    unrolled!(PAIR < F::PAIRS.len() => {
        let mut sums = [None; 2];
        unrolled!(I < F::M => {
            let power = output_power::<F>(I, F::PAIRS[PAIR].0);
            sums[I % 2] = add_times(simd, sums[I % 2], y[I], power);
        });
        (z[1 + 2 * PAIR], z[2 + 2 * PAIR]) = pair(simd, sums[0], sums[1]);
    }, 0 1 2);
    z
}

/// `G g`: R taps to N values.
#[inline(always)]
pub fn filter<S: Simd, F: Filtering>(simd: S, g: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let mut u = [simd.splat(0.0); MAX_N];
    u[0] = simd.mul(g[0], simd.splat(F::ZERO));
    u[F::N - 1] = g[F::R - 1];
    unrolled!(PAIR < F::PAIRS.len() => {
        let (p, factor) = F::PAIRS[PAIR];
        let mut sums = [None; 2];
        unrolled!(K < F::R => {
            sums[K % 2] = add_times(simd, sums[K % 2], g[K], factor * p.powi(K as i32));
        });
        (u[1 + 2 * PAIR], u[2 + 2 * PAIR]) = pair(simd, sums[0], sums[1]);
    }, 0 1 2);
    u
}

/// `G^T u`, the transpose of [`filter`]: N values to the gradients of R taps.
#[inline(always)]
pub fn filter_transposed<S: Simd, F: Filtering>(simd: S, u: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let halves = halves::<S, F>(simd, &u);
    let mut g = [simd.splat(0.0); MAX_N];
    unrolled!(K < F::R => {
        let mut sum = None;
        if K == 0 {
            sum = add_times(simd, sum, u[0], F::ZERO);
        }
        unrolled!(PAIR < F::PAIRS.len() => {
            let (p, factor) = F::PAIRS[PAIR];
            sum = add_times(simd, sum, halves[K % 2][PAIR], factor * p.powi(K as i32));
        }, 0 1 2);
        if K == F::R - 1 {
            sum = add_times(simd, sum, u[F::N - 1], 1.0);
        }
        g[K] = sum.unwrap_or(g[K]);
    });
    g
}

/// A tile of vectors, `[row][column]`.
pub type TileOf<V> = [[V; MAX_N]; MAX_N];

/// Applies a one-dimensional transform from `from` to `to` values to the columns of a tile, then to its rows.
///
/// `load(y, x)` gives the tile's values, `store(y, x, v)` takes the results; `between` holds what lies between the two.
#[inline(always)]
pub fn in_two_dimensions<S: Simd>(
    between: &mut TileOf<S::V>,
    from: usize,
    to: usize,
    load: impl Fn(usize, usize) -> S::V,
    transform: impl Fn([S::V; MAX_N]) -> [S::V; MAX_N],
    mut store: impl FnMut(usize, usize, S::V),
) {
    for x in 0..from {
        // Places beyond `from` hold anything: the transform does not use them.
        let mut column = [load(0, x); MAX_N];
        for y in 1..from {
            column[y] = load(y, x);
        }
        let column = transform(column);
        for y in 0..to {
            between[y][x] = column[y];
        }
    }
    for y in 0..to {
        let row = transform(between[y]);
        for x in 0..to {
            store(y, x, row[x]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::simd::Portable;

    /// Runs a one-dimensional transform on plain numbers.
    fn run(
        transform: impl Fn(Portable, [<Portable as Simd>::V; MAX_N]) -> [<Portable as Simd>::V; MAX_N],
        x: &[f32],
    ) -> Vec<f64> {
        let simd = Portable::new().unwrap();
        let at = |i: usize| simd.splat(x.get(i).copied().unwrap_or(f32::NAN));
        transform(simd, std::array::from_fn(at))
            .map(|v| {
                let mut lanes = [0.0; 4];
                simd.store(v, &mut lanes);
                f64::from(lanes[0])
            })
            .to_vec()
    }

    /// On whole numbers of a few bits all but the factors of G is exact: 1e-5 leaves ten times their rounding.
    fn check<F: Filtering>() {
        let x: Vec<f32> = (0..F::N).map(|i| ((i * 7 + 3) % 11) as f32 - 5.0).collect();
        let g: Vec<f32> = (0..F::R).map(|i| ((i * 5 + 2) % 7) as f32 - 3.0).collect();
        let dy: Vec<f32> = (0..F::M).map(|i| ((i * 3 + 1) % 5) as f32 - 2.0).collect();
        let d = run(F::input, &x);
        let u = run(filter::<_, F>, &g);
        let product: Vec<f32> = d.iter().zip(&u).map(|(d, u)| (d * u) as f32).collect();
        let y = run(output::<_, F>, &product[..F::N]);
        for i in 0..F::M {
            let want: f64 = (0..F::R).map(|k| f64::from(g[k] * x[i + k])).sum();
            assert!((y[i] - want).abs() < 1e-3, "y[{i}]: {} want {want}", y[i]);
        }
        let dz = run(output_transposed::<_, F>, &dy);
        let product: Vec<f32> = d.iter().zip(&dz).map(|(d, z)| (d * z) as f32).collect();
        let dg = run(filter_transposed::<_, F>, &product[..F::N]);
        for k in 0..F::R {
            let want: f64 = (0..F::M).map(|i| f64::from(dy[i] * x[i + k])).sum();
            assert!((dg[k] - want).abs() < 1e-3, "dg[{k}]: {} want {want}", dg[k]);
        }
    }

    #[test]
    fn the_transforms_are_a_correlation_and_its_gradient() {
        check::<F4x5>();
        check::<F6x3>();
        check::<F2x5>();
        check::<F4x3>();
    }
}
