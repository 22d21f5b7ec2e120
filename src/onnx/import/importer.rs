//! A graph on its way to a network: the values of its names so far, and what the operators take.

use std::collections::HashMap;

use ndarray::ArrayD;

use super::ImportOptions;
use super::files::{Files, Purpose};
use super::fold::values;
use super::input::input_shape;
use super::model::{Input, Model, Node};
use super::steps::{Arrays, Draft, StepId, Steps};
use super::value::{Activation, Axis, Constant, Mirror, NCHW, Order, Size, Value};
use crate::nn::{LayerSpec, Shape};
use crate::onnx::{ImportError, PRODUCER};
use floret_math::simd::Isa;

/// The most sizes of a shape.
const MAX_SIZES: usize = 16;

/// What a node gives, or why it can't.
pub type NodeResult = Result<Activation, ImportError>;

/// A graph on its way to a network.
pub struct Importer<'a> {
    pub model: &'a Model<'a>,
    pub values: HashMap<&'a str, Value<'a>>,
    /// How many nodes that are read take each name.
    pub uses: HashMap<&'a str, usize>,
    pub steps: Steps,
    pub files: Files,
    pub input: Shape,
}

impl<'a> Importer<'a> {
    pub fn new(model: &'a Model<'a>, files: Files, options: &ImportOptions) -> Result<Self, ImportError> {
        let graph = &model.graph;
        let mut values: HashMap<&str, Value<'_>> = HashMap::new();
        for tensor in &graph.tensors {
            values.insert(tensor.name, Value::Tensor(tensor.clone()));
        }
        let is_input = |input: &&Input<'_>| !values.contains_key(input.name);
        let mut inputs = graph.inputs.iter().filter(is_input);
        let (Some(images), None) = (inputs.next(), inputs.next()) else {
            return Err(ImportError::Model("it takes not one input; one is wanted, the images".into()));
        };
        let (input, axes) = input_shape(images, options, &graph.nodes)?;
        let images_value = Activation {
            step: Steps::INPUT,
            axes,
            order: Order::Own,
            mirror: Mirror::No,
            softmax: false,
            pads: [0; 4],
            shared: false,
        };
        values.insert(images.name, Value::Activation(images_value));
        Ok(Self { model, values, uses: HashMap::new(), steps: Steps::new(input), files, input })
    }

    /// Whether floret wrote the graph: its layers then come back as they were.
    pub fn is_own(&self) -> bool {
        self.model.producer == PRODUCER
    }

    pub fn value(&self, node: &Node<'a>, index: usize) -> Result<&Value<'a>, ImportError> {
        let Some(name) = node.input(index) else { return Err(node.missing(index)) };
        self.values.get(name).ok_or_else(|| {
            node.unsupported(format!("it takes `{}`, which no node before it gives", name.escape_debug()))
        })
    }

    /// An input that depends on the images, whatever was done to it.
    pub fn any_activation(&self, node: &Node<'a>, index: usize) -> NodeResult {
        let name = node.input(index).unwrap_or_default();
        match self.value(node, index)? {
            Value::Activation(value) => {
                let shared = value.shared || self.uses.get(name).is_some_and(|&uses| uses > 1);
                Ok(Activation { shared, ..value.clone() })
            }
            Value::Tensor(_) | Value::Constant(_) => Err(node.unsupported(format!(
                "{} (`{}`) is a constant; a value that depends on the images is wanted there",
                node.role(index),
                name.escape_debug()
            ))),
        }
    }

    /// An input that depends on the images, as a layer takes it.
    pub fn activation(&self, node: &Node<'a>, index: usize) -> NodeResult {
        let value = self.any_activation(node, index)?;
        if value.pads != [0; 4] {
            return Err(node.unsupported(
                "it takes an image that a `Pad` made larger, which is read before `Conv`, `MaxPool` and `AveragePool`",
            ));
        }
        self.check_place(node, &value)?;
        Ok(value)
    }

    /// Fails where no layer can follow.
    pub fn check_place(&self, node: &Node<'a>, value: &Activation) -> Result<(), ImportError> {
        if value.softmax {
            return Err(node.unsupported("it takes a softmax, which is read at the end of the graph alone"));
        }
        self.check_mirror(node, value)
    }

    /// An input that is an image NCHW, with its height, width and channels.
    pub fn image(&self, node: &Node<'a>, value: &Activation) -> Result<[usize; 3], ImportError> {
        match self.steps.shape(value.step) {
            Shape::Image { height, width, channels } if value.axes == NCHW => Ok([height, width, channels]),
            Shape::Image { .. } => Err(node.unsupported(format!(
                "it takes an image by the axes {}; (batch, channels, height, width) are wanted: a `Transpose` before it is missing",
                axes_in_words(&value.axes)
            ))),
            Shape::Vector(len) => Err(node.unsupported(format!("it takes a vector of {len} values; an image is wanted"))),
        }
    }

    pub fn is_constant(&self, node: &Node<'a>, index: usize) -> bool {
        matches!(self.value(node, index), Ok(Value::Tensor(_) | Value::Constant(_)))
    }

    /// The sizes of a constant's axes.
    pub fn constant_shape(&self, node: &Node<'a>, index: usize) -> Result<Vec<usize>, ImportError> {
        match self.value(node, index)? {
            Value::Tensor(tensor) => {
                Ok(tensor.dims.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect())
            }
            Value::Constant(Constant::Floats(array)) => Ok(array.shape().to_vec()),
            Value::Constant(Constant::Ints(array)) => Ok(array.shape().to_vec()),
            Value::Activation(_) => Err(self.not_constant(node, index)),
        }
    }

    fn not_constant(&self, node: &Node<'a>, index: usize) -> ImportError {
        node.unsupported(format!(
            "{} (`{}`) depends on the images; a constant is wanted there",
            node.role(index),
            node.input(index).unwrap_or_default().escape_debug()
        ))
    }

    /// The values of a constant, for a layer.
    pub fn floats(&mut self, node: &Node<'a>, index: usize) -> Result<ArrayD<f32>, ImportError> {
        let name = node.input(index).unwrap_or_default();
        match self.value(node, index)? {
            Value::Tensor(tensor) => {
                let tensor = tensor.clone();
                self.files.floats(&tensor, Purpose::Layers)
            }
            Value::Constant(Constant::Floats(array)) => {
                let bytes = array.len() as u64 * size_of::<f32>() as u64;
                self.files.spend(name, bytes, Purpose::Layers)?;
                let Some(Value::Constant(Constant::Floats(array))) = self.values.get(name) else {
                    return Err(self.not_constant(node, index));
                };
                Ok(array.clone())
            }
            Value::Constant(Constant::Ints(_)) => Err(node.unsupported(format!(
                "{} (`{}`) is of whole numbers; floats are wanted there",
                node.role(index),
                name.escape_debug()
            ))),
            Value::Activation(_) => Err(self.not_constant(node, index)),
        }
    }

    /// Whole numbers, constant or computed.
    pub fn whole_numbers(&mut self, node: &Node<'a>, index: usize) -> Result<ArrayD<Size>, ImportError> {
        let constant = match self.value(node, index)? {
            Value::Tensor(tensor) => {
                let tensor = tensor.clone();
                self.files.constant(&tensor)?
            }
            Value::Constant(constant) => constant.clone(),
            Value::Activation(_) => return Err(self.not_constant(node, index)),
        };
        match constant {
            Constant::Ints(array) => Ok(array),
            Constant::Floats(_) => Err(node
                .unsupported(format!("{} is of floats; whole numbers are wanted there", node.role(index)))),
        }
    }

    /// Sizes: a number, or a list of some.
    pub fn sizes(&mut self, node: &Node<'a>, index: usize) -> Result<Vec<Size>, ImportError> {
        let array = self.whole_numbers(node, index)?;
        if array.len() > MAX_SIZES || array.ndim() > 1 {
            return Err(node.unsupported(format!(
                "{} has the shape {:?}; a list of up to {MAX_SIZES} whole numbers is wanted",
                node.role(index),
                array.shape()
            )));
        }
        Ok(values(&array).to_vec())
    }

    /// Constant whole numbers: an attribute in older sets of operators, an input in newer ones.
    pub fn constants(
        &mut self,
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
        let ints: Option<Vec<i64>> = self.sizes(node, index)?.into_iter().map(Size::known).collect();
        ints.map(Some).ok_or_else(|| {
            node.unsupported(format!(
                "its `{name}` depends on the number of images; export it with constant sizes"
            ))
        })
    }

    /// Takes memory for so many values of layers that no array of the file has: a number for each channel may be one for all there.
    pub fn spend_values(&mut self, node: &Node<'a>, len: usize) -> Result<(), ImportError> {
        let bytes = (len as u64).saturating_mul(size_of::<f32>() as u64);
        self.files.spend(node.outputs.first().copied().unwrap_or_default(), bytes, Purpose::Layers)
    }

    /// Appends a layer behind `x`.
    pub fn layer(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        layer: impl Into<LayerSpec>,
        arrays: Arrays,
    ) -> NodeResult {
        self.layer_of_spec(node, x, layer.into(), arrays)
    }

    fn layer_of_spec(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        layer: LayerSpec,
        arrays: Arrays,
    ) -> NodeResult {
        let step = self.step(node, vec![x.step], layer, arrays)?;
        Ok(Activation { step, shared: false, ..x })
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
        Ok(self.steps.layer(inputs, Draft { name, layer, arrays, open: false }, shape))
    }

    /// The node's name in a graph of floret's; else what the name of its first weights begins with.
    fn layer_name(&self, node: &Node<'a>, layer: &LayerSpec) -> Option<String> {
        if self.is_own() {
            return Some(node.name).filter(|name| !name.is_empty()).map(str::to_owned);
        }
        let has_weights = matches!(
            layer,
            LayerSpec::Conv2d(_) | LayerSpec::Dense(_) | LayerSpec::BatchNorm(_) | LayerSpec::LayerNorm(_)
        );
        let weights = node.input(1).filter(|_| has_weights)?;
        let stem = [".weight", "/kernel", "/gamma"].iter().find_map(|suffix| weights.strip_suffix(suffix));
        stem.filter(|stem| !stem.is_empty()).map(str::to_owned)
    }
}

/// `(batch, height, width, channels)`
pub fn axes_in_words(axes: &[Axis]) -> String {
    let word = |axis: &Axis| match axis {
        Axis::Batch => "batch",
        Axis::Height => "height",
        Axis::Width => "width",
        Axis::Channels => "channels",
        Axis::Flat => "values",
        Axis::One => "1",
        Axis::Groups(_) => "groups",
        Axis::InGroup(_) => "channels of a group",
        Axis::All => "all values of the batch",
    };
    format!("({})", axes.iter().map(word).collect::<Vec<_>>().join(", "))
}
