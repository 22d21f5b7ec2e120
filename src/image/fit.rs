//! Bringing photos of any size to the one size that a network takes.
use std::fmt;
use std::str::FromStr;

use ndarray::{Array3, Axis, s};
use serde::{Deserialize, Serialize};

use super::decode::{DecodeOptions, Decoded, decode_at_scale};
use super::error::ImageError;
use super::resize::{Filter, Source, Taps, check_image, check_size, resample, round_level};

/// How a photo is brought to the network's size. Written `crop`, `resize` or `resize-crop` on the command
/// line and in saved models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fit {
    /// [`crop_or_pad`]: the middle at full resolution, black where the photo is smaller. Most of a large
    /// photo is lost.
    Crop,
    /// The whole photo, its aspect ratio changed if need be: [`resize`](super::resize()), bilinear,
    /// antialiased.
    #[default]
    Resize,
    /// [`resize_shorter_side_then_crop`]: keeps the aspect ratio, loses the ends of the longer side.
    ResizeCrop,
}

impl Fit {
    /// Every way, in the order in which help texts list them.
    pub const ALL: [Fit; 3] = [Fit::Crop, Fit::Resize, Fit::ResizeCrop];

    /// The photo at `size` = (height, width), values rounded to whole levels.
    ///
    /// # Errors
    /// [`ImageError::Shape`] as for [`resize`](super::resize()).
    pub fn apply(self, image: &Array3<u8>, size: (usize, usize)) -> Result<Array3<u8>, ImageError> {
        let (height, width, _) = image.dim();
        self.apply_to(image, Source::whole(height), Source::whole(width), size)
    }

    fn apply_to(
        self,
        image: &Array3<u8>,
        rows: Source,
        columns: Source,
        size: (usize, usize),
    ) -> Result<Array3<u8>, ImageError> {
        match self {
            Fit::Crop => crop_or_pad(image, size.0, size.1),
            Fit::Resize => resize_whole(image, rows, columns, size),
            Fit::ResizeCrop => resize_covering(image, rows, columns, size),
        }
    }

    /// Smallest (height, width) at which a photo may be decoded before it is fitted to `size`, for
    /// [`DecodeOptions::shrink_to`]; `None` for a crop, which needs every pixel.
    pub fn shrink_hint(self, size: (usize, usize)) -> Option<(usize, usize)> {
        match self {
            Fit::Crop => None,
            Fit::Resize | Fit::ResizeCrop => Some(size),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Fit::Crop => "crop",
            Fit::Resize => "resize",
            Fit::ResizeCrop => "resize-crop",
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Fit`]'s.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fit {0:?}: wanted crop, resize or resize-crop")]
pub struct ParseFitError(pub String);

impl FromStr for Fit {
    type Err = ParseFitError;

    fn from_str(name: &str) -> Result<Fit, ParseFitError> {
        Fit::ALL.into_iter().find(|fit| fit.name() == name).ok_or_else(|| ParseFitError(name.into()))
    }
}

/// The middle `height` x `width` of an image, with black around it where the image is smaller: TensorFlow's
/// `tf.image.resize_with_crop_or_pad`.
///
/// Of an odd number of rows or columns to drop or to add, the smaller half is at the top or left: a crop
/// begins at `floor((from - to) / 2)`, a pad is `floor((to - from) / 2)` wide.
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3), or a new side is not 1 to 65535.
pub fn crop_or_pad(image: &Array3<u8>, height: usize, width: usize) -> Result<Array3<u8>, ImageError> {
    check_image("crop_or_pad", image.dim())?;
    check_size("crop_or_pad", height, width)?;
    let (from_height, from_width, _) = image.dim();
    let (top, left) = (from_height.saturating_sub(height) / 2, from_width.saturating_sub(width) / 2);
    let (above, before) = (height.saturating_sub(from_height) / 2, width.saturating_sub(from_width) / 2);
    let (rows, columns) = (height.min(from_height), width.min(from_width));
    let middle = image.slice(s![top..top + rows, left..left + columns, ..]);
    let mut padded = Array3::zeros((height, width, 3));
    let mut within = padded.slice_mut(s![above..above + rows, before..before + columns, ..]);
    for (mut to, from) in within.axis_iter_mut(Axis(0)).zip(middle.axis_iter(Axis(0))) {
        // Row by row: as slices they are copied, and not value by value.
        match (to.as_slice_mut(), from.as_slice()) {
            (Some(to), Some(from)) => to.copy_from_slice(from),
            _ => to.assign(&from),
        }
    }
    Ok(padded)
}

/// The image resized (bilinear, antialiased, rounded to whole levels) until it just covers `height` x
/// `width`, then cropped to that, evenly at both ends.
///
/// # Errors
/// [`ImageError::Shape`] as for [`resize`](super::resize()).
pub fn resize_shorter_side_then_crop(
    image: &Array3<u8>,
    height: usize,
    width: usize,
) -> Result<Array3<u8>, ImageError> {
    Fit::ResizeCrop.apply(image, (height, width))
}

fn resize_whole(
    image: &Array3<u8>,
    rows: Source,
    columns: Source,
    (height, width): (usize, usize),
) -> Result<Array3<u8>, ImageError> {
    check_image("resize", image.dim())?;
    check_size("resize", height, width)?;
    if (rows, columns) == (Source::whole(height), Source::whole(width)) {
        return Ok(image.clone());
    }
    let rows = Taps::new(rows, height, 0..height, Filter::Bilinear, true);
    let columns = Taps::new(columns, width, 0..width, Filter::Bilinear, true);
    Ok(resample(image.view(), &rows, &columns, round_level))
}

fn resize_covering(
    image: &Array3<u8>,
    rows: Source,
    columns: Source,
    (height, width): (usize, usize),
) -> Result<Array3<u8>, ImageError> {
    check_image("resize_shorter_side_then_crop", image.dim())?;
    check_size("resize_shorter_side_then_crop", height, width)?;
    let scale = f64::max(height as f64 / rows.length, width as f64 / columns.length);
    // Only what the crop keeps is computed.
    let taps = |source: Source, to: usize| {
        let covering = ((source.length * scale).round() as usize).max(to);
        let first = (covering - to) / 2;
        Taps::new(source, covering, first..first + to, Filter::Bilinear, true)
    };
    Ok(resample(image.view(), &taps(rows, height), &taps(columns, width), round_level))
}

/// Decodes an image file and fits the image to `size` = (height, width): [`decode`](super::decode()) and
/// [`Fit::apply`] in one, but faster for a large JPEG, which is decoded at reduced size.
///
/// The reduced image is about the mean over squares of 4x4 or 8x8 pixels, and the resize knows where the
/// picture ends in it when its size is no multiple of those. The result differs from that of a full decode by
/// about a level on average, in photos; most where its size is just reached. `options.shrink_to` is not used.
///
/// # Errors
/// Those of [`decode`](super::decode()) and [`Fit::apply`].
pub fn decode_fitted(
    bytes: &[u8],
    fit: Fit,
    size: (usize, usize),
    options: &DecodeOptions,
) -> Result<Array3<u8>, ImageError> {
    let options = DecodeOptions { shrink_to: fit.shrink_hint(size), ..*options };
    let Decoded { image, rows, columns } = decode_at_scale(bytes, &options)?;
    fit.apply_to(&image, rows, columns, size)
}
