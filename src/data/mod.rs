//! IMAGES -> BATCHES: shards of encoded photos to standardized batches, in a seeded order, on rayon's threads.
//!
//! ```text
//! order of records -> payloads -> decode and fit (cached) -> augment -> standardize -> mix -> bounded queue
//! ```
//!
//! | question | file |
//! | --- | --- |
//! | in which order do records come? | `order.rs` |
//! | what happens to one photo? | `preprocess.rs` |
//! | how do records become one batch? | `assemble.rs` |
//! | how do two examples become one? | `mix.rs` |
//! | what is kept in memory? | `cache.rs` |
//! | who makes batches, and when? | `epoch.rs` |
//! | which options are there? | `options.rs` |
//! | what do all epochs share? | `loader.rs` |
//! | which classes are there? | `classes.rs` |
//! | is it the same data as before? | `fingerprint.rs` |
//! | how do photos become shards? | `convert.rs` |

mod assemble;
mod cache;
mod classes;
mod convert;
mod epoch;
mod error;
mod fingerprint;
mod loader;
mod mix;
mod options;
mod order;
mod preprocess;

pub use classes::{ClassNames, MAX_CLASSES};
pub use convert::{
    BadPhoto, ClassFolders, Conversion, ConvertError, ConvertOptions, ConvertPlan, ConvertReport,
    ListedPhoto, Part, PhotoFault, PlannedPhoto, is_unfinished,
};
pub use epoch::Epoch;
pub use error::BatchError;
pub use fingerprint::Fingerprint;
pub use loader::{Batch, Loader, Skipped};
pub use mix::Mix;
pub use options::{LoaderOptions, OnBadRecord};
pub use order::Shuffle;
pub use preprocess::Preprocess;
