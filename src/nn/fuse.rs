//! Which layers one pass computes.

use super::nodes::{Node, Source};
use super::{Conv2d, LayerSpec, MaxPool2d};
use floret_math::conv::Epilogue;

/// How a node is computed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fused<'a> {
    /// Alone.
    No,
    /// A convolution, with what follows up to the node `last`.
    Convolution { conv: &'a Conv2d, epilogue: Epilogue, last: usize },
    /// A sum, with the ReLU that is the node `last`.
    Sum { last: usize },
    /// In the pass of a node before it.
    Away,
}

/// How each node is computed: a convolution takes a ReLU and a max-pool with it, a sum takes a ReLU, where nothing else takes
/// what lies between.
pub(super) fn fuse<'a>(nodes: &[Node<'a>]) -> Vec<Fused<'a>> {
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
        let Some((relu, LayerSpec::Relu(_))) = next(index) else { continue };
        fused[index] = match node.layer {
            LayerSpec::Add(_) => Fused::Sum { last: relu },
            LayerSpec::Conv2d(conv) if conv.fuses(Epilogue::ReluPool) => match next(relu) {
                Some((last, LayerSpec::MaxPool2d(pool))) if *pool == MaxPool2d::new(2) => {
                    fused[last] = Fused::Away;
                    Fused::Convolution { conv, epilogue: Epilogue::ReluPool, last }
                }
                _ => Fused::Convolution { conv, epilogue: Epilogue::Relu, last: relu },
            },
            _ => continue,
        };
        fused[relu] = Fused::Away;
    }
    fused
}
