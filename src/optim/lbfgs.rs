//! Limited-memory BFGS, for smooth functions of few variables that are computed exactly.

use std::collections::VecDeque;

/// L-BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 7.4, 7.5, 3.5 and 3.6).
///
/// It finds the minimum of a convex function in some dozen evaluations, where gradient descent takes thousands. The function must be
/// the same at each call: no dropout, no changing batches.
///
/// ```
/// use floret::optim::Lbfgs;
///
/// // (x - 3)^2 + 10 (y + 1)^2
/// let mut x = [0.0, 0.0];
/// let minimum = Lbfgs::default().minimize(&mut x, |x, gradient| {
///     gradient.copy_from_slice(&[2.0 * (x[0] - 3.0), 20.0 * (x[1] + 1.0)]);
///     (x[0] - 3.0).powi(2) + 10.0 * (x[1] + 1.0).powi(2)
/// });
/// assert!(minimum.converged && (x[0] - 3.0).abs() < 1e-4 && (x[1] + 1.0).abs() < 1e-4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgs {
    /// Steps whose change of the gradient is remembered.
    pub history: usize,
    /// The most steps.
    pub max_iterations: usize,
    /// It has converged once no value of the gradient is larger.
    pub tolerance: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { history: 10, max_iterations: 200, tolerance: 1e-5 }
    }
}

/// What a minimization came to.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Minimum {
    /// The function's value.
    pub value: f64,
    /// Steps made.
    pub iterations: usize,
    /// Calls of the function.
    pub evaluations: usize,
    /// Whether the gradient is as small as asked for. Without, the steps were used up, or no step led further down.
    pub converged: bool,
}

/// A step's change of the variables and of the gradient, and 1 / their product.
struct Change {
    x: Vec<f64>,
    gradient: Vec<f64>,
    rho: f64,
}

impl Lbfgs {
    /// Moves `x` to the minimum of `f`, which writes its gradient at a point and returns its value there.
    pub fn minimize(&self, x: &mut [f64], mut f: impl FnMut(&[f64], &mut [f64]) -> f64) -> Minimum {
        let mut gradient = vec![0.0; x.len()];
        let mut value = f(x, &mut gradient);
        let mut minimum = Minimum { value, iterations: 0, evaluations: 1, converged: false };
        let mut changes: VecDeque<Change> = VecDeque::new();
        while minimum.iterations < self.max_iterations {
            if largest(&gradient) <= self.tolerance {
                minimum.converged = true;
                break;
            }
            let direction = direction(&gradient, &changes);
            // The first step is as long as the gradient is small; later ones know the curvature.
            let first = if changes.is_empty() { (1.0 / norm(&gradient)).min(1.0) } else { 1.0 };
            let line = Line { x, direction: &direction, value, slope: dot(&gradient, &direction) };
            let Some(found) = line.search(first, &mut f, &mut minimum.evaluations) else { break };
            let change = Change::new(&direction, found.step, &gradient, &found.gradient);
            x.iter_mut().zip(&direction).for_each(|(x, d)| *x += found.step * d);
            (value, gradient) = (found.value, found.gradient);
            if let Some(change) = change {
                if changes.len() >= self.history.max(1) {
                    changes.pop_front();
                }
                changes.push_back(change);
            }
            (minimum.value, minimum.iterations) = (value, minimum.iterations + 1);
        }
        minimum
    }
}

impl Change {
    /// `None` where the function curves downwards, which says nothing of a minimum.
    fn new(direction: &[f64], step: f64, before: &[f64], after: &[f64]) -> Option<Self> {
        let x: Vec<f64> = direction.iter().map(|d| step * d).collect();
        let gradient: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        let product = dot(&x, &gradient);
        (product > f64::EPSILON * dot(&gradient, &gradient)).then(|| Self { x, gradient, rho: 1.0 / product })
    }
}

/// `-H gradient`, where H is the inverse Hessian that the changes tell of: the two loops of algorithm 7.4.
fn direction(gradient: &[f64], changes: &VecDeque<Change>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(changes.len());
    for change in changes.iter().rev() {
        let alpha = change.rho * dot(&change.x, &q);
        q.iter_mut().zip(&change.gradient).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some(Change { gradient: y, rho, .. }) = changes.back() {
        let scale = 1.0 / (rho * dot(y, y));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (change, alpha) in changes.iter().zip(alphas.into_iter().rev()) {
        let beta = change.rho * dot(&change.gradient, &q);
        q.iter_mut().zip(&change.x).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q
}

/// A line through `x`, with the function's value and slope there.
struct Line<'a> {
    x: &'a [f64],
    direction: &'a [f64],
    value: f64,
    slope: f64,
}

/// A point of a line.
struct Found {
    step: f64,
    value: f64,
    slope: f64,
    gradient: Vec<f64>,
}

/// How much of the promised descent a step must keep, and how much of the slope it may leave.
const SUFFICIENT: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// What a value may be off, as a share of it, where it is summed up of single-precision numbers: less descent than that is not seen
/// (Hager and Zhang 2005, section 1).
const NOISE: f64 = 1e-7;

/// The most points that are tried on a line.
const TRIES: usize = 25;

impl Line<'_> {
    /// A step that leads far enough down and leaves little of the slope; if none is found, the lowest point that leads down at all.
    fn search(
        &self,
        first: f64,
        f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
        evaluations: &mut usize,
    ) -> Option<Found> {
        if self.slope.is_nan() || self.slope >= 0.0 {
            return None;
        }
        let mut step = first;
        // The minimum lies between these, once there is a high one.
        let mut low = Found { step: 0.0, value: self.value, slope: self.slope, gradient: Vec::new() };
        let mut high: Option<(f64, f64)> = None;
        for _ in 0..TRIES {
            let tried = self.at(step, f);
            *evaluations += 1;
            let noise = NOISE * self.value.abs();
            let enough = tried.value <= self.value + SUFFICIENT * step * self.slope + noise;
            // A value that is no number is too high.
            if !enough || tried.value >= low.value + noise && low.step > 0.0 {
                high = Some((tried.step, tried.value));
            } else if tried.slope.abs() <= CURVATURE * self.slope.abs() {
                return Some(tried);
            } else {
                let passed = tried.slope * (high.map_or(1.0, |(high, _)| high - tried.step)) >= 0.0;
                if passed {
                    high = Some((low.step, low.value));
                }
                low = tried;
            }
            step = match high {
                Some(high) => between(&low, high),
                None => 2.0 * step,
            };
        }
        (low.step > 0.0).then_some(low)
    }

    fn at(&self, step: f64, f: &mut impl FnMut(&[f64], &mut [f64]) -> f64) -> Found {
        let x: Vec<f64> = self.x.iter().zip(self.direction).map(|(x, d)| x + step * d).collect();
        let mut gradient = vec![0.0; x.len()];
        let value = f(&x, &mut gradient);
        Found { step, value, slope: dot(&gradient, self.direction), gradient }
    }
}

/// The minimum of the parabola through both ends, not too near to either.
fn between(low: &Found, (step, value): (f64, f64)) -> f64 {
    let width = step - low.step;
    let bend = value - low.value - low.slope * width;
    let share = if bend > 0.0 { -0.5 * low.slope * width / bend } else { 0.5 };
    low.step + width * if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.5 }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn largest(a: &[f64]) -> f64 {
    // A NaN is none that is small enough.
    a.iter().fold(
        0.0,
        |largest: f64, value| {
            if largest.is_nan() || value.abs() <= largest { largest } else { value.abs() }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_rosenbrocks_valley() {
        let mut x = [-1.2, 1.0, -1.2, 1.0];
        let rosenbrock = |x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for (x, g) in x.as_chunks::<2>().0.iter().zip(gradient.as_chunks_mut::<2>().0) {
                let bend = x[1] - x[0] * x[0];
                value += 100.0 * bend * bend + (1.0 - x[0]).powi(2);
                *g = [-400.0 * x[0] * bend - 2.0 * (1.0 - x[0]), 200.0 * bend];
            }
            value
        };
        let minimum = Lbfgs { tolerance: 1e-8, ..Lbfgs::default() }.minimize(&mut x, rosenbrock);
        assert!(minimum.converged && minimum.evaluations < 100, "{minimum:?}");
        assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-6), "{x:?}");
    }

    #[test]
    fn a_badly_scaled_bowl_takes_few_steps() {
        let scales: Vec<f64> = (0..50).map(|i| 10f64.powf(i as f64 / 25.0)).collect();
        let mut x = vec![1.0; 50];
        let minimum = Lbfgs::default().minimize(&mut x, |x, gradient| {
            let terms = x.iter().zip(&scales).zip(gradient);
            terms
                .map(|((x, scale), g)| {
                    *g = scale * x;
                    0.5 * scale * x * x
                })
                .sum()
        });
        assert!(minimum.converged && minimum.evaluations < 120 && minimum.value < 1e-6, "{minimum:?}");
    }

    #[test]
    fn it_ends_where_nothing_leads_down() {
        let mut x = [0.5, 0.5];
        for nan in 0..2 {
            let minimum = Lbfgs::default().minimize(&mut x, |_, gradient| {
                gradient.fill(0.0);
                gradient[nan] = f64::NAN;
                f64::NAN
            });
            assert!(!minimum.converged && minimum.iterations == 0 && x == [0.5; 2]);
        }
        let mut x = [0.5];
        // Without a minimum it stops after so many steps.
        let endless = Lbfgs { max_iterations: 5, ..Lbfgs::default() };
        let minimum = endless.minimize(&mut x, |x, gradient| {
            gradient[0] = -1.0;
            -x[0]
        });
        assert!(!minimum.converged && x[0] > 0.5);
    }
}
