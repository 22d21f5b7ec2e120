//! Saving while training.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{CheckpointError, ModelInfo, ModelSnapshot, save_model, save_training};
use crate::files::HeldFolder;
use crate::network::StepReport;
use crate::train::{Callback, Ended, EpochRecord, Flow, Moment, Progress, TrainError};

/// What becomes of training when its state can't be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSaveError {
    /// It ends with the error.
    Stop,
    /// It goes on; the next save tries again.
    Continue,
}

type Decide = Box<dyn FnMut(&CheckpointError) -> OnSaveError + Send>;

/// Saves the best network so far as `model.safetensors` and the training state as `training.safetensors`.
///
/// The training state is saved before the first step, after each epoch and [every so many steps](Self::every_steps), and
/// where a callback stops training or the data can't be read on; the network after each epoch that is the best so far, or the
/// [average](crate::train::TrainOptions::average) of its weights if one is kept. So from the first step on, a process that is
/// killed leaves a run that can be resumed, and that (but for [budgets of time](crate::train::TimeBudget)) ends with the same bits.
///
/// The training state on the disk never tells of a best network that is not there: the network goes first, and the
/// state waits for it. A crash between the two repeats steps, and finds the same network again (under a budget, one like it).
///
/// A save that fails leaves the earlier files as they are, and [`on_error`](Self::on_error) decides what follows. A best
/// network that could not be saved is kept in memory until it can. A failure before the first step or at the end of
/// training, where nothing would come after it, is always an error.
pub struct Saver {
    folder: PathBuf,
    held: Option<Arc<HeldFolder>>,
    info: ModelInfo,
    settings: serde_json::Value,
    every_steps: Option<u64>,
    decide: Decide,
    /// The best network, while it is not on the disk.
    unsaved_best: Option<ModelSnapshot>,
    /// The position of the training state on the disk.
    saved: Option<(u64, u64, u64)>,
}

impl Saver {
    /// Saves into `folder`, which must exist, after each epoch.
    ///
    /// `settings` is kept in the training state for the program that resumes.
    pub fn new(folder: impl Into<PathBuf>, info: ModelInfo, settings: serde_json::Value) -> Self {
        Self {
            folder: folder.into(),
            held: None,
            info,
            settings,
            every_steps: None,
            decide: Box::new(|_| OnSaveError::Stop),
            unsaved_best: None,
            saved: None,
        }
    }

    /// Saves into a folder that is held as long as the saver lives, or longer by others who share it. A save after it was
    /// moved fails.
    pub fn holding(run: impl Into<Arc<HeldFolder>>, info: ModelInfo, settings: serde_json::Value) -> Self {
        let run = run.into();
        let saver = Self::new(run.path(), info, settings);
        Self { held: Some(run), ..saver }
    }

    /// Saves the training state after so many steps too.
    pub fn every_steps(mut self, steps: u64) -> Self {
        self.every_steps = Some(steps.max(1));
        self
    }

    /// Tells `decide` of each save that fails, and does as it says; without it, training stops.
    ///
    /// ```
    /// use floret::checkpoint::{OnSaveError, Saver};
    /// # use floret::{data::Preprocess, checkpoint::ModelInfo};
    /// # let info = ModelInfo { classes: Vec::new(), preprocess: Preprocess::new(32) };
    ///
    /// let saver = Saver::new("run", info, serde_json::Value::Null).on_error(|error| {
    ///     eprintln!("warning: {error}");
    ///     OnSaveError::Continue
    /// });
    /// ```
    pub fn on_error(mut self, decide: impl FnMut(&CheckpointError) -> OnSaveError + Send + 'static) -> Self {
        self.decide = Box::new(decide);
        self
    }

    /// Where the best network is saved.
    pub fn model_path(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }

    /// Where the training state is saved.
    pub fn training_path(&self) -> PathBuf {
        self.folder.join("training.safetensors")
    }

    /// Saves a best network that is still to be saved, and then the training state.
    fn save(&mut self, moment: Moment<'_>) -> Result<(), CheckpointError> {
        self.check_folder()?;
        if let Some(best) = &self.unsaved_best {
            best.write(&self.model_path())?;
            self.unsaved_best = None;
        }
        save_training(self.training_path(), moment, &self.info, &self.settings)?;
        self.saved = Some(position(moment.progress));
        Ok(())
    }

    fn save_if_new(&mut self, moment: Moment<'_>) -> Result<(), CheckpointError> {
        match self.saved == Some(position(moment.progress)) {
            true => Ok(()),
            false => self.save(moment),
        }
    }

    fn check_folder(&self) -> Result<(), CheckpointError> {
        Ok(self.held.as_ref().map_or(Ok(()), |run| run.check())?)
    }

    fn save_epoch(&mut self, moment: Moment<'_>, best: bool) -> Result<(), CheckpointError> {
        if best {
            self.unsaved_best = None;
            let saved = self.check_folder();
            let network = moment.outcome();
            let saved = saved.and_then(|()| save_model(self.model_path(), network, &self.info));
            if let Err(error) = saved {
                self.unsaved_best = Some(ModelSnapshot::of(&self.model_path(), network, &self.info)?);
                return Err(error);
            }
        }
        self.save(moment)
    }

    fn decide(&mut self, saved: Result<(), CheckpointError>) -> Result<Flow, TrainError> {
        match saved {
            Err(error) if (self.decide)(&error) == OnSaveError::Stop => Err(failed(error)),
            _ => Ok(Flow::Continue),
        }
    }
}

fn failed(error: CheckpointError) -> TrainError {
    TrainError::Callback(error.into())
}

impl Callback for Saver {
    fn on_start(&mut self, moment: Moment<'_>) -> Result<Flow, TrainError> {
        // Now the network has the size that it is used with, so that this is no later surprise.
        if let Err(reason) = self.info.check(moment.network) {
            return Err(failed(CheckpointError::Info { path: self.model_path(), reason }));
        }
        self.save(moment).map_err(failed)?;
        Ok(Flow::Continue)
    }

    fn on_step(&mut self, moment: Moment<'_>, _report: &StepReport) -> Result<Flow, TrainError> {
        if !self.every_steps.is_some_and(|every| moment.progress.step.is_multiple_of(every)) {
            return Ok(Flow::Continue);
        }
        let saved = self.save(moment);
        self.decide(saved)
    }

    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        let saved = self.save_epoch(moment, record.best);
        self.decide(saved)
    }

    fn on_data_error(&mut self, moment: Moment<'_>) {
        // If that fails too, the state before is what is left, and there is an error to tell already.
        let _ = self.save_if_new(moment);
    }

    fn on_end(&mut self, moment: Moment<'_>, _ended: Ended) -> Result<(), TrainError> {
        self.save_if_new(moment).map_err(failed)
    }
}

/// Steps, epochs and, bit for bit, seconds: what tells a state from another one.
fn position(progress: &Progress) -> (u64, u64, u64) {
    (progress.step, progress.epoch, progress.seconds().to_bits())
}

impl fmt::Debug for Saver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, every_steps, saved, .. } = self;
        f.debug_struct("Saver")
            .field("folder", folder)
            .field("every_steps", every_steps)
            .field("saved", saved)
            .finish_non_exhaustive()
    }
}
