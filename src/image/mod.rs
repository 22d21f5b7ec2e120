//! EXAMPLES -> IMAGES: photo files to arrays of the size a network takes.
//!
//! ```text
//! bytes --decode--> Array3<u8> --fit--> Array3<u8> of one size --augment--> Array3<f32> --normalize--> batch
//! ```
//!
//! An image is an [`ndarray::Array3`] of shape (height, width, 3), RGB, rows from the top. Decoded and fitted
//! images are `u8`, so that a cache of them is small; augmentation and everything after it is `f32` in levels
//! (0 to 255), so that nothing is rounded between its steps.
//!
//! | What | Where | TensorFlow's name |
//! |---|---|---|
//! | JPEG, PNG, WebP, GIF, BMP or TIFF file to RGB | [`decode`] | `tf.io.decode_image` |
//! | RGB to PNG file | [`encode_png`] | `tf.io.encode_png` |
//! | a photo's file, no further than it can be one | [`read_photo`] | `tf.io.read_file` |
//! | size and colors of a file, without decoding | [`read_header`] | |
//! | center crop, or pad with black | [`crop_or_pad`] | `tf.image.resize_with_crop_or_pad` |
//! | resize | [`resize`] | `tf.image.resize` |
//! | the ways to bring photos to one size | [`Fit`], [`decode_fitted`] | |
//! | random crop, flip, rotation, colors | [`Augment`] | `tf.image.adjust_*`, `random_*` |
//! | from levels to a network's input | [`Normalize`], [`ChannelOrder`] | `Rescaling`, `Normalization` |
//! | zero mean, unit variance | [`standardize`] | `tf.image.per_image_standardization` |
mod augment;
pub mod color;
mod decode;
mod encode;
mod error;
mod exif;
mod file;
mod fit;
mod format;
pub mod geometry;
mod header;
mod info;
mod jpeg_header;
mod normalize;
mod others;
mod resize;
mod rgb;
mod standardize;

pub use augment::{Augment, RandomCrop};
pub use decode::{DecodeOptions, Orientation, Truncated, decode};
pub use encode::encode_png;
pub use error::ImageError;
pub(crate) use file::is_photo;
pub use file::{MAX_PHOTO_BYTES, PhotoError, read_photo};
pub use fit::{Fit, ParseFitError, crop_or_pad, decode_fitted, resize_shorter_side_then_crop};
pub use format::{EXTENSIONS, Format};
pub(crate) use header::lacks_its_end;
pub use header::read_header;
pub use info::{ColorModel, ImageHeader};
pub(crate) use normalize::luma;
pub use normalize::{ChannelOrder, Normalize, ParseChannelOrderError, ParseNormalizeError};
pub use resize::{Filter, resize};
pub use standardize::{standardize, standardize_f32};
