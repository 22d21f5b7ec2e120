//! Reads the headers of image files.
mod png;

use super::error::ImageError;
use super::info::ImageHeader;
use super::jpeg_header::{self, JpegHeader};
use super::others;
use crate::files::{FileKind, PNG};

/// Whether this is a JPEG file that lacks its end-of-image marker.
pub(crate) fn lacks_its_end(bytes: &[u8]) -> bool {
    matches!(parse(bytes), Ok(Parsed::Jpeg(header)) if header.cut_off_at(bytes).is_some())
}

/// Reads the header of an image file: no pixel is decoded and nothing of the image's size is allocated.
///
/// `bytes` should be the whole file; of JPEG, PNG and BMP the part up to the image data is enough.
///
/// # Errors
/// [`ImageError::NotAnImage`], [`ImageError::Truncated`] within the header, [`ImageError::Corrupt`], and
/// [`ImageError::Unsupported`] for what [`decode`](super::decode()) does not read either.
pub fn read_header(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    Ok(match parse(bytes)? {
        Parsed::Jpeg(header) => header.image,
        Parsed::Png(header) | Parsed::Other(header) => header,
    })
}

/// A parsed header, with what the decoder of its format needs besides.
pub(super) enum Parsed {
    Jpeg(JpegHeader),
    Png(ImageHeader),
    Other(ImageHeader),
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ImageError> {
    if bytes.starts_with(&jpeg_header::START) {
        jpeg_header::parse(bytes).map(Parsed::Jpeg)
    } else if bytes.starts_with(&PNG) {
        png::parse(bytes).map(Parsed::Png)
    } else {
        let kind = FileKind::of(bytes);
        match others::format(kind) {
            Some(format) => others::header(format, bytes).map(Parsed::Other),
            None => Err(ImageError::NotAnImage { found: kind }),
        }
    }
}
