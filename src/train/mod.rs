//! The loop over epochs: steps, schedule, evaluation, best-so-far, early stop.
//!
//! A [`Trainer`] can stop after any step and go on later: [`Progress`] says where it is, and together with the
//! network, the optimizer and the loader's seed it is all that training depends on.

mod progress;

pub use progress::{Best, EpochRecord, Progress, Score};

use ndarray::ArrayView2;

use crate::batch::{Batch, BatchError, Loader};
use crate::metrics::Evaluation;
use crate::network::{Network, NetworkError, StepReport};
use crate::optim::{Optimizer, ReduceOnPlateau, Schedule};

/// What can end training early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The network and the data do not fit, or the loss is no longer finite.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The data can't be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A callback failed, such as one that saves.
    #[error(transparent)]
    Callback(Box<dyn std::error::Error + Send + Sync>),
    /// Training that would go on with other data.
    #[error(
        "the {part} data are not those that training began with: {difference}; resume with the same shards"
    )]
    OtherData {
        /// `training` or `evaluation`.
        part: &'static str,
        /// The first shard that differs.
        difference: String,
    },
    /// A resumed position that the data does not have.
    #[error(
        "training stopped at batch {batch} of an epoch, but the epochs of this data have {batches} batches: resume with the same data and batch size"
    )]
    Position {
        /// Batches done of the epoch.
        batch: usize,
        /// Batches of an epoch.
        batches: usize,
    },
}

/// How long to train and how the learning rate moves.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Passes over the training data.
    pub epochs: u64,
    /// The learning rate that the schedule's factors multiply.
    pub learning_rate: f32,
    /// The factor of each step, counted from the start of training.
    pub schedule: Schedule,
    /// Lowers the learning rate when the evaluation loss has stopped falling.
    pub reduce_on_plateau: Option<ReduceOnPlateau>,
    /// Ends training after this many epochs without a better evaluation.
    pub patience: Option<u64>,
}

impl TrainOptions {
    /// So many epochs at one learning rate.
    pub fn new(epochs: u64, learning_rate: f32) -> Self {
        Self { epochs, learning_rate, schedule: Schedule::Constant, reduce_on_plateau: None, patience: None }
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop after this step or epoch.
    Stop,
}

/// A moment of training, as callbacks see it.
pub struct Moment<'a> {
    /// The network after the step.
    pub network: &'a Network,
    /// The optimizer after the step. Mutable, since saving looks at its slots.
    pub optimizer: &'a mut dyn Optimizer,
    /// Where training is.
    pub progress: &'a Progress,
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

    /// After each epoch and its evaluation. `progress` stands at the beginning of the next epoch.
    ///
    /// # Errors
    /// Whatever should end training.
    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        let _ = (moment, record);
        Ok(Flow::Continue)
    }

    /// When the data can't be read on, before training ends with the error. The steps made until then are not at fault.
    ///
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
pub enum Ended {
    /// All epochs are done.
    Finished,
    /// No better evaluation for as many epochs as the patience allows.
    NoImprovement,
    /// A callback stopped it.
    Stopped,
}

/// The loop over epochs.
#[derive(Debug, Clone)]
pub struct Trainer {
    options: TrainOptions,
    progress: Progress,
}

impl Trainer {
    /// Starts at the beginning.
    pub fn new(options: TrainOptions) -> Self {
        let progress = Progress::new(options.reduce_on_plateau.clone());
        Self { options, progress }
    }

    /// Goes on from where another run stopped.
    pub fn resume(options: TrainOptions, progress: Progress) -> Self {
        Self { options, progress }
    }

    /// Where training is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Trains `network` on `train` until the last epoch is done, evaluating on `eval` after each epoch.
    ///
    /// "Better" is a higher accuracy on `eval`, or of equal ones a lower loss; without `eval` a lower training loss. A loss
    /// that is not finite is never better.
    ///
    /// # Errors
    /// Other data than those that training began with; the first error of the data, the network or a callback. The network
    /// is as the last whole step left it.
    pub fn run(
        &mut self,
        network: &mut Network,
        optimizer: &mut dyn Optimizer,
        train: &Loader,
        eval: Option<&Loader>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Ended, TrainError> {
        self.progress.check_data(train, eval)?;
        let batches = train.batches();
        if self.progress.batch > batches {
            return Err(TrainError::Position { batch: self.progress.batch, batches });
        }
        let progress = &self.progress;
        let flow = notify(callbacks, |callback| {
            callback.on_start(Moment { network, optimizer: &mut *optimizer, progress })
        })?;
        let ended = match flow {
            Flow::Continue => self.run_epochs(network, optimizer, train, eval, callbacks),
            Flow::Stop => Ok(Ended::Stopped),
        };
        let progress = &self.progress;
        if let Err(TrainError::Batch(_)) = ended {
            for callback in callbacks.iter_mut() {
                callback.on_data_error(Moment { network, optimizer: &mut *optimizer, progress });
            }
        }
        let ended = ended?;
        for callback in callbacks {
            callback.on_end(Moment { network, optimizer: &mut *optimizer, progress }, ended)?;
        }
        Ok(ended)
    }

    /// [`run`](Self::run) between its start and its end.
    fn run_epochs(
        &mut self,
        network: &mut Network,
        optimizer: &mut dyn Optimizer,
        train: &Loader,
        eval: Option<&Loader>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Ended, TrainError> {
        while self.progress.epoch < self.options.epochs {
            if self.has_lost_patience() {
                return Ok(Ended::NoImprovement);
            }
            let mut epoch = train.epoch_from(self.progress.epoch, self.progress.batch);
            while let Some(batch) = epoch.next() {
                let batch = batch?;
                callbacks.iter_mut().for_each(|callback| callback.on_batch(&batch));
                optimizer.set_learning_rate(self.learning_rate());
                let report = network.train_step(batch.images.view(), &batch.labels, optimizer)?;
                self.progress.add_step(&report, epoch.position());
                let progress = &self.progress;
                let flow = notify(callbacks, |callback| {
                    callback.on_step(Moment { network, optimizer: &mut *optimizer, progress }, &report)
                })?;
                if flow == Flow::Stop {
                    return Ok(Ended::Stopped);
                }
            }
            let evaluation = eval.map(|eval| evaluate_watched(network, eval, callbacks)).transpose()?;
            if let Some(evaluation) = &evaluation {
                for callback in callbacks.iter_mut() {
                    let progress = &self.progress;
                    callback.on_evaluation(
                        Moment { network, optimizer: &mut *optimizer, progress },
                        evaluation,
                    )?;
                }
            }
            let record = self.progress.end_epoch(evaluation);
            let progress = &self.progress;
            let flow = notify(callbacks, |callback| {
                callback.on_epoch(Moment { network, optimizer: &mut *optimizer, progress }, &record)
            })?;
            if flow == Flow::Stop {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

    /// Whether the best epoch lies too far back. Asked before each epoch, so that a run resumed after its end stays ended.
    fn has_lost_patience(&self) -> bool {
        let lost = |patience| self.progress.epochs_since_best() >= patience;
        self.progress.epoch > 0 && self.options.patience.is_some_and(lost)
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f32 {
        self.options.learning_rate
            * self.options.schedule.factor(self.progress.step)
            * self.progress.plateau_factor()
    }
}

/// Evaluates over every example of `data`, each once.
///
/// # Errors
/// Data that can't be read or does not fit the network.
pub fn evaluate(network: &Network, data: &Loader) -> Result<Evaluation, TrainError> {
    evaluate_watched(network, data, &mut [])
}

/// [`evaluate`] that shows callbacks each batch.
fn evaluate_watched(
    network: &Network,
    data: &Loader,
    callbacks: &mut [&mut dyn Callback],
) -> Result<Evaluation, TrainError> {
    let batches = data.epoch(0).map(|batch| batch.map_err(TrainError::from));
    network.evaluate_each(batches, |batch, outputs| {
        callbacks.iter_mut().for_each(|callback| callback.on_evaluation_batch(batch, outputs));
    })
}

/// Every callback is told, even after one that wants to stop.
fn notify(
    callbacks: &mut [&mut dyn Callback],
    mut tell: impl FnMut(&mut dyn Callback) -> Result<Flow, TrainError>,
) -> Result<Flow, TrainError> {
    let mut flow = Flow::Continue;
    for callback in callbacks {
        if tell(*callback)? == Flow::Stop {
            flow = Flow::Stop;
        }
    }
    Ok(flow)
}
