//! What scripts get of training.

use std::time::{Duration, Instant};

use floret::recipe::FEATURES;
use floret::train::{EpochRecord, OpeningProgress};

use super::watch::{Epochs, Step, View};
use crate::run_file::EpochTime;
use crate::ui::Event;

/// Steps come no more often than this.
const INTERVAL: Duration = Duration::from_secs(1);

/// An object for an epoch, and now and then for a step.
pub struct Objects {
    pub last_step: Option<Instant>,
}

impl Objects {
    /// Whether it is time for another one.
    fn is_due(&mut self) -> bool {
        let due = self.last_step.is_none_or(|last| last.elapsed() >= INTERVAL);
        if due {
            self.last_step = Some(Instant::now());
        }
        due
    }
}

impl View for Objects {
    fn opening(&mut self, progress: OpeningProgress, images_per_second: f64) {
        let OpeningProgress { part, done, total, .. } = progress;
        if part == FEATURES && self.is_due() {
            let seconds_left = (total - done) as f64 / images_per_second.max(1e-9);
            Event::Features { done, total, images_per_second, seconds_left }.print();
        }
    }

    fn step(&mut self, step: &Step) {
        if !self.is_due() {
            return;
        }
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
