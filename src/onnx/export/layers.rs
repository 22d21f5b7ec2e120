//! Layers as nodes. Images are NCHW between them.

use std::collections::BTreeMap;

use ndarray::{ArrayViewD, IxDyn};

use super::graph::Graph;
use crate::network::Network;
use crate::nn::nodes::{self, Source};
use crate::nn::{BatchNorm, Conv2d, LayerSpec, Padding, Shape};
use crate::onnx::{ExportError, OnnxError};
use floret_math::window::Window;

/// A value between two layers.
#[derive(Debug, Clone)]
pub struct Value {
    pub name: String,
    pub shape: Shape,
}

/// The arrays of a network by name.
pub struct Arrays<'n>(BTreeMap<&'n str, ArrayViewD<'n, f32>>);

impl<'n> Arrays<'n> {
    pub fn of(network: &'n Network) -> Self {
        Self(network.arrays().map(|(param, values)| (param.name.as_str(), values)).collect())
    }

    fn get(&self, layer: &str, array: &str) -> Option<ArrayViewD<'n, f32>> {
        self.0.get(format!("{layer}/{array}").as_str()).cloned()
    }
}

/// A layer being written, named by its path in the network.
struct Writer<'a, 'n> {
    graph: &'a mut Graph,
    arrays: &'a Arrays<'n>,
    path: &'a str,
}

/// Writes the layers of `network` that take `input`; the name of the last one's output.
pub fn write(graph: &mut Graph, network: &Network, input: String) -> Result<String, OnnxError> {
    let arrays = Arrays::of(network);
    let nodes = nodes::of_built(&network.spec().layers, network.input());
    let input = Value { name: input, shape: network.input() };
    let mut values: Vec<Value> = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let inputs: Vec<&Value> = node
            .inputs
            .iter()
            .map(|source| match *source {
                Source::Input => &input,
                Source::Node(node) => &values[node],
            })
            .collect();
        let mut writer = Writer { graph, arrays: &arrays, path: &node.name };
        let name = writer.layer(node.layer, &inputs, node.output)?;
        values.push(Value { name, shape: node.output });
    }
    Ok(values.pop().unwrap_or(input).name)
}

/// Images NHWC to NCHW.
pub fn to_nchw(graph: &mut Graph, name: &str, images: &str) -> String {
    graph.append("Transpose", &format!("{name}/nchw"), &[images]).ints("perm", [0, 3, 1, 2]).output()
}

impl Writer<'_, '_> {
    /// Writes the layer; the name of its output.
    fn layer(&mut self, layer: &LayerSpec, inputs: &[&Value], output: Shape) -> Result<String, OnnxError> {
        let (x, input) = (inputs[0], [inputs[0].name.as_str()]);
        let Writer { graph, path, .. } = self;
        Ok(match layer {
            LayerSpec::Conv2d(conv) => self.conv(conv, x),
            LayerSpec::Dense(_) => self.dense(x),
            LayerSpec::MaxPool2d(pool) => self.pool("MaxPool", (pool.size, pool.stride, pool.padding), x),
            LayerSpec::AvgPool2d(pool) => self.pool("AveragePool", (pool.size, pool.stride, pool.padding), x),
            LayerSpec::GlobalAvgPool(_) => {
                let pooled = graph.append("GlobalAveragePool", path, &input).output();
                graph.append("Flatten", &format!("{path}/vector"), &[&pooled]).int("axis", 1).output()
            }
            LayerSpec::BatchNorm(norm) => self.batch_norm(norm, x),
            LayerSpec::Relu(_) => graph.append("Relu", path, &input).output(),
            LayerSpec::LeakyRelu(leaky) => {
                graph.append("LeakyRelu", path, &input).float("alpha", leaky.slope).output()
            }
            LayerSpec::Dropout(_) => x.name.clone(),
            LayerSpec::Flatten(_) => self.flatten(x),
            LayerSpec::Add(_) => self.sum(inputs),
            LayerSpec::Multiply(_) => self.product(inputs[0], inputs[1], output),
            LayerSpec::Concat(_) => {
                let inputs: Vec<&str> = inputs.iter().map(|value| value.name.as_str()).collect();
                graph.append("Concat", path, &inputs).int("axis", 1).output()
            }
            LayerSpec::Residual(_) => unreachable!("nodes are the layers of blocks"),
            LayerSpec::Custom(custom) => {
                let (path, kind) = ((*path).to_owned(), custom.kind().to_owned());
                return Err(ExportError::CustomLayer { path, kind }.into());
            }
        })
    }

    /// Writes an array of the layer, if it has it.
    fn array(&mut self, name: &str) -> Option<String> {
        let values = self.arrays.get(self.path, name)?;
        Some(self.graph.floats(&format!("{}/{name}", self.path), values))
    }

    fn conv(&mut self, conv: &Conv2d, x: &Value) -> String {
        let hwio = self.arrays.get(self.path, "kernel").expect("a convolution has a kernel");
        let oihw = hwio.permuted_axes(IxDyn(&[3, 2, 0, 1]));
        let kernel = self.graph.floats(&format!("{}/kernel", self.path), oihw);
        let bias = self.array("bias");
        let inputs: Vec<&str> = [x.name.as_str(), &kernel].into_iter().chain(bias.as_deref()).collect();
        let Conv2d { kernel, stride, dilation, padding, .. } = *conv;
        self.graph
            .append("Conv", self.path, &inputs)
            .ints("kernel_shape", pair(kernel))
            .ints("strides", pair(stride))
            .ints("dilations", pair(dilation))
            .ints("pads", pads(x.shape, kernel, stride, dilation, padding))
            .output()
    }

    fn dense(&mut self, x: &Value) -> String {
        let kernel = self.array("kernel").expect("a dense layer has a kernel");
        let bias = self.array("bias");
        let inputs: Vec<&str> = [x.name.as_str(), &kernel].into_iter().chain(bias.as_deref()).collect();
        self.graph.append("Gemm", self.path, &inputs).output()
    }

    fn pool(
        &mut self,
        op: &str,
        (size, stride, padding): ((usize, usize), (usize, usize), Padding),
        x: &Value,
    ) -> String {
        self.graph
            .append(op, self.path, &[&x.name])
            .ints("kernel_shape", pair(size))
            .ints("strides", pair(stride))
            .ints("pads", pads(x.shape, size, stride, (1, 1), padding))
            .output()
    }

    fn batch_norm(&mut self, norm: &BatchNorm, x: &Value) -> String {
        let arrays = ["gamma", "beta", "moving_mean", "moving_variance"]
            .map(|name| self.array(name).expect("a batch norm has four arrays"));
        let inputs: Vec<&str> =
            [x.name.as_str()].into_iter().chain(arrays.iter().map(String::as_str)).collect();
        self.graph
            .append("BatchNormalization", self.path, &inputs)
            .float("epsilon", norm.epsilon)
            .float("momentum", norm.momentum)
            .output()
    }

    fn flatten(&mut self, x: &Value) -> String {
        let (mut image, path) = (x.name.clone(), self.path);
        if let Shape::Image { height, width, channels } = x.shape
            && height * width > 1
            && channels > 1
        {
            let node = self.graph.append("Transpose", &format!("{path}/nhwc"), &[&image]);
            image = node.ints("perm", [0, 2, 3, 1]).output();
        }
        self.graph.append("Flatten", path, &[&image]).int("axis", 1).output()
    }

    /// ONNX's `Add` takes two.
    fn sum(&mut self, inputs: &[&Value]) -> String {
        let [first, rest @ ..] = inputs else { return String::new() };
        rest.iter()
            .fold(first.name.clone(), |sum, x| self.graph.append("Add", self.path, &[&sum, &x.name]).output())
    }

    fn product(&mut self, x: &Value, gate: &Value, output: Shape) -> String {
        let mut factor = gate.name.clone();
        if let (Shape::Image { channels, .. }, Shape::Vector(_)) = (output, gate.shape) {
            let sizes = self.graph.ints(&format!("{}/sizes", self.path), &[0, channels as i64, 1, 1]);
            factor =
                self.graph.append("Reshape", &format!("{}/image", self.path), &[&factor, &sizes]).output();
        }
        self.graph.append("Mul", self.path, &[&x.name, &factor]).output()
    }
}

fn pair((height, width): (usize, usize)) -> [usize; 2] {
    [height, width]
}

/// Top, left, bottom, right, as ONNX lists them. The network was built, so the window fits.
fn pads(
    input: Shape,
    kernel: (usize, usize),
    stride: (usize, usize),
    dilation: (usize, usize),
    padding: Padding,
) -> [usize; 4] {
    let Shape::Image { height, width, .. } = input else { return [0; 4] };
    match padding {
        Padding::Valid => [0; 4],
        Padding::Explicit { top, bottom, left, right } => [top, left, bottom, right],
        Padding::Same => {
            let window = Window::new((height, width), kernel, stride, dilation, padding)
                .expect("the network was built with it");
            [window.y.pad_before, window.x.pad_before, window.y.pad_after(), window.x.pad_after()]
        }
    }
}
