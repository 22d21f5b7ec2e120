//! What happens to each photo between its file and the network, in training and in prediction alike.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::image::{DecodeOptions, Fit, ImageError, Orientation, decode_fitted, standardize};

/// From an encoded photo to the network's input. Saved with the model, so that prediction does as training did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Side of the square image the network sees, in pixels.
    pub image_size: usize,
    /// How a photo of another size becomes that square.
    pub fit: Fit,
    /// Which way up a photo is that a camera held sideways stored.
    pub orientation: Orientation,
}

impl Preprocess {
    /// Squares of side `image_size`, made of the whole photo, resized ([`Fit::Resize`]), the right way up.
    pub fn new(image_size: usize) -> Self {
        Self { image_size, fit: Fit::Resize, orientation: Orientation::Upright }
    }

    /// Sets how a photo becomes a square.
    pub fn fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Decodes a photo and fits it to a square of side `size`, the network's or a larger one to augment from: RGB
    /// levels, (size, size, 3).
    ///
    /// The decoder may work at a smaller scale where the photo shrinks enough. Of `options`, the limits count; scale and
    /// orientation are set here.
    ///
    /// # Errors
    /// A file that is no image, damaged, or over the limits of `options`.
    pub fn fit_encoded(
        &self,
        encoded: &[u8],
        size: usize,
        options: &DecodeOptions,
    ) -> Result<Array3<u8>, ImageError> {
        let options = DecodeOptions { orientation: self.orientation, ..*options };
        decode_fitted(encoded, self.fit, (size, size), &options)
    }

    /// The network's input: a photo decoded, fitted and standardized to mean 0 and deviation 1.
    ///
    /// # Errors
    /// As [`fit_encoded`](Self::fit_encoded).
    pub fn input(&self, encoded: &[u8], options: &DecodeOptions) -> Result<Array3<f32>, ImageError> {
        self.standardized(&self.fit_encoded(encoded, self.image_size, options)?)
    }

    /// The network's input of an image that is decoded already and the right way up: RGB levels, (height, width, 3), any size.
    ///
    /// # Errors
    /// An image of another shape, or without pixels.
    pub fn image_input(&self, image: &Array3<u8>) -> Result<Array3<f32>, ImageError> {
        self.standardized(&self.fit.apply(image, (self.image_size, self.image_size))?)
    }

    /// A fitted photo with mean 0 and deviation 1.
    fn standardized(&self, fitted: &Array3<u8>) -> Result<Array3<f32>, ImageError> {
        let mut input = Array3::zeros(fitted.dim());
        standardize(levels(fitted), input.as_slice_mut().expect("in standard layout"))?;
        Ok(input)
    }
}

/// The levels of a fitted photo, in row order.
pub(super) fn levels(photo: &Array3<u8>) -> &[u8] {
    photo.as_slice().expect("fitted photos are in standard layout")
}
