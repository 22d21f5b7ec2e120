//! Follows training with a clock, for those who look on.

use std::fmt;
use std::time::Instant;

use floret::data::Loader;
use floret::metrics::Evaluation;
use floret::network::StepReport;
use floret::train::{Callback, EpochRecord, Flow, Moment, Progress, Score, TrainError};

use super::Settings;
use crate::evaluation::note_skipped;
use crate::files::{EVAL, TRAIN};
use crate::run_file::EpochTime;

/// Someone who looks on.
pub trait View {
    /// After each step.
    fn step(&mut self, _step: &Step) {}

    /// An evaluation begins, which takes about so many seconds.
    fn evaluation_begins(&mut self, _step: &Step, _seconds: f64) {}

    /// After each epoch and its evaluation.
    fn epoch(&mut self, _record: &EpochRecord, _time: &EpochTime, _epochs: Epochs) {}
}

/// How many epochs the run has.
#[derive(Debug, Clone, Copy)]
pub struct Epochs {
    pub number: usize,
    /// Whether that is a guess by the time there is.
    pub guessed: bool,
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.guessed { "~" } else { "" };
        f.pad(&format!("{about}{}", self.number))
    }
}

/// A step of training and its pace. Epochs and batches count from 1.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub epoch: u64,
    pub epochs: Epochs,
    pub batch: usize,
    pub batches: usize,
    /// Of the whole run.
    pub step: u64,
    /// Mean loss of its examples.
    pub loss: f64,
    /// Over the epoch so far.
    pub running: Option<Score>,
    pub learning_rate: f32,
    pub images_per_second: f64,
    /// Until the epoch's last step.
    pub epoch_seconds_left: f64,
    /// Until the end of the run.
    pub seconds_left: f64,
}

/// Tells its views of each step and epoch, and how long they take.
pub struct Watch {
    views: Vec<Box<dyn View>>,
    /// The data by the name of its split, with the bad records told so far.
    data: Vec<(&'static str, Loader, usize)>,
    batches: usize,
    /// Photos to evaluate on for each to train on.
    eval_share: f64,
    epochs: usize,
    /// Sides of the training images, each for an equal part of the epochs.
    train_sizes: Vec<usize>,
    evaluate_every: u64,
    /// When training is to end.
    deadline: Option<Instant>,
    watched: usize,
    clock: Clock,
}

/// The times of the epoch under way.
struct Clock {
    begun: Instant,
    steps: u64,
    photos: u64,
    /// From the beginning to the last step.
    train_seconds: f64,
    eval_seconds: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), steps: 0, photos: 0, train_seconds: 0.0, eval_seconds: None }
    }

    fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

impl Watch {
    pub fn new(
        train: &Loader,
        eval: Option<&Loader>,
        settings: &Settings,
        deadline: Option<Instant>,
        views: Vec<Box<dyn View>>,
    ) -> Self {
        let data = [(TRAIN, Some(train)), (EVAL, eval)].into_iter();
        Self {
            views,
            data: data.filter_map(|(split, loader)| Some((split, loader?.clone(), 0))).collect(),
            batches: train.batches(),
            eval_share: eval.map_or(0.0, |eval| eval.len() as f64 / train.len() as f64),
            epochs: settings.epochs,
            train_sizes: settings.train_sizes.clone(),
            evaluate_every: settings.evaluate_every as u64,
            deadline,
            watched: 0,
            clock: Clock::start(),
        }
    }

    /// Ends the views; how many epochs came to their end.
    pub fn finish(self) -> usize {
        self.watched
    }

    fn epochs(&self, progress: &Progress) -> Epochs {
        let expected = progress.expected_epochs();
        Epochs { number: expected.map_or(self.epochs, |epochs| epochs as usize), guessed: expected.is_some() }
    }

    fn step(&self, moment: &Moment<'_>, report: &StepReport) -> Step {
        let progress = moment.progress;
        let Clock { steps, photos, train_seconds, .. } = self.clock;
        let seconds_per_step = train_seconds / steps as f64;
        let epoch_seconds_left = self.batches.saturating_sub(progress.batch) as f64 * seconds_per_step;
        let epochs = self.epochs(progress);
        let epochs_left = (epochs.number as u64).saturating_sub(progress.epoch + 1) as f64;
        let steps_left = epochs_after(progress.epoch as f64, epochs.number as f64, &self.train_sizes);
        let epoch_seconds = self.batches as f64 * seconds_per_step;
        let eval_seconds = self.eval_seconds(seconds_per_step);
        let evaluations_left = 1.0 + epochs_left / self.evaluate_every as f64;
        let all_left = epoch_seconds_left + steps_left * epoch_seconds + evaluations_left * eval_seconds;
        let until = |deadline: Instant| deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let seconds_left = self.deadline.map_or(all_left, |deadline| all_left.min(until(deadline)));
        Step {
            epoch: progress.epoch + 1,
            epochs,
            batch: progress.batch,
            batches: self.batches,
            step: progress.step,
            loss: report.mean_loss,
            running: progress.running(),
            learning_rate: report.learning_rate,
            images_per_second: photos as f64 / train_seconds.max(1e-9),
            epoch_seconds_left,
            seconds_left,
        }
    }

    /// How long an evaluation may take: it is the cheaper part of a step.
    fn eval_seconds(&self, seconds_per_step: f64) -> f64 {
        self.batches as f64 * seconds_per_step * self.eval_share / 2.0
    }
}

/// What the steps of all epochs after number `epoch` of `epochs` take, as multiples of what those of that epoch take.
fn epochs_after(epoch: f64, epochs: f64, sizes: &[usize]) -> f64 {
    let stage = epochs / sizes.len() as f64;
    let pixels = |size: usize| (size * size) as f64;
    let now = sizes[((epoch / stage) as usize).min(sizes.len() - 1)];
    let within = |(number, &size): (usize, &usize)| {
        let (from, to) = (number as f64 * stage, (number + 1) as f64 * stage);
        (to - from.max(epoch + 1.0)).max(0.0) * pixels(size) / pixels(now)
    };
    sizes.iter().enumerate().map(within).sum()
}

impl Callback for Watch {
    fn on_start(&mut self, _: Moment<'_>) -> Result<Flow, TrainError> {
        self.clock = Clock::start();
        Ok(Flow::Continue)
    }

    fn on_step(&mut self, moment: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        self.clock.steps += 1;
        self.clock.photos += report.examples as u64;
        self.clock.train_seconds = self.clock.elapsed();
        let step = self.step(&moment, report);
        self.views.iter_mut().for_each(|view| view.step(&step));
        let evaluates =
            step.epoch.is_multiple_of(self.evaluate_every) || step.epoch == step.epochs.number as u64;
        if step.batch == step.batches && self.eval_share > 0.0 && evaluates {
            let seconds = self.eval_seconds(self.clock.train_seconds / self.clock.steps as f64);
            self.views.iter_mut().for_each(|view| view.evaluation_begins(&step, seconds));
        }
        Ok(Flow::Continue)
    }

    fn on_evaluation(&mut self, _: Moment<'_>, _: &Evaluation) -> Result<(), TrainError> {
        self.clock.eval_seconds = Some(self.clock.elapsed() - self.clock.train_seconds);
        Ok(())
    }

    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        let epochs = self.epochs(moment.progress);
        let Clock { photos, train_seconds, eval_seconds, .. } = self.clock;
        let time = EpochTime { epoch: record.epoch, photos, train_seconds, eval_seconds };
        self.views.iter_mut().for_each(|view| view.epoch(record, &time, epochs));
        for (split, loader, told) in &mut self.data {
            *told = note_skipped(split, loader, *told);
        }
        self.watched += 1;
        self.clock = Clock::start();
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_on_larger_images_take_longer() {
        assert_eq!(epochs_after(0.0, 10.0, &[64]), 9.0);
        assert_eq!(epochs_after(9.0, 10.0, &[64]), 0.0);
        // Two more at the size of now, three of four times its pixels, three of nine times.
        assert_eq!(epochs_after(0.0, 9.0, &[10, 20, 30]), 2.0 + 3.0 * 4.0 + 3.0 * 9.0);
        assert_eq!(epochs_after(7.0, 9.0, &[10, 20, 30]), 1.0);
        assert_eq!(epochs_after(3.0, 9.0, &[10, 20, 30]), 2.0 + 3.0 * 9.0 / 4.0);
    }
}
