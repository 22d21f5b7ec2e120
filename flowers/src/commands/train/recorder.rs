//! Keeps `OUT/run.json` while training.

use std::sync::Arc;

use floret::files::HeldFolder;
use floret::train::EpochRecord;

use super::watch::{Epochs, View};
use crate::run_file::{EpochTime, RunFile};
use crate::ui::{self, warning};
use crate::{Result, messages};

/// Notes how long each epoch took. A file that can't be written costs a warning, and training goes on.
pub struct Recorder {
    folder: Arc<HeldFolder>,
    run: RunFile,
    warned: bool,
}

impl Recorder {
    /// `run` is what the run's earlier processes noted, and has a session for this one.
    pub fn new(folder: Arc<HeldFolder>, run: RunFile) -> Self {
        let mut recorder = Self { folder, run, warned: false };
        recorder.save();
        recorder
    }

    fn save(&mut self) {
        let saved = self.try_save();
        if let (Err(error), false) = (&saved, self.warned) {
            let error = messages::message(error.as_ref());
            warning!("{}; the report of this run will not tell how long it took", ui::escaped(&error));
        }
        self.warned = saved.is_err();
    }

    fn try_save(&self) -> Result<()> {
        self.folder.check()?;
        self.run.save(self.folder.path())
    }
}

impl View for Recorder {
    fn epoch(&mut self, _: &EpochRecord, time: &EpochTime, _: Epochs) {
        self.run.add_epoch(*time);
        self.save();
    }
}
