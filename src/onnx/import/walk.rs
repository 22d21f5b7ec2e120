//! The walk over a graph's nodes, in their order.

use super::importer::Importer;
use super::steps::{Arrays, StepId};
use super::value::{Mirror, Order, Value};
use crate::nn::{NamedLayer, Shape};
use crate::onnx::ImportError;

/// What a graph is.
pub struct Layers {
    /// The shape of the images.
    pub input: Shape,
    pub layers: Vec<(NamedLayer, Arrays)>,
    /// As in [`NetworkSpec`](crate::network::NetworkSpec).
    pub test_time_flip: bool,
}

impl Importer<'_> {
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
        let layers = self.steps.layers(output).map_err(ImportError::Model)?;
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
}
