//! Data sets: a folder of photos to shards, and shards, arrays or one's own examples to batches.
//!
//! | question | room |
//! | --- | --- |
//! | how do photos become shards? | [`convert`] |
//! | what is a data set? | `dataset` ([`Dataset`], [`Arrays`], [`Photos`], [`Records`]) |
//! | how does it become batches? | `pipeline` ([`Loader`]) |
//! | which classes are there? | `classes` ([`ClassNames`]) |

mod classes;
pub mod convert;
mod dataset;
mod error;
mod pipeline;
mod place;

pub use classes::{ClassNames, MAX_CLASSES};
pub use dataset::{Arrays, ArraysError, Dataset, Example, Photos, Picture, Records, Subset};
pub use error::{BatchError, ClassNamesError, LoaderOptionsError};
pub use pipeline::{
    Batch, Epoch, Fingerprint, Loader, LoaderOptions, Mix, OnBadRecord, Preprocess, Shuffle, Skipped,
};
pub(crate) use pipeline::{is_default, is_whole, whole};
pub use place::Place;
