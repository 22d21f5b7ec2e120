//! Formats beside JPEG and PNG; those that a crate reads are behind a feature each.

mod bmp;
#[cfg(feature = "gif")]
mod gif;
#[cfg(feature = "tiff")]
mod tiff;
#[cfg(feature = "webp")]
mod webp;

use ndarray::Array3;

use super::error::ImageError;
use super::format::Format;
use super::info::{ColorModel, ImageHeader};
use crate::files::FileKind;

/// What reads a format.
struct Reader {
    header: fn(&[u8]) -> Result<ImageHeader, ImageError>,
    decode: fn(&[u8], &ImageHeader) -> Result<Array3<u8>, ImageError>,
}

/// The format that files of this kind are in; `None` if it is not one of these.
pub(super) fn format(kind: FileKind) -> Option<Format> {
    Some(match kind {
        FileKind::WebP => Format::WebP,
        FileKind::Gif => Format::Gif,
        FileKind::Bmp => Format::Bmp,
        FileKind::Tiff => Format::Tiff,
        _ => return None,
    })
}

pub(super) fn header(format: Format, bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    (reader(format)?.header)(bytes)
}

/// The picture as RGB; its size was checked.
pub(super) fn decode(bytes: &[u8], header: &ImageHeader) -> Result<Array3<u8>, ImageError> {
    (reader(header.format)?.decode)(bytes, header)
}

fn reader(format: Format) -> Result<Reader, ImageError> {
    match format {
        Format::Bmp => Ok(Reader { header: bmp::header, decode: bmp::decode }),
        #[cfg(feature = "gif")]
        Format::Gif => Ok(Reader { header: gif::header, decode: gif::decode }),
        #[cfg(feature = "tiff")]
        Format::Tiff => Ok(Reader { header: tiff::header, decode: tiff::decode }),
        #[cfg(feature = "webp")]
        Format::WebP => Ok(Reader { header: webp::header, decode: webp::decode }),
        _ => Err(ImageError::NotBuilt { format }),
    }
}

/// The header of a picture that is stored as it is seen.
fn plain_header(
    format: Format,
    (width, height): (usize, usize),
    color: ColorModel,
) -> Result<ImageHeader, ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::corrupt(format, format!("its size is {width}x{height} pixels")));
    }
    Ok(ImageHeader { format, width, height, color, bit_depth: 8, progressive: false, exif_orientation: 1 })
}
