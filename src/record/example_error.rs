//! Why a payload is no example.

use super::feature_kind::FeatureKind;
use crate::proto::wire::WireError;

/// Why a payload is not the example that was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExampleError {
    /// The payload is not a `tf.train.Example`.
    #[error("the payload is no tf.train.Example: {0}")]
    Decode(WireError),
    /// A feature that must be there is not.
    #[error("there is no feature {key:?}: the record has {}", listed(present, *more))]
    Missing {
        /// The feature's key.
        key: String,
        /// The keys of the features that are there: the first of them in order, if they are many.
        present: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// A feature's values are of another type.
    #[error("feature {key:?} has {got} values: {wanted} is wanted")]
    Mistyped {
        /// The feature's key.
        key: String,
        /// The type wanted.
        wanted: FeatureKind,
        /// The type found.
        got: FeatureKind,
    },
    /// A label that is a text, and no number.
    #[error(
        "feature {key:?} is the text {:?}: the number of a class is wanted, or its name as the list of classes has it",
        shortened(text)
    )]
    TextLabel {
        /// The feature's key.
        key: String,
        /// The text.
        text: String,
    },
    /// A feature does not hold the pixels that it is read for.
    #[error("feature {key:?} is no picture: {reason}")]
    Pixels {
        /// The feature's key.
        key: String,
        /// Why.
        reason: String,
    },
    /// A feature has no value, or several.
    #[error("feature {key:?} has {got} values: 1 is wanted")]
    Count {
        /// The feature's key.
        key: String,
        /// The number of values found.
        got: usize,
    },
}

impl From<WireError> for ExampleError {
    fn from(error: WireError) -> Self {
        ExampleError::Decode(error)
    }
}

/// The beginning of a text.
fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

/// How much of a text a message shows.
const SHOWN_CHARS: usize = 40;

fn listed(keys: &[String], more: usize) -> String {
    if keys.is_empty() {
        return "none at all".to_string();
    }
    let named = keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
    match more {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
