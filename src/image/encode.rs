//! RGB to PNG files.
use ndarray::ArrayView3;
use png::{BitDepth, ColorType, Encoder, EncodingError};

use super::error::ImageError;

/// The PNG file of an RGB image, shape (height, width, 3), each sample 8 bits; TensorFlow's `tf.io.encode_png`.
///
/// [`decode`](super::decode) gives back the same values.
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3), has no pixel, or a side that PNG can't hold (2^31 pixels).
pub fn encode_png(image: ArrayView3<'_, u8>) -> Result<Vec<u8>, ImageError> {
    let (height, width, channels) = image.dim();
    let shape = || ImageError::Shape {
        operation: "encode_png",
        want: "an image of (height, width, 3), each side at least 1 and under 2^31".into(),
        got: image.shape().to_vec(),
    };
    let side = |length: usize| i32::try_from(length).ok().filter(|&length| length > 0);
    let (Some(height), Some(width), 3) = (side(height), side(width), channels) else { return Err(shape()) };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width.unsigned_abs(), height.unsigned_abs());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let pixels = image.as_standard_layout();
    let pixels = pixels.as_slice().expect("in standard layout");
    let written: Result<(), EncodingError> = (|| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    })();
    // Memory takes every byte, and the pixels are as many as the size says: what is left are limits of the format.
    written.map_err(|_| shape())?;
    Ok(file)
}
