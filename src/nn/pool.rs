//! Pooling layers.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::shape::{HeightWidth, check_values};
use super::{Backward, Forward, Input, Layer, Memory, Mode, Shape, ShapeError};
use floret_math::parallel::for_each_chunk;
use floret_math::pool::{self, PoolShape};
use floret_math::simd::Isa;
use floret_math::window::{Padding, Window};

/// `y[oy, ox, c] = max of x[.., .., c] over the window`; padding never wins, and of equals the first in row order does.
///
/// TensorFlow's `tf.nn.max_pool2d`. The gradient goes to the winner alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MaxPool2d {
    /// Window height and width.
    pub size: (usize, usize),
    /// Step along height and width.
    pub stride: (usize, usize),
    /// Default SAME.
    pub padding: Padding,
}

/// `y[oy, ox, c] = mean of x[.., .., c] over the window`; TensorFlow's `tf.nn.avg_pool2d`, which leaves padding out of the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AvgPool2d {
    /// Window height and width.
    pub size: (usize, usize),
    /// Step along height and width.
    pub stride: (usize, usize),
    /// Default SAME.
    pub padding: Padding,
    /// Whether padding counts, as zeros: each mean is over the whole window, as with PyTorch's `count_include_pad`. Default false;
    /// absent in files where it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub count_padding: bool,
}

impl AvgPool2d {
    /// Sets whether padding counts, as zeros.
    pub fn count_padding(mut self, count: bool) -> Self {
        self.count_padding = count;
        self
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What is the same for both kinds; `setting: value` are further settings with their defaults.
macro_rules! pool_spec {
    ($name:ident, $what:literal, $layer:ident $(, $setting:ident: $default:expr)*) => {
        impl $name {
            /// A window that steps by its own size, with SAME padding. `size` is the side of a square, or (height, width).
            pub fn new(size: impl Into<HeightWidth>) -> Self {
                let size = size.into().into();
                Self { size, stride: size, padding: Padding::Same $(, $setting: $default)* }
            }

            /// Sets the stride: one for both axes, or (height, width).
            pub fn stride(mut self, stride: impl Into<HeightWidth>) -> Self {
                self.stride = stride.into().into();
                self
            }

            /// Sets the padding.
            pub fn padding(mut self, padding: Padding) -> Self {
                self.padding = padding;
                self
            }

            pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
                let shape = pool_shape($what, self.size, self.stride, self.padding, input)?;
                Ok(Built::layer($layer { shape, isa $(, $setting: self.$setting)* }))
            }
        }
    };
}

pool_spec!(MaxPool2d, "a max-pool", MaxPoolLayer);
pool_spec!(AvgPool2d, "an average-pool", AvgPoolLayer, count_padding: false);

fn pool_shape(
    what: &str,
    size: (usize, usize),
    stride: (usize, usize),
    padding: Padding,
    input: Shape,
) -> Result<PoolShape, ShapeError> {
    let (height, width, channels) = input.image(what)?;
    let (h, w) = size;
    if h.saturating_mul(w) > 255 {
        return Err(ShapeError::new(format!("{what} takes windows of at most 255 taps, got {h}x{w}")));
    }
    let window = Window::new((height, width), size, stride, (1, 1), padding).ok_or_else(|| {
        let (sh, sw) = stride;
        ShapeError::new(format!(
            "a window of {h}x{w} (stride {sh}x{sw}, padding {padding:?}) does not fit an input of {input}"
        ))
    })?;
    check_values("an output", &[window.y.output, window.x.output, channels])?;
    Ok(PoolShape { window, channels })
}

fn pool_output(shape: &PoolShape) -> Shape {
    Shape::Image { height: shape.window.y.output, width: shape.window.x.output, channels: shape.channels }
}

#[derive(Debug)]
struct MaxPoolLayer {
    shape: PoolShape,
    isa: Isa,
}

impl Layer for MaxPoolLayer {
    fn output(&self) -> Shape {
        pool_output(&self.shape)
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn memory(&self, batch: usize) -> Memory {
        Memory { saved_bytes: batch * self.shape.output_len(), ..Memory::default() }
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        match pass.mode {
            Mode::Train { saved, .. } => pool::max_forward(self.isa, &self.shape, x, y, Some(saved.bytes)),
            Mode::Infer { .. } => pool::max_forward(self.isa, &self.shape, x, y, None),
        }
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        if let Some(dx) = x.gradient() {
            pool::max_backward(self.isa, &self.shape, dy, pass.saved.bytes, dx);
        }
    }
}

#[derive(Debug)]
struct AvgPoolLayer {
    shape: PoolShape,
    isa: Isa,
    count_padding: bool,
}

impl Layer for AvgPoolLayer {
    fn output(&self) -> Shape {
        pool_output(&self.shape)
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        pool::avg_forward(self.isa, &self.shape, self.count_padding, x, y);
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        if let Some(dx) = x.gradient() {
            pool::avg_backward(self.isa, &self.shape, self.count_padding, dy, dx);
        }
    }
}

/// `y[c] = mean of x[.., .., c]`: an image to a vector of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GlobalAvgPool;

impl GlobalAvgPool {
    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        let (height, width, channels) = input.image("a global average-pool")?;
        Ok(Built::layer(GlobalAvgPoolLayer { pixels: height * width, channels }))
    }
}

#[derive(Debug)]
struct GlobalAvgPoolLayer {
    pixels: usize,
    channels: usize,
}

impl Layer for GlobalAvgPoolLayer {
    fn output(&self) -> Shape {
        Shape::Vector(self.channels)
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        let (pixels, c) = (self.pixels, self.channels);
        for_each_chunk(y, c, &|image, y| {
            y.fill(0.0);
            for pixel in x[image * pixels * c..][..pixels * c].chunks_exact(c) {
                y.iter_mut().zip(pixel).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y /= pixels as f32);
        });
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        let (pixels, c) = (self.pixels, self.channels);
        let Some(dx) = x.gradient() else { return };
        // y = mean of x over the pixels
        for_each_chunk(dx, pixels * c, &|image, dx| {
            let dy = &dy[image * c..][..c];
            for pixel in dx.chunks_exact_mut(c) {
                pixel.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy / pixels as f32);
            }
        });
    }
}

/// `y[c] = max of x[.., .., c]`: an image to a vector of its channels. Of equals the first in row order wins, and a NaN. The
/// gradient goes to the winner alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GlobalMaxPool;

impl GlobalMaxPool {
    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        let (height, width, channels) = input.image("a global max-pool")?;
        Ok(Built::layer(GlobalMaxPoolLayer { pixels: height * width, channels }))
    }
}

#[derive(Debug)]
struct GlobalMaxPoolLayer {
    pixels: usize,
    channels: usize,
}

/// Bytes of the number of a pixel.
const PIXEL: usize = size_of::<u32>();

impl Layer for GlobalMaxPoolLayer {
    fn output(&self) -> Shape {
        Shape::Vector(self.channels)
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn memory(&self, batch: usize) -> Memory {
        // The winning pixel of each output. A network's images have fewer pixels than u32 counts.
        Memory::default().saved_bytes(batch * self.channels * PIXEL)
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let (pixels, c) = (self.pixels, self.channels);
        let image_of = |image: usize| &x[image * pixels * c..][..pixels * c];
        // Not `value > *y`: a NaN must win and stay.
        let wins = |value: f32, y: f32| value > y || (value.is_nan() && !y.is_nan());
        match pass.mode {
            Mode::Train { saved, .. } => {
                let winners = saved.bytes.par_chunks_mut(c * PIXEL);
                y.par_chunks_mut(c).zip(winners).enumerate().for_each(|(image, (y, winners))| {
                    let x = image_of(image);
                    y.copy_from_slice(&x[..c]);
                    winners.fill(0);
                    let (winners, _) = winners.as_chunks_mut::<PIXEL>();
                    for (pixel, x) in (0u32..).zip(x.chunks_exact(c)).skip(1) {
                        for ((y, winner), &x) in y.iter_mut().zip(&mut *winners).zip(x) {
                            if wins(x, *y) {
                                (*y, *winner) = (x, pixel.to_ne_bytes());
                            }
                        }
                    }
                });
            }
            Mode::Infer { .. } => for_each_chunk(y, c, &|image, y| {
                let x = image_of(image);
                y.copy_from_slice(&x[..c]);
                for x in x.chunks_exact(c).skip(1) {
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = if wins(x, *y) { x } else { *y });
                }
            }),
        }
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let (pixels, c) = (self.pixels, self.channels);
        let Some(dx) = x.gradient() else { return };
        // y = x at the winning pixel
        let (winners, _) = pass.saved.bytes.as_chunks::<PIXEL>();
        for_each_chunk(dx, pixels * c, &|image, dx| {
            dx.fill(0.0);
            let (dy, winners) = (&dy[image * c..][..c], &winners[image * c..][..c]);
            for (channel, (dy, winner)) in dy.iter().zip(winners).enumerate() {
                dx[u32::from_ne_bytes(*winner) as usize * c + channel] = *dy;
            }
        });
    }
}
