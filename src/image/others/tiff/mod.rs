//! TIFF, by the tiff crate.

mod parts;

use std::io::{Cursor, ErrorKind};

use ndarray::Array3;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::plain_header;
use crate::image::error::ImageError;
use crate::image::format::Format;
use crate::image::info::{ColorModel, ImageHeader};
use crate::image::rgb::{from_light, rgb_array};

/// The most bytes that a pixel takes: four samples of 16 bits.
const MOST_BYTES: usize = 8;

pub(super) fn header(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let error = |error| decoding_error(error, bytes.len());
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions().map_err(error)?;
    let stored = decoder.colortype().map_err(error)?;
    let header = plain_header(Format::Tiff, (width as usize, height as usize), color_model(stored)?)?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let exif_orientation = orientation.filter(|turn| (1..=8).contains(turn)).unwrap_or(1);
    let header = ImageHeader { bit_depth: stored.bit_depth(), exif_orientation, ..header };
    parts::check_layout(&mut decoder, &header, bytes)?;
    Ok(header)
}

pub(super) fn decode(bytes: &[u8], header: &ImageHeader) -> Result<Array3<u8>, ImageError> {
    let error = |error| decoding_error(error, bytes.len());
    let (height, width) = (header.height, header.width);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(error)?;
    parts::check_jpegs(&mut decoder, header, bytes)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MOST_BYTES.saturating_mul(width).saturating_mul(height);
    limits.intermediate_buffer_size = bytes.len();
    let mut decoder = decoder.with_limits(limits);
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(error)?;
    let levels = match result {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.iter().map(|sample| (sample >> 8) as u8).collect(),
        _ => return Err(unsupported("samples that are no whole numbers of up to 16 bits")),
    };
    let channels = header.color.channels();
    // Planes of one channel each lie one after another.
    let samples = Samples {
        levels: &levels,
        bits: header.bit_depth.min(8).into(),
        row: width * channels / layout.planes.max(1),
        planes: layout.planes,
    };
    let rgb = samples.to_rgb(header).ok_or_else(|| corrupt("its samples are too few"))?;
    rgb_array(Format::Tiff, height, width, rgb)
}

/// Samples as they lie in the file: in rows of whole bytes.
struct Samples<'a> {
    levels: &'a [u8],
    bits: usize,
    /// Samples in a row of a plane.
    row: usize,
    planes: usize,
}

impl Samples<'_> {
    /// `None` if there are less than the header says.
    fn to_rgb(&self, header: &ImageHeader) -> Option<Vec<u8>> {
        let channels = header.color.channels();
        let mut rgb = Vec::with_capacity(3 * header.height * header.width);
        for y in 0..header.height {
            for x in 0..header.width {
                let sample = |channel: usize| match self.planes {
                    ..=1 => self.sample(y, x * channels + channel),
                    _ => self.sample(channel * header.height + y, x),
                };
                let level = |channel: usize| Some((sample(channel)? * 255 / self.most()) as u8);
                rgb.extend(match header.color {
                    ColorModel::Gray | ColorModel::GrayAlpha => [level(0)?; 3],
                    ColorModel::Cmyk => {
                        from_light([level(0)?, level(1)?, level(2)?, level(3)?].map(|ink| 255 - ink))
                    }
                    ColorModel::YCbCr => of_luma([level(0)?, level(1)?, level(2)?]),
                    _ => [level(0)?, level(1)?, level(2)?],
                });
            }
        }
        Some(rgb)
    }

    /// The sample at a place in a row, from the high bits of each byte on.
    fn sample(&self, row: usize, at: usize) -> Option<usize> {
        let bit = at * self.bits;
        let byte = *self.levels.get(row * (self.row * self.bits).div_ceil(8) + bit / 8)?;
        Some(usize::from(byte) >> (8 - self.bits - bit % 8) & self.most())
    }

    /// The largest sample.
    fn most(&self) -> usize {
        (1 << self.bits) - 1
    }
}

/// RGB of luma and chroma, as JPEG files have them (ITU-R BT.601, full range).
fn of_luma([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = [y.into(), f32::from(cb) - 128.0, f32::from(cr) - 128.0];
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|level| level.round() as u8)
}

fn color_model(stored: ColorType) -> Result<ColorModel, ImageError> {
    let (color, bits) = match stored {
        ColorType::Gray(bits) => (ColorModel::Gray, bits),
        ColorType::GrayA(bits) => (ColorModel::GrayAlpha, bits),
        ColorType::RGB(bits) => (ColorModel::Rgb, bits),
        ColorType::RGBA(bits) => (ColorModel::Rgba, bits),
        ColorType::CMYK(bits) => (ColorModel::Cmyk, bits),
        ColorType::YCbCr(bits) => (ColorModel::YCbCr, bits),
        other => return Err(unsupported(format!("the colors {other:?}"))),
    };
    if matches!(bits, 1 | 2 | 4 | 8 | 16) {
        Ok(color)
    } else {
        Err(unsupported(format!("samples of {bits} bits")))
    }
}

fn decoding_error(error: TiffError, length: usize) -> ImageError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format: Format::Tiff, offset: length }
        }
        TiffError::UnsupportedError(error) => unsupported(error.to_string()),
        TiffError::LimitsExceeded => corrupt("it claims more data than a picture of its size takes"),
        error => corrupt(error.to_string()),
    }
}

fn unsupported(feature: impl Into<String>) -> ImageError {
    ImageError::unsupported(Format::Tiff, feature)
}

fn corrupt(reason: impl Into<String>) -> ImageError {
    ImageError::corrupt(Format::Tiff, reason)
}
