//! How the learning rate moves during training.

use serde::{Deserialize, Serialize};

/// A factor on the base learning rate for each step, counted from 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schedule {
    /// Always 1.
    #[default]
    Constant,
    /// `factor^floor(step / every)`.
    Step {
        /// Steps between two changes.
        every: u64,
        /// What each change multiplies by.
        factor: f32,
    },
    /// The factor of the last boundary reached; 1 before the first. Boundaries ascend.
    Piecewise {
        /// (first step, factor) pairs.
        boundaries: Vec<(u64, f32)>,
    },
    /// A linear rise over `warmup` steps, then half a cosine down to `floor` at `total` (Loshchilov and Hutter 2017).
    Cosine {
        /// Steps of the whole schedule.
        total: u64,
        /// Steps of the rise.
        warmup: u64,
        /// The factor at the end.
        floor: f32,
    },
}

impl Schedule {
    /// Cosine without floor.
    pub fn cosine(total: u64, warmup: u64) -> Self {
        Schedule::Cosine { total, warmup, floor: 0.0 }
    }

    /// The factor at `step`.
    pub fn factor(&self, step: u64) -> f32 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Step { every, factor } => factor.powf((step / (*every).max(1)) as f32),
            Schedule::Piecewise { boundaries } => {
                boundaries.iter().rev().find(|(first, _)| *first <= step).map_or(1.0, |(_, factor)| *factor)
            }
            // The first step must not be lost on a rate of 0, hence step + 1.
            Schedule::Cosine { warmup, .. } if step < *warmup => (step + 1) as f32 / (*warmup + 1) as f32,
            Schedule::Cosine { total, warmup, floor } => {
                let progress = (step - warmup) as f64 / (total.saturating_sub(*warmup)).max(1) as f64;
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos());
                floor + (1.0 - floor) * cosine as f32
            }
        }
    }
}

/// Lowers the learning rate when a loss has stopped falling; Keras' `ReduceLROnPlateau`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReduceOnPlateau {
    /// What a reduction multiplies the rate by.
    pub factor: f32,
    /// Evaluations without improvement before a reduction; without data to evaluate on, epochs.
    pub patience: u32,
    /// How much lower the loss must be to count as improved.
    pub min_delta: f64,
    best: Option<f64>,
    waited: u32,
    current: f32,
}

impl ReduceOnPlateau {
    /// Multiplies the rate by `factor` after `patience` evaluations without improvement by 1e-4.
    pub fn new(factor: f32, patience: u32) -> Self {
        Self { factor, patience, min_delta: 1e-4, best: None, waited: 0, current: 1.0 }
    }

    /// The same rate, to be lowered by what comes from now on alone: after a change of what the loss is of.
    pub fn starting_anew(self) -> Self {
        Self { best: None, waited: 0, ..self }
    }

    /// The factor on the base rate after an evaluation that gave `loss`.
    pub fn observe(&mut self, loss: f64) -> f32 {
        // A loss that is not finite is no improvement, and must never be what later ones are held against.
        if loss.is_finite() && self.best.is_none_or(|best| loss < best - self.min_delta) {
            (self.best, self.waited) = (Some(loss), 0);
        } else {
            self.waited += 1;
            if self.waited >= self.patience {
                self.current *= self.factor;
                self.waited = 0;
            }
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_by_hand() {
        let step = Schedule::Step { every: 10, factor: 0.5 };
        assert_eq!([0, 9, 10, 25].map(|s| step.factor(s)), [1.0, 1.0, 0.5, 0.25]);
        let piecewise = Schedule::Piecewise { boundaries: vec![(5, 0.1), (8, 0.01)] };
        assert_eq!([0, 5, 7, 8, 100].map(|s| piecewise.factor(s)), [1.0, 0.1, 0.1, 0.01, 0.01]);
        let cosine = Schedule::Cosine { total: 104, warmup: 4, floor: 0.1 };
        assert_eq!([0, 3, 4].map(|s| cosine.factor(s)), [0.2, 0.8, 1.0]);
        assert!((cosine.factor(54) - 0.55).abs() < 1e-6);
        assert_eq!([104, 1000].map(|s| cosine.factor(s)), [0.1, 0.1]);
    }

    #[test]
    fn a_plateau_lowers_the_rate_once_per_patience() {
        let mut plateau = ReduceOnPlateau::new(0.5, 2);
        let factors: Vec<f32> =
            [1.0, 0.9, 0.9, 0.95, 0.8, 0.81, 0.82].iter().map(|&l| plateau.observe(l)).collect();
        assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
        // Epochs that diverged only wait; the first that did not is the one to beat.
        let mut plateau = ReduceOnPlateau::new(0.5, 2);
        let factors: Vec<f32> =
            [f64::NAN, f64::INFINITY, 3.0, 2.0, 1.0].iter().map(|&l| plateau.observe(l)).collect();
        assert_eq!(factors, [1.0, 0.5, 0.5, 0.5, 0.5]);
    }
}
