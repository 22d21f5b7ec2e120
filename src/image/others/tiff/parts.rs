//! A picture's parts, which are strips or tiles. What they claim is checked here, since the crate takes memory for it unseen.

use std::io::Cursor;

use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::Tag;

use super::{corrupt, decoding_error, unsupported};
use crate::image::error::ImageError;
use crate::image::info::ImageHeader;
use crate::image::jpeg_header;

/// The most pixels of a part, unless the picture has more.
const MAX_PART: u64 = 1 << 24;
/// The most bytes of a part's row where only some of its samples are colors: the crate holds such a row a second time.
const MAX_ROW: u64 = 1 << 26;

/// TIFF 6.0: samples of a pixel lie together; samples are stored as they are; a JPEG file in each part (supplement 2).
const TOGETHER: u16 = 1;
const NO_PREDICTOR: u16 = 1;
const JPEG: u16 = 7;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// Checks the size of the parts and of what lies in them beside colors.
pub(super) fn check_layout(
    decoder: &mut Reader<'_>,
    header: &ImageHeader,
    bytes: &[u8],
) -> Result<(), ImageError> {
    let (width, height) = size(decoder, header);
    let pixels = (header.width as u64).saturating_mul(header.height as u64);
    if width.saturating_mul(height) > pixels.max(MAX_PART) {
        return Err(unsupported(format!("tiles of {width}x{height} pixels")));
    }
    let mut tag = |tag, default| {
        let value = decoder.find_tag_unsigned::<u16>(tag);
        value.map(|value| value.unwrap_or(default)).map_err(|error| decoding_error(error, bytes.len()))
    };
    let samples = tag(Tag::SamplesPerPixel, 1)?;
    let has_others = usize::from(samples) > header.color.channels();
    if !has_others || tag(Tag::PlanarConfiguration, TOGETHER)? != TOGETHER {
        return Ok(());
    }
    // The crate undoes a predictor after it has left out the samples that it went over.
    if tag(Tag::Predictor, NO_PREDICTOR)? != NO_PREDICTOR {
        return Err(unsupported("a predictor where there are more channels than colors"));
    }
    let row = width.saturating_mul(samples.into()).saturating_mul(header.bit_depth.into()) / 8;
    if row > MAX_ROW {
        return Err(unsupported(format!("rows of {width} pixels of {samples} channels")));
    }
    Ok(())
}

/// Checks the JPEG files in the parts, if that is how they are compressed: none may be larger than its part.
pub(super) fn check_jpegs(
    decoder: &mut Reader<'_>,
    header: &ImageHeader,
    bytes: &[u8],
) -> Result<(), ImageError> {
    let error = |error| decoding_error(error, bytes.len());
    if decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(error)? != Some(JPEG) {
        return Ok(());
    }
    let (offsets, lengths) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let offsets = decoder.get_tag_u64_vec(offsets).map_err(error)?;
    let lengths = decoder.get_tag_u64_vec(lengths).map_err(error)?;
    // Parts that share their bytes could be any number.
    if lengths.iter().fold(0, |sum: u64, length| sum.saturating_add(*length)) > bytes.len() as u64 {
        return Err(corrupt("its parts are longer than the file"));
    }
    let tables = decoder.find_tag(Tag::JPEGTables).map_err(error)?.map(|tables| tables.into_u8_vec());
    let tables = tables.transpose().map_err(error)?;
    let (width, height) = size(decoder, header);
    for (offset, length) in offsets.into_iter().zip(lengths) {
        let end = offset.saturating_add(length);
        let range = usize::try_from(offset).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
        let part = bytes.get(range).ok_or_else(|| corrupt("a part lies beyond its end"))?;
        // The tables that all parts share are a JPEG file of their own: what the crate decodes lacks the end of one and the beginning of the
        // other.
        let joined = match &tables {
            Some(tables) => {
                &[&tables[..tables.len().saturating_sub(2)], part.get(2..).unwrap_or_default()].concat()
            }
            None => part,
        };
        if !joined.starts_with(&jpeg_header::START) {
            return Err(corrupt("a part is no JPEG file"));
        }
        let jpeg = jpeg_header::parse(joined)?;
        if jpeg.image.width as u64 > width || jpeg.image.height as u64 > height {
            return Err(corrupt("the JPEG file in a part is larger than the part"));
        }
        jpeg.check_scans(joined, width * height)?;
    }
    Ok(())
}

/// The width and height of a part.
fn size(decoder: &Reader<'_>, header: &ImageHeader) -> (u64, u64) {
    let (width, height) = decoder.chunk_dimensions();
    match decoder.get_chunk_type() {
        // One strip may be told to have any number of rows.
        ChunkType::Strip => (width.into(), u64::from(height).min(header.height as u64)),
        ChunkType::Tile => (width.into(), height.into()),
    }
}
