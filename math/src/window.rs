//! Sliding windows: the one place that computes output sizes and padding, for convolutions and pools alike.

use serde::{Deserialize, Serialize};

/// How a window meets the border of its input: TensorFlow's two ways, and that of programs which are told the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Output size `ceil(input / stride)`; zeros are added on both sides, the odd one at the end.
    Same,
    /// No padding: output size `floor((input - extent) / stride) + 1`.
    Valid,
    /// So many positions on each side, fewer than the window's extent: output size
    /// `floor((input + before + after - extent) / stride) + 1`. PyTorch's `padding=p` is p on all four sides; with a stride
    /// over 1 it often differs from SAME, which pads less before than after.
    Explicit {
        /// Above.
        top: usize,
        /// Below.
        bottom: usize,
        /// To the left.
        left: usize,
        /// To the right.
        right: usize,
    },
}

impl Padding {
    /// The same number of positions on every side, as PyTorch's `padding=p`.
    pub fn uniform(p: usize) -> Self {
        Padding::Explicit { top: p, bottom: p, left: p, right: p }
    }

    fn along_y(self) -> AxisPadding {
        match self {
            Padding::Same => AxisPadding::Same,
            Padding::Valid => AxisPadding::VALID,
            Padding::Explicit { top, bottom, .. } => AxisPadding::Explicit { before: top, after: bottom },
        }
    }

    fn along_x(self) -> AxisPadding {
        match self {
            Padding::Same => AxisPadding::Same,
            Padding::Valid => AxisPadding::VALID,
            Padding::Explicit { left, right, .. } => AxisPadding::Explicit { before: left, after: right },
        }
    }
}

/// [`Padding`] along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AxisPadding {
    /// See [`Padding::Same`].
    Same,
    /// See [`Padding::Explicit`].
    Explicit {
        /// Positions before the first of the input.
        before: usize,
        /// Positions after the last.
        after: usize,
    },
}

impl AxisPadding {
    /// See [`Padding::Valid`].
    pub const VALID: Self = AxisPadding::Explicit { before: 0, after: 0 };
}

/// A window sliding along one axis.
///
/// Output position `o` and tap `k` (of `kernel`) read input position `o * stride + k * dilation - pad_before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Input positions.
    pub input: usize,
    /// Output positions.
    pub output: usize,
    /// Taps of the window.
    pub kernel: usize,
    /// Input positions between two output positions.
    pub stride: usize,
    /// Input positions between two taps.
    pub dilation: usize,
    /// Padding before the first input position.
    pub pad_before: usize,
}

impl Axis {
    /// Lays a window over an axis of `input` positions. `None` where the window does not fit (its extent
    /// `(kernel - 1) * dilation + 1` is larger than the padded input), explicit padding is as wide as the extent, any other
    /// number is zero, or they are too large to compute with.
    pub fn new(
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        padding: AxisPadding,
    ) -> Option<Self> {
        if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
            return None;
        }
        let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        let (output, pad_before) = match padding {
            AxisPadding::Same => {
                let output = input.div_ceil(stride);
                let padded = ((output - 1) * stride).checked_add(extent)?;
                (output, padded.saturating_sub(input) / 2)
            }
            AxisPadding::Explicit { before, after } if before < extent && after < extent => {
                let padded = input.checked_add(before)?.checked_add(after)?;
                (padded.checked_sub(extent)? / stride + 1, before)
            }
            AxisPadding::Explicit { .. } => return None,
        };
        Some(Self { input, output, kernel, stride, dilation, pad_before })
    }

    /// Padding behind the last input position that some tap reads.
    pub fn pad_after(&self) -> usize {
        let last_tap = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation;
        (last_tap + 1).saturating_sub(self.pad_before + self.input)
    }

    /// The input position that tap `k` of output position `o` reads, or `None` in the padding.
    #[inline(always)]
    pub fn tap(&self, o: usize, k: usize) -> Option<usize> {
        let padded = o * self.stride + k * self.dilation;
        padded.checked_sub(self.pad_before).filter(|&i| i < self.input)
    }
}

/// A window sliding over the height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Along the height.
    pub y: Axis,
    /// Along the width.
    pub x: Axis,
}

impl Window {
    /// A window of `kernel` (height, width) over an input of `input` (height, width); see [`Axis::new`].
    pub fn new(
        input: (usize, usize),
        kernel: (usize, usize),
        stride: (usize, usize),
        dilation: (usize, usize),
        padding: Padding,
    ) -> Option<Self> {
        Some(Self {
            y: Axis::new(input.0, kernel.0, stride.0, dilation.0, padding.along_y())?,
            x: Axis::new(input.1, kernel.1, stride.1, dilation.1, padding.along_x())?,
        })
    }

    /// Pixels of one output image.
    pub fn output_pixels(&self) -> usize {
        self.y.output * self.x.output
    }

    /// Pixels of one input image.
    pub fn input_pixels(&self) -> usize {
        self.y.input * self.x.input
    }

    /// Taps of the window.
    pub fn taps(&self) -> usize {
        self.y.kernel * self.x.kernel
    }
}
