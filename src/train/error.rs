//! Why training ended early.

use crate::data::BatchError;
use crate::network::NetworkError;

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
    /// Options that make no sense, here or where training goes on.
    #[error("training can't begin: {0}")]
    Options(TrainOptionsError),
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

impl From<TrainOptionsError> for TrainError {
    fn from(error: TrainOptionsError) -> Self {
        TrainError::Options(error)
    }
}

/// Options that training can't begin with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainOptionsError {
    /// A decay of [`TrainOptions::average`](super::TrainOptions::average) outside [0, 1).
    #[error("the decay of the average must be at least 0 and under 1, got {0}")]
    AverageDecay(f32),
    /// A [`TrainOptions::evaluate_every`](super::TrainOptions::evaluate_every) of 0.
    #[error("the epochs from one evaluation to the next must be at least 1, got 0")]
    EvaluateEvery,
    /// A [`Stage`](super::Stage) that begins outside of training.
    #[error("a stage must begin after a share of training from 0 to 1, got {0}")]
    StageStart(f64),
    /// A [`Stage`](super::Stage) that does not begin after the one before it.
    #[error("the stages must begin one after the other, but one from {from} on follows one from {before} on")]
    StageOrder {
        /// The share of training after which the stage before it begins.
        before: f64,
        /// The share of training after which it begins itself.
        from: f64,
    },
    /// [`Trainer::with_average`](super::Trainer::with_average) was given the weights of another network.
    #[error("the average of the weights is that of another network")]
    OtherAverage,
    /// No epoch, where the first is an [`Opening`](super::Opening).
    #[error("the first epoch is an opening, so there must be one")]
    NoEpochs,
    /// Training that begins with an [`Opening`](super::Opening), without one.
    #[error("it begins with an opening: begin it by Trainer::run_after")]
    NoOpening,
    /// Training began under a [`TrainOptions::budget`](super::TrainOptions::budget), and is to go on without one.
    #[error("it began under a budget of time, and needs one to go on")]
    NoBudget,
    /// Training began without a [`TrainOptions::budget`](super::TrainOptions::budget), and is to go on under one.
    #[error("it began without a budget of time, and can't go on under one")]
    NewBudget,
    /// Photos to evaluate on that are [mixed](crate::data::LoaderOptions::mix): a photo of two classes has no right answer.
    #[error(
        "the photos to evaluate on are mixed with each other: open them with LoaderOptions::for_evaluation"
    )]
    MixedEvaluation,
}
