//! Output sizes and padding.

use floret_math::window::{Axis, AxisPadding};

/// TensorFlow's documented sizes: SAME `ceil(in / stride)`, VALID `ceil((in - extent + 1) / stride)`.
#[test]
fn sizes_are_tensorflows() {
    for input in 1..20usize {
        for kernel in 1..7usize {
            for stride in 1..4usize {
                for dilation in 1..3usize {
                    let extent = (kernel - 1) * dilation + 1;
                    let same = Axis::new(input, kernel, stride, dilation, AxisPadding::Same).unwrap();
                    assert_eq!(same.output, input.div_ceil(stride));
                    let valid = Axis::new(input, kernel, stride, dilation, AxisPadding::VALID);
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
    let axis = Axis::new(4, 3, 2, 1, AxisPadding::Same).unwrap();
    assert_eq!((axis.output, axis.pad_before), (2, 0));
    assert_eq!([axis.tap(1, 0), axis.tap(1, 1), axis.tap(1, 2)], [Some(2), Some(3), None]);
}

#[test]
fn nothing_fits_nothing() {
    assert_eq!(Axis::new(0, 1, 1, 1, AxisPadding::Same), None);
    assert_eq!(Axis::new(4, 5, 1, 1, AxisPadding::VALID), None);
    assert_eq!(Axis::new(4, 2, 0, 1, AxisPadding::Same), None);
}

/// PyTorch's documented size: `floor((in + 2 p - d (k - 1) - 1) / s + 1)`; a whole window in the padding has no place.
#[test]
fn explicit_padding_counts_on_both_sides() {
    let explicit = |before, after| AxisPadding::Explicit { before, after };
    let axis = Axis::new(8, 3, 2, 1, explicit(1, 1)).unwrap();
    assert_eq!((axis.output, axis.pad_before, axis.tap(0, 0), axis.tap(3, 2)), (4, 1, None, Some(7)));
    assert_eq!(Axis::new(8, 3, 2, 1, AxisPadding::Same).unwrap().pad_before, 0, "SAME pads after");
    assert_eq!(Axis::new(1, 3, 1, 1, explicit(0, 2)).unwrap().output, 1);
    assert_eq!(Axis::new(8, 3, 1, 1, explicit(3, 0)), None);
    assert_eq!(Axis::new(8, 3, 1, 1, explicit(0, 3)), None);
    assert_eq!(Axis::new(8, 3, 1, 1, explicit(usize::MAX, 0)), None);
}
