//! What looks on while training: shows, saves, stops.

use ndarray::ArrayView2;

use super::{EpochRecord, Progress, TrainError};
use crate::data::Batch;
use crate::metrics::Evaluation;
use crate::network::{Network, StepReport};
use crate::optim::Optimizer;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop after this step or epoch.
    Stop,
}

/// How far an [`Opening`](super::Opening) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpeningProgress {
    /// What it is at, such as `features`.
    pub part: &'static str,
    /// How much of it is done, such as photos.
    pub done: usize,
    /// How much there is to do.
    pub total: usize,
}

impl OpeningProgress {
    /// So much of so much of a part.
    pub fn new(part: &'static str, done: usize, total: usize) -> Self {
        Self { part, done, total }
    }
}

/// A moment of training, as callbacks see it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Moment<'a> {
    /// The network after the step.
    pub network: &'a Network,
    /// The [average](super::TrainOptions::average) of its weights, if one is kept.
    pub average: Option<&'a Network>,
    /// The optimizer after the step.
    pub optimizer: &'a dyn Optimizer,
    /// Where training is.
    pub progress: &'a Progress,
}

impl<'a> Moment<'a> {
    /// A moment of these, such as that of a loop of one's own, to be [saved](crate::checkpoint::save_training).
    pub fn new(
        network: &'a Network,
        average: Option<&'a Network>,
        optimizer: &'a dyn Optimizer,
        progress: &'a Progress,
    ) -> Self {
        Self { network, average, optimizer, progress }
    }

    /// The network that is evaluated, and saved where it is the best: the average if one is kept.
    pub fn outcome(&self) -> &'a Network {
        self.average.unwrap_or(self.network)
    }
}

/// Something to do while training: show, save, stop.
pub trait Callback {
    /// Before the first step of a run, begun or resumed.
    ///
    /// # Errors
    /// Whatever should keep training from beginning.
    fn on_start(&mut self, moment: Moment<'_>) -> Result<Flow, TrainError> {
        let _ = moment;
        Ok(Flow::Continue)
    }

    /// Now and then during an [`Opening`](super::Opening).
    fn on_opening(&mut self, progress: OpeningProgress) -> Flow {
        let _ = progress;
        Flow::Continue
    }

    /// Before each step, with its batch as the network is about to see it.
    fn on_batch(&mut self, batch: &Batch) {
        let _ = batch;
    }

    /// After each step.
    ///
    /// # Errors
    /// Whatever should end training.
    fn on_step(&mut self, moment: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        let _ = (moment, report);
        Ok(Flow::Continue)
    }

    /// Each batch of an evaluation, with the network's outputs for it (logits; examples, outputs).
    fn on_evaluation_batch(&mut self, batch: &Batch, outputs: ArrayView2<'_, f32>) {
        let _ = (batch, outputs);
    }

    /// After each evaluation, before [`on_epoch`](Self::on_epoch).
    ///
    /// # Errors
    /// Whatever should end training.
    fn on_evaluation(&mut self, moment: Moment<'_>, evaluation: &Evaluation) -> Result<(), TrainError> {
        let _ = (moment, evaluation);
        Ok(())
    }

    /// After each epoch, and its evaluation if it has one. `progress` stands at the beginning of the next epoch.
    ///
    /// # Errors
    /// Whatever should end training.
    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        let _ = (moment, record);
        Ok(Flow::Continue)
    }

    /// When the data can't be read on, before training ends with the error. The steps made until then are not at fault.
    fn on_data_error(&mut self, moment: Moment<'_>) {
        let _ = moment;
    }

    /// When training has ended, by itself or because a callback stopped it; after an error it is not called.
    ///
    /// # Errors
    /// Whatever must not go unnoticed, such as a state that can't be saved.
    fn on_end(&mut self, moment: Moment<'_>, ended: Ended) -> Result<(), TrainError> {
        let _ = (moment, ended);
        Ok(())
    }
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// All epochs are done, or the time of the [budget](super::TrainOptions::budget) is up.
    Finished,
    /// No better evaluation for as many epochs as the patience allows.
    NoImprovement,
    /// A callback stopped it.
    Stopped,
}
