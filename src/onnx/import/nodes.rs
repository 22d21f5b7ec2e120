//! The walk over a graph's nodes, in their order: what each value is.

use std::collections::BTreeMap;

use super::ImportOptions;
use super::files::{Files, ints, kind_name};
use super::model::{Attribute, FLOAT, Input, Model, Node, Tensor};
use super::sizes::{Size, Sizes};
use super::steps::{Draft, Emitted, StepId, Steps};
use crate::nn::{LayerSpec, Shape};
use crate::onnx::{ImportError, PRODUCER};

/// What a node gives, or why it can't.
pub type NodeResult<'a> = Result<Value<'a>, ImportError>;

/// An axis of a value as the graph sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    Batch,
    Height,
    Width,
    Channels,
    /// All values of a vector.
    Flat,
    /// Of size 1, left over from a mean over all pixels.
    One,
}

/// The order of a vector's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of floret.
    Own,
    /// An image was flattened by channels, rows, columns.
    Chw { height: usize, width: usize, channels: usize },
}

/// Whether a value is of mirror images too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// It is of the images that the graph takes.
    No,
    /// Of their mirror images alone.
    Alone,
    /// Of the images, and behind them of their mirror images.
    Behind,
    /// The same, the two along an axis of their own before the others.
    Apart,
    /// The mean of the two.
    Mean,
}

/// A value that depends on the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// How floret computes it.
    pub step: StepId,
    /// How the graph sees it.
    pub axes: Vec<Axis>,
    pub order: Order,
    pub mirror: Mirror,
    /// Whether a softmax was taken of it.
    pub softmax: bool,
    /// Zeros around it that await their convolution: top, left, bottom, right.
    pub pads: [usize; 4],
}

/// What a name in a graph stands for.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Activation(Activation),
    Tensor(Tensor<'a>),
    Sizes(Sizes),
}

/// NCHW, as ONNX's operators want it.
pub const NCHW: [Axis; 4] = [Axis::Batch, Axis::Channels, Axis::Height, Axis::Width];
/// NHWC, as floret has it.
pub const NHWC: [Axis; 4] = [Axis::Batch, Axis::Height, Axis::Width, Axis::Channels];

impl<'a> Node<'a> {
    /// The error that this node is not supported, or does not fit what it takes.
    pub fn unsupported(&self, reason: impl Into<String>) -> ImportError {
        let name =
            if self.name.is_empty() { self.outputs.first().copied().unwrap_or_default() } else { self.name };
        ImportError::Node { node: name.into(), op: self.op.into(), reason: reason.into() }
    }

    /// The name of an input, if it is there.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.inputs.get(index).copied().filter(|name| !name.is_empty())
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ImportError> {
        const KIND: u64 = 2;
        // Some writers leave zeros out.
        let int = |attribute: &Attribute<'_>| attribute.int.or((attribute.kind == KIND).then_some(0));
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        int(attribute).map(Some).ok_or_else(|| self.unsupported(format!("its `{name}` is no whole number")))
    }

    /// A number.
    pub fn float(&self, name: &str) -> Result<Option<f32>, ImportError> {
        const KIND: u64 = 1;
        let float = |attribute: &Attribute<'_>| attribute.float.or((attribute.kind == KIND).then_some(0.0));
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        float(attribute).map(Some).ok_or_else(|| self.unsupported(format!("its `{name}` is no number")))
    }

    /// Whole numbers; `None` where there are none.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..]).filter(|ints| !ints.is_empty())
    }

    /// So many sizes, each at least `least`.
    pub fn sizes<const N: usize>(&self, name: &str, least: usize) -> Result<Option<[usize; N]>, ImportError> {
        let Some(ints) = self.ints(name) else { return Ok(None) };
        let size = |int: &i64| usize::try_from(*int).ok().filter(|size| *size >= least);
        let sizes: Option<Vec<usize>> = ints.iter().map(size).collect();
        let sizes = sizes.and_then(|sizes| sizes.try_into().ok());
        sizes.map(Some).ok_or_else(|| self.unsupported(format!("its `{name}` is {ints:?}: it is no image's")))
    }

    /// Fails if an attribute is there and not `want`.
    pub fn expect_int(&self, name: &str, want: i64) -> Result<(), ImportError> {
        match self.int(name)? {
            Some(got) if got != want => {
                Err(self.unsupported(format!("its `{name}` is {got}; only {want} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// Fails if an attribute is there and not `want`.
    pub fn expect_float(&self, name: &str, want: f32) -> Result<(), ImportError> {
        match self.float(name)? {
            Some(got) if got != want => {
                Err(self.unsupported(format!("its `{name}` is {got}; only {want} is supported")))
            }
            _ => Ok(()),
        }
    }
}

/// What a graph is.
pub struct Layers {
    /// The shape of the images.
    pub input: Shape,
    pub layers: Vec<Emitted>,
    /// As in [`NetworkSpec`](crate::network::NetworkSpec).
    pub test_time_flip: bool,
}

/// A graph on its way to a network.
pub struct Importer<'a> {
    model: &'a Model<'a>,
    values: BTreeMap<&'a str, Value<'a>>,
    pub steps: Steps,
    pub files: Files,
    input: Shape,
}

impl<'a> Importer<'a> {
    pub fn new(model: &'a Model<'a>, files: Files, options: &ImportOptions) -> Result<Self, ImportError> {
        let graph = &model.graph;
        let mut values: BTreeMap<&str, Value<'_>> = BTreeMap::new();
        for tensor in &graph.tensors {
            values.insert(tensor.name, Value::Tensor(tensor.clone()));
        }
        let is_input = |input: &&Input<'_>| !values.contains_key(input.name);
        let mut inputs = graph.inputs.iter().filter(is_input);
        let (Some(images), None) = (inputs.next(), inputs.next()) else {
            return Err(ImportError::Model("it takes not one input; one is wanted, the images".into()));
        };
        let (input, axes) = input_shape(images, options, &graph.nodes)?;
        let (order, mirror) = (Order::Own, Mirror::No);
        let images_value =
            Activation { step: Steps::INPUT, axes, order, mirror, softmax: false, pads: [0; 4] };
        values.insert(images.name, Value::Activation(images_value));
        Ok(Self { model, values, steps: Steps::new(input), files, input })
    }

    /// Walks over the nodes.
    pub fn layers(mut self) -> Result<Layers, ImportError> {
        for node in &self.model.graph.nodes {
            let value = self.operator(node)?;
            let Some(name) = node.outputs.first() else {
                return Err(node.unsupported("it gives nothing"));
            };
            // So no value changes, and none can come from itself.
            if self.values.insert(name, value).is_some() {
                return Err(
                    node.unsupported(format!("its output `{}` is there already", name.escape_debug()))
                );
            }
        }
        let (output, mirror) = self.output()?;
        let layers = self.steps.chain(output).map_err(ImportError::Model)?;
        Ok(Layers { input: self.input, layers, test_time_flip: mirror == Mirror::Mean })
    }

    /// The network's last value. Several outputs must be that value and its softmax.
    fn output(&self) -> Result<(StepId, Mirror), ImportError> {
        let mut last = None;
        for name in &self.model.graph.outputs {
            let failed =
                |reason: &str| ImportError::Model(format!("its output `{}` {reason}", name.escape_debug()));
            let Some(Value::Activation(value)) = self.values.get(name) else {
                return Err(failed("is not computed from the images"));
            };
            if value.order != Order::Own {
                return Err(failed("is a flattened image: end the network with a dense layer"));
            }
            if value.pads != [0; 4] {
                return Err(failed("is a padded image"));
            }
            if !matches!(value.mirror, Mirror::No | Mirror::Mean) {
                return Err(failed(
                    "is of mirror images: their outputs' means with those of the images are wanted",
                ));
            }
            let found = (value.step, value.mirror);
            if *last.get_or_insert(found) != found {
                return Err(failed("is another value than the first: a network of floret has one output"));
            }
        }
        last.ok_or_else(|| ImportError::Model("it has no output".into()))
    }

    pub fn value(&self, node: &Node<'a>, index: usize) -> Result<&Value<'a>, ImportError> {
        let Some(name) = node.input(index) else {
            return Err(node.unsupported(format!("its input {index} is missing")));
        };
        self.values.get(name).ok_or_else(|| {
            node.unsupported(format!("it takes `{}`, which no node before it gives", name.escape_debug()))
        })
    }

    /// An input that depends on the images, whatever was done to it.
    pub fn any_activation(&self, node: &Node<'a>, index: usize) -> Result<Activation, ImportError> {
        match self.value(node, index)? {
            Value::Activation(value) => Ok(value.clone()),
            Value::Tensor(_) | Value::Sizes(_) => {
                Err(node.unsupported(format!("its input {index} does not depend on the images")))
            }
        }
    }

    /// An input that depends on the images, as a layer takes it.
    pub fn activation(&self, node: &Node<'a>, index: usize) -> Result<Activation, ImportError> {
        let value = self.any_activation(node, index)?;
        if value.pads != [0; 4] {
            return Err(node.unsupported("it takes a padded image: padding is supported before convolutions"));
        }
        if value.softmax {
            return Err(node.unsupported("it takes a softmax, which is supported at the end alone"));
        }
        self.check_mirror(node, &value)?;
        Ok(value)
    }

    /// An input that is an image NCHW, with its height, width and channels.
    pub fn image(&self, node: &Node<'a>, value: &Activation) -> Result<[usize; 3], ImportError> {
        match self.steps.shape(value.step) {
            Shape::Image { height, width, channels } if value.axes == NCHW => Ok([height, width, channels]),
            Shape::Image { .. } => Err(node.unsupported("it takes an image that is not NCHW")),
            Shape::Vector(_) => Err(node.unsupported("it takes a vector, and an image is wanted")),
        }
    }

    pub fn is_tensor(&self, node: &Node<'a>, index: usize) -> bool {
        matches!(self.value(node, index), Ok(Value::Tensor(_)))
    }

    /// A constant.
    pub fn tensor(&self, node: &Node<'a>, index: usize) -> Result<&Tensor<'a>, ImportError> {
        match self.value(node, index)? {
            Value::Tensor(tensor) => Ok(tensor),
            _ => Err(node.unsupported(format!("its input {index} is not constant"))),
        }
    }

    /// Sizes, constant or computed.
    pub fn sizes(&self, node: &Node<'a>, index: usize) -> Result<Vec<Size>, ImportError> {
        match self.value(node, index)? {
            Value::Sizes(Sizes { sizes }) => Ok(sizes.clone()),
            Value::Tensor(tensor) => Ok(ints(tensor)?.into_iter().map(Size::Known).collect()),
            Value::Activation(_) => {
                Err(node.unsupported(format!("its input {index} depends on the images; a shape is wanted")))
            }
        }
    }

    /// Constant whole numbers: an attribute in older sets of operators, an input in newer ones.
    pub fn constants(
        &self,
        node: &Node<'a>,
        name: &str,
        index: usize,
    ) -> Result<Option<Vec<i64>>, ImportError> {
        if let Some(ints) = node.ints(name) {
            return Ok(Some(ints.to_vec()));
        }
        if node.input(index).is_none() {
            return Ok(None);
        }
        let known = |size: Size| match size {
            Size::Known(int) => Some(int),
            Size::Batch => None,
        };
        let ints: Option<Vec<i64>> = self.sizes(node, index)?.into_iter().map(known).collect();
        ints.map(Some).ok_or_else(|| node.unsupported(format!("its `{name}` is not constant")))
    }

    /// Appends a layer behind `x`.
    pub fn layer(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        layer: impl Into<LayerSpec>,
        arrays: Vec<(&'static str, ndarray::ArrayD<f32>)>,
    ) -> Result<Activation, ImportError> {
        let layer = layer.into();
        let shape = layer
            .output(self.steps.shape(x.step))
            .and_then(|shape| shape.check("an output").map(|()| shape))
            .map_err(|error| node.unsupported(error.to_string()))?;
        let name = self.layer_name(node, &layer);
        let step = self.steps.layer(x.step, Draft { name, layer, arrays }, shape);
        Ok(Activation { step, ..x })
    }

    /// The node's name in a graph of floret's; else what the name of its first weights begins with.
    pub fn layer_name(&self, node: &Node<'a>, layer: &LayerSpec) -> Option<String> {
        if self.model.producer == PRODUCER {
            return Some(node.name).filter(|name| !name.is_empty()).map(str::to_owned);
        }
        if !matches!(layer, LayerSpec::Conv2d(_) | LayerSpec::Dense(_) | LayerSpec::BatchNorm(_)) {
            return None;
        }
        let weights = node.input(1)?;
        let stem = [".weight", "/kernel", "/gamma"].iter().find_map(|suffix| weights.strip_suffix(suffix));
        stem.filter(|stem| !stem.is_empty()).map(str::to_owned)
    }
}

/// The shape of the images, and the order of their axes in the graph.
fn input_shape(
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
    for node in nodes.iter().filter(|node| !node.inputs.is_empty()) {
        if node.inputs[0] != name {
            continue;
        }
        let is_channels = |size: Option<u64>| matches!(size, Some(1 | 3));
        match node.op {
            "Identity" | "Cast" | "Dropout" | "Relu" | "LeakyRelu" => {
                name = node.outputs.first().copied().unwrap_or_default();
            }
            "Transpose" => return node.ints("perm") == Some(&[0, 3, 1, 2]),
            "Flatten" | "Reshape" | "ReduceMean" => return !is_channels(sizes[0]) && is_channels(sizes[2]),
            _ => return false,
        }
    }
    false
}
