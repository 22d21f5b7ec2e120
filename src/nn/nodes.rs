//! A network's description as nodes: names found, residual blocks opened, every shape known.

use std::collections::HashMap;

use super::built::Built;
use super::{Add, LayerSpec, NamedLayer, Residual, Shape, ShapeError};
use floret_math::simd::Isa;

/// What a layer's `from` calls the network's own input, unless a layer before it has this name.
pub(crate) const INPUT: &str = "input";

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is the network's input.
    Input,
    /// It is the output of the node of this index.
    Node(usize),
}

/// One layer, or the sum at the end of a residual block.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// Its path: of a layer in a residual block, `block/body_1_conv2d`.
    pub name: String,
    pub layer: &'a LayerSpec,
    /// Whether training leaves it as it is.
    pub frozen: bool,
    /// What the learning rate is multiplied by.
    pub learning_rate: f32,
    /// What it takes; each comes from a node before it.
    pub inputs: Vec<Source>,
    pub output: Shape,
    /// The layer, built for its inputs.
    pub built: Built,
}

/// The nodes of `layers` for inputs of shape `input`, in an order in which they can be computed; the last one's output is
/// the network's.
///
/// # Errors
/// The first layer that does not fit its inputs, by name; a name that no layer before has; a layer whose output nothing takes.
pub(crate) fn nodes(layers: &[NamedLayer], input: Shape, isa: Isa) -> Result<Vec<Node<'_>>, ShapeError> {
    input.check("an input")?;
    // Layers count on values: they divide by the numbers of them.
    if input.is_empty() {
        return Err(ShapeError::new(format!("an input of {input} holds no value")));
    }
    let mut lowering = Lowering { input, isa, frozen: false, learning_rate: 1.0, nodes: Vec::new() };
    let mut known = HashMap::from([(INPUT, Source::Input)]);
    let mut last = Source::Input;
    for NamedLayer { name, from, frozen, learning_rate, layer } in layers {
        if !(learning_rate.is_finite() && *learning_rate >= 0.0) {
            return Err(ShapeError::new(format!(
                "what the learning rate is multiplied by must be a number of 0 or more, not {learning_rate}"
            ))
            .of(name));
        }
        (lowering.frozen, lowering.learning_rate) = (*frozen, *learning_rate);
        let find = |from: &String| {
            known.get(from.as_str()).copied().ok_or_else(|| {
                let from = from.escape_debug();
                ShapeError::new(format!("it takes `{from}`, but no layer before it has this name")).of(name)
            })
        };
        let mut inputs = from.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        if inputs.is_empty() {
            inputs.push(last);
        }
        last = lowering.lower(name.clone(), layer, inputs)?;
        known.insert(name, last);
    }
    let nodes = lowering.nodes;
    let mut taken = vec![false; nodes.len()];
    let takes = nodes.iter().flat_map(|node| &node.inputs).chain([&last]);
    takes.for_each(|source| {
        if let Source::Node(node) = *source {
            taken[node] = true;
        }
    });
    match taken.iter().position(|taken| !taken) {
        Some(unused) => Err(ShapeError::new(
            "nothing takes its output: name it in the `from` of a later layer, or leave it out",
        )
        .of(&nodes[unused].name)),
        None => Ok(nodes),
    }
}

/// The nodes of a network that was built, so that each fits its inputs.
#[cfg(any(feature = "onnx", feature = "tensorboard"))]
pub(crate) fn of_built(layers: &[NamedLayer], input: Shape) -> Vec<Node<'_>> {
    // Every processor has this instruction set, and shapes are the same with each.
    nodes(layers, input, Isa::Portable).expect("the layers of a network fit each other")
}

/// The shape of a value.
pub(crate) fn shape(nodes: &[Node<'_>], input: Shape, source: Source) -> Shape {
    match source {
        Source::Input => input,
        Source::Node(node) => nodes[node].output,
    }
}

struct Lowering<'a> {
    input: Shape,
    isa: Isa,
    /// Of the layer at hand.
    frozen: bool,
    learning_rate: f32,
    nodes: Vec<Node<'a>>,
}

impl<'a> Lowering<'a> {
    fn shape(&self, source: Source) -> Shape {
        shape(&self.nodes, self.input, source)
    }

    /// Appends the nodes of a layer; its output.
    fn lower(
        &mut self,
        name: String,
        layer: &'a LayerSpec,
        inputs: Vec<Source>,
    ) -> Result<Source, ShapeError> {
        match layer {
            LayerSpec::Residual(residual) => match inputs.as_slice() {
                [x] => self.residual(name, residual, *x),
                _ => Err(ShapeError::of_inputs(1, inputs.len()).of(&name)),
            },
            layer => self.push(name, layer, inputs),
        }
    }

    fn push(
        &mut self,
        name: String,
        layer: &'a LayerSpec,
        inputs: Vec<Source>,
    ) -> Result<Source, ShapeError> {
        let shapes: Vec<Shape> = inputs.iter().map(|&source| self.shape(source)).collect();
        let mut built = layer.build(&shapes, self.isa).map_err(|error| error.of(&name))?;
        if self.frozen
            && let Some(frozen) = layer.frozen(shapes[0], self.isa)
        {
            built = frozen;
        }
        let (frozen, learning_rate, output) = (self.frozen, self.learning_rate, built.output());
        self.nodes.push(Node { name, layer, frozen, learning_rate, inputs, output, built });
        Ok(Source::Node(self.nodes.len() - 1))
    }

    /// `y = body(x) + shortcut(x)`
    fn residual(&mut self, name: String, residual: &'a Residual, x: Source) -> Result<Source, ShapeError> {
        let body = self.part(&name, Residual::BODY, &residual.body, x)?;
        if self.computed(body) == self.computed(x) {
            return Err(ShapeError::new(
                "a residual block needs at least one layer that computes in its body",
            )
            .of(&name));
        }
        let shortcut = self.part(&name, Residual::SHORTCUT, &residual.shortcut, x)?;
        let (y, around) = (self.shape(body), self.shape(shortcut));
        if y != around {
            return Err(ShapeError::new(format!(
                "the body gives {y}, the shortcut {around}: give both the same shape, for example by a 1x1 convolution as the shortcut"
            ))
            .of(&name));
        }
        self.push(name, &LayerSpec::Add(Add), vec![body, shortcut])
    }

    /// Where the values of `source` are computed: it may give them another shape alone.
    fn computed(&self, mut source: Source) -> Source {
        while let Source::Node(index) = source
            && let Node { built: Built::Reshape(_), inputs, .. } = &self.nodes[index]
        {
            source = inputs[0];
        }
        source
    }

    /// The layers of one way through a residual block.
    fn part(
        &mut self,
        block: &str,
        part: &str,
        layers: &'a [LayerSpec],
        x: Source,
    ) -> Result<Source, ShapeError> {
        layers.iter().enumerate().try_fold(x, |x, (index, layer)| {
            self.lower(format!("{block}/{}", Residual::part_name(part, index, layer)), layer, vec![x])
        })
    }
}
