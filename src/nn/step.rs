//! What a graph computes one after another.

use std::ops::Range;
use std::sync::Arc;

use super::arrays::Arrays;
use super::built::Built;
use super::fold::{Fold, Folds};
use super::fuse::{Convolution, Fused, fuse};
use super::join::Join;
use super::nodes::{Node, Source, shape};
use super::separable::SeparableLayer;
use super::{Layer, Memory, Shape, ShapeError};
use floret_math::separable::SeparablePlan;
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
    /// Its first layer's.
    pub arrays: Arrays,
    /// What its layer takes in place of them.
    pub folds: Folds,
    /// Where what it prepares lies: the weights, if they are folded, then what the layer prepares of them.
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
    let groups = fuse(nodes, input, frozen, |index| backward[index]);
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
        let fold = |part: &Convolution<'_>| Fold {
            norm: part.norm.map(|(norm, spec)| (*spec, arrays[norm].clone())),
            kernel: arrays[part.node].params.len() - part.conv.bias_init.map_or(0, |_| part.conv.filters),
            conv: arrays[part.node].clone(),
            channels: part.conv.filters,
        };
        let (operation, folds, last) = match (&groups[index], built) {
            (Fused::Away { by }, _) => {
                from[index] = from[*by];
                continue;
            }
            (_, Built::Reshape(_)) => {
                from[index] = inputs[0];
                continue;
            }
            (Fused::Convolution(part), _) => {
                inputs.extend(part.shortcut.as_ref().map(find));
                let (conv, finish) = (part.conv, part.finish());
                let layer = match part.norm {
                    Some(_) => conv.clone().with_bias().build_with(x, finish, isa),
                    None => conv.build_with(x, finish, isa),
                };
                let folds = part.norm.map(|_| fold(part)).into_iter().collect();
                (Operation::Layer(layer.map_err(|error| error.of(&node.name))?), Folds(folds), part.last)
            }
            (Fused::Separable { expand, depthwise, project }, _) => {
                inputs.extend(project.and_then(|part| part.shortcut).as_ref().map(find));
                let shape = shape(nodes, input, nodes[depthwise.node].inputs[0]);
                let plan = SeparablePlan::new(
                    isa,
                    depthwise.conv.depthwise_shape(shape).expect("a depthwise convolution that was built"),
                    depthwise.epilogue,
                    expand.map(|part| (x.channels(), part.epilogue)),
                    project.map(|part| (part.conv.filters, part.finish())),
                );
                let parts = || expand.iter().chain([depthwise]).chain(project);
                let last = parts().map(|part| part.last).max().unwrap_or(index);
                let layer = Arc::new(SeparableLayer { plan });
                (Operation::Layer(layer), Folds(parts().map(fold).collect()), last)
            }
            (Fused::Norm { spec, activation, last }, _) => {
                let layer = spec.build_with(x, *activation, frozen(index), isa);
                (Operation::Layer(layer), Folds::default(), *last)
            }
            (_, Built::Layer(layer) | Built::Activation(_, layer)) => {
                (Operation::Layer(layer), Folds::default(), index)
            }
            (Fused::Sum { last }, Built::Join(join)) => {
                (Operation::Join(join.with_relu()), Folds::default(), *last)
            }
            (_, Built::Join(join)) => {
                join.check(&inputs).map_err(|error| error.of(&node.name))?;
                (Operation::Join(join), Folds::default(), index)
            }
        };
        let of_layer = match &operation {
            Operation::Layer(layer) => layer.prepared_len(),
            Operation::Join(_) => 0,
        };
        let start = prepared;
        prepared += of_layer + folds.weights();
        from[index] = Some(steps.len());
        steps.push(Step {
            name: node.name.clone(),
            operation,
            inputs,
            output: nodes[last].output.len(),
            last,
            arrays: arrays[index].clone(),
            folds,
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
        memory.infer_scratch += self.folds.len();
        // Backward also needs the gradients of the folded weights.
        memory.train_scratch += self.folds.len() + if self.frozen { 0 } else { self.folds.weights() };
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
        if self.folds.is_empty() {
            return (&w[self.arrays.params.clone()], scratch);
        }
        let (folded, scratch) = scratch.split_at_mut(self.folds.len());
        self.folds.fold(w, state, folded);
        (&folded[..self.folds.weights()], scratch)
    }
}
