//! What happens to each photo between its file and the network, in training and in prediction alike.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::data::Picture;
use crate::image::{
    ChannelOrder, DecodeOptions, Fit, ImageError, Normalize, Orientation, crop_or_pad, decode_fitted, luma,
};

/// From an encoded photo to the network's input. Saved with the model, so that prediction does as training did.
///
/// With the side s and the crop share c: the photo is fitted to a square of side s / c, of which the middle s x s is taken; its
/// levels are normalized, and the values of each pixel brought into order. For a network of one channel the pixels are made gray before
/// that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Preprocess {
    /// Side of the square image the network sees, in pixels.
    pub image_size: usize,
    /// How a photo of another size becomes that square.
    pub fit: Fit,
    /// Which way up a photo is that a camera held sideways stored.
    pub orientation: Orientation,
    /// How much of the fitted photo's side the network sees, 1 for all; 0.875 is usual for ImageNet.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub crop_share: f32,
    /// From levels to the network's values.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize: Normalize,
    /// The values of a pixel, and their order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub channel_order: ChannelOrder,
}

/// The crop share of a file that tells none, and whether one need not be told.
pub(crate) fn whole() -> f32 {
    1.0
}

pub(crate) fn is_whole(share: &f32) -> bool {
    *share == whole()
}

/// Whether a value need not be told, since it is taken where none is.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Preprocess {
    /// Squares of side `image_size`, made of the whole photo, resized ([`Fit::Resize`]), the right way up, each standardized by its
    /// own mean and deviation.
    pub fn new(image_size: usize) -> Self {
        Self {
            image_size,
            fit: Fit::Resize,
            orientation: Orientation::Upright,
            crop_share: 1.0,
            normalize: Normalize::PerImage,
            channel_order: ChannelOrder::Rgb,
        }
    }

    /// What networks trained on ImageNet usually take: the middle of the photo, its shorter side resized to `image_size` / 0.875.
    pub fn imagenet(image_size: usize, normalize: Normalize) -> Self {
        Self::new(image_size).fit(Fit::ResizeCrop).crop_share(IMAGENET_CROP).normalize(normalize)
    }

    /// Sets how a photo becomes a square.
    pub fn fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Sets which way up a photo is that a camera held sideways stored.
    pub fn orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// Sets the share of the fitted photo's side that the network sees.
    pub fn crop_share(mut self, share: f32) -> Self {
        self.crop_share = share;
        self
    }

    /// Sets how levels become the network's values.
    pub fn normalize(mut self, normalize: Normalize) -> Self {
        self.normalize = normalize;
        self
    }

    /// Sets the values of a pixel, and their order.
    pub fn channel_order(mut self, order: ChannelOrder) -> Self {
        self.channel_order = order;
        self
    }

    /// Why no photo can be brought into this form, if so.
    pub(crate) fn defect(&self) -> Option<String> {
        if !(LEAST_CROP..=1.0).contains(&self.crop_share) {
            return Some(format!("a crop share of {}, where {LEAST_CROP} to 1 is wanted", self.crop_share));
        }
        if self.channel_order == ChannelOrder::Gray && !self.normalize.is_same_for_colors() {
            return Some(format!(
                "{} for the one channel of gray photos, where one of each is wanted",
                self.normalize
            ));
        }
        self.normalize.defect()
    }

    /// Height, width and channels of the network's input.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.image_size, self.image_size, self.channel_order.channels())
    }

    /// Decodes a photo and fits it to a square of side `size`, the network's or another one that shows the same of it: RGB
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
        let whole = self.before_crop(size);
        middle(decode_fitted(encoded, self.fit, (whole, whole), &options)?, size)
    }

    /// [`fit_encoded`](Self::fit_encoded) of a picture, decoded or not.
    ///
    /// # Errors
    /// As [`fit_encoded`](Self::fit_encoded).
    pub fn fit_picture(
        &self,
        picture: &Picture,
        size: usize,
        options: &DecodeOptions,
    ) -> Result<Array3<u8>, ImageError> {
        match picture {
            Picture::File(bytes) => self.fit_encoded(bytes, size, options),
            Picture::Levels(levels) => self.fit_levels(levels, size),
        }
    }

    fn fit_levels(&self, levels: &Array3<u8>, size: usize) -> Result<Array3<u8>, ImageError> {
        let whole = self.before_crop(size);
        middle(self.fit.apply(levels, (whole, whole))?, size)
    }

    /// Side of the fitted photo whose middle has the side `size`.
    fn before_crop(&self, size: usize) -> usize {
        (size as f64 / f64::from(self.crop_share)).round() as usize
    }

    /// The network's input: a photo decoded, fitted and normalized.
    ///
    /// # Errors
    /// As [`fit_encoded`](Self::fit_encoded).
    pub fn input(&self, encoded: &[u8], options: &DecodeOptions) -> Result<Array3<f32>, ImageError> {
        self.normalized(&self.fit_encoded(encoded, self.image_size, options)?)
    }

    /// The network's input of an image that is decoded already and the right way up: RGB levels, (height, width, 3), any size.
    ///
    /// # Errors
    /// An image of another shape, or without pixels.
    pub fn image_input(&self, image: &Array3<u8>) -> Result<Array3<f32>, ImageError> {
        self.normalized(&self.fit_levels(image, self.image_size)?)
    }

    fn normalized(&self, fitted: &Array3<u8>) -> Result<Array3<f32>, ImageError> {
        let mut input = Array3::zeros(self.shape());
        self.write(fitted, input.as_slice_mut().expect("in standard layout"))?;
        Ok(input)
    }

    /// Writes the network's values of a fitted photo.
    pub(super) fn write(&self, fitted: &Array3<u8>, input: &mut [f32]) -> Result<(), ImageError> {
        match self.channel_order {
            ChannelOrder::Gray => self.write_gray(levels(fitted), input),
            _ => {
                self.normalize.apply(levels(fitted), input)?;
                self.reorder(input);
                Ok(())
            }
        }
    }

    /// [`write`](Self::write) of a photo that augmentation has changed.
    pub(super) fn write_f32(&self, changed: &Array3<f32>, input: &mut [f32]) -> Result<(), ImageError> {
        let levels = changed.as_slice().expect("augmented images are in standard layout");
        match self.channel_order {
            ChannelOrder::Gray => self.write_gray(levels, input),
            _ => {
                self.normalize.apply_f32(levels, input)?;
                self.reorder(input);
                Ok(())
            }
        }
    }

    /// Writes one value for each of some RGB pixels.
    fn write_gray<L: Copy + Into<f32>>(&self, levels: &[L], input: &mut [f32]) -> Result<(), ImageError> {
        let gray: Vec<f32> = levels.as_chunks().0.iter().map(|pixel| luma(*pixel)).collect();
        self.normalize.apply_gray(&gray, input)
    }

    /// Brings the values of RGB pixels into the network's order.
    fn reorder(&self, pixels: &mut [f32]) {
        if self.channel_order == ChannelOrder::Bgr {
            pixels.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.reverse());
        }
    }
}

/// The middle of a fitted photo, of side `size`.
fn middle(fitted: Array3<u8>, size: usize) -> Result<Array3<u8>, ImageError> {
    if fitted.dim().0 == size { Ok(fitted) } else { crop_or_pad(&fitted, size, size) }
}

/// The share of the side that ImageNet's classifiers are tested with.
const IMAGENET_CROP: f32 = 0.875;

/// Less of a photo is hardly meant, and a fitted photo would be as large as one wants.
const LEAST_CROP: f32 = 0.1;

/// The levels of a fitted photo, in row order.
fn levels(photo: &Array3<u8>) -> &[u8] {
    photo.as_slice().expect("fitted photos are in standard layout")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A photo of two pixels a side.
    fn photo() -> Array3<u8> {
        let levels = vec![10, 20, 30, 50, 50, 50, 255, 0, 0, 0, 0, 255];
        Array3::from_shape_vec((2, 2, 3), levels).unwrap()
    }

    fn values(order: ChannelOrder, normalize: Normalize) -> (Vec<usize>, Vec<f32>) {
        let preprocess = Preprocess::new(2).channel_order(order).normalize(normalize);
        assert_eq!(preprocess.defect(), None);
        let input = preprocess.image_input(&photo()).unwrap();
        let mut changed = vec![0.0; input.len()];
        preprocess.write_f32(&photo().mapv(f32::from), &mut changed).unwrap();
        let close = input.iter().zip(&changed).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{input} {changed:?}");
        (input.shape().to_vec(), changed)
    }

    #[test]
    fn the_values_of_a_pixel_come_in_the_order_chosen() {
        let tens = Normalize::Fixed { mean: [0.0, 10.0, 20.0], deviation: [10.0; 3] };
        let (shape, values) = values(ChannelOrder::Bgr, tens);
        assert_eq!((shape, &values[..6]), (vec![2, 2, 3], &[1.0, 1.0, 1.0, 3.0, 4.0, 5.0][..]));
    }

    #[test]
    fn gray_is_the_luma_of_each_pixel() {
        let luma = [0.299 * 10.0 + 0.587 * 20.0 + 0.114 * 30.0, 50.0, 0.299 * 255.0, 0.114 * 255.0];
        let fixed = Normalize::Fixed { mean: [50.0; 3], deviation: [2.0; 3] };
        let (shape, fixed) = values(ChannelOrder::Gray, fixed);
        assert_eq!((shape, fixed[1]), (vec![2, 2, 1], 0.0));
        assert!(fixed.iter().zip(luma).all(|(value, luma)| (value - (luma - 50.0) / 2.0).abs() < 1e-4));
        let (_, by_photo) = values(ChannelOrder::Gray, Normalize::PerImage);
        let mean = luma.iter().sum::<f32>() / 4.0;
        let deviation = (luma.iter().map(|luma| (luma - mean).powi(2)).sum::<f32>() / 4.0).sqrt();
        let wanted = luma.map(|luma| (luma - mean) / deviation);
        assert!(by_photo.iter().zip(wanted).all(|(value, wanted)| (value - wanted).abs() < 1e-5));
    }

    #[test]
    fn constants_of_three_colors_suit_no_gray_photo() {
        let preprocess = Preprocess::new(2).channel_order(ChannelOrder::Gray).normalize(Normalize::IMAGENET);
        assert!(preprocess.defect().unwrap().contains("imagenet for the one channel"));
    }
}
