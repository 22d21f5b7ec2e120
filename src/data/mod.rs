//! Data sets: a folder of photos to shards, and shards to batches.
//!
//! | question | room |
//! | --- | --- |
//! | how do photos become shards? | [`convert`] |
//! | how do shards become batches? | `pipeline` ([`Loader`]) |
//! | which classes are there? | `classes` ([`ClassNames`]) |

mod classes;
pub mod convert;
mod error;
mod pipeline;

pub use classes::{ClassNames, MAX_CLASSES};
pub use error::{BatchError, ClassNamesError, LoaderOptionsError};
pub use pipeline::{
    Batch, Epoch, Fingerprint, Loader, LoaderOptions, Mix, OnBadRecord, Preprocess, Shuffle, Skipped,
};
pub(crate) use pipeline::{is_default, is_whole, whole};
