//! A graph on its way to a network: the values of its names so far, and what the operators take.

use std::collections::BTreeMap;

use super::ImportOptions;
use super::files::{Files, ints};
use super::input::input_shape;
use super::model::{Input, Model, Node, Tensor};
use super::steps::{Arrays, Draft, StepId, Steps};
use super::value::{Activation, Mirror, NCHW, Order, Size, Sizes, Value};
use crate::nn::{LayerSpec, Shape};
use crate::onnx::{ImportError, PRODUCER};
use floret_math::simd::Isa;

/// What a node gives, or why it can't.
pub type NodeResult<'a> = Result<Value<'a>, ImportError>;

/// A graph on its way to a network.
pub struct Importer<'a> {
    pub model: &'a Model<'a>,
    pub values: BTreeMap<&'a str, Value<'a>>,
    pub steps: Steps,
    pub files: Files,
    pub input: Shape,
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
        arrays: Arrays,
    ) -> Result<Activation, ImportError> {
        let step = self.step(node, vec![x.step], layer.into(), arrays)?;
        Ok(Activation { step, ..x })
    }

    /// Appends a layer of these inputs.
    pub fn step(
        &mut self,
        node: &Node<'a>,
        inputs: Vec<StepId>,
        layer: LayerSpec,
        arrays: Arrays,
    ) -> Result<StepId, ImportError> {
        let shapes: Vec<Shape> = inputs.iter().map(|&step| self.steps.shape(step)).collect();
        let shape = layer
            .build(&shapes, Isa::Portable)
            .map(|built| built.output())
            .and_then(|shape| shape.check("an output").map(|()| shape))
            .map_err(|error| node.unsupported(error.to_string()))?;
        let name = self.layer_name(node, &layer);
        Ok(self.steps.layer(inputs, Draft { name, layer, arrays }, shape))
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
