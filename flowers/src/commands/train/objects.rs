//! What scripts get of training.

use std::time::{Duration, Instant};

use floret::train::EpochRecord;

use super::watch::{Epochs, Step, View};
use crate::run_file::EpochTime;
use crate::ui::Event;

/// Steps come no more often than this.
const INTERVAL: Duration = Duration::from_secs(1);

/// An object for an epoch, and now and then for a step.
pub struct Objects {
    pub last_step: Option<Instant>,
}

impl View for Objects {
    fn step(&mut self, step: &Step) {
        if self.last_step.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        self.last_step = Some(Instant::now());
        Event::Step {
            epoch: step.epoch,
            epochs: step.epochs.number,
            batch: step.batch,
            batches: step.batches,
            step: step.step,
            loss: step.running.map(|running| running.loss),
            accuracy: step.running.map(|running| running.accuracy),
            learning_rate: step.learning_rate,
            images_per_second: step.images_per_second,
            epoch_seconds_left: step.epoch_seconds_left,
            seconds_left: step.seconds_left,
        }
        .print();
    }

    fn epoch(&mut self, record: &EpochRecord, time: &EpochTime, epochs: Epochs) {
        Event::Epoch {
            epoch: record.epoch + 1,
            epochs: epochs.number,
            step: record.step,
            train_loss: record.train_loss,
            train_accuracy: record.train_accuracy,
            eval_loss: record.eval.map(|eval| eval.loss),
            eval_accuracy: record.eval.map(|eval| eval.accuracy),
            learning_rate: record.learning_rate,
            best: record.best,
            images_per_second: time.images_per_second(),
            train_seconds: time.train_seconds,
            eval_seconds: time.eval_seconds,
        }
        .print();
    }
}
