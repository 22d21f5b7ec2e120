//! Files that appear under their name whole or not at all, folders that one process holds at a time, and what a file is.
//!
//! A program killed while it writes a checkpoint or a shard must not leave half a file where a whole one
//! stood. [`AtomicFile`] writes to a hidden file in the same folder and renames it over the target once all
//! its bytes are on the disk; [`write_atomically`] does so around one closure. [`create_folder`] makes the folder.

mod atomic;
mod error;
mod folder;
mod held_folder;
mod kind;
mod path;
mod regular;
mod temporary;

pub(crate) use atomic::SyncedFile;
pub use atomic::{AtomicFile, write_atomically};
pub use error::FileError;
pub use folder::create_folder;
pub use held_folder::{HeldFolder, HoldError, Holder};
pub use kind::FileKind;
pub(crate) use kind::{PNG, SNIFFED_BYTES};
pub(crate) use path::{as_named, folder_of};
pub(crate) use regular::open_regular;
pub(crate) use temporary::remove_stale;
