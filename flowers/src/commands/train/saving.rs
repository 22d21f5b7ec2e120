//! When training saves, and what a save that fails does.

use clap::ValueEnum;
use floret::checkpoint::{OnSaveError, Saver};

use crate::ui::warning;
use crate::{args, messages};

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Saving {
    /// Steps between two saves of the training state within an epoch
    #[arg(long, value_parser = args::positive, value_name = "STEPS", default_value_t = SAVE_EVERY)]
    save_every: usize,
    /// What happens when a save fails, as on a full disk: warn and try again at the next save, or stop. A failure at the
    /// beginning or the end of training is always an error
    #[arg(long, value_enum, default_value_t = OnFailure::Continue)]
    on_save_error: OnFailure,
    /// Write no OUT/report.html at the end
    #[arg(long)]
    no_report: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnFailure {
    Continue,
    Stop,
}

/// Well under a minute of work lost, well under a hundredth of the time spent on saving.
const SAVE_EVERY: usize = 50;

impl Default for Saving {
    fn default() -> Self {
        Self { save_every: SAVE_EVERY, on_save_error: OnFailure::Continue, no_report: false }
    }
}

impl Saving {
    /// Whether there is to be a report.
    pub fn report(self) -> bool {
        !self.no_report
    }

    pub fn apply(self, saver: Saver) -> Saver {
        let saver = saver.every_steps(self.save_every as u64);
        match self.on_save_error {
            OnFailure::Stop => saver,
            OnFailure::Continue => saver.on_error(|error| {
                warning!(
                    "{}; training goes on without it, and the next save tries again",
                    messages::checkpoint(error)
                );
                OnSaveError::Continue
            }),
        }
    }
}
