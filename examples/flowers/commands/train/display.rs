//! What training shows: a bar over each epoch, and a line at its end.

use std::time::{Duration, Instant};

use floret::batch::Loader;
use floret::network::StepReport;
use floret::train::{Callback, EpochRecord, Flow, Moment, TrainError};

use crate::evaluation::note_skipped;
use crate::files::{EVAL, TRAIN};
use crate::report;
use crate::ui::{self, Busy, Progress, Unit, say};

/// Shows the progress of training.
pub struct Display {
    /// The data by the name of its split, with the bad records told so far.
    data: Vec<(&'static str, Loader, usize)>,
    batches: u64,
    /// Photos to evaluate on for each to train on.
    eval_share: f64,
    total_epochs: usize,
    epochs: usize,
    started: Instant,
    epoch: Option<Epoch>,
    evaluating: Option<Busy>,
}

/// The epoch under way.
struct Epoch {
    bar: Progress,
    started: Instant,
    first_batch: usize,
}

impl Display {
    pub fn new(train: &Loader, eval: Option<&Loader>, total_epochs: usize) -> Self {
        let data = [(TRAIN, Some(train)), (EVAL, eval)].into_iter();
        Self {
            data: data.filter_map(|(split, loader)| Some((split, loader?.clone(), 0))).collect(),
            batches: train.batches() as u64,
            eval_share: eval.map_or(0.0, |eval| eval.len() as f64 / train.len() as f64),
            total_epochs,
            epochs: 0,
            started: Instant::now(),
            epoch: None,
            evaluating: None,
        }
    }

    /// Ends the display; how many epochs it showed.
    pub fn finish(self) -> usize {
        self.epochs
    }

    /// The last step of an epoch is done; its evaluation begins.
    fn begin_evaluation(&mut self, epoch: u64) {
        let Some(Epoch { started, first_batch, .. }) = self.epoch.take() else { return };
        if self.eval_share == 0.0 {
            return;
        }
        // Evaluation is the cheaper part of a step: this is the longest it may take.
        let batches = (self.batches as usize - first_batch).max(1) as f64;
        let expected = started.elapsed().as_secs_f64() * self.batches as f64 / batches * self.eval_share;
        let what = format!("epoch {epoch}/{}, evaluating", self.total_epochs);
        self.evaluating = Some(Busy::new(what, Duration::from_secs_f64(expected)));
    }
}

impl Callback for Display {
    fn on_step(&mut self, moment: Moment<'_>, _: &StepReport) -> Result<Flow, TrainError> {
        let progress = moment.progress;
        let epoch = self.epoch.get_or_insert_with(|| {
            // The step just done began the clock: a resumed epoch's rate is that of its own steps.
            let bar = Progress::from("", progress.batch as u64, self.batches, Unit::Steps);
            Epoch { bar, started: Instant::now(), first_batch: progress.batch }
        });
        epoch.bar.set(progress.batch as u64);
        let number = progress.epoch + 1;
        if let Some(running) = progress.running() {
            epoch.bar.describe(format!("epoch {number}/{}, loss {:.3}", self.total_epochs, running.loss));
        }
        if progress.batch as u64 == self.batches {
            self.begin_evaluation(number);
        }
        Ok(Flow::Continue)
    }

    fn on_epoch(&mut self, _: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        (self.epoch, self.evaluating) = (None, None);
        self.epochs += 1;
        let eval = record.eval.map_or_else(String::new, |eval| {
            format!("   eval loss {:.3} accuracy {:>6}", eval.loss, report::percent(Some(eval.accuracy)))
        });
        say!(
            "epoch {:3}/{}   loss {:.3} accuracy {:>6}{eval}   {}{}",
            record.epoch + 1,
            self.total_epochs,
            record.train_loss,
            report::percent(Some(record.train_accuracy)),
            ui::duration(self.started.elapsed().as_secs_f64()),
            if record.best { "   best so far" } else { "" }
        );
        for (split, loader, told) in &mut self.data {
            *told = note_skipped(split, loader, *told);
        }
        Ok(Flow::Continue)
    }
}
