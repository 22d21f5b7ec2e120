//! WebP, by the image-webp crate.

use std::io::{Cursor, ErrorKind};

use image_webp::{DecodingError, WebPDecoder};
use ndarray::Array3;

use super::plain_header;
use crate::image::error::ImageError;
use crate::image::exif;
use crate::image::format::Format;
use crate::image::info::{ColorModel, ImageHeader};
use crate::image::rgb::{rgb_array, without_opacity};

pub(super) fn header(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let mut decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    // The crate decodes a picture before it looks whether it is larger than the canvas.
    let is_larger = |(w, h): (u32, u32)| w > width || h > height;
    if picture_size(bytes.get(RIFF_HEADER..).unwrap_or_default()).is_some_and(is_larger) {
        return Err(corrupt("its picture is larger than its canvas"));
    }
    let color = match (decoder.is_lossy(), decoder.has_alpha()) {
        (_, true) => ColorModel::Rgba,
        (true, false) => ColorModel::YCbCr,
        (false, false) => ColorModel::Rgb,
    };
    let header = plain_header(Format::WebP, (width as usize, height as usize), color)?;
    let exif = decoder.exif_metadata().ok().flatten();
    // Some programs put JPEG's introduction before it.
    let tiff = exif.as_deref().map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    Ok(ImageHeader { exif_orientation: tiff.and_then(exif::orientation).unwrap_or(1), ..header })
}

pub(super) fn decode(bytes: &[u8], header: &ImageHeader) -> Result<Array3<u8>, ImageError> {
    let mut decoder = decoder(bytes)?;
    let size = decoder.output_buffer_size();
    let mut samples = vec![0; size.ok_or_else(|| corrupt("its size does not fit into memory"))?];
    decoder.read_image(&mut samples).map_err(|error| decoding_error(error, bytes.len()))?;
    let rgb = if decoder.has_alpha() { without_opacity(samples) } else { samples };
    rgb_array(Format::WebP, header.height, header.width, rgb)
}

/// Bytes before those that the file's header counts.
const UNCOUNTED: usize = 8;
/// Bytes before the first chunk.
const RIFF_HEADER: usize = 12;
/// Bytes of a frame before the chunks in it.
const FRAME_HEADER: usize = 16;

/// Width and height of the first picture among these chunks, by its own data (WebP container specification; RFC 6386, 9.1).
fn picture_size(mut chunks: &[u8]) -> Option<(u32, u32)> {
    loop {
        let (name, rest) = chunks.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let data = &rest[..length.min(rest.len())];
        match name {
            b"VP8 " => {
                let [w0, w1, h0, h1] = *data.get(6..)?.first_chunk()?;
                let side = |bytes: [u8; 2]| u32::from(u16::from_le_bytes(bytes)) & 0x3FFF;
                return Some((side([w0, w1]), side([h0, h1])));
            }
            b"VP8L" => {
                let bits = u32::from_le_bytes(*data.get(1..)?.first_chunk()?);
                return Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1));
            }
            b"ANMF" => return picture_size(data.get(FRAME_HEADER..)?),
            _ => chunks = rest.get(length.checked_add(length % 2)?..)?,
        }
    }
}

fn decoder(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, ImageError> {
    // Of data that is cut off the crate makes a picture, too.
    if let Some(&[a, b, c, d]) = bytes.get(4..UNCOUNTED)
        && bytes.len() < (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(UNCOUNTED)
    {
        return Err(ImageError::Truncated { format: Format::WebP, offset: bytes.len() });
    }
    WebPDecoder::new(Cursor::new(bytes)).map_err(|error| decoding_error(error, bytes.len()))
}

fn decoding_error(error: DecodingError, length: usize) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format: Format::WebP, offset: length }
        }
        error => corrupt(error.to_string()),
    }
}

fn corrupt(reason: impl Into<String>) -> ImageError {
    ImageError::corrupt(Format::WebP, reason)
}
