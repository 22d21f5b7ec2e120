//! PNG, by the png crate.
use std::io::{Cursor, ErrorKind};

use ndarray::Array3;
use png::{ColorType, DecodingError, Transformations};

use crate::image::error::ImageError;
use crate::image::format::Format;
use crate::image::info::ImageHeader;
use crate::image::rgb::{from_gray, rgb_array, without_opacity};

pub(super) fn decode(bytes: &[u8], header: &ImageHeader) -> Result<Array3<u8>, ImageError> {
    let error = |error| decoding_error(error, bytes.len());
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    // 8 bits a sample, palettes looked up
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(error)?;
    let size = reader.output_buffer_size().ok_or_else(|| corrupt("its size does not fit into memory"))?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(error)?;
    let rgb = match frame.color_type {
        ColorType::Rgb => samples,
        ColorType::Grayscale => from_gray::<1>(&samples),
        ColorType::GrayscaleAlpha => from_gray::<2>(&samples),
        ColorType::Rgba => without_opacity(samples),
        ColorType::Indexed => return Err(corrupt("its palette is missing")),
    };
    rgb_array(Format::Png, header.height, header.width, rgb)
}

fn decoding_error(error: DecodingError, length: usize) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format: Format::Png, offset: length }
        }
        DecodingError::LimitsExceeded => {
            ImageError::unsupported(Format::Png, "rows or chunks larger than 64 MiB")
        }
        error => corrupt(error.to_string()),
    }
}

fn corrupt(reason: impl Into<String>) -> ImageError {
    ImageError::corrupt(Format::Png, reason)
}
