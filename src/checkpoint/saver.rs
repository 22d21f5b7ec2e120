//! Saving while training.

use std::path::PathBuf;

use super::{ModelInfo, save_model, save_training};
use crate::network::StepReport;
use crate::train::{Callback, EpochRecord, Flow, Moment, TrainError};

/// Saves the best network so far as `model.safetensors` and the training state as `training.safetensors`.
#[derive(Debug, Clone)]
pub struct Saver {
    folder: PathBuf,
    info: ModelInfo,
    settings: serde_json::Value,
    every_steps: Option<u64>,
}

impl Saver {
    /// Saves into `folder`, which must exist, after each epoch.
    ///
    /// `settings` is kept in the training state for the program that resumes.
    pub fn new(folder: impl Into<PathBuf>, info: ModelInfo, settings: serde_json::Value) -> Self {
        Self { folder: folder.into(), info, settings, every_steps: None }
    }

    /// Saves the training state after so many steps too.
    pub fn every_steps(mut self, steps: u64) -> Self {
        self.every_steps = Some(steps.max(1));
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

    fn save_training(&self, moment: Moment<'_>) -> Result<(), TrainError> {
        let Moment { network, optimizer, progress, .. } = moment;
        save_training(self.training_path(), network, &self.info, optimizer, progress, &self.settings)
            .map_err(|error| TrainError::Callback(error.into()))
    }
}

impl Callback for Saver {
    fn on_step(&mut self, moment: Moment<'_>, _report: &StepReport) -> Result<Flow, TrainError> {
        if self.every_steps.is_some_and(|every| moment.progress.step.is_multiple_of(every)) {
            self.save_training(moment)?;
        }
        Ok(Flow::Continue)
    }

    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        // The model first: a crash between the two then repeats the epoch rather than losing its network.
        if record.best {
            save_model(self.model_path(), moment.network, &self.info)
                .map_err(|error| TrainError::Callback(error.into()))?;
        }
        self.save_training(moment)?;
        Ok(Flow::Continue)
    }
}
