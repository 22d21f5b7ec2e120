//! Pooling layers.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::shape::{HeightWidth, check_values};
use super::{Backward, Forward, Input, Layer, Memory, Mode, Shape, ShapeError};
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

/// `y[oy, ox, c] = mean of x[.., .., c] over the window`, padding not counted; TensorFlow's `tf.nn.avg_pool2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AvgPool2d {
    /// Window height and width.
    pub size: (usize, usize),
    /// Step along height and width.
    pub stride: (usize, usize),
    /// Default SAME.
    pub padding: Padding,
}

/// What is the same for both kinds.
macro_rules! pool_spec {
    ($name:ident, $what:literal, $layer:ident) => {
        impl $name {
            /// A window that steps by its own size, with SAME padding. `size` is the side of a square, or (height, width).
            pub fn new(size: impl Into<HeightWidth>) -> Self {
                let size = size.into().into();
                Self { size, stride: size, padding: Padding::Same }
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

            pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
                let shape = pool_shape($what, self.size, self.stride, self.padding, input)?;
                Ok(Built::Layer(Box::new($layer { shape })))
            }
        }
    };
}

pool_spec!(MaxPool2d, "a max-pool", MaxPoolLayer);
pool_spec!(AvgPool2d, "an average-pool", AvgPoolLayer);

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
            Mode::Train { saved, .. } => pool::max_forward(&self.shape, x, y, Some(saved.bytes)),
            Mode::Infer { .. } => pool::max_forward(&self.shape, x, y, None),
        }
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        if let Some(dx) = x.gradient() {
            pool::max_backward(&self.shape, dy, pass.saved.bytes, dx);
        }
    }
}

#[derive(Debug)]
struct AvgPoolLayer {
    shape: PoolShape,
}

impl Layer for AvgPoolLayer {
    fn output(&self) -> Shape {
        pool_output(&self.shape)
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        pool::avg_forward(&self.shape, x, y);
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        if let Some(dx) = x.gradient() {
            pool::avg_backward(&self.shape, dy, dx);
        }
    }
}

/// `y[c] = mean of x[.., .., c]`: an image to a vector of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GlobalAvgPool;

impl GlobalAvgPool {
    pub(crate) fn build(&self, input: Shape, _: Isa) -> Result<Built, ShapeError> {
        let (height, width, channels) = input.image("a global average-pool")?;
        Ok(Built::Layer(Box::new(GlobalAvgPoolLayer { pixels: height * width, channels })))
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
        y.par_chunks_mut(c).zip(x.par_chunks(pixels * c)).for_each(|(y, x)| {
            y.fill(0.0);
            for pixel in x.chunks_exact(c) {
                y.iter_mut().zip(pixel).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y /= pixels as f32);
        });
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        let (pixels, c) = (self.pixels, self.channels);
        let Some(dx) = x.gradient() else { return };
        // y = mean of x over the pixels
        dx.par_chunks_mut(pixels * c).zip(dy.par_chunks(c)).for_each(|(dx, dy)| {
            for pixel in dx.chunks_exact_mut(c) {
                pixel.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy / pixels as f32);
            }
        });
    }
}
