//! How long to train, and how.

use std::time::Duration;

use super::TrainOptionsError;
use crate::optim::{ReduceOnPlateau, Schedule};

/// How long to train and how the learning rate moves.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Passes over the training data; under a [budget](Self::budget) the most of them.
    pub epochs: u64,
    /// The learning rate that the schedule's factors multiply.
    pub learning_rate: f32,
    /// The factor of each step, counted from the start of training.
    pub schedule: Schedule,
    /// Lowers the learning rate when the evaluation loss has stopped falling.
    pub reduce_on_plateau: Option<ReduceOnPlateau>,
    /// Ends training with the first evaluation that finds the best one so many epochs back.
    pub patience: Option<u64>,
    /// Epochs from one evaluation to the next; the last epoch is always evaluated. Default 1.
    pub evaluate_every: u64,
    /// Keeps an exponential moving average of the weights, and evaluates and saves it instead of the network
    /// (Polyak and Juditsky 1992): after each step `average = d average + (1 - d) weights`, moving averages of batch norm
    /// too, with d = min(this decay, (1 + step) / (10 + step)) so that the first weights are soon forgotten.
    /// [`Trainer::average`](super::Trainer::average) hands it out.
    pub average: Option<f32>,
    /// Sides of the training images while training goes on; none for the loader's size all along.
    pub stages: Vec<Stage>,
    /// Ends training when its time is up.
    pub budget: Option<TimeBudget>,
    /// Whether the first epoch is an [`Opening`](super::Opening), which makes no steps: the schedule and the stages begin behind it.
    pub opening: bool,
}

/// Time that training may take: it ends with the last epoch that fits, evaluations and saves included.
///
/// Before each epoch the times of the last ones say how many more there will be. The schedule, which is that of all
/// [`epochs`](TrainOptions::epochs), is then gone through faster or slower, so that it is complete at the end. There is at least
/// one epoch, and none is cut short: one that takes much longer than those before can take more time than there is, or be the
/// last before the schedule is complete. Time added once training has ended changes nothing.
///
/// What was decided is in the [`Progress`](super::Progress), but another run decides by its own clock: only training without a
/// budget comes to the same bits again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBudget {
    /// From the beginning of [`Trainer::run`](super::Trainer::run) to its end; of a resumed run, all its parts together.
    pub time: Duration,
    /// About how many epochs that will be. It decides how far the first one goes through the schedule.
    pub epochs: u64,
}

/// A part of training on images of one size.
///
/// Steps on small images are quick, and all that the first epochs need (progressive resizing: Karras et al. 2018, Tan and Le
/// 2021). Evaluation is always at the loader's size, which may be larger than all of these: random crops make things look
/// larger in training than in evaluation, and larger images make up for it (Touvron et al. 2019).
///
/// The network's weights must not depend on the size of its input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// The share of training, from 0 to 1, after which the part begins, with the next epoch.
    pub from: f64,
    /// Side of its images in pixels: one that the loader [can make](crate::data::Loader::at_size), which takes augmentation.
    pub image_size: usize,
}

impl TrainOptions {
    /// So many epochs at one learning rate.
    pub fn new(epochs: u64, learning_rate: f32) -> Self {
        Self {
            epochs,
            learning_rate,
            schedule: Schedule::Constant,
            reduce_on_plateau: None,
            patience: None,
            evaluate_every: 1,
            average: None,
            stages: Vec::new(),
            budget: None,
            opening: false,
        }
    }

    /// Side of the training images once a share `done` of training is, if it is not the loader's.
    pub fn image_size(&self, done: f64) -> Option<usize> {
        self.stages.iter().rfind(|stage| stage.from <= done).map(|stage| stage.image_size)
    }

    /// Mean pixels of a training image over what remains after a share `done` of training, where the loader's have the
    /// side `full`.
    pub fn mean_pixels(&self, done: f64, full: usize) -> f64 {
        let ends = self.stages.iter().skip(1).map(|stage| stage.from).chain([1.0]);
        let first = self.stages.first().map_or(1.0, |stage| stage.from);
        let parts = [(0.0, first, full)];
        let parts =
            parts.into_iter().chain(self.stages.iter().zip(ends).map(|(s, end)| (s.from, end, s.image_size)));
        let (mut pixels, mut shares) = (0.0, 0.0);
        for (from, to, size) in parts {
            let share = (to.min(1.0) - from.max(done)).max(0.0);
            pixels += share * (size * size) as f64;
            shares += share;
        }
        let last = self.image_size(1.0).unwrap_or(full);
        if shares > 0.0 { pixels / shares } else { (last * last) as f64 }
    }

    /// Epochs of steps.
    pub(super) fn scheduled_epochs(&self) -> u64 {
        self.epochs - u64::from(self.opening).min(self.epochs)
    }

    pub(super) fn check(&self) -> Result<(), TrainOptionsError> {
        if let Some(decay) = self.average.filter(|decay| !(0.0..1.0).contains(decay)) {
            return Err(TrainOptionsError::AverageDecay(decay));
        }
        if self.evaluate_every == 0 {
            return Err(TrainOptionsError::EvaluateEvery);
        }
        if let Some(stage) = self.stages.iter().find(|stage| !(0.0..=1.0).contains(&stage.from)) {
            return Err(TrainOptionsError::StageStart(stage.from));
        }
        if self.opening && self.epochs == 0 {
            return Err(TrainOptionsError::NoEpochs);
        }
        match self.stages.windows(2).find(|pair| pair[0].from >= pair[1].from) {
            Some(pair) => Err(TrainOptionsError::StageOrder { before: pair[0].from, from: pair[1].from }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_lasts_until_the_next() {
        let stage = |from, image_size| Stage { from, image_size };
        let options = |stages| TrainOptions { stages, ..TrainOptions::new(1, 0.1) };
        let two = options(vec![stage(0.25, 48), stage(0.5, 56)]);
        assert_eq!(
            [0.0, 0.2, 0.25, 0.49, 0.5, 1.0].map(|done| two.image_size(done)),
            [None, None, Some(48), Some(48), Some(56), Some(56)]
        );
        assert_eq!(two.mean_pixels(0.5, 64), 56.0 * 56.0);
        assert_eq!(two.mean_pixels(1.0, 64), 56.0 * 56.0);
        let mean = (64.0 * 64.0 + 48.0 * 48.0 + 2.0 * 56.0 * 56.0) / 4.0;
        assert_eq!(two.mean_pixels(0.0, 64), mean);
        assert_eq!(options(Vec::new()).mean_pixels(0.3, 64), 64.0 * 64.0);
        two.check().unwrap();
        let error = options(vec![stage(0.5, 48), stage(0.5, 56)]).check().unwrap_err();
        assert_eq!(error, TrainOptionsError::StageOrder { before: 0.5, from: 0.5 });
    }
}
