//! JPEG, by zune-jpeg at full size and by jpeg-decoder at reduced size and where zune-jpeg does not get it
//! right.
use std::borrow::Cow;

use jpeg_decoder::{ColorTransform, PixelFormat, UnsupportedFeature};
use ndarray::Array3;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::Truncated;
use crate::image::error::ImageError;
use crate::image::format::Format;
use crate::image::info::ColorModel;
use crate::image::jpeg_header::{END, JpegHeader, scaled};
use crate::image::rgb::{from_light, rgb_array};

/// Decodes at a scale of `eighths`: 8 is full size, 1 and 2 are what jpeg-decoder does well. Also returns the
/// scale, which is 8 where jpeg-decoder can't help: it insists on every restart marker and on its number, so files
/// that are cut off and some that zune-jpeg takes are decoded at full size.
pub(super) fn decode(
    bytes: &[u8],
    header: &JpegHeader,
    eighths: usize,
    truncated: Truncated,
) -> Result<(Array3<u8>, usize), ImageError> {
    let (whole, eighths) = match (header.cut_off_at(bytes), truncated) {
        (None, _) => (Cow::Borrowed(bytes), eighths),
        (Some(offset), Truncated::Error) => {
            let len = whole_without_end(&bytes[..offset], header);
            let len = len.ok_or(ImageError::Truncated { format: Format::Jpeg, offset })?;
            (Cow::Owned([&bytes[..len], &END].concat()), eighths)
        }
        (Some(offset), Truncated::Recover) => (Cow::Owned([&bytes[..offset], &END].concat()), 8),
    };
    if eighths < 8
        && let Ok(image) = decode_with_jpeg_decoder(&whole, header, eighths)
    {
        return Ok((image, eighths));
    }
    let image = if !suits_zune(header) {
        decode_with_jpeg_decoder(&whole, header, 8)
    } else {
        // zune-jpeg's strict mode refuses a few things that are allowed or harmless (more than three bytes of
        // junk between segments, for one), so jpeg-decoder has the last word.
        decode_with_zune(&whole, header)
            .or_else(|error| decode_with_jpeg_decoder(&whole, header, 8).map_err(|_| error))
    };
    Ok((image?, 8))
}

/// The length of a file up to where its end marker should be, if that is all it lacks, as in the files of some cameras.
///
/// Nothing else is missing where it makes no difference what follows: what is read behind the last block is no part of the image. Of a
/// progressive file a whole scan may be missing, which nothing tells.
fn whole_without_end(bytes: &[u8], header: &JpegHeader) -> Option<usize> {
    if header.image.progressive || !header.interleaved {
        return None;
    }
    // Half a marker, and what fills up the place of what is missing: that would be decoded as blocks, too.
    let len = bytes.iter().rposition(|byte| !matches!(byte, 0x00 | 0xFF))? + 1;
    // But the data's own last byte may be FF, which 00 follows.
    let len = if bytes[len..] == [0xFF, 0x00] { bytes.len() } else { len };
    let followed_by = |filler: u8| {
        let whole = [&bytes[..len], &[filler; FILLERS], &END].concat();
        decode_with_jpeg_decoder(&whole, header, 8).ok()
    };
    let image = followed_by(0x00)?;
    [0x5a, 0xa5, 0xee].into_iter().all(|filler| followed_by(filler).as_ref() == Some(&image)).then_some(len)
}

/// Bytes of what follows: more than the bits of a block that a decoder may have read ahead.
const FILLERS: usize = 64;

/// Whether zune-jpeg decodes the file right. It mixes up the planes of a sequential file whose scans do not
/// hold all components, and takes CMYK to be inverted always; unusual subsampling is left to jpeg-decoder
/// too, which is the one that has been seen to get it right. All of these are rare.
fn suits_zune(header: &JpegHeader) -> bool {
    let in_order = header.interleaved || header.image.progressive;
    in_order && header.sampling.usual && matches!(header.image.color, ColorModel::Gray | ColorModel::YCbCr)
}

fn decode_with_zune(bytes: &[u8], header: &JpegHeader) -> Result<Array3<u8>, ImageError> {
    let longest_side = usize::from(u16::MAX); // the caller has checked the size
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(longest_side)
        .set_max_height(longest_side)
        .set_strict_mode(true);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let error = |error: zune_jpeg::errors::DecodeErrors| corrupt(error.to_string());
    decoder.decode_headers().map_err(error)?;
    let (height, width) = (header.image.height, header.image.width);
    let color = match header.image.color {
        ColorModel::Gray => ColorSpace::Luma,
        _ => ColorSpace::YCbCr,
    };
    if decoder.dimensions() != Some((width, height)) || decoder.input_colorspace() != Some(color) {
        return Err(contradictory());
    }
    rgb_array(Format::Jpeg, height, width, decoder.decode().map_err(error)?)
}

fn decode_with_jpeg_decoder(
    bytes: &[u8],
    header: &JpegHeader,
    eighths: usize,
) -> Result<Array3<u8>, ImageError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_color_transform(match header.image.color {
        ColorModel::Gray => ColorTransform::Grayscale,
        ColorModel::Rgb => ColorTransform::RGB,
        ColorModel::Cmyk => ColorTransform::CMYK,
        ColorModel::Ycck => ColorTransform::YCCK,
        _ => ColorTransform::YCbCr,
    });
    decoder.read_info().map_err(decoding_error)?;
    let (height, width) = (header.image.height, header.image.width);
    let info = decoder.info().ok_or_else(contradictory)?;
    if (usize::from(info.height), usize::from(info.width)) != (height, width) {
        return Err(contradictory());
    }
    let (height, width) = (scaled(height, eighths), scaled(width, eighths));
    if eighths < 8 {
        // The decoder takes the smallest scale at which either side is long enough, so ask by the longer side
        // only.
        let (h, w) = if height > width { (height, usize::MAX) } else { (usize::MAX, width) };
        let side = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        decoder.scale(side(w), side(h)).map_err(decoding_error)?;
    }
    let samples = decoder.decode().map_err(decoding_error)?;
    let rgb = match info.pixel_format {
        PixelFormat::RGB24 => samples,
        PixelFormat::L8 => samples.iter().flat_map(|&gray| [gray; 3]).collect(),
        PixelFormat::CMYK32 => {
            samples.as_chunks().0.iter().flat_map(|inks| inks_to_rgb(*inks, header.adobe)).collect()
        }
        PixelFormat::L16 => return Err(contradictory()),
    };
    rgb_array(Format::Jpeg, height, width, rgb)
}

/// RGB of inks as jpeg-decoder returns them, which is 255 less the stored cyan, magenta, yellow and black.
///
/// TensorFlow's `jpeg_mem`: R = C K / 255 where Adobe's marker says that the stored values are inverted (255
/// is no ink), R = (255 - C) (255 - K) / 255 where not; division rounds down.
fn inks_to_rgb(inks: [u8; 4], adobe: bool) -> [u8; 3] {
    from_light(inks.map(|ink| if adobe { 255 - ink } else { ink }))
}

fn decoding_error(error: jpeg_decoder::Error) -> ImageError {
    match error {
        jpeg_decoder::Error::Unsupported(UnsupportedFeature::NonIntegerSubsamplingRatio) => {
            ImageError::unsupported(Format::Jpeg, "a subsampling ratio that is not a whole number")
        }
        error => corrupt(error.to_string()),
    }
}

fn contradictory() -> ImageError {
    corrupt("its headers contradict each other")
}

fn corrupt(reason: impl Into<String>) -> ImageError {
    ImageError::corrupt(Format::Jpeg, reason)
}
