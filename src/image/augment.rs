//! Random changes of training images that leave their class as it is.
use ndarray::{Array3, s};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::color::{adjust_brightness, adjust_contrast, adjust_hue_and_saturation};
use super::error::ImageError;
use super::fit::Fit;
use super::geometry::{Border, cutout, flip_horizontal, rotate_zoom, window};
use super::resize::{Filter, Source, Taps, check_image, check_size, resample};

/// Which random changes to make to each training image, and how strong. A strength of zero switches a change
/// off.
///
/// [`apply`](Augment::apply) makes them in the order of the fields. It takes the decoded `u8` image and
/// returns `f32`: the first change reads the bytes, the others work in place on the result, and no step
/// rounds what the next one reads; [`standardize_f32`](super::standardize_f32) then writes it into the batch.
///
/// ```
/// use floret::image::Augment;
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
///
/// let photo = ndarray::Array3::<u8>::from_elem((80, 60, 3), 128);
/// let augment = Augment::standard().cutout(0.25);
/// let image = augment.apply(&photo, (64, 64), &mut ChaCha8Rng::seed_from_u64(1))?;
/// assert_eq!(image.dim(), (64, 64, 3));
/// # Ok::<(), floret::image::ImageError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Which part of the image is taken.
    pub crop: RandomCrop,
    /// Rotation by up to this many degrees either way.
    pub rotation: f32,
    /// Zoom by a factor of `1 / (1 + zoom)` to `1 + zoom`.
    pub zoom: f32,
    /// Probability of mirroring left to right.
    pub flip: f32,
    /// Brightness change of up to this fraction of the full range either way.
    pub brightness: f32,
    /// Contrast factor from `1 - contrast` to `1 + contrast`.
    pub contrast: f32,
    /// Saturation factor from `1 - saturation` to `1 + saturation`.
    pub saturation: f32,
    /// Hue change of up to this part of the color circle either way.
    pub hue: f32,
    /// Side of a square that is painted over, as a fraction of the image's side.
    pub cutout: f32,
    /// What is beyond the image's edge, for shifts and rotations.
    pub border: Border,
}

/// Which part of an image is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RandomCrop {
    /// All of it ([`Fit::Resize`], where it does not have the network's size).
    #[default]
    None,
    /// All of it, shifted both ways by up to this fraction of its side: "pad and crop".
    Shift(f32),
    /// A window of the network's size, anywhere in a larger image, at full resolution. Where the image is
    /// smaller, it is anywhere in the window.
    Window,
    /// A rectangle of random area and shape, resized to the network's size ("Inception crop").
    Resized {
        /// Least and greatest part of the image's area, within 0 to 1.
        area: (f32, f32),
        /// Least and greatest change of the aspect ratio; `(0.75, 1.33)` is usual.
        ratio: (f32, f32),
    },
}

impl Default for Augment {
    /// [`Augment::none`].
    fn default() -> Self {
        Augment::none()
    }
}

impl Augment {
    /// No change: the image, fitted.
    pub fn none() -> Augment {
        Augment {
            crop: RandomCrop::None,
            rotation: 0.0,
            zoom: 0.0,
            flip: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            cutout: 0.0,
            border: Border::Reflect,
        }
    }

    /// A moderate choice for photos of things: crops of 60 to 100 % of the area, rotations of 10 degrees,
    /// mirroring, brightness within 10 %, contrast and saturation within 20 %, hue within 2 %.
    pub fn standard() -> Augment {
        Augment::none()
            .crop(RandomCrop::Resized { area: (0.6, 1.0), ratio: (0.8, 1.25) })
            .rotation(10.0)
            .flip(0.5)
            .brightness(0.1)
            .contrast(0.2)
            .saturation(0.2)
            .hue(0.02)
    }

    /// The image at `size` = (height, width), changed at random.
    ///
    /// Each change that is switched on draws a fixed number of 32-bit words from `rng`: crops 2 (resized: 4),
    /// cutout 2, every other 1; so a seed means the same changes for images of any size.
    ///
    /// # Errors
    /// [`ImageError::Shape`] if the image is not (height, width, 3), or a side of `size` is not 1 to 65535.
    pub fn apply(
        &self,
        image: &Array3<u8>,
        size: (usize, usize),
        rng: &mut impl RngCore,
    ) -> Result<Array3<f32>, ImageError> {
        check_image("augment", image.dim())?;
        check_size("augment", size.0, size.1)?;
        let mut output = self.cropped(image, size, rng)?;
        if self.rotation != 0.0 || self.zoom != 0.0 {
            let radians = drawn(self.rotation, rng, |draw| self.rotation.to_radians() * draw, 0.0);
            let zoom = drawn(self.zoom, rng, |draw| (1.0 + self.zoom).powf(draw), 1.0);
            output = rotate_zoom(&output, radians, zoom, self.border)?;
        }
        if self.flip != 0.0 && unit(rng) < self.flip {
            flip_horizontal(&mut output)?;
        }
        if self.brightness != 0.0 {
            adjust_brightness(&mut output, self.brightness * symmetric(rng))?;
        }
        if self.contrast != 0.0 {
            adjust_contrast(&mut output, 1.0 + self.contrast * symmetric(rng))?;
        }
        if self.saturation != 0.0 || self.hue != 0.0 {
            let factor = drawn(self.saturation, rng, |draw| 1.0 + self.saturation * draw, 1.0);
            let turns = drawn(self.hue, rng, |draw| self.hue * draw, 0.0);
            adjust_hue_and_saturation(&mut output, turns, factor)?;
        }
        if self.cutout != 0.0 {
            let center = (index(rng, size.0), index(rng, size.1));
            let side = |length: usize| (length as f32 * self.cutout).round() as usize;
            cutout(&mut output, center, (side(size.0), side(size.1)))?;
        }
        Ok(output)
    }

    fn cropped(
        &self,
        image: &Array3<u8>,
        size: (usize, usize),
        rng: &mut impl RngCore,
    ) -> Result<Array3<f32>, ImageError> {
        let (height, width) = size;
        let (from_height, from_width, _) = image.dim();
        match self.crop {
            RandomCrop::None => Ok(Fit::Resize.apply(image, size)?.mapv(f32::from)),
            RandomCrop::Shift(fraction) => {
                let mut shift = |length: usize| {
                    let most = ((length as f32 * fraction).round() as usize).min(length);
                    index(rng, 2 * most + 1) as isize - most as isize
                };
                let corner = (shift(height), shift(width));
                window(&Fit::Resize.apply(image, size)?, corner, size, self.border)
            }
            RandomCrop::Window => {
                let mut first = |from: usize, to: usize| {
                    let first = index(rng, from.abs_diff(to) + 1) as isize;
                    if from >= to { first } else { -first }
                };
                window(image, (first(from_height, height), first(from_width, width)), size, self.border)
            }
            RandomCrop::Resized { area, ratio } => {
                let side = between(area, unit(rng)).max(0.0).sqrt();
                // drawn on a logarithmic scale, so that wide and tall are as likely
                let ratio = between((ratio.0.ln(), ratio.1.ln()), unit(rng)).exp().sqrt();
                let part =
                    |from: usize, fraction: f32| ((from as f32 * fraction).round() as usize).clamp(1, from);
                let (rows, columns) = (part(from_height, side / ratio), part(from_width, side * ratio));
                let top = index(rng, from_height - rows + 1);
                let left = index(rng, from_width - columns + 1);
                let rectangle = image.slice(s![top..top + rows, left..left + columns, ..]);
                let rows = Taps::new(Source::whole(rows), height, 0..height, Filter::Bilinear, true);
                let columns = Taps::new(Source::whole(columns), width, 0..width, Filter::Bilinear, true);
                Ok(resample(rectangle, &rows, &columns, |level| level))
            }
        }
    }
}

/// Builder: each method sets the field of its name.
impl Augment {
    /// Sets [`Augment::crop`].
    pub fn crop(mut self, crop: RandomCrop) -> Self {
        self.crop = crop;
        self
    }

    /// Sets [`Augment::rotation`], in degrees.
    pub fn rotation(mut self, degrees: f32) -> Self {
        self.rotation = degrees;
        self
    }

    /// Sets [`Augment::zoom`].
    pub fn zoom(mut self, zoom: f32) -> Self {
        self.zoom = zoom;
        self
    }

    /// Sets [`Augment::flip`].
    pub fn flip(mut self, probability: f32) -> Self {
        self.flip = probability;
        self
    }

    /// Sets [`Augment::brightness`].
    pub fn brightness(mut self, delta: f32) -> Self {
        self.brightness = delta;
        self
    }

    /// Sets [`Augment::contrast`].
    pub fn contrast(mut self, range: f32) -> Self {
        self.contrast = range;
        self
    }

    /// Sets [`Augment::saturation`].
    pub fn saturation(mut self, range: f32) -> Self {
        self.saturation = range;
        self
    }

    /// Sets [`Augment::hue`].
    pub fn hue(mut self, turns: f32) -> Self {
        self.hue = turns;
        self
    }

    /// Sets [`Augment::cutout`].
    pub fn cutout(mut self, fraction: f32) -> Self {
        self.cutout = fraction;
        self
    }

    /// Sets [`Augment::border`].
    pub fn border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

/// `value` of a draw from -1 to 1 if `strength` is not zero; else `off`, without a draw.
fn drawn(strength: f32, rng: &mut impl RngCore, value: impl Fn(f32) -> f32, off: f32) -> f32 {
    if strength == 0.0 { off } else { value(symmetric(rng)) }
}

/// Uniform in 0 to 1, without 1; one word.
fn unit(rng: &mut impl RngCore) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Uniform in -1 to 1; one word.
fn symmetric(rng: &mut impl RngCore) -> f32 {
    2.0 * unit(rng) - 1.0
}

/// Uniform in `0..count`; always one word, at the price of a bias of less than `count / 2^32`.
fn index(rng: &mut impl RngCore, count: usize) -> usize {
    ((u64::from(rng.next_u32()) * count as u64) >> 32) as usize
}

fn between((least, greatest): (f32, f32), draw: f32) -> f32 {
    least + draw * (greatest - least)
}
