//! The parts of a data set.

use std::fmt;

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// What the network learns from: shards `train-*`.
    Train,
    /// What tells the best network while it learns: shards `eval-*`.
    Eval,
    /// What nobody looks at before the end: shards `test-*`.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.prefix())
    }
}

impl Part {
    /// All, in the order in which they are written.
    pub const ALL: [Part; 3] = [Part::Train, Part::Eval, Part::Test];

    /// The prefix of its shards.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Eval => "eval",
            Part::Test => "test",
        }
    }
}
