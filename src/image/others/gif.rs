//! GIF, by the gif crate.

use gif::{ColorOutput, Decoder, DecodingError, Frame, MemoryLimit};
use ndarray::Array3;

use super::plain_header;
use crate::image::error::ImageError;
use crate::image::format::Format;
use crate::image::info::{ColorModel, ImageHeader};
use crate::image::rgb::rgb_array;

pub(super) fn header(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let mut decoder = decoder(bytes)?;
    let frame = first(decoder.next_frame_info(), bytes)?;
    plain_header(Format::Gif, (frame.width.into(), frame.height.into()), ColorModel::Palette)
}

/// The first frame, whatever its place on the screen, as TensorFlow's `decode_gif` gives it.
pub(super) fn decode(bytes: &[u8], header: &ImageHeader) -> Result<Array3<u8>, ImageError> {
    let mut decoder = decoder(bytes)?;
    let transparent = first(decoder.next_frame_info(), bytes)?.transparent;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(|error| decoding_error(error, bytes))?;
    let palette = decoder.palette().map_err(|error| decoding_error(error, bytes))?;
    let (colors, _) = palette.as_chunks::<3>();
    let color = |&index: &u8| match colors.get(usize::from(index)) {
        _ if transparent == Some(index) => Ok([0; 3]),
        Some(color) => Ok(*color),
        None => Err(corrupt("its palette is too short")),
    };
    let rgb = indices.iter().map(color).collect::<Result<Vec<_>, _>>()?;
    rgb_array(Format::Gif, header.height, header.width, rgb.into_flattened())
}

fn decoder(bytes: &[u8]) -> Result<Decoder<&[u8]>, ImageError> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // The caller checks the frame's size.
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.read_info(bytes).map_err(|error| decoding_error(error, bytes))
}

fn first<'a>(
    frame: Result<Option<&'a Frame<'static>>, DecodingError>,
    bytes: &[u8],
) -> Result<&'a Frame<'static>, ImageError> {
    frame.map_err(|error| decoding_error(error, bytes))?.ok_or_else(|| corrupt("it holds no picture"))
}

fn decoding_error(error: DecodingError, bytes: &[u8]) -> ImageError {
    match error {
        DecodingError::UnexpectedEof => ImageError::Truncated { format: Format::Gif, offset: bytes.len() },
        error => corrupt(error.to_string()),
    }
}

fn corrupt(reason: impl Into<String>) -> ImageError {
    ImageError::corrupt(Format::Gif, reason)
}
