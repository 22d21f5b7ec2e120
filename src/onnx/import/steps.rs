//! The values of a graph as a tree: each is what one layer makes of another. A sum of two becomes a residual block that begins
//! where their ways part.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use ndarray::ArrayD;

use crate::nn::{LayerSpec, NamedLayer, Residual, Shape};

/// How deep residual blocks may lie in one another. Networks of today have one level.
const MAX_NESTING: usize = 8;

/// A place in the tree.
pub type StepId = usize;

/// A layer with its weights.
#[derive(Debug)]
pub struct Draft {
    /// A name from the graph, if it has one to keep.
    pub name: Option<String>,
    pub layer: LayerSpec,
    pub arrays: Vec<(&'static str, ArrayD<f32>)>,
}

#[derive(Debug)]
enum What {
    Input,
    Layer(Draft),
    /// The sum of two values that come from the parent.
    Sum {
        name: Option<String>,
        body: StepId,
        shortcut: StepId,
    },
    /// A layer or sum that has its place in the network.
    Taken,
}

#[derive(Debug)]
struct Step {
    parent: StepId,
    depth: usize,
    what: What,
    shape: Shape,
}

/// The tree; its root is the graph's input.
#[derive(Debug)]
pub struct Steps(Vec<Step>);

/// A layer of a network, with its arrays by the name that follows the layer's.
#[derive(Debug)]
pub struct Emitted {
    pub layer: NamedLayer,
    pub arrays: Vec<(String, ArrayD<f32>)>,
}

/// A layer that has no name yet, or one of the graph's.
struct Part {
    name: Option<String>,
    layer: LayerSpec,
    arrays: Vec<(String, ArrayD<f32>)>,
}

impl Steps {
    /// The root.
    pub const INPUT: StepId = 0;

    pub fn new(input: Shape) -> Self {
        Self(vec![Step { parent: 0, depth: 0, what: What::Input, shape: input }])
    }

    pub fn shape(&self, step: StepId) -> Shape {
        self.0[step].shape
    }

    /// Appends a layer whose output has the shape `shape`.
    pub fn layer(&mut self, parent: StepId, draft: Draft, shape: Shape) -> StepId {
        self.push(parent, What::Layer(draft), shape)
    }

    fn push(&mut self, parent: StepId, what: What, shape: Shape) -> StepId {
        let depth = self.0[parent].depth + 1;
        self.0.push(Step { parent, depth, what, shape });
        self.0.len() - 1
    }

    /// Appends the sum of two values of equal shape.
    pub fn sum(&mut self, name: Option<String>, a: StepId, b: StepId) -> StepId {
        let fork = self.fork(a, b);
        let (body, shortcut) = if a == fork { (b, a) } else { (a, b) };
        self.push(fork, What::Sum { name, body, shortcut }, self.shape(a))
    }

    /// The last value that both come from.
    fn fork(&self, mut a: StepId, mut b: StepId) -> StepId {
        while a != b {
            if self.0[a].depth >= self.0[b].depth {
                a = self.0[a].parent;
            } else {
                b = self.0[b].parent;
            }
        }
        a
    }

    /// The layer that made a value.
    pub fn draft(&self, step: StepId) -> Option<&Draft> {
        match &self.0[step].what {
            What::Layer(draft) => Some(draft),
            _ => None,
        }
    }

    /// Changes the layer that made a value, and gives it a step of its own: the old one, which other values may come from, is
    /// no more.
    pub fn renew(&mut self, step: StepId, change: impl FnOnce(&mut Draft)) -> StepId {
        let mut what = mem::replace(&mut self.0[step].what, What::Taken);
        if let What::Layer(draft) = &mut what {
            change(draft);
        }
        self.push(self.0[step].parent, what, self.shape(step))
    }

    /// The layers from the input to `output`, by unique names.
    ///
    /// # Errors
    /// Why they are no chain.
    pub fn chain(mut self, output: StepId) -> Result<Vec<Emitted>, String> {
        let layers = self.layers(Self::INPUT, output, 0)?;
        Ok(named(layers))
    }

    /// The layers behind `from` up to `to`.
    fn layers(&mut self, from: StepId, to: StepId, nesting: usize) -> Result<Vec<Part>, String> {
        if nesting > MAX_NESTING {
            return Err(format!("ways part and meet again within one another over {MAX_NESTING} deep"));
        }
        let mut path = Vec::new();
        let mut step = to;
        while step != from {
            path.push(step);
            step = self.0[step].parent;
        }
        path.into_iter().rev().map(|step| self.take(step, nesting)).collect()
    }

    /// The layer or block that makes the value `step` of the one before.
    fn take(&mut self, step: StepId, nesting: usize) -> Result<Part, String> {
        let fork = self.0[step].parent;
        match mem::replace(&mut self.0[step].what, What::Taken) {
            What::Layer(Draft { name, layer, arrays }) => {
                let arrays = arrays.into_iter().map(|(array, values)| (array.to_owned(), values)).collect();
                Ok(Part { name, layer, arrays })
            }
            What::Sum { name, body, shortcut } => {
                let body = self.layers(fork, body, nesting + 1)?;
                let shortcut = self.layers(fork, shortcut, nesting + 1)?;
                let mut arrays = Vec::new();
                let mut specs = |part: &str, layers: Vec<Part>| {
                    let mut specs = Vec::new();
                    for (index, Part { layer, arrays: of_layer, .. }) in layers.into_iter().enumerate() {
                        let prefix = Residual::part_name(part, index, &layer);
                        arrays.extend(
                            of_layer.into_iter().map(|(array, values)| (format!("{prefix}/{array}"), values)),
                        );
                        specs.push(layer);
                    }
                    specs
                };
                let (body, shortcut) = (specs(Residual::BODY, body), specs(Residual::SHORTCUT, shortcut));
                Ok(Part { name, layer: Residual { body, shortcut }.into(), arrays })
            }
            What::Input | What::Taken => {
                Err("a value goes several ways that do not meet in a sum of two, and a network of \
                 floret is a chain of layers and residual blocks"
                    .into())
            }
        }
    }
}

/// Gives each layer its name from the graph, or one by its kind and number.
fn named(layers: Vec<Part>) -> Vec<Emitted> {
    let mut taken = BTreeSet::new();
    let mut counts = BTreeMap::new();
    // Names from the graph first, so that no number takes one.
    let keep = |part: &Part| part.name.clone().filter(|name| taken.insert(name.clone()));
    let kept: Vec<Option<String>> = layers.iter().map(keep).collect();
    let name = |(kept, Part { layer, arrays, .. }): (Option<String>, Part)| {
        let kind = layer.kind().to_owned();
        let count: &mut usize = counts.entry(kind.clone()).or_default();
        *count += 1;
        let name = kept.unwrap_or_else(|| {
            while !taken.insert(format!("{kind}_{count}")) {
                *count += 1;
            }
            format!("{kind}_{count}")
        });
        Emitted { layer: NamedLayer { name, layer }, arrays }
    };
    kept.into_iter().zip(layers).map(name).collect()
}
