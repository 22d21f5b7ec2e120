//! Windows: ONNX's attributes of convolutions and pools as floret's stride, dilation and padding.

use super::model::Node;
use crate::nn::Padding;
use crate::onnx::ImportError;
use floret_math::window::Window;

/// Where a window slides: kernel, stride, dilation and padding.
pub struct Slide {
    pub kernel: (usize, usize),
    pub stride: (usize, usize),
    pub dilation: (usize, usize),
    pub padding: Padding,
    /// Whether some window reaches into the padding.
    pub pads: bool,
    /// Whether the number of outputs is rounded up, by windows that reach beyond all padding.
    pub rounds_up: bool,
}

/// How a window slides over an image of `input` (height, width), around which `before` was padded already.
pub fn slide(
    node: &Node<'_>,
    input: (usize, usize),
    kernel: (usize, usize),
    before: [usize; 4],
) -> Result<Slide, ImportError> {
    if let Some(told) = node.sizes::<2>("kernel_shape", 1)?
        && told != [kernel.0, kernel.1]
    {
        return Err(
            node.unsupported(format!("its `kernel_shape` {told:?} is not that of its weights, {kernel:?}"))
        );
    }
    let [sy, sx] = node.sizes("strides", 1)?.unwrap_or([1, 1]);
    let [dy, dx] = node.sizes("dilations", 1)?.unwrap_or([1, 1]);
    let (stride, dilation) = ((sy, sx), (dy, dx));
    let window = |padding| Window::new(input, kernel, stride, dilation, padding);
    let does_not_fit =
        || node.unsupported(format!("its window does not fit an image of {}x{}", input.0, input.1));
    let auto = node.attribute("auto_pad").and_then(|auto| auto.string).unwrap_or(b"NOTSET");
    let pads = match auto {
        b"NOTSET" => node.sizes("pads", 0)?.unwrap_or([0; 4]),
        b"VALID" => [0; 4],
        b"SAME_UPPER" | b"SAME_LOWER" => {
            if before != [0; 4] {
                return Err(node.unsupported("it pads by itself an image that is padded already"));
            }
            let Window { y, x } = window(Padding::Same).ok_or_else(does_not_fit)?;
            let upper = [y.pad_before, x.pad_before, y.pad_after(), x.pad_after()];
            let [top, left, bottom, right] = upper;
            // The odd zero is at the other end.
            if auto == b"SAME_LOWER" { [bottom, right, top, left] } else { upper }
        }
        _ => {
            return Err(
                node.unsupported("its `auto_pad` is none of NOTSET, VALID, SAME_UPPER and SAME_LOWER")
            );
        }
    };
    let mut sum = pads;
    for (sum, before) in sum.iter_mut().zip(before) {
        *sum = sum.checked_add(before).ok_or_else(does_not_fit)?;
    }
    let [top, left, mut bottom, mut right] = sum;
    if node.int("ceil_mode")?.unwrap_or(0) != 0 {
        bottom = reached(input.0, kernel.0, sy, dy, (top, bottom)).ok_or_else(does_not_fit)?;
        right = reached(input.1, kernel.1, sx, dx, (left, right)).ok_or_else(does_not_fit)?;
    }
    let rounds_up = (bottom, right) != (sum[2], sum[3]);
    let explicit = Padding::Explicit { top, bottom, left, right };
    let wanted = window(explicit).ok_or_else(|| {
        node.unsupported(format!(
            "its window of {}x{} with padding {sum:?} does not fit an image of {}x{}, or lies in the padding altogether",
            kernel.0, kernel.1, input.0, input.1
        ))
    })?;
    let padding =
        [Padding::Valid, Padding::Same].into_iter().find(|&padding| window(padding) == Some(wanted));
    let pads =
        [wanted.y.pad_before, wanted.x.pad_before, wanted.y.pad_after(), wanted.x.pad_after()] != [0; 4];
    Ok(Slide { kernel, stride, dilation, padding: padding.unwrap_or(explicit), pads, rounds_up })
}

/// The padding behind an axis that makes a place for the last window where its number is rounded up: it must begin before the
/// end of the input.
fn reached(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    (before, after): (usize, usize),
) -> Option<usize> {
    let extent = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
    let room = input.checked_add(before)?.checked_add(after)?.checked_sub(extent)?;
    let mut last = room.div_ceil(stride).checked_mul(stride)?;
    if last >= input + before {
        last = last.checked_sub(stride)?;
    }
    Some(after.max((last.checked_add(extent)?).saturating_sub(input + before)))
}
