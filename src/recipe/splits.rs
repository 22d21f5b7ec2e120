//! The names of the parts of a data set.

/// The split to train on: shards named `train-*`.
pub const TRAIN: &str = "train";
/// The split to evaluate on: shards named `eval-*`.
pub const EVAL: &str = "eval";
/// The split to test on once, when all is chosen: shards named `test-*`.
pub const TEST: &str = "test";
