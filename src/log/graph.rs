//! A network as the graph that TensorBoard's Graphs tab draws.

use std::collections::HashMap;

use super::summary::shape;
use crate::loss::Loss;
use crate::network::{Network, NetworkSpec};
use crate::nn::nodes::{self, Source};
use crate::nn::{Conv2d, LayerSpec, Padding, Shape};
use crate::proto::graph::attr_value::{ListValue, Value};
use crate::proto::graph::{AttrValue, GraphDef, NodeDef, VersionDef};
use crate::proto::tensor::{DataType, TensorShapeProto};

/// The version of TensorFlow's operations that these are described by.
const PRODUCER: i32 = 1;

/// The operations of a network by TensorFlow's names: a layer with arrays is a scope, and those behind it that have
/// none are nodes in it. Arrays are variables; a residual block is a scope of scopes. Sizes of the batch are -1.
pub(super) fn graph(network: &Network) -> GraphDef {
    let mut graph = Graph {
        nodes: Vec::new(),
        arrays: network.arrays().map(|(param, _)| (param.name.clone(), param.shape.clone())).collect(),
    };
    let spec = network.spec();
    let input = graph.add("input", "Placeholder", &[], Some(spec.input), []);
    let outputs = &graph.layers(spec, input);
    match spec.loss {
        Loss::SoftmaxCrossEntropy(_) => {
            let labels = graph.add("labels", "Placeholder", &[], None, []);
            graph.add("loss", "SparseSoftmaxCrossEntropyWithLogits", &[outputs, &labels], None, []);
            let classes = Shape::Vector(network.outputs());
            graph.add("predictions", "Softmax", &[outputs], Some(classes), []);
        }
        Loss::MeanSquaredError { .. } => {
            let targets = Shape::Vector(network.outputs());
            let targets = graph.add("targets", "Placeholder", &[], Some(targets), []);
            graph.add("loss", "SquaredDifference", &[outputs, &targets], None, []);
        }
    }
    GraphDef { node: graph.nodes, versions: Some(VersionDef { producer: PRODUCER }) }
}

/// A graph under construction.
struct Graph {
    nodes: Vec<NodeDef>,
    /// Every array with its shape, a layer's in the order in which its operation takes them.
    arrays: Vec<(String, Vec<usize>)>,
}

impl Graph {
    /// The layers; the name of the last one's last operation. Those without arrays stand in the scope of the last before them, of
    /// the same block, that has one: side by side TensorBoard would take them for a series and draw them as one.
    fn layers(&mut self, spec: &NetworkSpec, input: String) -> String {
        let mut places: HashMap<&str, String> = HashMap::new();
        let nodes = nodes::of_built(&spec.layers, spec.input);
        let mut outputs: Vec<String> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let (block, leaf) = node.name.rsplit_once('/').unwrap_or(("", &node.name));
            let name = match places.get(block) {
                Some(place) if !has_scope(node.layer) => format!("{place}/{leaf}"),
                _ => node.name.clone(),
            };
            if has_scope(node.layer) {
                places.insert(block, name.clone());
            }
            let from = node.inputs.iter().map(|source| match *source {
                Source::Input => input.as_str(),
                Source::Node(node) => outputs[node].as_str(),
            });
            let output = self.layer(&name, node.layer, &from.collect::<Vec<_>>(), node.output);
            outputs.push(output);
        }
        outputs.pop().unwrap_or(input)
    }

    /// A layer; the name of its last operation.
    fn layer(&mut self, name: &str, layer: &LayerSpec, from: &[&str], output: Shape) -> String {
        let out = Some(output);
        let from_name = from[0];
        match layer {
            LayerSpec::Conv2d(conv) => self.weighted(name, "Conv2D", from_name, output, conv_settings(conv)),
            LayerSpec::Dense(_) => self.weighted(name, "MatMul", from_name, output, Vec::new()),
            LayerSpec::BatchNorm(norm) => {
                let settings = [("epsilon", Value::F(norm.epsilon))];
                self.with_arrays(name, "FusedBatchNormV3", from_name, out, settings)
            }
            LayerSpec::MaxPool2d(pool) => {
                let settings = pool_settings(pool.size, pool.stride, pool.padding);
                self.add(name, "MaxPool", &[from_name], out, settings)
            }
            LayerSpec::AvgPool2d(pool) => {
                let mut settings = pool_settings(pool.size, pool.stride, pool.padding);
                if pool.count_padding {
                    settings.push(("count_include_pad", Value::B(true)));
                }
                self.add(name, "AvgPool", &[from_name], out, settings)
            }
            LayerSpec::GlobalMaxPool(_) => self.add(name, "Max", &[from_name], out, []),
            LayerSpec::LayerNorm(norm) => {
                self.with_arrays(name, "LayerNorm", from_name, out, [("epsilon", Value::F(norm.epsilon))])
            }
            LayerSpec::LayerScale(_) => self.with_arrays(name, "Mul", from_name, out, []),
            LayerSpec::StochasticDepth(depth) => {
                self.add(name, "StochasticDepth", &[from_name], out, [("rate", Value::F(depth.rate))])
            }
            LayerSpec::ChannelShuffle(shuffle) => {
                let groups = Value::I(shuffle.groups as i64);
                self.add(name, "ChannelShuffle", &[from_name], out, [("groups", groups)])
            }
            LayerSpec::ChannelSlice(slice) => {
                let bounds = [slice.start, slice.len].map(|channels| Value::I(channels as i64));
                self.add(name, "Slice", &[from_name], out, ["begin", "size"].into_iter().zip(bounds))
            }
            LayerSpec::GlobalAvgPool(_) => self.add(name, "Mean", &[from_name], out, []),
            LayerSpec::Relu(_) => self.add(name, "Relu", &[from_name], out, []),
            LayerSpec::LeakyRelu(relu) => {
                self.add(name, "LeakyRelu", &[from_name], out, [("alpha", Value::F(relu.slope))])
            }
            LayerSpec::Relu6(_) => self.add(name, "Relu6", &[from_name], out, []),
            LayerSpec::Clip(clip) => {
                let bounds = [("min", Value::F(clip.min)), ("max", Value::F(clip.max))];
                self.add(name, "ClipByValue", &[from_name], out, bounds)
            }
            LayerSpec::Sigmoid(_) => self.add(name, "Sigmoid", &[from_name], out, []),
            LayerSpec::HardSigmoid(_) => self.add(name, "HardSigmoid", &[from_name], out, []),
            LayerSpec::Silu(_) => self.add(name, "Silu", &[from_name], out, []),
            LayerSpec::HardSwish(_) => self.add(name, "HardSwish", &[from_name], out, []),
            LayerSpec::Gelu(gelu) => {
                self.add(name, "Gelu", &[from_name], out, [("approximate", Value::B(gelu.approximate))])
            }
            LayerSpec::Dropout(dropout) => {
                self.add(name, "Dropout", &[from_name], out, [("rate", Value::F(dropout.rate))])
            }
            LayerSpec::Flatten(_) => self.add(name, "Reshape", &[from_name], out, []),
            LayerSpec::Add(_) => self.add(&format!("{name}/AddV2"), "AddV2", from, out, []),
            LayerSpec::Multiply(_) => self.add(&format!("{name}/Mul"), "Mul", from, out, []),
            LayerSpec::Concat(_) => self.add(&format!("{name}/ConcatV2"), "ConcatV2", from, out, []),
            LayerSpec::Residual(_) => unreachable!("nodes are the layers of blocks"),
            LayerSpec::Custom(custom) => {
                self.with_arrays(name, &node_name(custom.kind()), from_name, out, [])
            }
        }
    }

    /// An operation in the scope of the layer that takes all the layer's arrays.
    fn with_arrays(
        &mut self,
        name: &str,
        op: &str,
        from: &str,
        output: Option<Shape>,
        settings: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> String {
        let arrays = self.variables(name);
        let inputs: Vec<&str> = [from].into_iter().chain(arrays.iter().map(String::as_str)).collect();
        self.add(&format!("{name}/{op}"), op, &inputs, output, settings)
    }

    /// `y = op(x, kernel) + bias`, the last where there is one.
    fn weighted(
        &mut self,
        name: &str,
        op: &str,
        from: &str,
        output: Shape,
        settings: Vec<(&'static str, Value)>,
    ) -> String {
        let variables = self.variables(name);
        let [kernel, bias @ ..] = variables.as_slice() else { return from.to_owned() };
        let product = self.add(&format!("{name}/{op}"), op, &[from, kernel], Some(output), settings);
        match bias {
            [] => product,
            [bias, ..] => {
                self.add(&format!("{name}/BiasAdd"), "BiasAdd", &[&product, bias], Some(output), [])
            }
        }
    }

    /// A variable for each array of the layer `name`.
    fn variables(&mut self, name: &str) -> Vec<String> {
        let prefix = format!("{name}/");
        let of_layer = self.arrays.iter().filter(|(array, _)| array.starts_with(&prefix));
        let nodes = of_layer.map(|(array, sizes)| {
            let sizes = shape(sizes.iter().map(|&size| size as i64));
            let mut node = node(&node_name(array), "VariableV2", &[], sizes.clone());
            set(&mut node, "shape", Value::Shape(sizes));
            node
        });
        let nodes: Vec<_> = nodes.collect();
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        self.nodes.extend(nodes);
        names
    }

    /// An operation whose output has the shape `output` for each example, or one value for each; its name.
    fn add(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        output: Option<Shape>,
        settings: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> String {
        self.add_with(name, op, inputs, output, settings.into_iter().collect())
    }

    fn add_with(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        output: Option<Shape>,
        settings: Vec<(&'static str, Value)>,
    ) -> String {
        let sizes = match output {
            Some(Shape::Image { height, width, channels }) => vec![height, width, channels],
            Some(Shape::Vector(len)) => vec![len],
            None => Vec::new(),
        };
        let sizes = shape([-1].into_iter().chain(sizes.into_iter().map(|size| size as i64)));
        let mut node = node(&node_name(name), op, inputs, sizes);
        settings.into_iter().for_each(|(key, value)| set(&mut node, key, value));
        let name = node.name.clone();
        self.nodes.push(node);
        name
    }
}

/// Whether a layer is more than one operation, or where ways meet.
fn has_scope(layer: &LayerSpec) -> bool {
    use LayerSpec::{Add, BatchNorm, Concat, Conv2d, Custom, Dense, LayerNorm, LayerScale, Multiply};
    matches!(
        layer,
        Conv2d(_)
            | Dense(_)
            | BatchNorm(_)
            | LayerNorm(_)
            | LayerScale(_)
            | Custom(_)
            | Add(_)
            | Multiply(_)
            | Concat(_)
    )
}

/// An operation whose output has the shape `output`.
fn node(name: &str, op: &str, inputs: &[&str], output: TensorShapeProto) -> NodeDef {
    let mut node = NodeDef {
        name: name.into(),
        op: op.into(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        ..NodeDef::default()
    };
    let shapes = ListValue { shape: vec![output], ..ListValue::default() };
    set(&mut node, "_output_shapes", Value::List(shapes));
    set(&mut node, "T", Value::Type(DataType::DtFloat.into()));
    node
}

fn set(node: &mut NodeDef, key: &str, value: Value) {
    node.attr.insert(key.to_owned(), AttrValue { value: Some(value) });
}

/// A name as TensorFlow's graphs take it: others' characters mean something else (`:0` an output, `^` no data).
fn node_name(name: &str) -> String {
    name.replace(|c: char| !(c.is_ascii_alphanumeric() || "_.-/".contains(c)), "_")
}

fn conv_settings(conv: &Conv2d) -> Vec<(&'static str, Value)> {
    let mut settings = vec![("dilations", per_axis(conv.dilation))];
    settings.extend(stride_and_padding(conv.stride, conv.padding));
    if conv.groups > 1 {
        settings.push(("groups", Value::I(conv.groups as i64)));
    }
    settings
}

fn pool_settings(
    size: (usize, usize),
    stride: (usize, usize),
    padding: Padding,
) -> Vec<(&'static str, Value)> {
    let mut settings = vec![("ksize", per_axis(size))];
    settings.extend(stride_and_padding(stride, padding));
    settings
}

fn stride_and_padding(stride: (usize, usize), padding: Padding) -> Vec<(&'static str, Value)> {
    let word: &[u8] = match padding {
        Padding::Same => b"SAME",
        Padding::Valid => b"VALID",
        Padding::Explicit { .. } => b"EXPLICIT",
    };
    let mut settings = vec![("strides", per_axis(stride)), ("padding", Value::S(word.to_vec()))];
    if let Padding::Explicit { top, bottom, left, right } = padding {
        // Before and after each axis of NHWC.
        let sides = [0, 0, top, bottom, left, right, 0, 0].map(|pixels| pixels as i64);
        settings.push((
            "explicit_paddings",
            Value::List(ListValue { i: sides.to_vec(), ..ListValue::default() }),
        ));
    }
    settings
}

/// A number for each axis of NHWC.
fn per_axis((height, width): (usize, usize)) -> Value {
    Value::List(ListValue { i: vec![1, height as i64, width as i64, 1], ..ListValue::default() })
}
