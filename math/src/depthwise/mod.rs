//! Depthwise convolution, a filter for each channel, and its gradients: images NHWC, filters (kernel height, kernel width,
//! channels).
//!
//! ```text
//! y[oy, ox, c] = b[c] + sum over ky, kx of x[oy s + ky d - p, ox s + kx d - p, c] w[ky, kx, c]
//! ```
//!
//! There is one multiply-add for each value that is loaded, so memory decides. Pixels of NHWC images lie far apart for one
//! vector of channels, which the processor does not foresee; so a task copies each row once, in the order of memory, to where
//! the pixels of one vector of channels are neighbours, with zeros around them, in the nearest caches.
//!
//! | file | |
//! | --- | --- |
//! | `rows.rs` | how rows are laid out there, and the loop of forward pass and data gradient |
//! | `forward.rs` | forward pass |
//! | `data_gradient.rs` | the gradient of the input |
//! | `filter_gradient.rs` | that of the filter |
//! | `backward.rs` | both in one pass |
//!
//! How the work is cut depends on the shape alone, and sums run in a fixed order.

mod backward;
mod data_gradient;
mod filter_gradient;
mod forward;
mod rows;

use super::window::Window;

pub use backward::{backward, backward_scratch, in_one_pass};
pub use data_gradient::data_gradient;
pub use filter_gradient::{filter_gradient, filter_gradient_scratch};
pub(crate) use forward::Forward;
pub use forward::forward;
pub(crate) use rows::Room;

/// The shape of a depthwise convolution over one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DepthwiseShape {
    /// How the filter slides.
    pub window: Window,
    /// Channels of input and output.
    pub channels: usize,
}

impl DepthwiseShape {
    /// Values of one input image.
    pub fn input_len(&self) -> usize {
        self.window.input_pixels() * self.channels
    }

    /// Values of one output image.
    pub fn output_len(&self) -> usize {
        self.window.output_pixels() * self.channels
    }

    /// Values of the filter.
    pub fn filter_len(&self) -> usize {
        self.window.taps() * self.channels
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        (self.window.output_pixels() * self.filter_len()) as u64
    }
}
