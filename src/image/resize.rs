//! Resizing, equal to `tf.image.resize`.
//!
//! A resize is separable: each output row is a weighted sum of input rows, each output column of input
//! columns. The weights are computed once per call. Rows are summed first: that is a sum of whole rows,
//! contiguous in memory and so vectorized, and it leaves only the output's rows for the shorter sums along
//! columns. One row of `f32` is the only scratch.
use std::ops::Range;

use ndarray::{Array3, ArrayView3};

use super::error::ImageError;

/// How [`resize`] computes a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// Linear interpolation, weight `1 - |t|` at distance `t < 1`.
    Bilinear,
    /// Keys' cubic with `a = -1/2` over `|t| < 2`. It overshoots: values may lie outside 0 to 255.
    Bicubic,
    /// Mean of the area that the output pixel covers.
    Area,
}

/// Longest side that an image can be made, as in JPEG.
pub(super) const LONGEST_SIDE: usize = 65_535;

/// Resizes an image to `height` x `width`; values stay in levels, 0 to 255, unrounded. Equals TensorFlow's
/// `tf.image.resize(image, (height, width), method=filter, antialias=antialias)`.
///
/// Pixel centers are at half-integers: output pixel `i` is centered at `(i + 1/2) * from / to` of the input.
/// With `antialias`, a shrinking bilinear or bicubic resize widens its kernel by the same factor, so that all
/// input pixels count (nearest and area take no notice of it). Weights that would fall outside of the image
/// are dropped and the others scaled up to sum to 1.
///
/// # Errors
/// [`ImageError::Shape`] if the image is not (height, width, 3) with at least one pixel, or a new side is not
/// 1 to 65535.
pub fn resize(
    image: &Array3<u8>,
    height: usize,
    width: usize,
    filter: Filter,
    antialias: bool,
) -> Result<Array3<f32>, ImageError> {
    check_image("resize", image.dim())?;
    check_size("resize", height, width)?;
    let (from_height, from_width, _) = image.dim();
    let rows = Taps::new(Source::whole(from_height), height, 0..height, filter, antialias);
    let columns = Taps::new(Source::whole(from_width), width, 0..width, filter, antialias);
    Ok(resample(image.view(), &rows, &columns, |level| level))
}

/// The level nearest to a resized value.
pub(super) fn round_level(value: f32) -> u8 {
    (value + 0.5) as u8 // `as` clamps to 0..=255
}

pub(super) fn check_image(operation: &'static str, shape: (usize, usize, usize)) -> Result<(), ImageError> {
    match shape {
        (1.., 1.., 3) => Ok(()),
        (h, w, c) => Err(ImageError::Shape {
            operation,
            want: "an image of shape (height, width, 3) with at least one pixel".into(),
            got: vec![h, w, c],
        }),
    }
}

pub(super) fn check_size(operation: &'static str, height: usize, width: usize) -> Result<(), ImageError> {
    if (1..=LONGEST_SIDE).contains(&height) && (1..=LONGEST_SIDE).contains(&width) {
        return Ok(());
    }
    let want = format!("a new height and width of 1 to {LONGEST_SIDE} pixels");
    Err(ImageError::Shape { operation, want, got: vec![height, width] })
}

/// One axis of an image to be resized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    /// Pixels there are.
    pub pixels: usize,
    /// Where the picture begins and how long it is, in pixels. Decoding at reduced size leaves a picture a
    /// fraction of a pixel shorter than its pixels.
    pub begin: f64,
    pub length: f64,
}

impl Source {
    /// A picture that fills its pixels.
    pub(super) fn whole(pixels: usize) -> Source {
        Source { pixels, begin: 0.0, length: pixels as f64 }
    }
}

/// Which input positions each output position of one axis sums, and with which weights.
pub(super) struct Taps {
    spans: Vec<Span>,
    weights: Vec<f32>,
}

struct Span {
    /// First input position.
    start: usize,
    /// Its and the following positions' weights.
    weights: Range<usize>,
}

impl Taps {
    /// Taps of the outputs in `window` of a resize of `source` to `to` positions.
    pub(super) fn new(
        source: Source,
        to: usize,
        window: Range<usize>,
        filter: Filter,
        antialias: bool,
    ) -> Taps {
        let mut taps = Taps { spans: Vec::with_capacity(window.len()), weights: Vec::new() };
        for i in window {
            match filter {
                Filter::Nearest => taps.push_nearest(i, source, to),
                Filter::Area => taps.push_area(i, source, to),
                Filter::Bilinear | Filter::Bicubic => taps.push_kernel(i, source, to, filter, antialias),
            }
        }
        taps
    }

    fn push_nearest(&mut self, i: usize, source: Source, to: usize) {
        // In f32, because TensorFlow is: where a center falls between two pixels its rounding decides.
        let center = source.begin as f32 + (i as f32 + 0.5) * (source.length as f32 / to as f32);
        self.push((center as usize).min(source.pixels - 1), [1.0]);
    }

    fn push_area(&mut self, i: usize, source: Source, to: usize) {
        let scale = source.length / to as f64;
        let (begin, end) = (source.begin + i as f64 * scale, source.begin + (i + 1) as f64 * scale);
        let first = (begin as usize).min(source.pixels - 1);
        let last = (end.ceil() as usize).clamp(first + 1, source.pixels);
        let overlap = |j: usize| (end.min((j + 1) as f64) - begin.max(j as f64)).max(0.0);
        self.push(first, (first..last).map(overlap));
    }

    fn push_kernel(&mut self, i: usize, source: Source, to: usize, filter: Filter, antialias: bool) {
        let scale = source.length / to as f64;
        let widen = if antialias { scale.max(1.0) } else { 1.0 };
        let mut center = source.begin + (i as f64 + 0.5) * scale;
        if filter == Filter::Bicubic && !antialias {
            center = to_table_step(center);
        }
        let reach = widen * if filter == Filter::Bicubic { 2.0 } else { 1.0 };
        let first = (center - reach - 0.5).ceil().max(0.0) as usize;
        let last = ((center + reach - 0.5).floor() as usize + 1).min(source.pixels);
        let kernel = if filter == Filter::Bicubic { keys } else { triangle };
        self.push(first, (first..last).map(|j| kernel(((j as f64 + 0.5 - center) / widen).abs())));
    }

    /// Adds an output whose weights, from position `start` on, are proportional to `weights`.
    fn push(&mut self, start: usize, weights: impl IntoIterator<Item = f64> + Clone) {
        let sum: f64 = weights.clone().into_iter().sum();
        let begin = self.weights.len();
        self.weights.extend(weights.into_iter().map(|weight| (weight / sum) as f32));
        self.spans.push(Span { start, weights: begin..self.weights.len() });
    }

    /// First input position, and weights, of each output.
    fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &[f32])> {
        self.spans.iter().map(|span| (span.start, &self.weights[span.weights.clone()]))
    }

    /// The input positions that count.
    fn source(&self) -> Range<usize> {
        let start = self.iter().map(|(start, _)| start).min().unwrap_or(0);
        let end = self.iter().map(|(start, weights)| start + weights.len()).max().unwrap_or(0);
        start..end
    }
}

/// `1 - t` within `0 <= t < 1`.
fn triangle(t: f64) -> f64 {
    (1.0 - t).max(0.0)
}

/// Keys, "Cubic convolution interpolation for digital image processing" (1981), equation 4 with a = -1/2, `t
/// >= 0`.
fn keys(t: f64) -> f64 {
    if t < 1.0 {
        (1.5 * t - 2.5) * t * t + 1.0
    } else if t < 2.0 {
        ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    } else {
        0.0
    }
}

/// TensorFlow's bicubic resize (without antialiasing) looks its weights up in a table of 1024 steps a pixel;
/// so does this, which is worth up to 0.1 level.
fn to_table_step(center: f64) -> f64 {
    const STEPS: f64 = 1024.0;
    let pixel = (center - 0.5).floor();
    pixel + ((center - 0.5 - pixel) * STEPS).round_ties_even() / STEPS + 0.5
}

/// Sums `image` by `rows` and `columns`, and passes each value through `finish`. The image has shape (_, _,
/// 3).
pub(super) fn resample<T: Copy>(
    image: ArrayView3<'_, u8>,
    rows: &Taps,
    columns: &Taps,
    finish: impl Fn(f32) -> T,
) -> Array3<T> {
    let image = image.as_standard_layout();
    let pixels = image.as_slice().expect("an array in standard layout is one slice");
    let stride = 3 * image.dim().1;
    let used = columns.source();
    let row = |y: usize| &pixels[y * stride + 3 * used.start..y * stride + 3 * used.end];

    let (height, width) = (rows.spans.len(), columns.spans.len());
    let mut line = vec![0.0; 3 * used.len()];
    let mut output = Vec::with_capacity(3 * height * width);
    for (start, weights) in rows.iter() {
        sum_rows(weights, |k| row(start + k), &mut line);
        let (line, _) = line.as_chunks::<3>();
        for (start, weights) in columns.iter() {
            let start = start - used.start;
            let [red, green, blue] = sum_columns(weights, &line[start..start + weights.len()]);
            output.extend([finish(red), finish(green), finish(blue)]);
        }
    }
    Array3::from_shape_vec((height, width, 3), output).expect("three values were pushed for each pixel")
}

/// `line[x] = sum over k of weights[k] * row(k)[x]`, four rows at a time to save loads and stores of `line`.
fn sum_rows<'a>(weights: &[f32], row: impl Fn(usize) -> &'a [u8], line: &mut [f32]) {
    line.fill(0.0);
    let (fours, rest) = weights.as_chunks::<4>();
    for (i, &[a, b, c, d]) in fours.iter().enumerate() {
        let k = 4 * i;
        let rows = row(k).iter().zip(row(k + 1)).zip(row(k + 2).iter().zip(row(k + 3)));
        for (sum, ((&p, &q), (&r, &s))) in line.iter_mut().zip(rows) {
            *sum += (a * f32::from(p) + b * f32::from(q)) + (c * f32::from(r) + d * f32::from(s));
        }
    }
    for (k, &weight) in (weights.len() - rest.len()..).zip(rest) {
        for (sum, &level) in line.iter_mut().zip(row(k)) {
            *sum += weight * f32::from(level);
        }
    }
}

fn sum_columns(weights: &[f32], pixels: &[[f32; 3]]) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for (pixel, &weight) in pixels.iter().zip(weights) {
        sum[0] += weight * pixel[0];
        sum[1] += weight * pixel[1];
        sum[2] += weight * pixel[2];
    }
    sum
}
