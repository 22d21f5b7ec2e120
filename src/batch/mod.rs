//! IMAGES -> BATCHES: shards of encoded photos to standardized batches, in a seeded order, on rayon's threads.
//!
//! ```text
//! order of records -> payloads -> decode and fit (cached) -> augment -> standardize -> batch -> bounded queue
//! ```
//!
//! | question | file |
//! | --- | --- |
//! | in which order do records come? | `order.rs` |
//! | what happens to one photo? | `preprocess.rs` |
//! | what is kept in memory? | `cache.rs` |
//! | who makes batches, and when? | `loader.rs` |
//! | which classes are there? | `classes.rs` |
//! | how does a folder of photos become shards? | `convert.rs` |

mod cache;
mod classes;
mod convert;
mod error;
mod loader;
mod order;
mod preprocess;

pub use classes::ClassNames;
pub use convert::{
    BadPhoto, Conversion, ConvertError, ConvertOptions, ConvertPlan, ConvertReport, PhotoFault, PlannedPhoto,
};
pub use error::BatchError;
pub use loader::{Batch, Epoch, Loader, LoaderOptions, OnBadRecord, Skipped};
pub use order::Shuffle;
pub use preprocess::Preprocess;
