//! The parts of a data set.

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What the network learns from: shards `train-*`.
    Train,
    /// What tells the best network while it learns: shards `eval-*`.
    Eval,
    /// What nobody looks at before the end: shards `test-*`.
    Test,
}

impl Part {
    /// All, in the order in which they are written.
    pub(super) const ALL: [Part; 3] = [Part::Train, Part::Eval, Part::Test];

    /// The prefix of its shards.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Eval => "eval",
            Part::Test => "test",
        }
    }
}
