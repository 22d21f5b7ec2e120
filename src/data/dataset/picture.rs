//! A picture, decoded or not.

use std::borrow::Cow;

use ndarray::Array3;

use crate::image::{DecodeOptions, ImageError, Orientation, decode};
use crate::record::Pixels;

/// A picture, decoded or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// The bytes of an image file, of any [`Format`](crate::image::Format).
    File(Vec<u8>),
    /// RGB levels, shape (height, width, 3), the right way up.
    Levels(Array3<u8>),
}

impl From<Pixels> for Picture {
    /// A gray level is that of each color.
    fn from(Pixels { height, width, channels, levels, .. }: Pixels) -> Self {
        let rgb = match channels {
            1 => levels.iter().flat_map(|&level| [level; 3]).collect(),
            _ => levels,
        };
        Picture::Levels(
            Array3::from_shape_vec((height, width, 3), rgb).expect("as many levels as the sizes say"),
        )
    }
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
