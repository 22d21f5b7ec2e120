//! A picture, decoded or not.

use std::borrow::Cow;

use ndarray::Array3;

use crate::image::{DecodeOptions, ImageError, Orientation, decode};

/// A picture, decoded or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// The bytes of an image file, of any [`Format`](crate::image::Format).
    File(Vec<u8>),
    /// RGB levels, shape (height, width, 3), the right way up.
    Levels(Array3<u8>),
}

impl Picture {
    /// Its RGB levels, at full size or, of a JPEG, at [`DecodeOptions::shrink_to`]; the right way up.
    ///
    /// # Errors
    /// A file that is no image, damaged, or over the limits of `options`.
    pub fn levels(&self, options: &DecodeOptions) -> Result<Cow<'_, Array3<u8>>, ImageError> {
        match self {
            Picture::File(bytes) => {
                decode(bytes, &DecodeOptions { orientation: Orientation::Upright, ..*options })
                    .map(Cow::Owned)
            }
            Picture::Levels(levels) => Ok(Cow::Borrowed(levels)),
        }
    }
}
