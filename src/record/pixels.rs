//! Pixels that a record holds as they are, instead of an image file: bytes, floats, lists of numbers, serialized tensors.

use std::fmt;
use std::str::FromStr;

use super::example_error::ExampleError;
use super::features::{BytesOrNumbers, FeatureMap, single_integers};
use crate::proto::wire::{Span, Value};

/// The most pixels of a picture, as of one in a file.
const MAX_NUMBERS: usize = 3 * 64_000_000;

/// How pixels are stored. Written `auto`, `28x28x1` or `3x32x32`, and with `:0..1` behind it where black is 0 and white is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PixelFormat {
    /// Height, width and channels (1 or 3); `None` where each record tells them, by integers under keys that end with `height`, `width` and
    /// `depth` or the like, or by the shape of a serialized tensor.
    pub shape: Option<[usize; 3]>,
    /// Whether each channel's pixels lie together, as in CIFAR-10's files; else each pixel's channels do.
    pub channels_first: bool,
    /// The numbers of black and of white.
    pub range: [f32; 2],
}

impl Default for PixelFormat {
    fn default() -> Self {
        Self { shape: None, channels_first: false, range: [0.0, 255.0] }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shape, self.channels_first) {
            (None, false) => f.write_str("auto")?,
            (None, true) => f.write_str("auto-channels-first")?,
            (Some([height, width, channels]), false) => write!(f, "{height}x{width}x{channels}")?,
            (Some([height, width, channels]), true) => write!(f, "{channels}x{height}x{width}")?,
        }
        match self.range {
            [0.0, 255.0] => Ok(()),
            [black, white] => write!(f, ":{black}..{white}"),
        }
    }
}

/// A text that tells no [`PixelFormat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no format of pixels: wanted auto, HEIGHTxWIDTHxCHANNELS or CHANNELSxHEIGHTxWIDTH with 1 or 3 channels, and BLACK..WHITE behind a \
     colon where those are not 0..255, as in 28x28x1:0..1"
)]
pub struct ParsePixelFormatError(pub String);

impl FromStr for PixelFormat {
    type Err = ParsePixelFormatError;

    fn from_str(text: &str) -> Result<Self, ParsePixelFormatError> {
        let error = || ParsePixelFormatError(text.into());
        let (shape, range) = text.split_once(':').unwrap_or((text, "0..255"));
        let (black, white) = range.split_once("..").ok_or_else(error)?;
        let range = [black, white].map(str::parse::<f32>);
        let [Ok(black), Ok(white)] = range else { return Err(error()) };
        if !(black.is_finite() && white.is_finite() && black < white) {
            return Err(error());
        }
        let format = PixelFormat { range: [black, white], ..Self::default() };
        match shape {
            "auto" => return Ok(format),
            "auto-channels-first" => return Ok(PixelFormat { channels_first: true, ..format }),
            _ => {}
        }
        let sizes: Option<Vec<usize>> = shape
            .split('x')
            .map(|size| size.parse().ok().filter(|size| (1..=1 << 16).contains(size)))
            .collect();
        let (shape, channels_first) = match sizes.as_deref() {
            Some(&[height, width, channels @ (1 | 3)]) => ([height, width, channels], false),
            Some(&[channels @ (1 | 3), height, width]) => ([height, width, channels], true),
            _ => return Err(error()),
        };
        Ok(PixelFormat { shape: Some(shape), channels_first, ..format })
    }
}

/// A picture's levels, pixel after pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pixels {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// 1, of gray, or 3: red, green, blue.
    pub channels: usize,
    /// Levels from 0 to 255: as many as the three sizes say.
    pub levels: Vec<u8>,
}

/// Numbers as they are stored, with the shape that comes with them.
struct Stored<'a> {
    numbers: Numbers<'a>,
    shape: Option<[usize; 3]>,
    is_tensor: bool,
}

enum Numbers<'a> {
    Bytes(&'a [u8]),
    Floats(Vec<f32>),
}

impl Numbers<'_> {
    fn len(&self) -> usize {
        match self {
            Numbers::Bytes(bytes) => bytes.len(),
            Numbers::Floats(floats) => floats.len(),
        }
    }

    fn at(&self, index: usize) -> f32 {
        match self {
            Numbers::Bytes(bytes) => bytes[index].into(),
            Numbers::Floats(floats) => floats[index],
        }
    }

    fn are_finite(&self) -> bool {
        match self {
            Numbers::Bytes(_) => true,
            Numbers::Floats(floats) => floats.iter().all(|float| float.is_finite()),
        }
    }
}

impl PixelFormat {
    /// The picture that the feature `key` of a record holds, which is among `features`.
    ///
    /// # Errors
    /// No such feature, or one of several byte strings or of more numbers than are read; another number of values than the shape says; a
    /// shape that nobody tells.
    pub(super) fn read(
        &self,
        payload: &[u8],
        features: &FeatureMap<'_>,
        key: &str,
    ) -> Result<Pixels, ExampleError> {
        let failed = |reason: String| ExampleError::Pixels { key: key.into(), reason };
        let told = self.shape.or_else(|| told_shape(payload));
        let Stored { numbers, shape, .. } =
            stored(features, key, told)?.ok_or_else(|| failed("it holds no numbers".into()))?;
        let count = numbers.len();
        let shape = self.shape.or(shape).or(told).ok_or_else(|| {
            failed(format!("it holds {count} numbers, and nothing tells height, width and channels: give a format of pixels"))
        })?;
        let [height, width, channels] = shape;
        if !numbers.are_finite() {
            return Err(failed("it holds values that are no numbers".into()));
        }
        if channels == 0 {
            return Err(failed(format!(
                "it holds {count} numbers, and {height}x{width} pixels of one channel or three are others"
            )));
        }
        if count_of(shape) != Some(count) || !matches!(channels, 1 | 3) {
            return Err(failed(format!(
                "it holds {count} numbers where {height}x{width} pixels of {channels} channels are told"
            )));
        }
        let [black, white] = self.range;
        let level = |index: usize| {
            let share = (numbers.at(index) - black) / (white - black);
            (255.0 * share).round() as u8
        };
        let pixels = height * width;
        let levels = match (&numbers, self.channels_first) {
            (Numbers::Bytes(bytes), false) if self.range == [0.0, 255.0] => bytes.to_vec(),
            (_, false) => (0..count).map(level).collect(),
            (_, true) => (0..count).map(|at| level(at % channels * pixels + at / channels)).collect(),
        };
        Ok(Pixels { height, width, channels, levels })
    }
}

/// The height, width and channels that a record tells by integers under their names.
fn told_shape(payload: &[u8]) -> Option<[usize; 3]> {
    // Of several the shortest key: `height` rather than `orig_height`.
    let mut sizes: [Option<(usize, usize)>; 3] = [None; 3];
    single_integers(payload, |key, value| {
        let lower = key.to_lowercase();
        let place = match lower.rsplit(['/', '_', '.']).next().unwrap_or_default() {
            "height" | "rows" => 0,
            "width" | "cols" | "columns" => 1,
            "depth" | "channels" | "channel" => 2,
            _ => return,
        };
        let Some(size) = usize::try_from(value).ok().filter(|size| *size > 0) else { return };
        if sizes[place].is_none_or(|(length, _)| key.len() <= length) {
            sizes[place] = Some((key.len(), size));
        }
    });
    let [height, width, channels] = sizes.map(|found| found.map(|(_, size)| size));
    Some([height?, width?, channels.unwrap_or(0)])
}

fn count_of([height, width, channels]: [usize; 3]) -> Option<usize> {
    height.checked_mul(width)?.checked_mul(channels).filter(|count| (1..=MAX_NUMBERS).contains(count))
}

/// The numbers of a feature: of a serialized tensor, of bytes that are of the told shape as bytes or as floats, or of a list. A told shape
/// without channels gets those that there are numbers for.
fn stored<'a>(
    features: &FeatureMap<'a>,
    key: &str,
    told: Option<[usize; 3]>,
) -> Result<Option<Stored<'a>>, ExampleError> {
    let complete = |count: usize| {
        let [height, width, channels] = told?;
        let pixels = height.checked_mul(width).filter(|pixels| *pixels > 0)?;
        let channels = if channels == 0 { count / pixels } else { channels };
        let shape = [height, width, channels];
        (matches!(channels, 1 | 3) && count_of(shape) == Some(count)).then_some(shape)
    };
    let untyped = |numbers, shape| Some(Stored { numbers, shape, is_tensor: false });
    let bytes = match features.bytes_or_numbers(key, MAX_NUMBERS)? {
        None => return Ok(None),
        Some(BytesOrNumbers::Numbers(floats)) if floats.is_empty() => return Ok(None),
        Some(BytesOrNumbers::Numbers(floats)) => {
            let shape = complete(floats.len());
            return Ok(untyped(Numbers::Floats(floats), shape));
        }
        Some(BytesOrNumbers::Bytes(bytes)) => bytes,
    };
    if let Some(tensor) = tensor(bytes) {
        return Ok(Some(tensor));
    }
    let of_bytes_each = |size: usize| match bytes.len().is_multiple_of(size) {
        true => complete(bytes.len() / size),
        false => None,
    };
    Ok(if let shape @ Some(_) = of_bytes_each(1) {
        untyped(Numbers::Bytes(bytes), shape)
    } else if let shape @ Some(_) = of_bytes_each(8) {
        untyped(floats_of(bytes, |bytes| f64::from_le_bytes(bytes) as f32), shape)
    } else if let shape @ Some(_) = of_bytes_each(4) {
        untyped(floats_of(bytes, f32::from_le_bytes), shape)
    } else {
        untyped(Numbers::Bytes(bytes), None)
    })
}

/// Numbers of `N` bytes each.
fn floats_of<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Numbers<'static> {
    Numbers::Floats(bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect())
}

/// What `tf.io.serialize_tensor` made of an array of bytes, of floats or of integers; `None` of other bytes.
fn tensor(bytes: &[u8]) -> Option<Stored<'_>> {
    // A TensorProto: field 1 is the type, 2 the shape (its field 2 an axis, whose field 1 is its size), 4 the values' bytes.
    let (mut kind, mut axes, mut content) = (None, Vec::new(), None);
    for field in Span::whole(bytes).fields() {
        let field = field.ok()?;
        match (field.number, field.value) {
            (1, Value::Varint(number)) => kind = Some(number),
            (2, Value::Bytes(shape)) => {
                for axis in shape.fields() {
                    let axis = axis.ok()?.bytes().ok()?;
                    let size = axis.fields().find_map(|field| match field.ok()?.value {
                        Value::Varint(size) => usize::try_from(size).ok(),
                        _ => None,
                    });
                    axes.push(size?);
                }
            }
            (4, Value::Bytes(values)) => content = Some(values.bytes),
            _ => return None,
        }
    }
    let shape = match axes[..] {
        [height, width] => [height, width, 1],
        [height, width, channels] => [height, width, channels],
        [1, height, width, channels] => [height, width, channels],
        _ => return None,
    };
    let (content, count) = (content?, count_of(shape)?);
    let numbers = match (kind?, content.len() / count) {
        // DT_UINT8
        (4, 1) => Numbers::Bytes(content),
        // DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT64
        (1, 4) => floats_of(content, f32::from_le_bytes),
        (2, 8) => floats_of(content, |bytes| f64::from_le_bytes(bytes) as f32),
        (3, 4) => floats_of(content, |bytes| i32::from_le_bytes(bytes) as f32),
        (9, 8) => floats_of(content, |bytes| i64::from_le_bytes(bytes) as f32),
        _ => return None,
    };
    (numbers.len() == count).then_some(Stored { numbers, shape: Some(shape), is_tensor: true })
}

/// How the feature `key` of these records may hold pixels: of one format that fits all, as their lengths, their own sizes and the numbers
/// themselves tell; `None` if it holds none.
pub fn guess_pixels(payloads: &[&[u8]], key: &str) -> Option<PixelFormat> {
    let mut format: Option<(Option<[usize; 3]>, usize)> = None;
    let (mut least, mut greatest, mut whole) = (f32::INFINITY, f32::NEG_INFINITY, true);
    // A serialized tensor's axes tell their order themselves.
    let mut may_turn = true;
    let (mut by_pixel, mut by_channel) = (0.0, 0.0);
    for payload in payloads {
        let told = told_shape(payload);
        let features = FeatureMap::of(payload, |other| other == key).ok()?;
        let stored = stored(&features, key, told).ok()??;
        may_turn &= !stored.is_tensor;
        let (numbers, shape) = match (stored.shape, stored.numbers) {
            (Some(shape), numbers) => (numbers, (None, shape)),
            (None, numbers) => {
                // Numbers of another size than the record's own are something else.
                let (numbers, shape) = square(numbers).filter(|_| told.is_none())?;
                (numbers, (Some(shape), shape))
            }
        };
        let (given, [height, width, channels]) = shape;
        // One shape for all where no record tells its own.
        match format {
            Some((before, _)) if before != given => return None,
            _ => format = Some((given, channels)),
        }
        if !matches!(channels, 1 | 3) {
            return None;
        }
        let count = height * width * channels;
        for index in 0..count {
            let number = numbers.at(index);
            if !number.is_finite() {
                return None;
            }
            (least, greatest) = (least.min(number), greatest.max(number));
            whole &= number.fract() == 0.0;
        }
        if channels == 3 {
            // Pixels are most like those above them in the order that is the right one.
            let apart = |step: usize| {
                let apart = (step..count).map(|at| f64::from((numbers.at(at) - numbers.at(at - step)).abs()));
                apart.sum::<f64>() / (count - step).max(1) as f64
            };
            by_pixel += apart((3 * width).min(count));
            by_channel += apart(width);
        }
    }
    let (shape, _) = format?;
    Some(PixelFormat {
        shape,
        channels_first: may_turn && by_channel < by_pixel,
        range: range(least, greatest, whole)?,
    })
}

/// The numbers of black and white of pictures whose numbers lie between these two, and are whole or not; `None` where all are one.
fn range(least: f32, greatest: f32, whole: bool) -> Option<[f32; 2]> {
    // A little beyond the end, as rounding and resizing go.
    const BEYOND: f32 = 0.1;
    let are_levels = whole && least >= 0.0 && (1.0..=255.0).contains(&greatest);
    if least >= greatest && !are_levels {
        return None;
    }
    Some(match (least, greatest) {
        _ if are_levels => [0.0, if greatest == 1.0 { 1.0 } else { 255.0 }],
        _ if least >= 0.0 && greatest <= 1.0 + BEYOND => [0.0, 1.0],
        _ if least >= -0.5 - BEYOND / 2.0 && greatest <= 0.5 + BEYOND / 2.0 => [-0.5, 0.5],
        _ if least >= -1.0 - BEYOND && greatest <= 1.0 + BEYOND => [-1.0, 1.0],
        _ if least >= 0.0 && greatest <= 256.0 => [0.0, 255.0],
        // Normalized already, by whatever numbers.
        _ => [least, greatest],
    })
}

/// Numbers of a square picture of 8 pixels a side or more, by how many there are.
fn square(numbers: Numbers<'_>) -> Option<(Numbers<'_>, [usize; 3])> {
    let shape_of = |count: usize| {
        [1, 3].into_iter().find_map(|channels| {
            let side = (count / channels).isqrt();
            (side >= 8 && side * side * channels == count).then_some([side, side, channels])
        })
    };
    let count = numbers.len();
    if let Numbers::Bytes(bytes) = numbers {
        // A check sum or a name in letters, however many.
        if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            return None;
        }
        // As floats first: bytes are hardly ever floats that make sense.
        let floats: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let make_sense = |number: &f32| *number == 0.0 || (1e-6..1e4).contains(&number.abs());
        if bytes.len().is_multiple_of(4)
            && floats.iter().all(make_sense)
            && floats.iter().any(|number| *number != 0.0)
            && let Some(shape) = shape_of(floats.len())
        {
            return Some((Numbers::Floats(floats), shape));
        }
    }
    Some((numbers, shape_of(count)?))
}
