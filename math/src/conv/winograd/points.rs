//! The points that a minimal filtering interpolates at, and the numbers that follow from them.
//!
//! `F(m, r)` computes m outputs of an r-tap correlation from `n = m + r - 1` inputs with n multiplications (Winograd 1980;
//! Lavin and Gray 2016):
//!
//! ```text
//! y = A^T [ (G g) (.) (B^T d) ]         g: r taps, d: n inputs, y: m outputs, (.): value by value
//! ```
//!
//! It interpolates a polynomial at n points: 0, pairs +-p, and with even n infinity. Row a of A holds the powers of a; row a
//! of G those powers over N(a), the product of the distances to the other points; row a of B^T the coefficients of the
//! polynomial whose roots are the other points. With `Q_p(t)` the product of `t - q^2` over the other pairs and `Q(t)` that
//! over all pairs:
//!
//! | point | polynomial of B^T | N |
//! | --- | --- | --- |
//! | 0 | `Q(x^2)` | `Q(0)` |
//! | +-p | `x (x +- p) Q_p(x^2)` | `2 p^2 Q_p(p^2)` |
//! | infinity | `x Q(x^2)` | 1 |
//!
//! Each pair thus shares the even and the odd half of its sums, in every one of the matrices.

/// Values along a line, at most.
pub const MAX_N: usize = 10;

/// Pairs of points, at most.
pub const MAX_PAIRS: usize = 4;

/// A minimal filtering F(m, r) along one dimension, as a type.
pub trait Line: Copy + Send + Sync + 'static {
    /// Outputs, m.
    const M: usize;
    /// Taps, r.
    const R: usize;
    /// Inputs, n = m + r - 1.
    const N: usize = Self::M + Self::R - 1;
    /// What its matrices are made from.
    const POINTS: Points = Points::of(Self::N);
}

/// F(M, R).
#[derive(Debug, Clone, Copy)]
pub struct F<const M: usize, const R: usize>;

impl<const M: usize, const R: usize> Line for F<M, R> {
    const M: usize = M;
    const R: usize = R;
}

/// The points of a filtering and what follows from them, computed in `f64` when the program is compiled.
#[derive(Debug, Clone, Copy)]
pub struct Points {
    /// Pairs +-p.
    pub pairs: usize,
    /// Whether infinity is one of the points.
    pub infinity: bool,
    /// `p^i` of each pair.
    pub powers: [[f32; MAX_N]; MAX_PAIRS],
    /// `p^k / N(p)` of each pair.
    pub weights: [[f32; MAX_N]; MAX_PAIRS],
    /// `1 / N(0)`.
    pub zero: f32,
    /// The coefficients of `Q_p` of each pair, of `p Q_p`, and of `Q`, lowest first.
    pub even: [[f32; MAX_PAIRS + 1]; MAX_PAIRS],
    pub odd: [[f32; MAX_PAIRS + 1]; MAX_PAIRS],
    pub all: [f32; MAX_PAIRS + 1],
}

impl Points {
    /// The points of a filtering of n values: small numbers and their inverses, which keep all matrices' entries near 1. For
    /// ten values 4/5 and 5/12 err least of the simple fractions; 1, 2 and 3/2 would err three times as much.
    const fn of(n: usize) -> Self {
        match n {
            6 => Self::new(&[1.0, 2.0], true),
            7 => Self::new(&[1.0, 2.0, 0.5], false),
            8 => Self::new(&[1.0, 2.0, 0.5], true),
            10 => Self::new(&[0.8, 1.25, 5.0 / 12.0, 2.4], true),
            _ => panic!("no points for so many values"),
        }
    }

    const fn new(pairs: &[f64], infinity: bool) -> Self {
        let mut points = Self {
            pairs: pairs.len(),
            infinity,
            powers: [[0.0; MAX_N]; MAX_PAIRS],
            weights: [[0.0; MAX_N]; MAX_PAIRS],
            zero: 0.0,
            even: [[0.0; MAX_PAIRS + 1]; MAX_PAIRS],
            odd: [[0.0; MAX_PAIRS + 1]; MAX_PAIRS],
            all: [0.0; MAX_PAIRS + 1],
        };
        let mut pair = 0;
        while pair < pairs.len() {
            let (p, q) = (pairs[pair], polynomial(pairs, pair));
            let (mut value, mut j) = (0.0, q.len());
            while j > 0 {
                j -= 1;
                value = value * p * p + q[j];
                points.even[pair][j] = q[j] as f32;
                points.odd[pair][j] = (p * q[j]) as f32;
            }
            let (mut power, mut i) = (1.0, 0);
            while i < MAX_N {
                points.powers[pair][i] = power as f32;
                points.weights[pair][i] = (power / (2.0 * p * p * value)) as f32;
                power *= p;
                i += 1;
            }
            pair += 1;
        }
        let (q, mut j) = (polynomial(pairs, pairs.len()), 0);
        while j < q.len() {
            points.all[j] = q[j] as f32;
            j += 1;
        }
        points.zero = (1.0 / q[0]) as f32;
        points
    }
}

/// The product of `t - q^2` over all pairs but `but`: its coefficients, lowest first.
const fn polynomial(pairs: &[f64], but: usize) -> [f64; MAX_PAIRS + 1] {
    let mut product = [0.0; MAX_PAIRS + 1];
    product[0] = 1.0;
    let mut pair = 0;
    while pair < pairs.len() {
        if pair != but {
            let mut j = MAX_PAIRS;
            while j > 0 {
                product[j] = product[j - 1] - pairs[pair] * pairs[pair] * product[j];
                j -= 1;
            }
            product[0] *= -pairs[pair] * pairs[pair];
        }
        pair += 1;
    }
    product
}
