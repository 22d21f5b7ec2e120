//! What a graph computes one after another.

use std::ops::Range;

use super::join::Join;
use super::{Layer, Memory};

/// What a step does with its inputs.
#[derive(Debug)]
pub(crate) enum Operation {
    Layer(Box<dyn Layer>),
    Join(Join),
}

/// One layer, with those behind it that it computes in the same pass, or the meeting of several ways.
#[derive(Debug)]
pub(crate) struct Step {
    /// The name of its first layer, to which its arrays belong.
    pub name: String,
    pub operation: Operation,
    /// The steps whose outputs it takes; `None` is the graph's input.
    pub inputs: Vec<Option<usize>>,
    /// Values of one example's output.
    pub output: usize,
    /// Where its arrays lie among those of all.
    pub params: Range<usize>,
    pub state: Range<usize>,
    pub prepared: Range<usize>,
}

impl Step {
    /// Memory that it needs for a batch, beside its output.
    pub fn memory(&self, batch: usize) -> Memory {
        match &self.operation {
            Operation::Layer(layer) => layer.memory(batch),
            Operation::Join(join) => Memory::default().saved_bytes(join.saved_bytes(batch)),
        }
    }

    /// Multiply-adds of one example's forward pass, as a direct computation counts them.
    pub fn multiply_adds(&self) -> u64 {
        match &self.operation {
            Operation::Layer(layer) => layer.multiply_adds(),
            Operation::Join(_) => 0,
        }
    }

    /// Whether backward reads the inputs.
    pub fn reads_inputs(&self) -> bool {
        match &self.operation {
            Operation::Layer(layer) => layer.reads_input(),
            Operation::Join(join) => join.reads_inputs(),
        }
    }
}
