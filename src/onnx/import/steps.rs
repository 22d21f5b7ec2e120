//! The layers of a graph as they are found: each with the values that it takes.

use std::collections::{HashMap, HashSet};

use ndarray::ArrayD;

use crate::nn::nodes::INPUT;
use crate::nn::{LayerSpec, NamedLayer, Shape};

/// A value: the graph's input, or what a layer gives.
pub type StepId = usize;

/// A layer with its weights.
#[derive(Debug)]
pub struct Draft {
    /// A name from the graph, if it has one to keep.
    pub name: Option<String>,
    pub layer: LayerSpec,
    pub arrays: Arrays,
    /// Whether it was made of constants and takes up those that follow.
    pub open: bool,
}

/// A layer's arrays by the name that follows the layer's.
pub type Arrays = Vec<(&'static str, ArrayD<f32>)>;

#[derive(Debug)]
struct Step {
    /// The values that it takes, each of a step before.
    inputs: Vec<StepId>,
    /// `None` is the graph's input.
    draft: Option<Draft>,
    shape: Shape,
}

/// The layers so far, in an order in which they can be computed.
#[derive(Debug)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// The graph's input.
    pub const INPUT: StepId = 0;

    pub fn new(input: Shape) -> Self {
        Self(vec![Step { inputs: Vec::new(), draft: None, shape: input }])
    }

    pub fn shape(&self, step: StepId) -> Shape {
        self.0[step].shape
    }

    /// Every layer's value.
    pub fn all(&self) -> impl Iterator<Item = StepId> + use<> {
        Self::INPUT + 1..self.0.len()
    }

    /// Appends a layer whose output has the shape `shape`.
    pub fn layer(&mut self, inputs: Vec<StepId>, draft: Draft, shape: Shape) -> StepId {
        self.0.push(Step { inputs, draft: Some(draft), shape });
        self.0.len() - 1
    }

    /// The layer that made a value.
    pub fn draft(&self, step: StepId) -> Option<&Draft> {
        self.0[step].draft.as_ref()
    }

    /// The same, to change. No other value may come from it.
    pub fn draft_mut(&mut self, step: StepId) -> Option<&mut Draft> {
        self.0[step].draft.as_mut()
    }

    /// What the layer that made a value takes.
    pub fn inputs(&self, step: StepId) -> &[StepId] {
        &self.0[step].inputs
    }

    /// The layers from the input to `output`, by unique names, with their arrays.
    pub fn layers(mut self, output: StepId) -> Vec<(NamedLayer, Arrays)> {
        let mut wanted = vec![false; self.0.len()];
        wanted[output] = true;
        for step in (0..self.0.len()).rev().filter(|&step| step != Self::INPUT) {
            if wanted[step] {
                self.0[step].inputs.iter().for_each(|&input| wanted[input] = true);
            }
        }
        wanted[Self::INPUT] = false;
        let names = self.names(&wanted);
        let mut layers = Vec::new();
        let mut last = Self::INPUT;
        for step in (0..self.0.len()).filter(|&step| wanted[step]) {
            let Step { inputs, draft, .. } = &mut self.0[step];
            let Some(Draft { layer, arrays, .. }) = draft.take() else { continue };
            let from: Vec<String> = match inputs.as_slice() {
                [only] if *only == last => Vec::new(),
                inputs => inputs.iter().map(|&input| names[input].clone()).collect(),
            };
            layers.push((NamedLayer::new(names[step].clone(), layer).from(from), arrays));
            last = step;
        }
        layers
    }

    /// The name of each layer that is wanted: its own from the graph, or one by its kind and number.
    fn names(&self, wanted: &[bool]) -> Vec<String> {
        let mut taken = HashSet::from([INPUT.to_owned()]);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let drafts =
            || self.0.iter().zip(wanted).map(|(step, wanted)| step.draft.as_ref().filter(|_| *wanted));
        // Names from the graph first, so that no number takes one.
        let kept: Vec<Option<String>> =
            drafts().map(|draft| draft?.name.clone().filter(|name| taken.insert(name.clone()))).collect();
        let mut names = Vec::with_capacity(self.0.len());
        for (draft, kept) in drafts().zip(kept) {
            let Some(draft) = draft else {
                names.push(INPUT.to_owned());
                continue;
            };
            let kind = draft.layer.kind();
            let count = counts.entry(kind).or_default();
            *count += 1;
            names.push(kept.unwrap_or_else(|| {
                while !taken.insert(format!("{kind}_{count}")) {
                    *count += 1;
                }
                format!("{kind}_{count}")
            }));
        }
        names
    }
}
