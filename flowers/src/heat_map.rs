//! A photo, and beside it what its answer rests on, as a picture.

use floret::Classifier;
use floret::image::{Fit, encode_png};
use ndarray::{Array2, Array3, Axis, concatenate};

use crate::Result;

/// Side of each half in pixels, unless the network's images are larger.
const SIDE: usize = 256;

/// A PNG file: the photo on the left; on the right the same in gray, under the positive values of `map`, red where they are half of the
/// greatest or less, then yellow to white.
///
/// # Errors
/// When the photo can't be decoded.
pub fn heat_map(encoded: &[u8], classifier: &Classifier, map: &Array2<f32>) -> Result<Vec<u8>> {
    let photo = shown(encoded, classifier)?;
    let heated = heated(&photo, &enlarged(map, photo.dim().0));
    Ok(encode_png(concatenate(Axis(1), &[photo.view(), heated.view()])?.view())?)
}

/// What the network saw, at a size to look at. A crop is of the network's own pixels: more of them would be more of the photo.
fn shown(encoded: &[u8], classifier: &Classifier) -> Result<Array3<u8>> {
    let (preprocess, options) = (classifier.preprocess(), classifier.decoding());
    let side = preprocess.image_size.max(SIDE);
    if preprocess.fit != Fit::Crop {
        return Ok(preprocess.fit_encoded(encoded, side, options)?);
    }
    let seen = preprocess.fit_encoded(encoded, preprocess.image_size, options)?;
    Ok(Fit::Resize.apply(&seen, (side, side))?)
}

/// Positive values over the greatest of them, at `side` pixels a side, between them in straight lines.
fn enlarged(map: &Array2<f32>, side: usize) -> Array2<f32> {
    let most = map.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(*value));
    let (height, width) = map.dim();
    let from = |pixel: usize, len: usize| {
        let place = ((pixel as f32 + 0.5) * len as f32 / side as f32 - 0.5).clamp(0.0, (len - 1) as f32);
        let first = place as usize;
        (first, (first + 1).min(len - 1), place.fract())
    };
    Array2::from_shape_fn((side, side), |(y, x)| {
        let ((top, bottom, down), (left, right, across)) = (from(y, height), from(x, width));
        let row = |y: usize| (1.0 - across) * map[[y, left]] + across * map[[y, right]];
        ((1.0 - down) * row(top) + down * row(bottom)).max(0.0) / most
    })
}

/// The photo in gray under the heat.
fn heated(photo: &Array3<u8>, heat: &Array2<f32>) -> Array3<u8> {
    Array3::from_shape_fn(photo.dim(), |(y, x, channel)| {
        let level = |channel: usize| f32::from(photo[[y, x, channel]]) / 255.0;
        // Luma (ITU-R BT.601), of less contrast, so that the heat stands out.
        let gray = 0.15 + 0.75 * (0.299 * level(0) + 0.587 * level(1) + 0.114 * level(2));
        let heat = heat[[y, x]];
        let color = [1.0, 1.6 * heat - 0.5, 3.0 * heat - 2.2][channel].clamp(0.0, 1.0);
        let opacity = (1.5 * heat).min(0.8);
        (255.0 * (gray + opacity * (color - gray))).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_where_the_map_is_greatest_and_elsewhere_the_photo_is_gray() {
        let photo = Array3::from_shape_fn((SIDE, SIDE, 3), |(_, _, channel)| [200, 100, 50][channel]);
        let mut map = Array2::from_elem((32, 32), -1.0);
        map[[8, 24]] = 0.5;
        let heat = enlarged(&map, SIDE);
        let hottest = heat.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        let ((y, x), value) = hottest;
        assert!(y / 8 == 8 && x / 8 == 24 && *value > 0.5 && *value <= 1.0, "{value} at {y}, {x}");
        let picture = heated(&photo, &heat);
        let pixel = |y: usize, x: usize| [0, 1, 2].map(|channel| picture[[y, x, channel]]);
        assert!(pixel(y, x)[0] > 200 && pixel(y, x)[2] < 100, "{:?}", pixel(y, x));
        let [red, green, blue] = pixel(200, 20);
        assert!(red == green && green == blue);
    }

    #[test]
    fn a_map_of_nothing_leaves_the_photo_gray() {
        let heat = enlarged(&Array2::zeros((32, 32)), SIDE);
        assert!(heat.iter().all(|heat| *heat == 0.0));
    }
}
