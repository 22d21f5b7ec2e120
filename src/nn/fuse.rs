//! Which layers one pass computes.

use super::built::Built;
use super::nodes::{Node, Source, shape};
use super::{BatchNorm, Conv2d, LayerSpec, MaxPool2d, Shape};
use floret_math::activation::Activation;
use floret_math::conv::{Epilogue, Finish};
use floret_math::separable::SeparablePlan;

/// A convolution, with what follows up to the node `last`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution<'a> {
    /// Its node.
    pub node: usize,
    pub conv: &'a Conv2d,
    /// The node of a batch norm whose averages don't move, right behind.
    pub norm: Option<(usize, &'a BatchNorm)>,
    /// What is added then.
    pub shortcut: Option<Source>,
    pub epilogue: Epilogue,
    pub last: usize,
}

impl Convolution<'_> {
    /// How it ends.
    pub fn finish(&self) -> Finish {
        Finish { epilogue: self.epilogue, adds: self.shortcut.is_some() }
    }
}

/// How a node is computed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fused<'a> {
    /// Alone.
    No,
    Convolution(Convolution<'a>),
    /// A depthwise convolution, with the 1x1 convolution before it, that behind it, or both.
    Separable {
        expand: Option<Convolution<'a>>,
        depthwise: Convolution<'a>,
        project: Option<Convolution<'a>>,
    },
    /// A batch norm, with the activation that is the node `last`.
    Norm {
        spec: &'a BatchNorm,
        activation: Activation,
        last: usize,
    },
    /// A sum, with the ReLU that is the node `last`.
    Sum {
        last: usize,
    },
    /// In the pass of the node `by` before it.
    Away {
        by: usize,
    },
}

/// How each node of a graph whose input has this shape is computed, where nothing else takes what lies between: a convolution takes a
/// batch norm, a sum, an activation and a max-pool with it, a batch norm an activation, a sum a ReLU, a depthwise convolution its
/// neighbours.
///
/// `frozen` says which batch norms don't move their averages, `backward` by which nodes a backward pass comes: it needs the values
/// before most activations.
pub(super) fn fuse<'a>(
    nodes: &[Node<'a>],
    input: Shape,
    frozen: impl Fn(usize) -> bool,
    backward: impl Fn(usize) -> bool,
) -> Vec<Fused<'a>> {
    let takers = takers(nodes);
    // The layer that alone takes a node's output.
    let next = |index: usize| takers[index].map(|only| (only, &nodes[only]));
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
            LayerSpec::BatchNorm(spec) => {
                if let Some((behind, Node { built: Built::Activation(activation, _), .. })) = next(index) {
                    take(behind);
                    fused[index] = Fused::Norm { spec, activation: *activation, last };
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
                fused[index] =
                    Fused::Convolution(Convolution { node: index, conv, norm, shortcut, epilogue, last });
            }
            _ => {}
        }
    }
    for index in 0..nodes.len() {
        if let Fused::Convolution(depthwise) = fused[index]
            && !backward(depthwise.last)
            && let Some((expand, project)) = neighbours(nodes, input, &takers, &fused, &depthwise)
        {
            let first = expand.unwrap_or(depthwise).node;
            for part in [expand, Some(depthwise), project].into_iter().flatten() {
                fused[part.node] = Fused::Away { by: first };
            }
            fused[first] = Fused::Separable { expand, depthwise, project };
        }
    }
    fused
}

/// Of each node, the one that alone takes its output.
fn takers(nodes: &[Node<'_>]) -> Vec<Option<usize>> {
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for source in &node.inputs {
            if let Source::Node(from) = *source {
                takers[from].push(index);
            }
        }
    }
    let only = |takers: Vec<usize>| match takers.as_slice() {
        &[only] => Some(only),
        _ => None,
    };
    takers.into_iter().map(only).collect()
}

/// The 1x1 convolutions before and behind a depthwise one that are computed with it; `None` where it is better alone.
fn neighbours<'a>(
    nodes: &[Node<'a>],
    input: Shape,
    takers: &[Option<usize>],
    fused: &[Fused<'a>],
    depthwise: &Convolution<'a>,
) -> Option<(Option<Convolution<'a>>, Option<Convolution<'a>>)> {
    let x = nodes[depthwise.node].inputs[0];
    let shape = depthwise.conv.depthwise_shape(shape(nodes, input, x))?;
    if depthwise.shortcut.is_some() || !SeparablePlan::pays(&shape) {
        return None;
    }
    let pointwise = |index: usize| match fused[index] {
        Fused::Convolution(part) if is_pointwise(nodes, input, &part) => Some(part),
        _ => None,
    };
    let expand = match x {
        Source::Node(last) if takers[last] == Some(depthwise.node) => {
            let node = if let Fused::Away { by } = fused[last] { by } else { last };
            pointwise(node).filter(|part| part.last == last && part.shortcut.is_none())
        }
        _ => None,
    };
    let first = expand.as_ref().unwrap_or(depthwise).node;
    let is_there = |part: &Convolution<'_>| part.shortcut.is_none_or(|source| is_before(source, first));
    let project = takers[depthwise.last].and_then(pointwise).filter(is_there);
    (expand.is_some() || project.is_some()).then_some((expand, project))
}

/// Whether it is a 1x1 convolution of each pixel of its input, with no pool behind it.
fn is_pointwise(nodes: &[Node<'_>], input: Shape, part: &Convolution<'_>) -> bool {
    let node = &nodes[part.node];
    let pixels = |shape: Shape| shape.len() / shape.channels();
    (part.conv.kernel, part.conv.stride, part.conv.groups) == ((1, 1), (1, 1), 1)
        && pixels(node.output) == pixels(shape(nodes, input, node.inputs[0]))
        && part.epilogue != Epilogue::ReluPool
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
