//! A data set from the network: an archive of photos fetched, checked and unpacked.
//!
//! | question | file |
//! | --- | --- |
//! | what is known of TensorFlow's flower photos? | `flower_photos.rs` |
//! | what happens in one HTTP request? | `transfer.rs` |
//! | how does an archive arrive, over however many requests? | `fetch.rs` |
//! | is it the right one? | `verify.rs` |
//!
//! It is unpacked by [`archive`](crate::archive).

mod fetch;
pub mod flower_photos;
mod transfer;
mod verify;

pub use fetch::{Fetch, Source, no_tls};
pub use verify::verify;
