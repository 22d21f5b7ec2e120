//! Layers as nodes. Images are NCHW between them.

use std::collections::HashMap;

use ndarray::{ArrayViewD, Axis, IxDyn, arr0};

use super::graph::{Appended, Graph};
use crate::network::Network;
use crate::nn::nodes::{self, Source};
use crate::nn::{BatchNorm, ChannelSlice, Conv2d, LayerNorm, LayerSpec, Padding, Shape};
use crate::onnx::{ExportError, OnnxError};
use floret_math::window::Window;

/// A value between two layers.
#[derive(Debug, Clone)]
pub struct Value {
    pub name: String,
    pub shape: Shape,
}

/// The arrays of a network by name.
pub struct Arrays<'n>(HashMap<&'n str, ArrayViewD<'n, f32>>);

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
            LayerSpec::MaxPool2d(pool) => {
                self.pool("MaxPool", (pool.size, pool.stride, pool.padding), x).output()
            }
            LayerSpec::AvgPool2d(pool) => {
                let node = self.pool("AveragePool", (pool.size, pool.stride, pool.padding), x);
                // 0 is the default.
                let node = if pool.count_padding { node.int("count_include_pad", 1) } else { node };
                node.output()
            }
            LayerSpec::GlobalAvgPool(_) => self.global_pool("GlobalAveragePool", x),
            LayerSpec::GlobalMaxPool(_) => self.global_pool("GlobalMaxPool", x),
            LayerSpec::BatchNorm(norm) => self.batch_norm(norm, x),
            LayerSpec::Relu(_) => graph.append("Relu", path, &input).output(),
            LayerSpec::LeakyRelu(leaky) => {
                graph.append("LeakyRelu", path, &input).float("alpha", leaky.slope).output()
            }
            LayerSpec::Relu6(_) => self.clip(0.0, 6.0, x),
            LayerSpec::Clip(clip) => self.clip(clip.min, clip.max, x),
            LayerSpec::Sigmoid(_) => graph.append("Sigmoid", path, &input).output(),
            LayerSpec::HardSigmoid(_) => {
                let node = graph.append("HardSigmoid", path, &input);
                node.float("alpha", 1.0 / 6.0).float("beta", 0.5).output()
            }
            LayerSpec::Silu(_) => {
                let gate = graph.append("Sigmoid", &format!("{path}/gate"), &input).output();
                graph.append("Mul", path, &[&x.name, &gate]).output()
            }
            LayerSpec::HardSwish(_) => graph.append("HardSwish", path, &input).output(),
            LayerSpec::Gelu(gelu) if gelu.approximate => self.gelu_tanh(x),
            LayerSpec::Gelu(_) => self.gelu(x),
            LayerSpec::LayerNorm(norm) => self.layer_norm(norm, x),
            LayerSpec::LayerScale(_) => self.layer_scale(x),
            LayerSpec::ChannelShuffle(shuffle) => self.channel_shuffle(shuffle.groups, x),
            LayerSpec::ChannelSlice(slice) => self.channel_slice(slice, x),
            LayerSpec::Dropout(_) | LayerSpec::StochasticDepth(_) => x.name.clone(),
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
        let Conv2d { kernel, stride, dilation, padding, groups, .. } = *conv;
        let node = self.graph.append("Conv", self.path, &inputs);
        // 1 is the default.
        let node = if groups > 1 { node.int("group", groups as i64) } else { node };
        node.ints("kernel_shape", pair(kernel))
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
    ) -> Appended<'_> {
        self.graph
            .append(op, self.path, &[&x.name])
            .ints("kernel_shape", pair(size))
            .ints("strides", pair(stride))
            .ints("pads", pads(x.shape, size, stride, (1, 1), padding))
    }

    fn global_pool(&mut self, op: &str, x: &Value) -> String {
        let pooled = self.graph.append(op, self.path, &[&x.name]).output();
        self.graph.append("Flatten", &format!("{}/vector", self.path), &[&pooled]).int("axis", 1).output()
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

    /// The operator takes the last axes: an image's channels are moved there and back.
    fn layer_norm(&mut self, norm: &LayerNorm, x: &Value) -> String {
        let arrays = ["gamma", "beta"].map(|name| self.array(name).expect("a layer norm has two arrays"));
        let (graph, path) = (&mut *self.graph, self.path);
        let mut input = x.name.clone();
        let image = matches!(x.shape, Shape::Image { .. });
        if image {
            let node = graph.append("Transpose", &format!("{path}/nhwc"), &[&input]);
            input = node.ints("perm", [0, 2, 3, 1]).output();
        }
        let node = graph.append("LayerNormalization", path, &[&input, &arrays[0], &arrays[1]]);
        let output = node.int("axis", -1).float("epsilon", norm.epsilon).output();
        if image { to_nchw(graph, path, &output) } else { output }
    }

    fn layer_scale(&mut self, x: &Value) -> String {
        let gamma = self.arrays.get(self.path, "gamma").expect("a layer scale has its factors");
        // The channels are the first axis of an image's three, and the last of a vector's one.
        let gamma = match x.shape {
            Shape::Image { .. } => gamma.insert_axis(Axis(1)).insert_axis(Axis(2)),
            Shape::Vector(_) => gamma,
        };
        let gamma = self.graph.floats(&format!("{}/gamma", self.path), gamma);
        self.graph.append("Mul", self.path, &[&x.name, &gamma]).output()
    }

    fn channel_shuffle(&mut self, groups: usize, x: &Value) -> String {
        let (channels, pixels) = match x.shape {
            Shape::Image { height, width, channels } => (channels, vec![height, width]),
            Shape::Vector(len) => (len, Vec::new()),
        };
        let (graph, path) = (&mut *self.graph, self.path);
        // 0 keeps the batch as it is.
        let sizes = |channels: &[usize]| -> Vec<i64> {
            [0].iter().chain(channels).chain(&pixels).map(|&size| size as i64).collect()
        };
        let apart = graph.ints(&format!("{path}/apart"), &sizes(&[groups, channels / groups]));
        let apart = graph.append("Reshape", &format!("{path}/groups"), &[&x.name, &apart]).output();
        let order = [0, 2, 1].into_iter().chain(3..3 + pixels.len());
        let mixed =
            graph.append("Transpose", &format!("{path}/mixed"), &[&apart]).ints("perm", order).output();
        let together = graph.ints(&format!("{path}/together"), &sizes(&[channels]));
        graph.append("Reshape", path, &[&mixed, &together]).output()
    }

    fn channel_slice(&mut self, slice: &ChannelSlice, x: &Value) -> String {
        let (graph, path) = (&mut *self.graph, self.path);
        let bounds = [("start", slice.start), ("end", slice.start + slice.len), ("axis", 1)]
            .map(|(name, value)| graph.ints(&format!("{path}/{name}"), &[value as i64]));
        let [start, end, axis] = &bounds;
        graph.append("Slice", path, &[&x.name, start, end, axis]).output()
    }

    /// Writes a single number; its name.
    fn number(&mut self, name: &str, value: f32) -> String {
        self.graph.floats(&format!("{}/{name}", self.path), arr0(value).into_dyn().view())
    }

    /// Writes an operation within the layer; the name of its output.
    fn step(&mut self, name: &str, op: &str, inputs: &[&str]) -> String {
        self.graph.append(op, &format!("{}/{name}", self.path), inputs).output()
    }

    fn clip(&mut self, min: f32, max: f32, x: &Value) -> String {
        let (min, max) = (self.number("min", min), self.number("max", max));
        self.graph.append("Clip", self.path, &[&x.name, &min, &max]).output()
    }

    /// `x / 2 (1 + erf(x / sqrt 2))`: the operator `Gelu` came with opset 20.
    fn gelu(&mut self, x: &Value) -> String {
        let scale = self.number("scale", std::f32::consts::FRAC_1_SQRT_2);
        let (one, half) = (self.number("one", 1.0), self.number("half", 0.5));
        let scaled = self.step("scaled", "Mul", &[&x.name, &scale]);
        let erf = self.step("erf", "Erf", &[&scaled]);
        let twice = self.step("twice", "Add", &[&erf, &one]);
        let gate = self.step("gate", "Mul", &[&twice, &half]);
        self.graph.append("Mul", self.path, &[&x.name, &gate]).output()
    }

    /// `x / 2 (1 + tanh u) = x sigmoid(2 u)`, where `2 u = x (linear + cubic x^2)`.
    fn gelu_tanh(&mut self, x: &Value) -> String {
        let twice = 2.0 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
        let (linear, cubic) = (self.number("linear", twice), self.number("cubic", 0.044715 * twice));
        let square = self.step("square", "Mul", &[&x.name, &x.name]);
        let scaled = self.step("scaled", "Mul", &[&square, &cubic]);
        let factor = self.step("factor", "Add", &[&scaled, &linear]);
        let argument = self.step("argument", "Mul", &[&x.name, &factor]);
        let gate = self.step("gate", "Sigmoid", &[&argument]);
        self.graph.append("Mul", self.path, &[&x.name, &gate]).output()
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

    /// ONNX's `Add` takes two, its `Sum` any number.
    fn sum(&mut self, inputs: &[&Value]) -> String {
        let names: Vec<&str> = inputs.iter().map(|value| value.name.as_str()).collect();
        let op = if names.len() == 2 { "Add" } else { "Sum" };
        self.graph.append(op, self.path, &names).output()
    }

    fn product(&mut self, x: &Value, gate: &Value, output: Shape) -> String {
        let mut factor = gate.name.clone();
        // One factor for each channel has the axes of what it is multiplied with.
        let sizes = match (output, gate.shape) {
            (Shape::Image { channels, .. }, Shape::Vector(_)) => Some(vec![0, channels as i64, 1, 1]),
            (Shape::Vector(len), Shape::Image { .. }) => Some(vec![0, len as i64]),
            _ => None,
        };
        if let Some(sizes) = sizes {
            let sizes = self.graph.ints(&format!("{}/sizes", self.path), &sizes);
            factor =
                self.graph.append("Reshape", &format!("{}/factors", self.path), &[&factor, &sizes]).output();
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
