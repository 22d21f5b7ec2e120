//! Brightness, contrast, saturation and hue of `f32` images with levels 0 to 255, by TensorFlow's formulas.
//!
//! Each function clamps its result to 0 to 255, as TensorFlow's do on `uint8` images; nothing is rounded. All
//! return [`ImageError::Shape`] if the image is not of shape (height, width, 3).
use ndarray::Array3;

use super::error::ImageError;
use super::resize::check_image;

/// White.
const FULL: f32 = 255.0;

/// `x + 255 delta` (`tf.image.adjust_brightness`): `delta` is a fraction of the full range, -1 to 1.
pub fn adjust_brightness(image: &mut Array3<f32>, delta: f32) -> Result<(), ImageError> {
    for x in rgb_pixels("adjust_brightness", image)?.as_flattened_mut() {
        *x = (*x + FULL * delta).clamp(0.0, FULL);
    }
    Ok(())
}

/// `(x - mean) factor + mean`, `mean` being the channel's over the image (`tf.image.adjust_contrast`).
pub fn adjust_contrast(image: &mut Array3<f32>, factor: f32) -> Result<(), ImageError> {
    let pixels = rgb_pixels("adjust_contrast", image)?;
    let mean = channel_means(pixels);
    for pixel in pixels {
        for (x, mean) in pixel.iter_mut().zip(mean) {
            *x = ((*x - mean) * factor + mean).clamp(0.0, FULL);
        }
    }
    Ok(())
}

/// Multiplies the saturation of HSV by `factor`, up to 1 (`tf.image.adjust_saturation`): 0 leaves grays.
pub fn adjust_saturation(image: &mut Array3<f32>, factor: f32) -> Result<(), ImageError> {
    adjust_hue_and_saturation(image, 0.0, factor)
}

/// Turns the hue of HSV by `turns` of the color circle, -1 to 1 (`tf.image.adjust_hue`): 1/3 makes red
/// green.
pub fn adjust_hue(image: &mut Array3<f32>, turns: f32) -> Result<(), ImageError> {
    adjust_hue_and_saturation(image, turns, 1.0)
}

/// [`adjust_saturation`] and [`adjust_hue`] in one pass; their order makes no difference.
pub fn adjust_hue_and_saturation(image: &mut Array3<f32>, turns: f32, factor: f32) -> Result<(), ImageError> {
    for pixel in rgb_pixels("adjust_hue_and_saturation", image)? {
        let [hue, saturation, value] = rgb_to_hsv(pixel.map(|x| x.clamp(0.0, FULL)));
        *pixel = hsv_to_rgb([hue + 6.0 * turns, (saturation * factor).clamp(0.0, 1.0), value]);
    }
    Ok(())
}

/// Mean level of each channel. Sums are in `f64`.
pub(super) fn channel_means(pixels: &[[f32; 3]]) -> [f32; 3] {
    let mut sums = [0.0; 3];
    for pixel in pixels {
        for (sum, &x) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(x);
        }
    }
    sums.map(|sum| (sum / pixels.len() as f64) as f32)
}

/// The pixels of an image, made contiguous first if need be.
pub(super) fn rgb_pixels<'a>(
    operation: &'static str,
    image: &'a mut Array3<f32>,
) -> Result<&'a mut [[f32; 3]], ImageError> {
    check_image(operation, image.dim())?;
    if !image.is_standard_layout() {
        *image = image.as_standard_layout().into_owned();
    }
    let values = image.as_slice_mut().expect("an array in standard layout is one slice");
    Ok(values.as_chunks_mut().0)
}

/// Hue in sixths of a turn, 0 to 6 from red over green and blue; saturation 0 to 1; value as the channels.
fn rgb_to_hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let value = r.max(g).max(b);
    let chroma = value - r.min(g).min(b);
    if chroma <= 0.0 {
        return [0.0, 0.0, value];
    }
    let hue = if value == r {
        (g - b) / chroma
    } else if value == g {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    [hue, chroma / value, value]
}

/// Inverse of [`rgb_to_hsv`], for any hue.
fn hsv_to_rgb([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    // distance from the primary's hue, in sixths: up to 1 the channel is full, from 2 on it lacks all chroma
    let channel = |primary: f32| {
        let distance = ((hue - primary + 3.0).rem_euclid(6.0) - 3.0).abs();
        value * (1.0 - saturation * (distance - 1.0).clamp(0.0, 1.0))
    };
    [channel(0.0), channel(2.0), channel(4.0)]
}
