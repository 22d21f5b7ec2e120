//! The images that a graph takes.

use super::ImportOptions;
use super::files::kind_name;
use super::model::{FLOAT, Input, Node};
use super::value::{Axis, NCHW, NHWC};
use crate::nn::Shape;
use crate::onnx::ImportError;

/// The shape of the images, and the order of their axes in the graph.
pub fn input_shape(
    images: &Input<'_>,
    options: &ImportOptions,
    nodes: &[Node<'_>],
) -> Result<(Shape, Vec<Axis>), ImportError> {
    let failed = |reason: String| {
        Err(ImportError::Model(format!("its input `{}` {reason}", images.name.escape_debug())))
    };
    if images.kind != FLOAT {
        let kind = kind_name(images.kind);
        return failed(format!("takes {kind}, and FLOAT is read: export the network without preprocessing"));
    }
    let [_, sizes @ ..] = &images.dims[..] else { return failed("has no shape".into()) };
    let &[a, b, c] = sizes else {
        let axes = images.dims.len();
        return failed(format!("has {axes} axes; images of four are read (batch, channels, height, width)"));
    };
    let axes = if is_nhwc(images.name, [a, b, c], nodes) { NHWC } else { NCHW };
    let [height, width, channels] = if axes == NHWC { [a, b, c] } else { [b, c, a] };
    let side = options.image_size.map(|side| side as u64);
    let size = |size: Option<u64>| usize::try_from(size?).ok();
    let (Some(height), Some(width)) = (size(height.or(side)), size(width.or(side))) else {
        return Err(ImportError::AnySize { input: images.name.into() });
    };
    let Some(channels) = size(channels) else {
        return failed("takes images of any number of channels".into());
    };
    let shape = Shape::Image { height, width, channels };
    shape.check("an image").map_err(|error| ImportError::Model(error.message))?;
    if shape.is_empty() {
        return failed(format!("takes images of {shape}, which hold no value"));
    }
    Ok((shape, axes.to_vec()))
}

/// Whether images come NHWC: what takes them turns them to NCHW before anything looks at pixels; or they are vectors from the
/// beginning, and their channels can only be the last axis.
fn is_nhwc<'a>(mut name: &'a str, sizes: [Option<u64>; 3], nodes: &[Node<'a>]) -> bool {
    for node in nodes {
        if !node.inputs.contains(&name) {
            continue;
        }
        let is_channels = |size: Option<u64>| matches!(size, Some(1 | 3));
        match node.op {
            "Add" | "Cast" | "Div" | "Dropout" | "Identity" | "LeakyRelu" | "Mul" | "Pad" | "Relu"
            | "Sub" => {
                name = node.outputs.first().copied().unwrap_or_default();
            }
            "Transpose" => return node.ints("perm") == Some(&[0, 3, 1, 2]),
            "Flatten" | "Reshape" | "ReduceMean" => return !is_channels(sizes[0]) && is_channels(sizes[2]),
            _ => return false,
        }
    }
    false
}
