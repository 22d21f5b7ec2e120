//! Several nodes that are one layer: activations and layer norms that an exporter took apart.
//!
//! An activation is not known by its nodes, whose order and constants differ from exporter to exporter, but by what they
//! compute: nodes that make a value of one other value, number by number, are tried on numbers.

use std::collections::{HashMap, HashSet};

use super::curves;
use super::model::Node;
use super::producers::Producers;
use crate::nn::LayerSpec;

/// The most nodes of an activation: the tanh form of GELU has about ten.
const MAX_NODES: usize = 16;

/// What is known of a graph before it is read.
pub struct Graph<'g, 'a> {
    pub nodes: &'g [Node<'a>],
    pub producers: &'g Producers<'a>,
    /// The constants of a single number.
    pub numbers: &'g HashMap<&'a str, f64>,
    /// The constants of several whole numbers.
    pub lists: &'g HashMap<&'a str, Vec<i64>>,
}

/// A value that is made of one other, by nodes that are one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Form<'a> {
    pub input: &'a str,
    pub what: What,
}

/// What it is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Activation(LayerSpec),
    /// A layer norm without factors and shifts, over these axes.
    LayerNorm {
        epsilon: f32,
        axes: Vec<i64>,
    },
}

impl<'a> Graph<'_, 'a> {
    /// The layer that the node of this index ends, if it is of several nodes.
    pub fn form(&self, index: usize) -> Option<Form<'a>> {
        match self.nodes[index].op {
            "Mul" | "Div" | "Clip" | "Min" | "Max" => {
                self.activation(index).or_else(|| self.layer_norm(index))
            }
            _ => None,
        }
    }

    fn node(&self, name: &str, op: &str) -> Option<&Node<'a>> {
        self.producers.get(name).map(|&index| &self.nodes[index]).filter(|node| node.op == op)
    }

    fn is_number(&self, name: &str) -> bool {
        name.is_empty() || self.numbers.contains_key(name)
    }

    /// Goes back from the node until all that it is made of comes from one value, as often as there is one.
    fn activation(&self, index: usize) -> Option<Form<'a>> {
        // A `Clip` behind a rectifier or a hard sigmoid may be a layer of its own on purpose.
        let bounds = self.nodes[index].op != "Clip";
        // In the graph's order.
        let mut inside = vec![index];
        let mut open: HashSet<&'a str> = HashSet::new();
        let inputs =
            |index: usize| self.nodes[index].inputs.iter().copied().filter(|name| !self.is_number(name));
        open.extend(inputs(index));
        while inside.len() < MAX_NODES && !open.is_empty() {
            if inside.len() > 1 && open.len() == 1 {
                let input = *open.iter().next()?;
                let layer =
                    curves::named(bounds, |x| self.computed(&inside, input, self.nodes[index].outputs[0], x));
                if let Some(layer) = layer {
                    return Some(Form { input, what: What::Activation(layer) });
                }
            }
            // The last of them is made of no other.
            let (last, name) = open.iter().map(|&name| (self.producers.get(name).copied(), name)).max()?;
            let may_be_inside = |op| curves::is_elementwise(op) && (bounds || op != "HardSigmoid");
            let last = last.filter(|&last| last < index && may_be_inside(self.nodes[last].op))?;
            open.remove(name);
            open.extend(inputs(last));
            // Nodes out of order may take what comes of them.
            let Err(place) = inside.binary_search(&last) else { return None };
            inside.insert(place, last);
        }
        None
    }

    /// What the nodes `inside` give under the name `output` where `input` is `x`.
    fn computed(&self, inside: &[usize], input: &str, output: &str, x: f64) -> Option<f64> {
        let mut values: HashMap<&str, f64> = HashMap::from([(input, x)]);
        for &index in inside {
            let node = &self.nodes[index];
            let value = |index: usize| -> Option<f64> {
                let name = node.input(index)?;
                values.get(name).or_else(|| self.numbers.get(name)).copied()
            };
            let result = curves::computed(node, value)?;
            values.insert(node.outputs[0], result);
        }
        values.get(output).copied()
    }

    /// `(x - mean) / sqrt(mean of (x - mean)^2 + epsilon)`, the means over the same axes, which are kept.
    fn layer_norm(&self, index: usize) -> Option<Form<'a>> {
        let node = &self.nodes[index];
        let (centered, deviation) = match node.op {
            "Div" => (node.input(0)?, node.input(1)?),
            "Mul" => {
                let inverse = |place: usize| self.node(node.input(place)?, "Reciprocal")?.input(0);
                inverse(1)
                    .map(|d| (node.input(0), d))
                    .or_else(|| inverse(0).map(|d| (node.input(1), d)))
                    .and_then(|(centered, deviation)| Some((centered?, deviation)))?
            }
            _ => return None,
        };
        let sum = self.node(self.node(deviation, "Sqrt")?.input(0)?, "Add")?;
        let number = |place: usize| self.numbers.get(sum.input(place)?).copied();
        let (variance, epsilon) = match (number(0), number(1)) {
            (None, Some(epsilon)) => (sum.input(0)?, epsilon),
            (Some(epsilon), None) => (sum.input(1)?, epsilon),
            _ => return None,
        };
        let (squares, axes) = self.mean(variance)?;
        let squared = match self.node(squares, "Pow") {
            Some(power) => power
                .input(0)
                .filter(|_| power.input(1).and_then(|exponent| self.numbers.get(exponent)) == Some(&2.0))?,
            None => {
                let product = self.node(squares, "Mul")?;
                product.input(0).filter(|factor| product.input(1) == Some(factor))?
            }
        };
        let difference = self.node(centered, "Sub")?;
        // Some exporters write the difference twice.
        let same = |name: &str| {
            name == centered || self.node(name, "Sub").is_some_and(|other| other.inputs == difference.inputs)
        };
        let input = difference.input(0)?;
        let (of, over) = self.mean(difference.input(1)?)?;
        let is_whole = same(squared) && of == input && over == axes;
        is_whole.then(|| Form { input, what: What::LayerNorm { epsilon: epsilon as f32, axes } })
    }

    /// What a mean is of, and over which axes. They must be kept.
    fn mean(&self, name: &str) -> Option<(&'a str, Vec<i64>)> {
        let node = self.node(name, "ReduceMean")?;
        if node.int("keepdims").ok()?.unwrap_or(1) == 0 {
            return None;
        }
        let given = || {
            let name = node.input(1)?;
            let one = self.numbers.get(name).map(|&axis| vec![axis as i64]);
            one.or_else(|| self.lists.get(name).cloned())
        };
        let axes = node.ints("axes").map(<[i64]>::to_vec).or_else(given)?;
        Some((node.input(0)?, axes))
    }
}
