//! From levels to the values that a network takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::ImageError;
use super::standardize::{check_lengths, standardize, standardize_f32};

/// How levels, 0 to 255, become a network's input. Written `photo`, `imagenet` or `MEAN/DEVIATION`, such as `127/128`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Normalize {
    /// Each photo by its own mean and deviation: [`standardize`].
    #[default]
    PerImage,
    /// `(level - mean) / deviation`, with constants for red, green and blue.
    Fixed {
        /// What is subtracted, in levels.
        mean: [f32; 3],
        /// What the rest is divided by, in levels.
        deviation: [f32; 3],
    },
}

impl Normalize {
    /// ImageNet's mean and deviation, by which torchvision's networks and most others in PyTorch are trained: 0.485, 0.456, 0.406
    /// and 0.229, 0.224, 0.225 of 255 levels.
    pub const IMAGENET: Self =
        Normalize::Fixed { mean: [123.675, 116.28, 103.53], deviation: [58.395, 57.12, 57.375] };

    /// The levels as they are, for networks that rescale them themselves, as those of Keras' EfficientNet do.
    pub const LEVELS: Self = Normalize::Fixed { mean: [0.0; 3], deviation: [1.0; 3] };

    /// The levels divided by 255, for networks that normalize what lies between 0 and 1.
    pub const SHARES: Self = Normalize::Fixed { mean: [0.0; 3], deviation: [255.0; 3] };

    /// Writes the normalized values of whole levels, RGB pixel after pixel.
    ///
    /// # Errors
    /// [`ImageError::Shape`] if `out` is not as long as `levels`.
    pub fn apply(self, levels: &[u8], out: &mut [f32]) -> Result<(), ImageError> {
        match self {
            Normalize::PerImage => standardize(levels, out),
            Normalize::Fixed { mean, deviation } => fixed(levels, out, mean, deviation),
        }
    }

    /// [`apply`](Self::apply) for levels between whole ones, such as an augmented image has.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_f32(self, levels: &[f32], out: &mut [f32]) -> Result<(), ImageError> {
        match self {
            Normalize::PerImage => standardize_f32(levels, out),
            Normalize::Fixed { mean, deviation } => fixed(levels, out, mean, deviation),
        }
    }

    /// [`apply`](Self::apply) for pixels of one gray level each; of constants for three colors, which are equal then, the first counts.
    pub(crate) fn apply_gray(self, levels: &[f32], out: &mut [f32]) -> Result<(), ImageError> {
        let Normalize::Fixed { mean: [mean, ..], deviation: [deviation, ..] } = self else {
            return standardize_f32(levels, out);
        };
        check_lengths(levels.len(), out.len())?;
        out.iter_mut().zip(levels).for_each(|(out, level)| *out = (level - mean) / deviation);
        Ok(())
    }

    /// Whether all colors have the same constants, if there are any.
    pub(crate) fn is_same_for_colors(self) -> bool {
        let same = |[red, green, blue]: [f32; 3]| red == green && green == blue;
        matches!(self, Normalize::PerImage)
            || matches!(self, Normalize::Fixed { mean, deviation } if same(mean) && same(deviation))
    }

    /// Why a photo can't be normalized so, if it can't: constants that are no numbers, a deviation of 0.
    pub(crate) fn defect(self) -> Option<String> {
        let Normalize::Fixed { mean, deviation } = self else { return None };
        let possible =
            mean.iter().all(|m| m.is_finite()) && deviation.iter().all(|d| d.is_finite() && *d != 0.0);
        (!possible).then(|| format!("a mean of {mean:?} and a deviation of {deviation:?}"))
    }
}

/// `(level - mean) / deviation`, pixel by pixel.
fn fixed<L: Copy + Into<f32>>(
    levels: &[L],
    out: &mut [f32],
    mean: [f32; 3],
    deviation: [f32; 3],
) -> Result<(), ImageError> {
    check_lengths(levels.len(), out.len())?;
    let (levels, out) = (levels.as_chunks::<3>().0, out.as_chunks_mut::<3>().0);
    for (out, [red, green, blue]) in out.iter_mut().zip(levels) {
        let [red, green, blue]: [f32; 3] = [(*red).into(), (*green).into(), (*blue).into()];
        // Written out: a closure over three channels is not inlined.
        *out = [
            (red - mean[0]) / deviation[0],
            (green - mean[1]) / deviation[1],
            (blue - mean[2]) / deviation[2],
        ];
    }
    Ok(())
}

impl fmt::Display for Normalize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: [f32; 3]| match values {
            [a, b, c] if a == b && b == c => a.to_string(),
            values => values.map(|value| value.to_string()).join(","),
        };
        match *self {
            Normalize::PerImage => f.pad("photo"),
            Normalize::IMAGENET => f.pad("imagenet"),
            Normalize::Fixed { mean, deviation } => f.pad(&format!("{}/{}", list(mean), list(deviation))),
        }
    }
}

/// A text that tells no [`Normalize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no normalization: wanted photo, imagenet, or MEAN/DEVIATION in levels of 0 to 255, each one number or three with commas between them, as in 127/128"
)]
pub struct ParseNormalizeError(pub String);

impl FromStr for Normalize {
    type Err = ParseNormalizeError;

    fn from_str(text: &str) -> Result<Self, ParseNormalizeError> {
        let error = || ParseNormalizeError(text.into());
        let list = |text: &str| -> Option<[f32; 3]> {
            let values: Vec<f32> =
                text.split(',').map(|value| value.trim().parse().ok()).collect::<Option<_>>()?;
            match values[..] {
                [value] => Some([value; 3]),
                _ => values.try_into().ok(),
            }
        };
        match text {
            "photo" => Ok(Normalize::PerImage),
            "imagenet" => Ok(Normalize::IMAGENET),
            _ => {
                let (mean, deviation) = text.split_once('/').ok_or_else(error)?;
                let (mean, deviation) = list(mean).zip(list(deviation)).ok_or_else(error)?;
                let fixed = Normalize::Fixed { mean, deviation };
                if fixed.defect().is_some() { Err(error()) } else { Ok(fixed) }
            }
        }
    }
}

/// The values of a pixel in a network's input. Written `rgb`, `bgr` or `gray`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChannelOrder {
    /// Red first, as most networks have it.
    #[default]
    Rgb,
    /// Blue first, as networks of Caffe's have it, and OpenCV's images.
    Bgr,
    /// One value, for networks of one channel: the luma `0.299 red + 0.587 green + 0.114 blue` (ITU-R BT.601), which of gray pixels is
    /// their level.
    Gray,
}

impl ChannelOrder {
    const ALL: [Self; 3] = [ChannelOrder::Rgb, ChannelOrder::Bgr, ChannelOrder::Gray];

    /// The usual order of a network's input of so many channels; `None` if photos have no such number.
    pub fn of_channels(channels: usize) -> Option<Self> {
        match channels {
            1 => Some(ChannelOrder::Gray),
            3 => Some(ChannelOrder::Rgb),
            _ => None,
        }
    }

    /// How many values a pixel has.
    pub fn channels(self) -> usize {
        match self {
            ChannelOrder::Rgb | ChannelOrder::Bgr => 3,
            ChannelOrder::Gray => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ChannelOrder::Rgb => "rgb",
            ChannelOrder::Bgr => "bgr",
            ChannelOrder::Gray => "gray",
        }
    }
}

/// The luma of an RGB pixel, of levels of any type: [`ChannelOrder::Gray`].
pub(crate) fn luma<L: Copy + Into<f32>>([red, green, blue]: [L; 3]) -> f32 {
    let [red, green, blue]: [f32; 3] = [red.into(), green.into(), blue.into()];
    // So written, the level of a gray pixel comes out as it is.
    green + 0.299 * (red - green) + 0.114 * (blue - green)
}

impl fmt::Display for ChannelOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`ChannelOrder`]'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown order of channels {0:?}: wanted rgb, bgr or gray")]
pub struct ParseChannelOrderError(pub String);

impl FromStr for ChannelOrder {
    type Err = ParseChannelOrderError;

    fn from_str(name: &str) -> Result<Self, ParseChannelOrderError> {
        ChannelOrder::ALL
            .into_iter()
            .find(|order| order.name() == name)
            .ok_or_else(|| ParseChannelOrderError(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizations_are_read_back() {
        let fixed = Normalize::Fixed { mean: [127.0; 3], deviation: [128.0; 3] };
        let three = Normalize::Fixed { mean: [1.5, 2.0, 3.0], deviation: [4.0, 5.0, 6.25] };
        for (text, normalize) in [
            ("photo", Normalize::PerImage),
            ("imagenet", Normalize::IMAGENET),
            ("127/128", fixed),
            ("0/1", Normalize::LEVELS),
            ("1.5,2,3/4,5,6.25", three),
        ] {
            assert_eq!(text.parse(), Ok(normalize));
            assert_eq!(normalize.to_string(), text);
            let saved = serde_json::to_value(normalize).unwrap();
            assert_eq!(serde_json::from_value::<Normalize>(saved).unwrap(), normalize);
        }
        for text in ["", "127", "1/0", "1,2/3", "nan/1", "1/inf", "a/b"] {
            assert!(text.parse::<Normalize>().is_err(), "{text}");
        }
    }

    #[test]
    fn constants_are_those_of_red_green_and_blue_whatever_the_order() {
        let normalize = Normalize::Fixed { mean: [10.0, 20.0, 30.0], deviation: [1.0, 2.0, 4.0] };
        let (mut whole, mut between) = ([0.0; 6], [0.0; 6]);
        normalize.apply(&[11, 24, 38, 10, 20, 30], &mut whole).unwrap();
        normalize.apply_f32(&[11.0, 24.0, 38.0, 10.5, 20.0, 30.0], &mut between).unwrap();
        assert_eq!(whole, [1.0, 2.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(between, [1.0, 2.0, 2.0, 0.5, 0.0, 0.0]);
        assert!(normalize.apply(&[0; 6], &mut [0.0; 3]).is_err());
    }
}
