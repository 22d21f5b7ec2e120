//! IMAGES -> BATCHES: labeled pictures to normalized batches, in a seeded order, on rayon's threads.
//!
//! ```text
//! order of records -> payloads -> decode and fit (cached) -> augment -> normalize -> mix -> bounded queue
//! ```
//!
//! | question | file |
//! | --- | --- |
//! | in which order do records come? | `order.rs` |
//! | what happens to one photo? | `preprocess.rs` |
//! | how do two examples become one? | `mix.rs` |
//! | which options are there? | `options.rs` |
//! | what is kept in memory? | `cache.rs` |
//! | where do examples come from? | `source.rs`, `shard_part.rs` |
//! | what do all epochs share? | `shared.rs` |
//! | how do records become one batch? | `assemble.rs` |
//! | who makes batches, and when? | `epoch.rs` |
//! | is it the same data as before? | `fingerprint.rs` |

mod assemble;
mod batch;
mod cache;
mod epoch;
mod fingerprint;
mod loader;
mod mix;
mod options;
mod order;
mod preprocess;
mod shard_part;
mod shared;
mod source;

pub use batch::Batch;
pub use epoch::Epoch;
pub use fingerprint::Fingerprint;
pub use loader::Loader;
pub use mix::Mix;
pub use options::{LoaderOptions, OnBadRecord};
pub use order::Shuffle;
pub use preprocess::Preprocess;
pub(crate) use preprocess::{is_default, is_whole, whole};
pub use shared::Skipped;
