//! Which reader reads which operator.

use super::affine::Affine;
use super::importer::{Importer, NodeResult};
use super::model::Node;
use super::value::Value;
use crate::nn::{Clip, Gelu, HardSigmoid, HardSwish, LayerSpec, LeakyRelu, Relu, Relu6, Sigmoid};
use crate::onnx::ImportError;

/// 1/6 as exporters write it, in one or the other precision.
const SIXTH: std::ops::Range<f32> = 0.166666..0.166667;

impl<'a> Importer<'a> {
    /// What a node gives: its outputs, as far as they are read.
    pub(super) fn operator(&mut self, node: &Node<'a>) -> Result<Vec<Value<'a>>, ImportError> {
        let value = match node.op {
            "Conv" => self.conv(node)?,
            "Gemm" => self.gemm(node)?,
            "MatMul" => self.matmul(node)?,
            "Add" | "Sub" | "Mul" | "Div" | "Sum" => self.arithmetic(node)?,
            "Neg" => {
                let x = self.activation(node, 0)?;
                self.scale(node, x, -1.0)?
            }
            "BatchNormalization" => self.batch_norm(node)?,
            "LayerNormalization" => self.layer_norm(node)?,
            "Relu" => self.activation_layer(node, Relu.into())?,
            "LeakyRelu" => {
                let slope = node.float("alpha")?.unwrap_or(0.01);
                self.activation_layer(node, LeakyRelu::new(slope).into())?
            }
            "Clip" | "Min" | "Max" => self.clip(node)?,
            "Sigmoid" => self.activation_layer(node, Sigmoid.into())?,
            "HardSigmoid" => self.hard_sigmoid(node)?,
            "HardSwish" => self.activation_layer(node, HardSwish.into())?,
            "Gelu" => {
                let approximate = node.attribute("approximate").and_then(|kind| kind.string);
                let gelu = if approximate == Some(b"tanh") { Gelu::new().approximate() } else { Gelu::new() };
                self.activation_layer(node, gelu.into())?
            }
            "MaxPool" | "AveragePool" => self.pool(node)?,
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(node)?,
            "ReduceMean" | "ReduceMax" => self.reduce(node)?,
            "Flatten" => self.flatten_node(node)?,
            "Reshape" => self.reshape(node)?,
            "Squeeze" | "Unsqueeze" => self.squeeze(node)?,
            "Transpose" => self.transpose(node)?,
            "Pad" => self.pad(node)?,
            "Softmax" | "LogSoftmax" => self.softmax(node)?,
            "Dropout" | "Identity" => self.any_activation(node, 0)?,
            "Cast" => self.cast(node)?,
            "Concat" => self.concat(node)?,
            "Slice" => self.slice(node)?,
            "Gather" => self.gather(node)?,
            "Split" => return self.split(node),
            "Shape" => return Ok(vec![self.shape_of(node)?]),
            _ => {
                return Err(node.unsupported(
                    "it is read of constants, and as part of an activation or a layer norm; what it is part of here is neither",
                ));
            }
        };
        Ok(vec![Value::Activation(value)])
    }

    fn activation_layer(&mut self, node: &Node<'a>, layer: LayerSpec) -> NodeResult {
        let x = self.activation(node, 0)?;
        self.layer(node, x, layer, Vec::new())
    }

    /// `Clip`, whose bounds are attributes in older sets of operators and inputs in newer ones; `Min` and `Max` of a number.
    fn clip(&mut self, node: &Node<'a>) -> NodeResult {
        let (x, [min, max]) = match node.op {
            "Clip" => {
                let mut bound = |index: usize, name: &str| match node.input(index) {
                    Some(_) => self.number(node, index).map(Some),
                    None => node.float(name),
                };
                (0, [bound(1, "min")?, bound(2, "max")?])
            }
            op => {
                if node.inputs.len() != 2 {
                    return Err(node.unsupported("it is read of one value and one number"));
                }
                let (x, number) = if self.is_constant(node, 0) { (1, 0) } else { (0, 1) };
                let number = Some(self.number(node, number)?);
                (x, if op == "Min" { [None, number] } else { [number, None] })
            }
        };
        let x = self.activation(node, x)?;
        // Some exporters write a bound that is none as an infinity.
        let (min, max) = (min.unwrap_or(f32::MIN).max(f32::MIN), max.unwrap_or(f32::MAX).min(f32::MAX));
        let layer: LayerSpec = match (min, max) {
            (0.0, 6.0) => Relu6.into(),
            (0.0, f32::MAX) => Relu.into(),
            (min, max) => Clip::new(min, max).into(),
        };
        self.layer(node, x, layer, Vec::new())
    }

    /// A constant of a single number.
    fn number(&mut self, node: &Node<'a>, index: usize) -> Result<f32, ImportError> {
        let values = self.floats(node, index)?;
        values.first().copied().filter(|_| values.len() == 1).ok_or_else(|| {
            node.unsupported(format!(
                "{} has the shape {:?}; a single number is read there",
                node.role(index),
                values.shape()
            ))
        })
    }

    /// `clip(alpha x + beta, 0, 1)`: floret's where alpha is 1/6, else of parts.
    fn hard_sigmoid(&mut self, node: &Node<'a>) -> NodeResult {
        let (alpha, beta) = (node.float("alpha")?.unwrap_or(0.2), node.float("beta")?.unwrap_or(0.5));
        let mut x = self.activation(node, 0)?;
        if SIXTH.contains(&alpha) && beta == 0.5 {
            return self.layer(node, x, HardSigmoid, Vec::new());
        }
        for (what, number) in [(Affine::Scale, alpha), (Affine::Shift, beta)] {
            x = self.affine_number(node, x, what, number)?;
        }
        self.layer(node, x, Clip::new(0.0, 1.0), Vec::new())
    }
}
