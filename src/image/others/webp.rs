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
    if !fits(bytes, (width, height)).unwrap_or(false) {
        return Err(corrupt("its picture is not of the size that it says"));
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
/// The bit of the extended header that says that there are frames.
const ANIMATED: u8 = 0b10;

/// Whether the picture that the crate will decode, the first one, is by its own data as large as the canvas or the frame says; `None` of
/// chunks that are not in the order of the specification (WebP container specification).
///
/// The crate decodes some pictures before it looks, and some without.
fn fits(bytes: &[u8], canvas: (u32, u32)) -> Option<bool> {
    let chunks = Chunks(bytes.get(RIFF_HEADER..)?);
    let (first, flags) = chunks.clone().next()?;
    let mut frames = chunks.clone().filter(|(name, _)| *name == b"ANMF");
    if first == b"VP8X" && flags.first()? & ANIMATED != 0 {
        let (_, frame) = frames.next()?;
        let side = |at: usize| {
            Some(u32::from_le_bytes([*frame.get(at)?, *frame.get(at + 1)?, *frame.get(at + 2)?, 0]) + 1)
        };
        let mut parts = Chunks(frame.get(FRAME_HEADER..)?);
        let picture = match parts.next()? {
            (b"ALPH", _) => parts.next().filter(|(name, _)| *name == b"VP8 ")?,
            picture => picture,
        };
        return Some(picture_size(picture)? == (side(6)?, side(9)?));
    }
    // Frames where there are to be none: the crate may take the picture of one.
    Some(frames.next().is_none() && chunks.clone().find_map(picture_size)? == canvas)
}

/// Width and height of a picture by its own data (RFC 6386, 9.1; RFC 9649, 3.4); `None` of other chunks.
fn picture_size((name, data): (&[u8; 4], &[u8])) -> Option<(u32, u32)> {
    match name {
        b"VP8 " => {
            let [w0, w1, h0, h1] = *data.get(6..)?.first_chunk()?;
            let side = |bytes: [u8; 2]| u32::from(u16::from_le_bytes(bytes)) & 0x3FFF;
            Some((side([w0, w1]), side([h0, h1])))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(*data.get(1..)?.first_chunk()?);
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        _ => None,
    }
}

/// Name and data of each chunk; the last one may be cut off.
#[derive(Clone)]
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        self.0 = rest.get(length.saturating_add(length % 2)..).unwrap_or_default();
        Some((name, &rest[..length.min(rest.len())]))
    }
}

fn decoder(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, ImageError> {
    // Of data that is cut off the crate makes a picture, too.
    if let Some(&[a, b, c, d]) = bytes.get(4..UNCOUNTED)
        && bytes.len() < (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(UNCOUNTED)
    {
        return Err(ImageError::Truncated { format: Format::WebP, offset: bytes.len() });
    }
    let mut decoder =
        WebPDecoder::new(Cursor::new(bytes)).map_err(|error| decoding_error(error, bytes.len()))?;
    // A chunk may claim to be of any length.
    decoder.set_memory_limit(bytes.len());
    Ok(decoder)
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
