//! A data set from the network: an archive of photos fetched, checked and unpacked.
//!
//! | question | file |
//! | --- | --- |
//! | what is known of TensorFlow's flower photos? | `flower_photos.rs` |
//! | what happens in one HTTP request? | `transfer.rs` |
//! | how does an archive arrive, over however many requests? | `fetch.rs` |
//! | is it the right one? | `verify.rs` |
//! | what may an archive hold? | `entry.rs` |
//! | how does it become a folder? | `unpack.rs` |

mod entry;
mod fetch;
pub mod flower_photos;
mod transfer;
mod unpack;
mod verify;

use std::fmt;

pub use fetch::{Fetch, Source, no_tls};
pub use unpack::unpack;
pub use verify::verify;

/// The error of an archive that is not what it should be, however often it is looked at.
#[derive(Debug)]
pub struct BadArchive(String);

impl fmt::Display for BadArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadArchive {}
