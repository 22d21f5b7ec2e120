//! What can go wrong with a log.

use crate::files::FileError;
use crate::image::ImageError;

/// An error of a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A folder or an event file that the system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// An image that can't be one.
    #[error(transparent)]
    Image(#[from] ImageError),
}
