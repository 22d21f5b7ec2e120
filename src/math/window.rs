//! Sliding windows: the one place that computes output sizes and padding, for convolutions and pools alike.

use serde::{Deserialize, Serialize};

/// How a window meets the border of its input, as in TensorFlow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Output size `ceil(input / stride)`; zeros are added on both sides, the odd one at the end.
    Same,
    /// No padding: output size `floor((input - extent) / stride) + 1`.
    Valid,
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
    /// Lays a window over an axis of `input` positions. `None` where the window does not fit (VALID padding and an
    /// extent `(kernel - 1) * dilation + 1` larger than the input), any number is zero, or they are too large to compute
    /// with.
    pub fn new(
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Option<Self> {
        if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
            return None;
        }
        let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        let (output, pad_before) = match padding {
            Padding::Same => {
                let output = input.div_ceil(stride);
                let padded = ((output - 1) * stride).checked_add(extent)?;
                (output, padded.saturating_sub(input) / 2)
            }
            Padding::Valid => (input.checked_sub(extent)? / stride + 1, 0),
        };
        Some(Self { input, output, kernel, stride, dilation, pad_before })
    }

    /// The input position that tap `k` of output position `o` reads, or `None` in the padding.
    #[inline]
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
            y: Axis::new(input.0, kernel.0, stride.0, dilation.0, padding)?,
            x: Axis::new(input.1, kernel.1, stride.1, dilation.1, padding)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// TensorFlow's documented sizes: SAME `ceil(in / stride)`, VALID `ceil((in - extent + 1) / stride)`.
    #[test]
    fn sizes_are_tensorflows() {
        for input in 1..20usize {
            for kernel in 1..7usize {
                for stride in 1..4usize {
                    for dilation in 1..3usize {
                        let extent = (kernel - 1) * dilation + 1;
                        let same = Axis::new(input, kernel, stride, dilation, Padding::Same).unwrap();
                        assert_eq!(same.output, input.div_ceil(stride));
                        let valid = Axis::new(input, kernel, stride, dilation, Padding::Valid);
                        match (input + 1).checked_sub(extent).filter(|&n| n > 0) {
                            Some(n) => assert_eq!(valid.unwrap().output, n.div_ceil(stride)),
                            None => assert_eq!(valid, None),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_odd_zero_goes_to_the_end() {
        let axis = Axis::new(4, 3, 2, 1, Padding::Same).unwrap();
        assert_eq!((axis.output, axis.pad_before), (2, 0));
        assert_eq!([axis.tap(1, 0), axis.tap(1, 1), axis.tap(1, 2)], [Some(2), Some(3), None]);
    }

    #[test]
    fn nothing_fits_nothing() {
        assert_eq!(Axis::new(0, 1, 1, 1, Padding::Same), None);
        assert_eq!(Axis::new(4, 5, 1, 1, Padding::Valid), None);
        assert_eq!(Axis::new(4, 2, 0, 1, Padding::Same), None);
    }
}
