//! From levels to the network's values, as nodes.

use ndarray::{Array4, arr0};

use super::Layout;
use super::graph::Graph;
use crate::data::Preprocess;
use crate::image::{ChannelOrder, Normalize};
use crate::proto::onnx::DataType;

/// The prefix of the nodes' names.
const NAME: &str = "preprocess";

fn name(part: &str) -> String {
    format!("{NAME}/{part}")
}

/// What `preprocess` does with the levels (`uint8`) of fitted photos of this height, width and number of channels; those of a network of
/// one channel come as gray.
pub fn write(
    graph: &mut Graph,
    preprocess: Option<&Preprocess>,
    layout: Layout,
    levels: &str,
    (height, width, channels): (usize, usize, usize),
) -> String {
    let x = graph.append("Cast", &name("levels"), &[levels]).int("to", DataType::Float as i64).output();
    let x = match preprocess.map(|preprocess| preprocess.normalize).unwrap_or_default() {
        Normalize::PerImage => standardize(graph, &x, height * width * channels),
        Normalize::Fixed { mean, deviation } => {
            fixed(graph, &x, layout, &mean[..channels], &deviation[..channels])
        }
    };
    match preprocess.map(|preprocess| preprocess.channel_order).unwrap_or_default() {
        ChannelOrder::Rgb | ChannelOrder::Gray => x,
        ChannelOrder::Bgr => {
            let reversed = graph.ints(&name("blue_first"), &[2, 1, 0]);
            graph
                .append("Gather", &name("reordered"), &[&x, &reversed])
                .int("axis", layout.channel_axis())
                .output()
        }
    }
}

/// `y = (x - mean) / deviation`, with constants for each channel.
fn fixed(graph: &mut Graph, x: &str, layout: Layout, mean: &[f32], deviation: &[f32]) -> String {
    let mut shape = [1; 4];
    shape[layout.channel_axis() as usize] = mean.len();
    let mut constant = |part: &str, values: &[f32]| {
        let values = Array4::from_shape_vec(shape, values.to_vec()).expect("a value for each channel");
        graph.floats(&name(part), values.into_dyn().view())
    };
    let (mean, deviation) = (constant("mean", mean), constant("deviation", deviation));
    let centered = graph.append("Sub", &name("centred"), &[x, &mean]).output();
    graph.append("Div", &name("normalized"), &[&centered, &deviation]).output()
}

/// `y = (x - mean) / max(sqrt(mean of (x - mean)^2), 1 / sqrt(n))` over the `n` values of each image, whatever their order:
/// TensorFlow's `tf.image.per_image_standardization` of `uint8` levels.
fn standardize(graph: &mut Graph, x: &str, n: usize) -> String {
    let least = graph.floats(&name("least"), arr0(1.0 / (n as f32).sqrt()).into_dyn().view());
    let mean = |graph: &mut Graph, part: &str, of: &str| {
        graph.append("ReduceMean", &name(part), &[of]).ints("axes", [1, 2, 3]).int("keepdims", 1).output()
    };
    let average = mean(graph, "mean", x);
    let centered = graph.append("Sub", &name("centred"), &[x, &average]).output();
    let squares = graph.append("Mul", &name("squares"), &[&centered, &centered]).output();
    let variance = mean(graph, "variance", &squares);
    let deviation = graph.append("Sqrt", &name("deviation"), &[&variance]).output();
    let floored = graph.append("Max", &name("floored"), &[&deviation, &least]).output();
    graph.append("Div", &name("standardized"), &[&centered, &floored]).output()
}
