//! Image files to RGB.
mod jpeg;
mod orient;
mod png;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::error::ImageError;
use super::header::{self, Parsed};
use super::info::ImageHeader;
use super::others;
use super::resize::Source;

/// How [`decode`] treats a file. The default is TensorFlow's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Most pixels (width times height, as stored) an image may have; more is [`ImageError::TooLarge`],
    /// before anything is allocated. The default is 64 million. Decoded, a pixel takes 3 bytes; while it is decoded,
    /// a PNG's takes at most 5 (16-bit samples are cut as they come), a progressive JPEG's about 10, a WebP's 7, a TIFF's up to 15 (of 16 bits with opacity). Of the default
    /// that makes 320 MB and 640 MB, beside the file itself, and less than a second and some seconds; `tests/memory.rs`
    /// holds PNG to it, and `tests/corpus` any image to 1 GiB and 20 seconds.
    ///
    /// All scans of a JPEG together may pass over 32 times as many pixels, which bounds the time; a file of
    /// more, such as one of thousands of empty scans, is [`ImageError::Unsupported`].
    pub max_pixels: u64,
    /// What to do with a JPEG that ends before its end-of-image marker. A PNG that is cut off is always an
    /// error.
    pub truncated: Truncated,
    /// Whether to turn the image as its EXIF orientation says.
    pub orientation: Orientation,
    /// Smallest (height, width) of the result that still serves, when the image is going to be shrunk anyway.
    /// A JPEG whose planes (chroma too) are at least four times as large is then decoded at 1/4 or 1/8 of its
    /// size, rounded up, which takes less time than a full decode; 1/2 would take more, so it is not used.
    /// The result is never smaller than `shrink_to`, unless the image itself is. `None` decodes at full size.
    ///
    /// [`decode_fitted`](super::decode_fitted) sets this itself.
    pub shrink_to: Option<(usize, usize)>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        DecodeOptions {
            max_pixels: 64_000_000,
            truncated: Truncated::Error,
            orientation: Orientation::AsStored,
            shrink_to: None,
        }
    }
}

/// What to do with a JPEG that is cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncated {
    /// It is an error.
    #[default]
    Error,
    /// Decode what there is: the rest of a baseline image is gray, a progressive image is coarse.
    Recover,
}

/// Which way up a decoded image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// As its rows are stored, whatever EXIF says; TensorFlow does the same.
    #[default]
    AsStored,
    /// Turned and mirrored as EXIF says, the way viewers show it.
    Upright,
}

/// Decodes an image file to RGB, shape (height, width, 3): JPEG, PNG and BMP, and with floret's features of these names WebP, GIF
/// and TIFF. The file's bytes tell the format.
///
/// JPEG: baseline, extended and progressive, gray, YCbCr with any subsampling, RGB, CMYK and YCCK (converted
/// as TensorFlow does: each of R, G, B is its ink's lack times black's lack). Values are those of
/// libjpeg-turbo (the integer transform, smooth upsampling of chroma) within 6 levels, on average within 0.03
/// without subsampling and 0.45 with it (in images more than 8 pixels wide). At reduced size
/// ([`DecodeOptions::shrink_to`]) each pixel is about the mean of its square. Color profiles are not
/// applied.
///
/// PNG: every color type and depth; 16-bit samples keep their high byte, opacity is dropped, not blended
/// (both as in TensorFlow), gamma and color profiles are not applied. Of an animation, the default image.
///
/// WebP, lossy (libwebp's values) and lossless, and GIF: the first picture, as in TensorFlow; of WebP opacity is dropped, of GIF
/// what is transparent is black. BMP: 1 to 32 bits a pixel, also run-length-coded. TIFF: the first picture, gray, RGB or CMYK
/// of 1 to 16 bits, plain or compressed (LZW, deflate, JPEG, packed bits), in strips or tiles; 16-bit samples keep their high byte.
///
/// # Errors
/// Everything of [`read_header`](super::read_header); [`ImageError::TooLarge`], [`ImageError::Truncated`],
/// [`ImageError::Corrupt`]. No input makes it panic.
///
/// A sequential JPEG that lacks its end-of-image marker alone is decoded. As in TensorFlow, a JPEG whose data stops early but which has an end-of-image marker all the same is
/// decoded, its missing part gray.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Array3<u8>, ImageError> {
    Ok(decode_at_scale(bytes, options)?.image)
}

/// A decoded image, and where the picture is in it.
pub(super) struct Decoded {
    pub image: Array3<u8>,
    pub rows: Source,
    pub columns: Source,
}

/// [`decode`], with what a resize needs to know of an image decoded at reduced size.
pub(super) fn decode_at_scale(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, ImageError> {
    let (image, header, eighths) = match header::parse(bytes)? {
        Parsed::Jpeg(header) => {
            header.image.check_size(options.max_pixels)?;
            header.check_scans(bytes, options.max_pixels)?;
            let eighths =
                shrink_to_as_stored(&header.image, options).map_or(8, |least| header.eighths(least));
            let (image, eighths) = jpeg::decode(bytes, &header, eighths, options.truncated)?;
            (image, header.image, eighths)
        }
        Parsed::Png(header) => {
            header.check_size(options.max_pixels)?;
            (png::decode(bytes, &header)?, header, 8)
        }
        Parsed::Other(header) => {
            header.check_size(options.max_pixels)?;
            (others::decode(bytes, &header)?, header, 8)
        }
    };
    let source =
        |pixels: usize, full: usize| Source { pixels, begin: 0.0, length: (full * eighths) as f64 / 8.0 };
    let (height, width, _) = image.dim();
    let decoded =
        Decoded { image, rows: source(height, header.height), columns: source(width, header.width) };
    Ok(match options.orientation {
        Orientation::AsStored => decoded,
        Orientation::Upright => orient::upright(decoded, header.exif_orientation),
    })
}

/// Smallest stored (height, width) that `options` ask for.
fn shrink_to_as_stored(header: &ImageHeader, options: &DecodeOptions) -> Option<(usize, usize)> {
    let (height, width) = options.shrink_to?;
    let swapped = options.orientation == Orientation::Upright && header.is_sideways();
    Some(if swapped { (width, height) } else { (height, width) })
}
