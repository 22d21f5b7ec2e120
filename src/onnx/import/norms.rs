//! Layer norms, and the other layers that several nodes are together.

use ndarray::{ArrayD, IxDyn};

use super::affine::in_own_order;
use super::forms::{Form, What};
use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::value::{Activation, Value, wrapped};
use crate::nn::LayerNorm;
use crate::onnx::ImportError;

impl<'a> Importer<'a> {
    /// The layer that a node is together with some before it.
    pub(super) fn form(&mut self, node: &Node<'a>, form: &Form<'a>) -> NodeResult {
        let x = self.named(node, form.input)?;
        match &form.what {
            What::Activation(layer) => self.layer(node, x, layer.clone(), Vec::new()),
            What::LayerNorm { epsilon, axes } => {
                let rank = x.axes.len();
                let over: Vec<Option<usize>> = axes.iter().map(|&axis| wrapped(axis, rank, rank)).collect();
                if over != [x.channels()] || x.channels().is_none() {
                    return Err(self.not_over_channels(node, &x));
                }
                let len = self.steps.shape(x.step).channels();
                self.spend_values(node, 2 * len)?;
                let arrays = [1.0, 0.0].map(|value| ArrayD::from_elem(IxDyn(&[len]), value));
                let arrays = ["gamma", "beta"].into_iter().zip(arrays).collect();
                let x = self.layer(node, x, LayerNorm::new().epsilon(*epsilon), arrays)?;
                // Its factors and shifts follow.
                self.steps.draft_mut(x.step).into_iter().for_each(|draft| draft.open = true);
                Ok(x)
            }
        }
    }

    /// The value of a name, as a layer takes it.
    fn named(&self, node: &Node<'a>, name: &'a str) -> NodeResult {
        let Some(Value::Activation(value)) = self.values.get(name) else {
            return Err(node
                .unsupported(format!("it takes `{}`, which no node before it gives", name.escape_debug())));
        };
        if value.pads != [0; 4] {
            return Err(node.unsupported(
                "it takes a padded image; padding is read before `Conv`, `MaxPool` and `AveragePool`",
            ));
        }
        self.check_place(node, value)?;
        let shared = value.shared || self.uses.get(name).is_some_and(|&uses| uses > 1);
        Ok(Activation { shared, ..value.clone() })
    }

    fn not_over_channels(&self, node: &Node<'a>, x: &Activation) -> ImportError {
        node.unsupported(format!(
            "it normalizes other axes of {} than the channels; layer norms over the channels of each pixel are read",
            axes_in_words(&x.axes)
        ))
    }

    pub(super) fn layer_norm(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.activation(node, 0)?;
        let rank = x.axes.len();
        let axis = wrapped(node.int("axis")?.unwrap_or(-1), rank, rank);
        if axis != Some(rank - 1) || x.channels() != axis {
            return Err(self.not_over_channels(node, &x));
        }
        let channels = self.steps.shape(x.step).channels();
        let gamma = self.vector(node, 1, channels)?;
        let beta = match node.input(2) {
            Some(_) => self.vector(node, 2, channels)?,
            None => {
                self.spend_values(node, channels)?;
                ArrayD::zeros(gamma.raw_dim())
            }
        };
        let arrays = vec![("gamma", in_own_order(gamma, x.order)), ("beta", in_own_order(beta, x.order))];
        let norm = LayerNorm::new().epsilon(node.float("epsilon")?.unwrap_or(1e-5));
        self.layer(node, x, norm, arrays)
    }
}
