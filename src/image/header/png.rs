//! PNG header: the chunks before the image data, of which IHDR, PLTE and eXIf matter.
use crate::files::PNG;
use crate::image::error::ImageError;
use crate::image::exif;
use crate::image::format::Format;
use crate::image::info::{ColorModel, ImageHeader};

/// Longest a chunk may be, and widest and highest an image: 2^31 - 1 (PNG specification, 5.3 and 11.2.2).
const LIMIT: u32 = i32::MAX as u32;

pub(super) fn parse(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let cut = || ImageError::Truncated { format: Format::Png, offset: bytes.len() };
    let corrupt = |reason: String| ImageError::corrupt(Format::Png, reason);
    let mut chunks = Chunks { rest: &bytes[PNG.len()..] };
    let Some((b"IHDR", ihdr)) = chunks.next() else {
        return Err(if bytes.len() < PNG.len() + 25 {
            cut()
        } else {
            corrupt("its first chunk is not IHDR".into())
        });
    };
    let &[w0, w1, w2, w3, h0, h1, h2, h3, bit_depth, color_type, _, _, interlace] = ihdr else {
        return Err(corrupt(format!("IHDR is {} bytes long, not 13", ihdr.len())));
    };
    let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
    if width == 0 || height == 0 || width > LIMIT || height > LIMIT {
        return Err(corrupt(format!("its size is {width}x{height} pixels")));
    }
    let color = match (color_type, bit_depth) {
        (0, 1 | 2 | 4 | 8 | 16) => ColorModel::Gray,
        (2, 8 | 16) => ColorModel::Rgb,
        (3, 1 | 2 | 4 | 8) => ColorModel::Palette,
        (4, 8 | 16) => ColorModel::GrayAlpha,
        (6, 8 | 16) => ColorModel::Rgba,
        _ => return Err(corrupt(format!("color type {color_type} with {bit_depth} bits does not exist"))),
    };
    let mut exif_orientation = 1;
    for (name, data) in chunks.take_while(|(name, _)| *name != b"IDAT") {
        match name {
            b"eXIf" => exif_orientation = exif::orientation(data).unwrap_or(1),
            // not left to the png crate: version 0.18.1 panics
            b"PLTE" if data.len() % 3 != 0 || data.len() > 3 * 256 => {
                return Err(corrupt(format!("a palette of {} bytes", data.len())));
            }
            _ => {}
        }
    }
    Ok(ImageHeader {
        format: Format::Png,
        width: width as usize,
        height: height as usize,
        color,
        bit_depth,
        progressive: interlace != 0,
        exif_orientation,
    })
}

/// Name and data of each whole chunk. Checksums are the decoder's business.
struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length);
        let (data, rest) =
            rest.split_at_checked(if length <= LIMIT { length as usize } else { return None })?;
        let (_checksum, rest) = rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some((name, data))
    }
}
