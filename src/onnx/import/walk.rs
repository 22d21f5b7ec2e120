//! The walk over a graph's nodes, in their order: constants first, then what depends on the images.

use std::collections::HashMap;

use super::files::Files;
use super::fold::{fold, is_foldable, only, values};
use super::forms::Graph;
use super::importer::{Importer, axes_in_words};
use super::known;
use super::model::{FLOAT, Node};
use super::order::Order as ReadingOrder;
use super::producers::{needed, producers};
use super::steps::{Arrays, StepId};
use super::value::{Axis, Constant, Mirror, Order, Value};
use crate::image::Normalize;
use crate::nn::{NamedLayer, Shape};
use crate::onnx::ImportError;

/// What a graph is.
pub struct Layers {
    /// The shape of the images.
    pub input: Shape,
    pub layers: Vec<(NamedLayer, Arrays)>,
    /// As in [`NetworkSpec`](crate::network::NetworkSpec).
    pub test_time_flip: bool,
    /// As in [`Imported`](super::Imported).
    pub takes: Option<Normalize>,
}

impl<'a> Importer<'a> {
    /// Reads the nodes that the outputs need.
    pub fn layers(mut self) -> Result<Layers, ImportError> {
        let graph = &self.model.graph;
        let nodes = &graph.nodes;
        let producers = producers(nodes, |name| self.values.contains_key(name))?;
        let needed = needed(nodes, &producers, &graph.outputs);
        let of_needed = || nodes.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(node, _)| node);
        known::check(of_needed())?;
        for node in of_needed() {
            if let Some(value) = self.constant(node)? {
                self.values.insert(node.outputs[0], value);
            }
        }
        let (numbers, lists) = self.small_constants()?;
        let about = Graph { nodes, producers: &producers, numbers: &numbers, lists: &lists };
        let is_constant =
            |name: &str| matches!(self.values.get(name), Some(Value::Tensor(_) | Value::Constant(_)));
        let ReadingOrder { wanted, forms, uses } = ReadingOrder::of(&about, &graph.outputs, is_constant);
        self.uses = uses;
        for (index, node) in nodes.iter().enumerate().filter(|(index, _)| wanted[*index]) {
            let values = match &forms[index] {
                Some(form) => vec![Value::Activation(self.form(node, form)?)],
                None => match self.constant(node)? {
                    Some(value) => vec![value],
                    None => self.operator(node)?,
                },
            };
            for (name, value) in node.outputs.iter().zip(values) {
                self.values.insert(name, value);
            }
        }
        let (output, mirror) = self.output()?;
        // A rescaling that a convolution took up is still among the steps.
        let takes = self.steps.all().find_map(|step| self.rescaling_at(step)?.takes());
        let layers = self.steps.layers(output);
        Ok(Layers { input: self.input, layers, test_time_flip: mirror == Mirror::Mean, takes })
    }

    /// What a node gives whose inputs are all constants, if that is computed.
    fn constant(&mut self, node: &Node<'a>) -> Result<Option<Value<'a>>, ImportError> {
        if !is_foldable(node.op) {
            return Ok(None);
        }
        // Large arrays stay in the file until a layer takes them.
        let tensor = node.attribute("value").and_then(|value| value.tensor.as_ref());
        if let Some(tensor) = tensor.filter(|tensor| node.op == "Constant" && tensor.kind == FLOAT) {
            return Ok(Some(Value::Tensor(tensor.clone())));
        }
        let mut inputs = Vec::new();
        for name in &node.inputs {
            match self.values.get(name) {
                _ if name.is_empty() => inputs.push(None),
                Some(Value::Tensor(tensor)) if node.op == "Identity" => {
                    return Ok(Some(Value::Tensor(tensor.clone())));
                }
                Some(value @ (Value::Tensor(_) | Value::Constant(_))) => inputs.push(Some(value)),
                Some(Value::Activation(_)) | None => return Ok(None),
            }
        }
        let read = |value: &Value<'a>, files: &mut Files| match value {
            Value::Tensor(tensor) => files.constant(tensor),
            Value::Constant(constant) => {
                files.spend_copy(node.outputs[0], constant)?;
                Ok(constant.clone())
            }
            Value::Activation(_) => Err(node.unsupported("it depends on the images")),
        };
        let inputs = inputs
            .into_iter()
            .map(|input| input.map(|value| read(value, &mut self.files)).transpose())
            .collect::<Result<Vec<Option<Constant>>, _>>()?;
        fold(node, &inputs, &mut self.files).map(|constant| Some(Value::Constant(constant)))
    }

    /// The constants of a single number, and those of several whole numbers.
    fn small_constants(
        &mut self,
    ) -> Result<(HashMap<&'a str, f64>, HashMap<&'a str, Vec<i64>>), ImportError> {
        let (mut numbers, mut lists) = (HashMap::new(), HashMap::new());
        let mut note = |name: &'a str, constant: &Constant| match constant {
            Constant::Floats(array) => numbers.extend(only(array).map(|number| (name, f64::from(number)))),
            Constant::Ints(array) => {
                let ints: Option<Vec<i64>> = values(array).iter().map(|size| size.known()).collect();
                if let Some(&[int]) = ints.as_deref() {
                    numbers.insert(name, int as f64);
                }
                lists.extend(ints.map(|ints| (name, ints)));
            }
        };
        // By name, since which of them are read depends on the order: together they may take so much memory and no more.
        let mut names: Vec<&str> = self.values.keys().copied().collect();
        names.sort_unstable();
        for name in names {
            match &self.values[name] {
                // What is wrong with an array is told where it is taken.
                Value::Tensor(tensor) if tensor.is_small() => {
                    self.files.constant(tensor).iter().for_each(|constant| note(name, constant));
                }
                Value::Constant(constant) => note(name, constant),
                Value::Tensor(_) | Value::Activation(_) => {}
            }
        }
        Ok((numbers, lists))
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
            let is_vector = matches!(self.steps.shape(value.step), Shape::Vector(_));
            let known = |axis: &Axis| matches!(axis, Axis::Batch | Axis::Flat | Axis::One);
            if is_vector && !(value.axes.first() == Some(&Axis::Batch) && value.axes.iter().all(known)) {
                let axes = axes_in_words(&value.axes);
                return Err(failed(&format!("has the axes {axes}: a vector for each image is wanted")));
            }
            let found = (value.step, value.mirror);
            if *last.get_or_insert(found) != found {
                return Err(failed("is another value than the first: a network of floret has one output"));
            }
        }
        last.ok_or_else(|| ImportError::Model("it has no output".into()))
    }
}
