//! What training begins with, once it is read.

use super::start::Start;
use super::{Census, RecipeError, Settings};
use crate::checkpoint::SavedTraining;
use crate::network::Network;

/// What training begins with, read.
pub(super) enum Origin {
    New,
    Model(Box<Start>),
    Saved(Box<SavedTraining>),
}

impl Origin {
    /// A network as training will have it, to measure.
    pub fn network(&self, settings: &Settings, census: &Census) -> Result<Network, RecipeError> {
        match self {
            Origin::New => settings.network(census.classes.len(), census.photos()),
            Origin::Model(start) => start.network(settings, census.photos()),
            Origin::Saved(saved) => Ok(saved.network.clone()),
        }
    }

    /// Whether it is a run under a budget that has come to its end.
    pub fn is_finished(&self) -> bool {
        matches!(self, Origin::Saved(saved) if saved.progress.is_finished())
    }

    /// The epochs that are done.
    pub fn epochs_done(&self) -> u64 {
        if let Origin::Saved(saved) = self { saved.progress.epoch } else { 0 }
    }

    /// Seconds that the run has taken, if it has a deadline.
    pub fn spent(&self) -> f64 {
        if let Origin::Saved(saved) = self { saved.progress.seconds() } else { 0.0 }
    }
}
