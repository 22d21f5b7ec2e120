//! What is known of an image file before it is decoded.

use std::fmt;

use super::error::ImageError;
use super::format::Format;

/// How a file stores colors. Decoding makes RGB of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColorModel {
    /// Gray levels.
    Gray,
    /// Gray levels and opacity.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue and opacity.
    Rgba,
    /// Indices into a table of colors.
    Palette,
    /// Luma and two chroma planes: the usual JPEG, and lossy WebP.
    YCbCr,
    /// Printing inks.
    Cmyk,
    /// Inks, the first three stored as luma and chroma (JPEG).
    Ycck,
}

impl ColorModel {
    /// Samples stored for each pixel.
    pub fn channels(self) -> usize {
        match self {
            ColorModel::Gray | ColorModel::Palette => 1,
            ColorModel::GrayAlpha => 2,
            ColorModel::Rgb | ColorModel::YCbCr => 3,
            ColorModel::Rgba | ColorModel::Cmyk | ColorModel::Ycck => 4,
        }
    }
}

impl fmt::Display for ColorModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColorModel::Gray => "gray",
            ColorModel::GrayAlpha => "gray+alpha",
            ColorModel::Rgb => "RGB",
            ColorModel::Rgba => "RGB+alpha",
            ColorModel::Palette => "palette",
            ColorModel::YCbCr => "YCbCr",
            ColorModel::Cmyk => "CMYK",
            ColorModel::Ycck => "YCCK",
        })
    }
}

/// What a file's header says of its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageHeader {
    /// The file's format.
    pub format: Format,
    /// Width in pixels, as stored; at least 1.
    pub width: usize,
    /// Height in pixels, as stored; at least 1.
    pub height: usize,
    /// How colors are stored.
    pub color: ColorModel,
    /// Bits of each stored sample (8 for every JPEG read here; 1, 2, 4, 8 or 16 for PNG and TIFF).
    pub bit_depth: u8,
    /// Whether the image builds up in passes: a progressive JPEG or an interlaced PNG.
    pub progressive: bool,
    /// EXIF orientation, 1 to 8; 1 (as stored) where the file has none.
    pub exif_orientation: u8,
}

impl ImageHeader {
    /// Whether turning the image upright swaps width and height.
    pub fn is_sideways(&self) -> bool {
        self.exif_orientation >= 5
    }

    pub(super) fn check_size(&self, max_pixels: u64) -> Result<(), ImageError> {
        let (width, height) = (self.width, self.height);
        match (width as u64).checked_mul(height as u64) {
            Some(pixels) if pixels <= max_pixels => Ok(()),
            _ => Err(ImageError::TooLarge { width, height, max_pixels }),
        }
    }
}
