//! RGB levels of other pixels.

use ndarray::Array3;

use super::error::ImageError;
use super::format::Format;

/// The array of RGB bytes in rows, if there are as many as the size says.
pub(super) fn rgb_array(
    format: Format,
    height: usize,
    width: usize,
    rgb: Vec<u8>,
) -> Result<Array3<u8>, ImageError> {
    let got = rgb.len();
    Array3::from_shape_vec((height, width, 3), rgb).map_err(|_| {
        ImageError::corrupt(format, format!("{got} bytes were decoded for {width}x{height} pixels"))
    })
}

/// RGB of pixels of `N` samples, the first of which is gray.
pub(super) fn from_gray<const N: usize>(samples: &[u8]) -> Vec<u8> {
    let pixels = samples.as_chunks::<N>().0;
    let mut rgb = vec![0; 3 * pixels.len()];
    rgb.as_chunks_mut().0.iter_mut().zip(pixels).for_each(|(rgb, pixel)| *rgb = [pixel[0]; 3]);
    rgb
}

/// RGB of RGBA, in its place: large images are held once.
pub(super) fn without_opacity(mut samples: Vec<u8>) -> Vec<u8> {
    let pixels = samples.len() / 4;
    for pixel in 0..pixels {
        samples.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    samples.truncate(3 * pixels);
    samples
}

/// RGB of cyan, magenta, yellow and black as 255 less each ink: what light each ink lets through times what black does, rounded down.
pub(super) fn from_light([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    [cyan, magenta, yellow].map(|light| (u32::from(light) * u32::from(black) / 255) as u8)
}
