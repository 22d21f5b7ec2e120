//! The transforms of Winograd's minimal filtering, along a line and on a tile.
//!
//! On a tile each is applied to the columns, then to the rows. Transposed, the same three matrices give the gradient of the
//! filter: `dg = G^T [ (A dy) (.) (B^T d) ]`.

use crate::simd::Simd;

use super::points::{Line, MAX_N, MAX_PAIRS};
use super::tiles::Filtering;

/// A tile of vectors, `[row][column]`.
pub type TileOf<V> = [[V; MAX_N]; MAX_N];

/// One of the matrices of a filtering, or its transpose.
pub trait Transform {
    /// Values that go in and come out along a line.
    fn sizes<L: Line>() -> (usize, usize);

    /// The product with it. Values beyond those that go in are not used, those beyond what comes out mean nothing.
    fn apply<S: Simd, L: Line>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N];
}

/// Applies a transform to the columns of a tile, then to its rows.
///
/// `load(y, x)` gives the tile's values, `store(y, x, v)` takes the results; `between` holds what lies between the two.
#[inline(always)]
pub fn in_two_dimensions<S: Simd, F: Filtering, T: Transform>(
    simd: S,
    between: &mut TileOf<S::V>,
    load: impl Fn(usize, usize) -> S::V,
    mut store: impl FnMut(usize, usize, S::V),
) {
    let ((rows, rows_out), (columns, columns_out)) = (T::sizes::<F::Y>(), T::sizes::<F::X>());
    for x in 0..columns {
        let mut column = [load(0, x); MAX_N];
        for y in 1..rows {
            column[y] = load(y, x);
        }
        let column = T::apply::<S, F::Y>(simd, column);
        for y in 0..rows_out {
            between[y][x] = column[y];
        }
    }
    for y in 0..rows_out {
        let row = T::apply::<S, F::X>(simd, between[y]);
        for x in 0..columns_out {
            store(y, x, row[x]);
        }
    }
}

/// Runs a block for each constant `$i` below `$count`, at most [`MAX_N`], written out: a loop that the compiler leaves as one
/// would keep vectors in memory and look up their factors at run time.
macro_rules! unrolled {
    ($i:ident < $count:expr => $body:block) => { unrolled!($i < $count => $body, 0 1 2 3 4 5 6 7 8 9) };
    (pair $i:ident < $count:expr => $body:block) => { unrolled!($i < $count => $body, 0 1 2 3) };
    ($i:ident < $count:expr => $body:block, $($n:literal)+) => {
        $(if $n < $count {
            const $i: usize = $n;
            $body
        })+
    };
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
fn halves<S: Simd, L: Line>(simd: S, z: &[S::V; MAX_N]) -> [[S::V; MAX_PAIRS]; 2] {
    let mut halves = [[simd.splat(0.0); MAX_PAIRS]; 2];
    unrolled!(pair PAIR < L::POINTS.pairs => {
        let (plus, minus) = (z[1 + 2 * PAIR], z[2 + 2 * PAIR]);
        (halves[0][PAIR], halves[1][PAIR]) = (simd.add(plus, minus), simd.sub(plus, minus));
    });
    halves
}

/// The values of both points of a pair from their halves: even + odd and even - odd.
#[inline(always)]
fn pair<S: Simd>(simd: S, even: Option<S::V>, odd: Option<S::V>) -> (S::V, S::V) {
    let (even, odd) = (even.unwrap_or(simd.splat(0.0)), odd.unwrap_or(simd.splat(0.0)));
    (simd.add(even, odd), simd.sub(even, odd))
}

/// `B^T x`: N inputs to N values.
pub struct Input;

impl Transform for Input {
    #[inline(always)]
    fn sizes<L: Line>() -> (usize, usize) {
        (L::N, L::N)
    }

    #[inline(always)]
    fn apply<S: Simd, L: Line>(simd: S, x: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let mut z = [simd.splat(0.0); MAX_N];
        let pairs = const { L::POINTS.pairs };
        // The highest coefficient, 1, comes first: it takes no product.
        unrolled!(pair PAIR < pairs => {
            let (mut even, mut odd) = (None, None);
            unrolled!(pair BACK < pairs => {
                let j = pairs - 1 - BACK;
                even = add_times(simd, even, x[2 * j + 2], L::POINTS.even[PAIR][j]);
                odd = add_times(simd, odd, x[2 * j + 1], L::POINTS.odd[PAIR][j]);
            });
            (z[1 + 2 * PAIR], z[2 + 2 * PAIR]) = pair(simd, even, odd);
        });
        let (mut zero, mut infinity) = (None, None);
        unrolled!(BACK < pairs + 1 => {
            let j = pairs - BACK;
            zero = add_times(simd, zero, x[2 * j], L::POINTS.all[j]);
            if L::POINTS.infinity {
                infinity = add_times(simd, infinity, x[2 * j + 1], L::POINTS.all[j]);
            }
        });
        z[0] = zero.unwrap_or(z[0]);
        if let Some(infinity) = infinity {
            z[L::N - 1] = infinity;
        }
        z
    }
}

/// `A^T z`: N values to M outputs.
pub struct Output;

impl Transform for Output {
    #[inline(always)]
    fn sizes<L: Line>() -> (usize, usize) {
        (L::N, L::M)
    }

    #[inline(always)]
    fn apply<S: Simd, L: Line>(simd: S, z: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let halves = halves::<S, L>(simd, &z);
        let mut y = [simd.splat(0.0); MAX_N];
        unrolled!(I < L::M => {
            let mut sum = None;
            unrolled!(pair PAIR < L::POINTS.pairs => {
                sum = add_times(simd, sum, halves[I % 2][PAIR], L::POINTS.powers[PAIR][I]);
            });
            if I == 0 {
                sum = add_times(simd, sum, z[0], 1.0);
            }
            if I == L::M - 1 && L::POINTS.infinity {
                sum = add_times(simd, sum, z[L::N - 1], 1.0);
            }
            y[I] = sum.unwrap_or(y[I]);
        });
        y
    }
}

/// `A y`: M output gradients to N values.
pub struct OutputTransposed;

impl Transform for OutputTransposed {
    #[inline(always)]
    fn sizes<L: Line>() -> (usize, usize) {
        (L::M, L::N)
    }

    #[inline(always)]
    fn apply<S: Simd, L: Line>(simd: S, y: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let mut z = [simd.splat(0.0); MAX_N];
        z[0] = y[0];
        unrolled!(pair PAIR < L::POINTS.pairs => {
            let mut sums = [None; 2];
            unrolled!(I < L::M => {
                sums[I % 2] = add_times(simd, sums[I % 2], y[I], L::POINTS.powers[PAIR][I]);
            });
            (z[1 + 2 * PAIR], z[2 + 2 * PAIR]) = pair(simd, sums[0], sums[1]);
        });
        if L::POINTS.infinity {
            z[L::N - 1] = y[L::M - 1];
        }
        z
    }
}

/// `G g`: R taps to N values.
pub struct Taps;

impl Transform for Taps {
    #[inline(always)]
    fn sizes<L: Line>() -> (usize, usize) {
        (L::R, L::N)
    }

    #[inline(always)]
    fn apply<S: Simd, L: Line>(simd: S, g: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let mut u = [simd.splat(0.0); MAX_N];
        u[0] = simd.mul(g[0], simd.splat(L::POINTS.zero));
        unrolled!(pair PAIR < L::POINTS.pairs => {
            let mut sums = [None; 2];
            unrolled!(K < L::R => {
                sums[K % 2] = add_times(simd, sums[K % 2], g[K], L::POINTS.weights[PAIR][K]);
            });
            (u[1 + 2 * PAIR], u[2 + 2 * PAIR]) = pair(simd, sums[0], sums[1]);
        });
        if L::POINTS.infinity {
            u[L::N - 1] = g[L::R - 1];
        }
        u
    }
}

/// `G^T u`: N values to the gradients of R taps.
pub struct TapsTransposed;

impl Transform for TapsTransposed {
    #[inline(always)]
    fn sizes<L: Line>() -> (usize, usize) {
        (L::N, L::R)
    }

    #[inline(always)]
    fn apply<S: Simd, L: Line>(simd: S, u: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let halves = halves::<S, L>(simd, &u);
        let mut g = [simd.splat(0.0); MAX_N];
        unrolled!(K < L::R => {
            let mut sum = None;
            if K == 0 {
                sum = add_times(simd, sum, u[0], L::POINTS.zero);
            }
            unrolled!(pair PAIR < L::POINTS.pairs => {
                sum = add_times(simd, sum, halves[K % 2][PAIR], L::POINTS.weights[PAIR][K]);
            });
            if K == L::R - 1 && L::POINTS.infinity {
                sum = add_times(simd, sum, u[L::N - 1], 1.0);
            }
            g[K] = sum.unwrap_or(g[K]);
        });
        g
    }
}
