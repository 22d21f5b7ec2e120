//! The standardization of images, as nodes.

use ndarray::arr0;

use super::graph::Graph;
use crate::proto::onnx::DataType;

/// The prefix of the nodes' names.
const NAME: &str = "preprocess";

/// `y = (x - mean) / max(sqrt(mean of (x - mean)^2), 1 / sqrt(n))` over the `n` values of each image, whatever their order:
/// TensorFlow's `tf.image.per_image_standardization` of `uint8` levels.
pub fn standardize(graph: &mut Graph, levels: &str, n: usize) -> String {
    let name = |part: &str| format!("{NAME}/{part}");
    let least = graph.floats(&name("least"), arr0(1.0 / (n as f32).sqrt()).into_dyn().view());
    let x = graph.append("Cast", &name("levels"), &[levels]).int("to", DataType::Float as i64).output();
    let mean = |graph: &mut Graph, part: &str, of: &str| {
        graph.append("ReduceMean", &name(part), &[of]).ints("axes", [1, 2, 3]).int("keepdims", 1).output()
    };
    let average = mean(graph, "mean", &x);
    let centered = graph.append("Sub", &name("centred"), &[&x, &average]).output();
    let squares = graph.append("Mul", &name("squares"), &[&centered, &centered]).output();
    let variance = mean(graph, "variance", &squares);
    let deviation = graph.append("Sqrt", &name("deviation"), &[&variance]).output();
    let floored = graph.append("Max", &name("floored"), &[&deviation, &least]).output();
    graph.append("Div", &name("standardized"), &[&centered, &floored]).output()
}
