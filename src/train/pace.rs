//! How far training is, and how it fits into its time.

use serde::{Deserialize, Serialize};

/// How far training under a budget is: decided before each epoch, kept in the training state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pace {
    /// The share of training that was done before the epoch.
    pub done: f64,
    /// Epochs until the end, this one included.
    pub left: u64,
    /// Seconds that training has taken, up to the last step or evaluation.
    pub spent: f64,
}

/// An epoch fits into the time left if that is so large a part of what the last one took: its time varies.
const ENOUGH: f64 = 0.98;

impl Pace {
    /// That of the first of about so many epochs.
    pub fn first(epochs: u64) -> Self {
        Self { done: 0.0, left: epochs.max(1), spent: 0.0 }
    }

    /// That of the next epoch, where training may take `budget` seconds, an epoch takes about `epoch_seconds`, and there are
    /// at most `most` epochs. `None` if this one was the last: the schedule is complete, or the time is up.
    pub fn next(self, budget: f64, epoch_seconds: f64, most: u64) -> Option<Self> {
        let fit = ((budget - self.spent) / (ENOUGH * epoch_seconds.max(1e-9))).max(0.0) as u64;
        let left = fit.min(most);
        (self.left > 1 && left > 0).then(|| Self { done: self.after(1.0), left, ..self })
    }

    /// The share of training that is done after `part` of the epoch.
    pub fn after(self, part: f64) -> f64 {
        self.done + (1.0 - self.done) * part / self.left as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epochs that take so long each; how many there were, how far each began, and how long they took.
    fn run(expected: u64, budget: f64, epoch: impl Fn(usize) -> f64) -> (Vec<f64>, f64, Pace) {
        let (mut pace, mut begun) = (Pace::first(expected), Vec::new());
        loop {
            begun.push(pace.done);
            let seconds = epoch(begun.len());
            pace.spent += seconds;
            match pace.next(budget, seconds, u64::MAX) {
                Some(next) => pace = next,
                None => return (begun, pace.spent, pace),
            }
        }
    }

    #[test]
    fn training_is_complete_when_its_time_is_up() {
        for expected in [2, 7, 20, 500] {
            let steady = |_| 10.0;
            let slow_start = |epoch| if epoch == 1 { 35.0 } else { 10.0 };
            let slower = |epoch| if epoch > 12 { 15.0 } else { 10.0 };
            let faster = |epoch| if epoch > 12 { 5.0 } else { 10.0 };
            let ended = [
                run(expected, 300.0, steady),
                run(expected, 300.0, slow_start),
                run(expected, 300.0, slower),
                run(expected, 300.0, faster),
            ];
            for (begun, spent, last) in ended {
                assert!((270.0..=301.0).contains(&spent), "{expected}: {spent}");
                assert!(begun.windows(2).all(|pair| pair[0] < pair[1]), "{begun:?}");
                assert!((last.after(1.0) - 1.0).abs() < 1e-9, "{last:?}");
                assert_eq!(last.after(0.0), last.done);
            }
        }
    }

    #[test]
    fn one_epoch_is_the_least_and_the_limit_holds() {
        assert_eq!(run(1, 5.0, |_| 10.0).0.len(), 1);
        assert_eq!(run(20, 5.0, |_| 10.0).0.len(), 1);
        assert_eq!(Pace::first(20).next(1000.0, 1.0, 3).map(|pace| pace.left), Some(3));
        assert_eq!(Pace::first(20).next(1000.0, 1.0, 0), None);
    }
}
