//! How far training is, and how it fits into its time.

use serde::{Deserialize, Serialize};

/// How far training under a budget is, and how long its parts take: decided after each epoch, kept in the training state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pace {
    /// The share of training that was done before the epoch.
    pub done: f64,
    /// Epochs until the end, this one included.
    pub left: u64,
    /// Seconds that training has taken, up to the last step or evaluation.
    pub spent: f64,
    pub times: Times,
}

/// Seconds that parts of training took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    /// The steps of an epoch, for a pixel of each training image.
    pub steps: Recent,
    /// An evaluation.
    pub evaluation: Recent,
    /// What callbacks do at the end of an epoch, such as saving. The state saved by one does not know its own time yet.
    pub callbacks: Recent,
}

/// The last few times of one kind, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Recent(Vec<f64>);

/// How many are kept.
const RECENT: usize = 3;

impl Recent {
    pub fn add(&mut self, seconds: f64) {
        if self.0.len() >= RECENT {
            self.0.remove(0);
        }
        self.0.push(seconds);
    }

    /// The median, of two the shorter, once there is one: the first epoch decodes all photos, and now and then the machine does
    /// something else.
    pub fn typical(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }

    /// Whether it rests on one time alone.
    pub fn is_single(&self) -> bool {
        self.0.len() == 1
    }
}

/// An epoch fits into the time left if that is so large a part of what the last ones took: its time varies.
const ENOUGH: f64 = 0.98;

/// More epochs than there can be; the largest count of a training state.
const MAX_EPOCHS: u64 = 1 << 53;

impl Pace {
    /// That of the first of about so many epochs.
    pub fn first(epochs: u64) -> Self {
        Self { done: 0.0, left: epochs.clamp(1, MAX_EPOCHS), spent: 0.0, times: Times::default() }
    }

    /// That of the next epoch, where training may take `budget` seconds, an epoch takes about `epoch_seconds` if that is known,
    /// and there are at most `most` epochs. `None` if this one was the last: the schedule is complete, or the time is up.
    pub fn next(&self, budget: f64, epoch_seconds: Option<f64>, most: u64) -> Option<Self> {
        let rest = (budget - self.spent).max(0.0);
        let fit = match epoch_seconds {
            Some(seconds) => (rest / (ENOUGH * seconds.max(1e-9))) as u64,
            None if rest > 0.0 => self.left - 1,
            None => 0,
        };
        let left = fit.min(most).min(MAX_EPOCHS);
        (self.left > 1 && left > 0).then(|| Self { done: self.after(1.0), left, ..self.clone() })
    }

    /// The share of training that is done after `part` of the epoch.
    pub fn after(&self, part: f64) -> f64 {
        self.done + (1.0 - self.done) * part / self.left as f64
    }

    /// Why training could never be here, if so.
    pub fn defect(&self) -> Option<String> {
        const SECONDS: std::ops::RangeInclusive<f64> = 0.0..=1e12;
        let Self { done, left, spent, times } = self;
        let Times { steps, evaluation, callbacks } = times;
        let mut seconds =
            [steps, evaluation, callbacks].into_iter().flat_map(|times| &times.0).chain([spent]);
        if !(1..=MAX_EPOCHS).contains(left) {
            Some(format!("{left} epochs left"))
        } else if !(0.0..=1.0).contains(done) {
            Some(format!("a share of {done} done"))
        } else {
            seconds.find(|seconds| !SECONDS.contains(seconds)).map(|seconds| format!("a time of {seconds} s"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epochs that take so long each, on images of one pixel; how far each began, how long all took, and the last.
    fn run(expected: u64, budget: f64, epoch: impl Fn(usize) -> f64) -> (Vec<f64>, f64, Pace) {
        let (mut pace, mut begun) = (Pace::first(expected), Vec::new());
        loop {
            begun.push(pace.done);
            let seconds = epoch(begun.len());
            pace.spent += seconds;
            pace.times.steps.add(seconds);
            match pace.next(budget, pace.times.steps.typical(), u64::MAX) {
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
            let interrupted = |epoch| if epoch == 25 { 31.0 } else { 10.0 };
            let ended = [
                run(expected, 300.0, steady),
                run(expected, 300.0, slow_start),
                run(expected, 300.0, slower),
                run(expected, 300.0, faster),
                run(expected, 300.0, interrupted),
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
        // Nothing was known before the first, and no time is left for another.
        assert_eq!(run(20, 5.0, |_| 10.0).0.len(), 1);
        let left = |pace: Option<Pace>| pace.map(|pace| pace.left);
        assert_eq!(left(Pace::first(20).next(1000.0, Some(1.0), 3)), Some(3));
        assert_eq!(left(Pace::first(20).next(1000.0, Some(1.0), 0)), None);
        assert_eq!(left(Pace::first(20).next(1000.0, Some(0.0), u64::MAX)), Some(1_020_408_163_265));
        assert_eq!(left(Pace::first(20).next(f64::INFINITY, Some(1.0), u64::MAX)), Some(MAX_EPOCHS));
    }

    /// As after a process that was stopped in its first epoch, whose time is not known.
    #[test]
    fn an_epoch_of_unknown_time_leaves_the_plan_as_it_is() {
        let pace = Pace { spent: 7.0, ..Pace::first(20) };
        assert_eq!(pace.next(100.0, None, 50).map(|pace| pace.left), Some(19));
        assert_eq!(pace.next(7.0, None, 50), None, "its time is up");
        assert_eq!(Pace::first(1).next(100.0, None, 50), None);
    }

    #[test]
    fn the_typical_time_is_the_median_of_the_last_three() {
        let mut times = Recent::default();
        assert_eq!(times.typical(), None);
        let mut after = |seconds| {
            times.add(seconds);
            times.typical().unwrap()
        };
        assert_eq!([9.0, 2.0, 4.0, 3.0, 8.0].map(&mut after), [9.0, 2.0, 4.0, 3.0, 4.0]);
    }

    #[test]
    fn impossible_paces_are_told() {
        let times = |evaluation, callbacks| Times {
            steps: Recent::default(),
            evaluation: Recent(vec![evaluation]),
            callbacks: Recent(vec![1.0, callbacks]),
        };
        let good = Pace { times: times(2.0, 3.0), ..Pace::first(3) };
        assert_eq!(good.defect(), None);
        for (pace, defect) in [
            (Pace { left: 0, ..good.clone() }, "0 epochs left"),
            (Pace { left: u64::MAX, ..good.clone() }, "18446744073709551615 epochs left"),
            (Pace { done: 1.5, ..good.clone() }, "a share of 1.5 done"),
            (Pace { spent: -5.0, ..good.clone() }, "a time of -5 s"),
            (Pace { times: times(f64::NAN, 0.0), ..good.clone() }, "a time of NaN s"),
            (Pace { times: times(0.0, 1e300), ..good.clone() }, "a time of 1"),
        ] {
            let told = pace.defect().unwrap();
            assert!(told.contains(defect), "{told}");
        }
    }
}
