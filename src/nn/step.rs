//! What a graph computes one after another.

use std::ops::Range;
use std::sync::Arc;

use super::arrays::Arrays;
use super::built::Built;
use super::fold::Fold;
use super::fuse::{Fused, fuse};
use super::join::Join;
use super::nodes::{Node, Source, shape};
use super::{Layer, Memory, Shape, ShapeError};
use floret_math::conv::Finish;
use floret_math::simd::Isa;

/// What a step does with its inputs.
#[derive(Debug)]
pub(crate) enum Operation {
    Layer(Arc<dyn Layer>),
    Join(Join),
}

/// One layer, with those behind it that it computes in the same pass, or the meeting of several ways.
#[derive(Debug)]
pub(crate) struct Step {
    /// The name of its first layer, to which its arrays belong.
    pub name: String,
    pub operation: Operation,
    /// The steps whose outputs it takes; `None` is the graph's input. A layer takes one, and a second where it adds to its values.
    pub inputs: Vec<Option<usize>>,
    /// Values of one example's output.
    pub output: usize,
    /// The last node that it computes.
    pub last: usize,
    /// Its layer's; with a batch norm folded into it they change before they serve.
    pub arrays: Arrays,
    pub fold: Option<Fold>,
    /// Where what it prepares lies: with a batch norm the folded weights, then what the layer prepares of them.
    pub prepared: Range<usize>,
    /// Whether training leaves its weights as they are.
    pub frozen: bool,
    /// Whether a backward pass comes by it.
    pub backward: bool,
}

/// Which pass steps are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Training,
    /// Every layer is as if it were frozen.
    Inference,
}

/// The steps of a pass over `nodes`, whose arrays are `arrays`.
///
/// # Errors
/// A product that does not take its inputs.
pub(super) fn steps(
    nodes: &[Node<'_>],
    arrays: &[Arrays],
    purpose: Purpose,
    input: Shape,
    isa: Isa,
) -> Result<Vec<Step>, ShapeError> {
    let frozen = |index: usize| purpose == Purpose::Inference || nodes[index].frozen;
    let backward = backward(nodes, arrays, purpose);
    let groups = fuse(nodes, frozen, |index| backward[index]);
    // The step that gives each node's value; `None` is the graph's input.
    let mut from: Vec<Option<usize>> = vec![None; nodes.len()];
    let (mut steps, mut prepared): (Vec<Step>, usize) = (Vec::new(), 0);
    for (index, node) in nodes.iter().enumerate() {
        let find = |source: &Source| match *source {
            Source::Input => None,
            Source::Node(node) => from[node],
        };
        let mut inputs: Vec<Option<usize>> = node.inputs.iter().map(find).collect();
        let x = node.inputs.first().map_or(input, |&source| shape(nodes, input, source));
        let built = match purpose {
            Purpose::Training => node.built.clone(),
            Purpose::Inference => node.layer.frozen(x, isa).unwrap_or_else(|| node.built.clone()),
        };
        let (operation, fold, last) = match (&groups[index], built) {
            (Fused::Away { by }, _) => {
                from[index] = from[*by];
                continue;
            }
            (_, Built::Reshape(_)) => {
                from[index] = inputs[0];
                continue;
            }
            (Fused::Convolution { conv, norm, shortcut, epilogue, last }, _) => {
                inputs.extend(shortcut.as_ref().map(find));
                let of_conv = arrays[index].clone();
                let fold = norm.map(|(norm, spec)| Fold {
                    norm: *spec,
                    arrays: arrays[norm].clone(),
                    kernel: of_conv.params.len() - if conv.bias_init.is_some() { conv.filters } else { 0 },
                    conv: of_conv,
                    channels: conv.filters,
                });
                let finish = Finish { epilogue: *epilogue, adds: shortcut.is_some() };
                let layer = if fold.is_some() {
                    (*conv).clone().with_bias().build_with(x, finish, isa)
                } else {
                    conv.build_with(x, finish, isa)
                };
                (Operation::Layer(layer.map_err(|error| error.of(&node.name))?), fold, *last)
            }
            (_, Built::Layer(layer) | Built::Activation(_, layer)) => (Operation::Layer(layer), None, index),
            (Fused::Sum { last }, Built::Join(join)) => (Operation::Join(join.with_relu()), None, *last),
            (_, Built::Join(join)) => {
                join.check(&inputs).map_err(|error| error.of(&node.name))?;
                (Operation::Join(join), None, index)
            }
        };
        let of_layer = match &operation {
            Operation::Layer(layer) => layer.prepared_len(),
            Operation::Join(_) => 0,
        };
        let start = prepared;
        prepared += of_layer + fold.as_ref().map_or(0, Fold::weights);
        from[index] = Some(steps.len());
        steps.push(Step {
            name: node.name.clone(),
            operation,
            inputs,
            output: nodes[last].output.len(),
            last,
            arrays: arrays[index].clone(),
            fold,
            prepared: start..prepared,
            frozen: frozen(index),
            backward: backward[last],
        });
    }
    Ok(steps)
}

/// Whether backward can compute the gradient of the graph's input: where nothing is frozen.
pub(super) fn input_gradient(nodes: &[Node<'_>]) -> bool {
    !nodes.iter().any(|node| node.frozen)
}

/// Of each node, whether a backward pass comes by it: a weight of its own trains, or one before.
fn backward(nodes: &[Node<'_>], arrays: &[Arrays], purpose: Purpose) -> Vec<bool> {
    let mut backward: Vec<bool> = Vec::with_capacity(nodes.len());
    for (node, arrays) in nodes.iter().zip(arrays) {
        let before = node.inputs.iter().any(|source| match *source {
            Source::Input => input_gradient(nodes),
            Source::Node(node) => backward[node],
        });
        let trains = !node.frozen && !arrays.params.is_empty();
        backward.push(purpose == Purpose::Training && (before || trains));
    }
    backward
}

impl Step {
    /// Memory that it needs for a batch, beside its output.
    pub fn memory(&self, batch: usize) -> Memory {
        let mut memory = match &self.operation {
            Operation::Layer(layer) => layer.memory(batch),
            Operation::Join(join) => Memory::default().saved_bytes(join.saved_bytes(batch)),
        };
        if let Some(fold) = &self.fold {
            memory.infer_scratch += fold.len();
            // Backward also needs the gradients of the folded weights.
            memory.train_scratch += fold.len() + if self.frozen { 0 } else { fold.weights() };
        }
        memory
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

    /// The layer's weights from those of all, `w`: a part of them, or folded into `scratch`; and what is left of it.
    pub fn weights<'a>(
        &self,
        w: &'a [f32],
        state: &[f32],
        scratch: &'a mut [f32],
    ) -> (&'a [f32], &'a mut [f32]) {
        let Some(fold) = &self.fold else { return (&w[self.arrays.params.clone()], scratch) };
        let (folded, scratch) = scratch.split_at_mut(fold.len());
        fold.fold(w, state, folded);
        (&folded[..fold.weights()], scratch)
    }
}
