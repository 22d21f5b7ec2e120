//! What can go wrong with an image.
use super::format::Format;
use crate::files::FileKind;

/// An error of this module. Each message says what is wrong and what to do; the caller adds the file or
/// record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The bytes are in no format that is read.
    #[error("not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but {found}; {}", advice(*found))]
    NotAnImage {
        /// What they look like.
        found: FileKind,
    },

    /// The file ends before the image does. [`Truncated::Recover`](super::Truncated::Recover) decodes what there is of a JPEG.
    #[error(
        "{format} is cut off: the image data ends at byte {offset}, before the end of the image; fetch the file again"
    )]
    Truncated {
        /// The file's format.
        format: Format,
        /// Offset at which whole data ends.
        offset: usize,
    },

    /// The file breaks the rules of its format.
    #[error("{format} is damaged: {reason}; fetch the file again, or remove it")]
    Corrupt {
        /// The file's format.
        format: Format,
        /// The rule it breaks.
        reason: String,
    },

    /// The file may be sound, but uses a part of the format that is not read here.
    #[error(
        "{format} uses {feature}, which is not supported; save it again as an ordinary (8-bit) JPEG or PNG"
    )]
    Unsupported {
        /// The file's format.
        format: Format,
        /// That part.
        feature: String,
    },

    /// This format is read with a feature of floret that this program was built without.
    #[error("{format} is not read here: the program was built without floret's feature `{}`; convert the file to JPEG or PNG", format.to_string().to_lowercase())]
    NotBuilt {
        /// The file's format.
        format: Format,
    },

    /// The image has more pixels than [`DecodeOptions::max_pixels`](super::DecodeOptions::max_pixels) allows. Found before
    /// anything is allocated.
    #[error("image of {width}x{height} pixels is over the limit of {max_pixels} pixels; shrink it")]
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The limit.
        max_pixels: u64,
    },

    /// An array given to an image operation does not have a shape the operation can work on.
    #[error("{operation}: wanted {want}, got shape {got:?}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// What it takes.
        want: String,
        /// The shape that came.
        got: Vec<usize>,
    },
}

/// What the owner of a file that is no photo can do about it.
fn advice(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Heif => {
            "convert it to JPEG or PNG, or remove the file (iPhones write JPEG with Settings > Camera > Formats > Most Compatible)"
        }
        FileKind::Avif | FileKind::JpegXl | FileKind::Jpeg2000 | FileKind::Svg => {
            "convert it to JPEG or PNG, or remove the file"
        }
        FileKind::Pdf | FileKind::Zip | FileKind::Gzip | FileKind::Tar => {
            "take the photos out of it, or remove the file"
        }
        _ => "fetch the photo again, or remove the file",
    }
}

impl ImageError {
    pub(super) fn corrupt(format: Format, reason: impl Into<String>) -> ImageError {
        ImageError::Corrupt { format, reason: reason.into() }
    }

    pub(super) fn unsupported(format: Format, feature: impl Into<String>) -> ImageError {
        ImageError::Unsupported { format, feature: feature.into() }
    }
}
