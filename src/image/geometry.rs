//! Windows, flips, rotation and zoom, cutout.
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::color::{channel_means, rgb_pixels};
use super::error::ImageError;
use super::resize::{check_image, check_size};

/// What is beyond an image's edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Border {
    /// The image mirrored at its edge: `c b a | a b c | c b a`.
    #[default]
    Reflect,
    /// The nearest pixel of the edge: `a a a | a b c | c c c`.
    Edge,
}

impl Border {
    /// Position within `0..length` (which is not empty) that stands for position `i`.
    fn position(self, i: isize, length: usize) -> usize {
        let last = length as isize - 1;
        let position = match self {
            Border::Edge => i.clamp(0, last),
            Border::Reflect => {
                let i = i.rem_euclid(2 * (last + 1));
                if i <= last { i } else { 2 * last + 1 - i }
            }
        };
        position as usize
    }
}

/// The `height` x `width` pixels of an image whose upper left corner is at row `top`, column `left`; what
/// lies outside of the image is made up by `border`. A crop, a shift, or a pad.
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3), or a new side is not 1 to 65535.
pub fn window(
    image: &Array3<u8>,
    (top, left): (isize, isize),
    (height, width): (usize, usize),
    border: Border,
) -> Result<Array3<f32>, ImageError> {
    check_image("window", image.dim())?;
    check_size("window", height, width)?;
    let (from_height, from_width, _) = image.dim();
    let image = image.as_standard_layout();
    let (pixels, _) = image.as_slice().expect("an array in standard layout is one slice").as_chunks::<3>();
    let positions = |first: isize, count: usize, length: usize| -> Vec<usize> {
        (0..count as isize).map(|i| border.position(first.saturating_add(i), length)).collect()
    };
    let columns = positions(left, width, from_width);
    let mut output = Vec::with_capacity(3 * height * width);
    for y in positions(top, height, from_height) {
        let row = &pixels[y * from_width..(y + 1) * from_width];
        output.extend(columns.iter().flat_map(|&x| row[x].map(f32::from)));
    }
    Ok(Array3::from_shape_vec((height, width, 3), output).expect("three values were pushed for each pixel"))
}

/// Mirrors an image left to right, in place.
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3).
pub fn flip_horizontal(image: &mut Array3<f32>) -> Result<(), ImageError> {
    let width = image.dim().1;
    for row in rgb_pixels("flip_horizontal", image)?.chunks_exact_mut(width) {
        row.reverse();
    }
    Ok(())
}

/// Turns an image about its center by `radians` counter-clockwise and enlarges it `zoom` times, in one
/// bilinear interpolation, at the same size.
///
/// With `(u, v)` the distance from the center, to the right and downwards, output pixel `(u, v)` is the input
/// at `((u cos r - v sin r) / zoom, (u sin r + v cos r) / zoom)`. A zoom that is not a positive number counts
/// as 1.
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3).
pub fn rotate_zoom(
    image: &Array3<f32>,
    radians: f32,
    zoom: f32,
    border: Border,
) -> Result<Array3<f32>, ImageError> {
    check_image("rotate_zoom", image.dim())?;
    let (height, width, _) = image.dim();
    let image = image.as_standard_layout();
    let (pixels, _) = image.as_slice().expect("an array in standard layout is one slice").as_chunks::<3>();
    let shrink = if zoom.is_finite() && zoom > 0.0 { zoom.recip() } else { 1.0 };
    let (sin, cos) = (shrink * radians.sin(), shrink * radians.cos());
    let (center_y, center_x) = ((height - 1) as f32 / 2.0, (width - 1) as f32 / 2.0);
    let at = |y: isize, x: isize| pixels[border.position(y, height) * width + border.position(x, width)];

    let mut output = Vec::with_capacity(3 * height * width);
    for y in 0..height {
        let v = y as f32 - center_y;
        for x in 0..width {
            let u = x as f32 - center_x;
            let (source_y, source_x) = (center_y + u * sin + v * cos, center_x + u * cos - v * sin);
            let (top, left) = (source_y.floor(), source_x.floor());
            let (down, right) = (source_y - top, source_x - left);
            let (top, left) = (top as isize, left as isize);
            let (below, beside) = (top.saturating_add(1), left.saturating_add(1));
            let upper = mix(at(top, left), at(top, beside), right);
            let lower = mix(at(below, left), at(below, beside), right);
            output.extend(mix(upper, lower, down));
        }
    }
    Ok(Array3::from_shape_vec((height, width, 3), output).expect("three values were pushed for each pixel"))
}

/// `a + t (b - a)`.
fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])]
}

/// Paints the `height` x `width` rectangle around pixel `(y, x)`, as far as it lies within the image, with
/// the image's mean color, so that little of the image's mean changes (DeVries and Taylor, 2017,
/// arXiv:1708.04552).
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3).
pub fn cutout(
    image: &mut Array3<f32>,
    (y, x): (usize, usize),
    (height, width): (usize, usize),
) -> Result<(), ImageError> {
    let (image_height, image_width, _) = image.dim();
    let pixels = rgb_pixels("cutout", image)?;
    let mean = channel_means(pixels);
    let covered = |center: usize, side: usize, length: usize| {
        let first = center.saturating_sub(side / 2).min(length);
        let last = center.saturating_add(side.div_ceil(2)).min(length);
        first..last
    };
    let columns = covered(x, width, image_width);
    for y in covered(y, height, image_height) {
        pixels[y * image_width..][columns.clone()].fill(mean);
    }
    Ok(())
}
