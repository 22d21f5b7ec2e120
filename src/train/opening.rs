//! What may stand in the first epoch's place.

use super::{Flow, OpeningProgress, Score, TrainError};
use crate::metrics::Evaluation;
use crate::network::Network;

/// A first epoch of another kind than steps of an optimizer, such as a last layer that is fitted to the features of a network
/// trained before.
///
/// [`Trainer::run_after`](super::Trainer::run_after) does it where training begins. If it is stopped or fails, the next run begins
/// with it again.
pub trait Opening {
    /// Changes the network, and says how good it is then. `watch` hears how far it is; if that says to stop, the result is `None`.
    ///
    /// # Errors
    /// Data that can't be read or do not fit the network.
    fn run(
        &mut self,
        network: &mut Network,
        watch: &mut dyn FnMut(OpeningProgress) -> Flow,
    ) -> Result<Option<Opened>, TrainError>;
}

/// What an [`Opening`] came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Opened {
    /// The loss and accuracy of training.
    pub train: Score,
    /// The evaluation of the network, if there is anything to evaluate on.
    pub evaluation: Option<Evaluation>,
    /// About how many seconds an epoch will take with its share of evaluations, for training under a
    /// [budget](super::TrainOptions::budget).
    pub epoch_seconds: Option<f64>,
}

impl Opened {
    /// An opening that led to these scores.
    pub fn new(train: Score, evaluation: Option<Evaluation>) -> Self {
        Self { train, evaluation, epoch_seconds: None }
    }

    /// Sets how long an epoch will take.
    pub fn epoch_seconds(mut self, seconds: f64) -> Self {
        self.epoch_seconds = Some(seconds);
        self
    }
}
