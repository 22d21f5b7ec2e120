//! Which layers one pass computes.

use super::built::Built;
use super::nodes::{Node, Source};
use super::{BatchNorm, Conv2d, LayerSpec, MaxPool2d};
use floret_math::activation::Activation;
use floret_math::conv::Epilogue;

/// How a node is computed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fused<'a> {
    /// Alone.
    No,
    /// A convolution, with what follows up to the node `last`.
    Convolution {
        conv: &'a Conv2d,
        /// The node of a batch norm whose averages don't move, right behind.
        norm: Option<(usize, &'a BatchNorm)>,
        /// What is added then.
        shortcut: Option<Source>,
        epilogue: Epilogue,
        last: usize,
    },
    /// A sum, with the ReLU that is the node `last`.
    Sum { last: usize },
    /// In the pass of the node `by` before it.
    Away { by: usize },
}

/// How each node is computed, where nothing else takes what lies between: a convolution takes a batch norm, a sum, an activation
/// and a max-pool with it, a sum takes a ReLU.
///
/// `frozen` says which batch norms don't move their averages, `backward` by which nodes a backward pass comes: it needs the values
/// before most activations.
pub(super) fn fuse<'a>(
    nodes: &[Node<'a>],
    frozen: impl Fn(usize) -> bool,
    backward: impl Fn(usize) -> bool,
) -> Vec<Fused<'a>> {
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for source in &node.inputs {
            if let Source::Node(from) = *source {
                takers[from].push(index);
            }
        }
    }
    // The layer that alone takes a node's output.
    let next = |index: usize| match takers[index].as_slice() {
        &[only] => Some((only, &nodes[only])),
        _ => None,
    };
    let mut fused = vec![Fused::No; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        if let Fused::Away { .. } = fused[index] {
            continue;
        }
        let mut last = index;
        let mut take = |node: usize| {
            fused[node] = Fused::Away { by: index };
            last = node;
        };
        match node.layer {
            LayerSpec::Add(_) => {
                if let Some((relu, Node { layer: LayerSpec::Relu(_), .. })) = next(index) {
                    take(relu);
                    fused[index] = Fused::Sum { last };
                }
            }
            LayerSpec::Conv2d(conv) => {
                let (mut norm, mut shortcut, mut epilogue, mut at) = (None, None, Epilogue::Bias, index);
                if let Some((behind, Node { layer: LayerSpec::BatchNorm(spec), .. })) = next(at)
                    && frozen(behind)
                {
                    (norm, at) = (Some((behind, spec)), behind);
                    take(at);
                }
                if let Some((sum, Node { layer: LayerSpec::Add(_), inputs, .. })) = next(at)
                    && !backward(sum)
                    && let Some(other) = other(inputs, at)
                    && is_before(other, index)
                {
                    (shortcut, at) = (Some(other), sum);
                    take(at);
                }
                if let Some((behind, Node { built: Built::Activation(activation, _), .. })) = next(at) {
                    let with = match activation {
                        Activation::Relu => Epilogue::Relu,
                        other => Epilogue::Activation(*other),
                    };
                    if with.trains() || !backward(behind) {
                        (epilogue, at) = (with, behind);
                        take(at);
                    }
                }
                if let (Epilogue::Relu, None) = (epilogue, shortcut)
                    && let Some((pool, Node { layer: LayerSpec::MaxPool2d(spec), .. })) = next(at)
                    && *spec == MaxPool2d::new(2)
                    && conv.fuses(Epilogue::ReluPool)
                {
                    epilogue = Epilogue::ReluPool;
                    take(pool);
                }
                if last != index {
                    fused[index] = Fused::Convolution { conv, norm, shortcut, epilogue, last };
                }
            }
            _ => {}
        }
    }
    fused
}

/// What a sum of two takes beside the output of `node`.
fn other(inputs: &[Source], node: usize) -> Option<Source> {
    match *inputs {
        [Source::Node(first), other] | [other, Source::Node(first)] if first == node => Some(other),
        _ => None,
    }
}

/// Whether a value is there when the node `index` is computed.
fn is_before(source: Source, index: usize) -> bool {
    match source {
        Source::Input => true,
        Source::Node(node) => node < index,
    }
}
