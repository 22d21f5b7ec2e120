//! Which layers one pass computes.

use super::nodes::{Node, Source};
use super::{BatchNorm, Conv2d, LayerSpec, MaxPool2d};
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
        epilogue: Epilogue,
        last: usize,
    },
    /// A sum, with the ReLU that is the node `last`.
    Sum { last: usize },
    /// In the pass of a node before it.
    Away,
}

/// How each node is computed: a convolution takes a batch norm, a ReLU and a max-pool with it, a sum takes a ReLU, where nothing
/// else takes what lies between. `frozen` says which batch norms don't move their averages.
pub(super) fn fuse<'a>(nodes: &[Node<'a>], frozen: impl Fn(&Node<'_>) -> bool) -> Vec<Fused<'a>> {
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
        &[only] => Some((only, nodes[only].layer)),
        _ => None,
    };
    let mut fused = vec![Fused::No; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let mut last = index;
        match node.layer {
            LayerSpec::Add(_) => {
                if let Some((relu, LayerSpec::Relu(_))) = next(last) {
                    last = relu;
                    fused[index] = Fused::Sum { last };
                    fused[last] = Fused::Away;
                }
            }
            LayerSpec::Conv2d(conv) => {
                let mut norm = None;
                if let Some((behind, LayerSpec::BatchNorm(spec))) = next(last)
                    && frozen(&nodes[behind])
                {
                    (norm, last) = (Some((behind, spec)), behind);
                    fused[last] = Fused::Away;
                }
                let mut epilogue = Epilogue::Bias;
                if let Some((relu, LayerSpec::Relu(_))) = next(last)
                    && conv.fuses()
                {
                    (epilogue, last) = (Epilogue::Relu, relu);
                    fused[last] = Fused::Away;
                }
                if let (Epilogue::Relu, Some((pool, LayerSpec::MaxPool2d(spec)))) = (epilogue, next(last))
                    && *spec == MaxPool2d::new(2)
                {
                    (epilogue, last) = (Epilogue::ReluPool, pool);
                    fused[last] = Fused::Away;
                }
                if last != index {
                    fused[index] = Fused::Convolution { conv, norm, epilogue, last };
                }
            }
            _ => {}
        }
    }
    fused
}
