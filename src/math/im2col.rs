//! Patches of an image as rows of a matrix, so that a convolution becomes a matrix product.
//!
//! Row `p` belongs to output pixel `p` (images one after another, each in row order); column
//! `(ky * kernel width + kx) * channels + c` to tap `(ky, kx)` of channel `c`, which is HWIO's own order.

use std::ops::Range;

use super::conv::ConvShape;

/// Writes the patches of output pixels `pixels` (counted through all images of `x`) to the rows of `patches`.
///
/// Taps in the padding become zeros. `patches` holds `pixels.len() * shape.patch()` values and is overwritten whole.
pub fn im2col(shape: &ConvShape, x: &[f32], pixels: Range<usize>, patches: &mut [f32]) {
    let (window, cin) = (&shape.window, shape.cin);
    for (pixel, patch) in pixels.zip(patches.chunks_exact_mut(shape.patch())) {
        let (image, oy, ox) = shape.locate(pixel);
        let image = &x[image * shape.input_len()..][..shape.input_len()];
        for (ky, taps) in patch.chunks_exact_mut(window.x.kernel * cin).enumerate() {
            let Some(iy) = window.y.tap(oy, ky) else {
                taps.fill(0.0);
                continue;
            };
            let row = &image[iy * window.x.input * cin..][..window.x.input * cin];
            for (kx, tap) in taps.chunks_exact_mut(cin).enumerate() {
                match window.x.tap(ox, kx) {
                    Some(ix) => tap.copy_from_slice(&row[ix * cin..][..cin]),
                    None => tap.fill(0.0),
                }
            }
        }
    }
}

/// The transpose of [`im2col`]: adds each row of `patches` back onto the input pixels it was read from.
///
/// `dx` is added to, not overwritten; taps in the padding are dropped.
pub fn col2im_add(shape: &ConvShape, patches: &[f32], pixels: Range<usize>, dx: &mut [f32]) {
    let (window, cin) = (&shape.window, shape.cin);
    for (pixel, patch) in pixels.zip(patches.chunks_exact(shape.patch())) {
        let (image, oy, ox) = shape.locate(pixel);
        let image = &mut dx[image * shape.input_len()..][..shape.input_len()];
        for (ky, taps) in patch.chunks_exact(window.x.kernel * cin).enumerate() {
            let Some(iy) = window.y.tap(oy, ky) else { continue };
            let row = &mut image[iy * window.x.input * cin..][..window.x.input * cin];
            for (kx, tap) in taps.chunks_exact(cin).enumerate() {
                let Some(ix) = window.x.tap(ox, kx) else { continue };
                for (d, t) in row[ix * cin..][..cin].iter_mut().zip(tap) {
                    *d += t;
                }
            }
        }
    }
}
