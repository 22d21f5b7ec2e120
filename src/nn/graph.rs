//! Layers built into a graph of steps: offsets of their weights, their memory, and the forward and backward walk.
//!
//! The forward walk of training goes through the steps in their order, the backward walk from the end; where each value and its
//! gradient lie in between is planned once ([`plan`](super::plan)). What the layers save from one walk to the other lies in a
//! part of its own, a layer's behind that of the one before.

use std::ops::Range;

use super::arena::{self, InputOf};
use super::built::Built;
use super::fuse::{Fused, fuse};
use super::nodes::{Node, Source, nodes, shape};
use super::plan::{self, InferencePlan, Place, TrainingPlan};
use super::step::{Operation, Step};
use super::{Backward, Forward, Input, Memory, Mode, NamedLayer, Param, Saved, Shape, ShapeError};
use floret_math::simd::Isa;

/// Numbers of one layer for a summary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub name: String,
    pub kind: String,
    pub output: Shape,
    pub params: usize,
    pub multiply_adds: u64,
    /// Bytes kept for one example from forward to backward.
    pub saved_bytes: usize,
}

/// Built layers, each with what it takes.
#[derive(Debug)]
pub(crate) struct Graph {
    steps: Vec<Step>,
    input: Shape,
    isa: Isa,
    output: Shape,
    params: Vec<Param>,
    state: Vec<Param>,
    rows: Vec<Row>,
    training: TrainingPlan,
    inference: InferencePlan,
}

/// What inference reads: weights, moving averages, and what [`Graph::prepare`] wrote or nothing.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub w: &'a [f32],
    pub state: &'a [f32],
    pub prepared: &'a [f32],
}

/// The buffers of one training pass.
pub(crate) struct Buffers<'a> {
    pub floats: &'a mut [f32],
    pub bytes: &'a mut [u8],
    pub scratch: &'a mut [f32],
}

impl Graph {
    /// Builds the layers for inputs of shape `input`, with kernels of instruction set `isa`.
    ///
    /// # Errors
    /// The first layer that does not fit its inputs, by name; no layer that computes anything.
    pub fn build(layers: &[NamedLayer], input: Shape, isa: Isa) -> Result<Self, ShapeError> {
        let nodes = nodes(layers, input, isa)?;
        let mut graph = Self {
            steps: Vec::new(),
            input,
            isa,
            output: nodes.last().map_or(input, |node| node.output),
            params: Vec::new(),
            state: Vec::new(),
            rows: nodes.iter().map(row).collect(),
            training: TrainingPlan::default(),
            inference: InferencePlan::default(),
        };
        graph.append_all(nodes)?;
        if graph.steps.is_empty() {
            return Err(ShapeError::new("there is no layer that computes anything"));
        }
        graph.training = plan::training(&graph.steps, input.len());
        graph.inference = plan::inference(&graph.steps);
        Ok(graph)
    }

    fn append_all(&mut self, nodes: Vec<Node<'_>>) -> Result<(), ShapeError> {
        let groups = fuse(&nodes);
        // The step that gives each node's value; `None` is the graph's input.
        let mut from: Vec<Option<usize>> = vec![None; nodes.len()];
        let input = self.input;
        let shapes: Vec<Shape> = nodes
            .iter()
            .map(|node| node.inputs.first().map_or(input, |&source| shape(&nodes, input, source)))
            .collect();
        for (index, node) in nodes.into_iter().enumerate() {
            let find = |source: &Source| match *source {
                Source::Input => None,
                Source::Node(node) => from[node],
            };
            let inputs: Vec<Option<usize>> = node.inputs.iter().map(find).collect();
            let (operation, last) = match (&groups[index], node.built) {
                // Its step came with that of the layer before.
                (Fused::Away, _) | (_, Built::Reshape(_)) => {
                    from[index] = inputs[0];
                    continue;
                }
                (Fused::Convolution { conv, epilogue, last }, _) => {
                    let layer = conv.build_with(shapes[index], *epilogue, self.isa);
                    (Operation::Layer(layer.map_err(|error| error.of(&node.name))?), *last)
                }
                (_, Built::Layer(layer)) => (Operation::Layer(layer), index),
                (Fused::Sum { last }, Built::Join(join)) => (Operation::Join(join.with_relu()), *last),
                (_, Built::Join(join)) => {
                    join.check(&inputs).map_err(|error| error.of(&node.name))?;
                    (Operation::Join(join), index)
                }
            };
            from[index] = Some(self.steps.len());
            self.append(node.name, operation, inputs, self.rows[last].output, last);
        }
        Ok(())
    }

    /// Appends a step; `last` is the row of the last layer that it computes.
    fn append(
        &mut self,
        name: String,
        operation: Operation,
        inputs: Vec<Option<usize>>,
        output: Shape,
        last: usize,
    ) {
        let before =
            self.steps.last().map_or((0, 0, 0), |step| (step.params.end, step.state.end, step.prepared.end));
        let (mut params, mut state, mut prepared) = (Vec::new(), Vec::new(), 0);
        if let Operation::Layer(layer) = &operation {
            (params, state, prepared) = (layer.params(), layer.state(), layer.prepared_len());
        }
        let params = append(&mut self.params, before.0, &name, params);
        let state = append(&mut self.state, before.1, &name, state);
        let prepared = before.2..before.2 + prepared;
        let step = Step { name, operation, inputs, output: output.len(), params, state, prepared };
        let memory = step.memory(1);
        self.rows[last].saved_bytes =
            size_of::<f32>() * (output.len() + memory.saved_floats) + memory.saved_bytes;
        self.steps.push(step);
    }

    pub fn input(&self) -> Shape {
        self.input
    }

    /// The instruction set that the layers' kernels use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    pub fn output(&self) -> Shape {
        self.output
    }

    pub fn params(&self) -> &[Param] {
        &self.params
    }

    pub fn state(&self) -> &[Param] {
        &self.state
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The examples of `x`.
    ///
    /// # Panics
    /// If it is not a whole number of them.
    pub fn batch(&self, x: &[f32]) -> usize {
        let len = self.input.len();
        assert!(
            !x.is_empty() && x.len().is_multiple_of(len),
            "{} values are no batch of {len} each",
            x.len()
        );
        x.len() / len
    }

    /// What is computed one after another.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Floats that [`prepare`](Self::prepare) writes.
    pub fn prepared_len(&self) -> usize {
        self.steps.last().map_or(0, |step| step.prepared.end)
    }

    /// What each layer prepares of its weights for the inference of few examples.
    pub fn prepare(&self, w: &[f32], to: &mut [f32]) {
        for step in &self.steps {
            if let Operation::Layer(layer) = &step.operation {
                layer.prepare(&w[step.params.clone()], &mut to[step.prepared.clone()]);
            }
        }
    }

    /// What the graph needs for a batch; `saved_floats` includes every output.
    pub fn memory(&self, batch: usize) -> Memory {
        let mut total = Memory::default();
        for step in &self.steps {
            let memory = step.memory(batch);
            total.saved_floats += memory.saved_floats;
            total.saved_bytes += memory.saved_bytes;
            total.train_scratch = total.train_scratch.max(memory.train_scratch);
            total.infer_scratch = total.infer_scratch.max(memory.infer_scratch);
        }
        total.saved_floats += batch * self.training.len;
        total.infer_scratch += batch * self.inference.len;
        total
    }

    /// Forward pass of training over a batch `x`; outputs and saved values stay in `buffers`. `seen` is shown each step with what it
    /// gave, as soon as it has.
    pub fn forward(
        &self,
        w: &[f32],
        state: &mut [f32],
        x: &[f32],
        buffers: Buffers<'_>,
        seed: u64,
        mut seen: impl FnMut(&Step, &[f32]),
    ) {
        let batch = x.len() / self.input.len();
        let (floats, mut saved) = buffers.floats.split_at_mut(batch * self.training.len);
        let mut bytes = buffers.bytes;
        let mut values = arena::Values { batch, floats, input: x, output: &mut [] };
        for (index, step) in self.steps.iter().enumerate() {
            let memory = step.memory(batch);
            let (floats_of_step, rest) = saved.split_at_mut(memory.saved_floats);
            saved = rest;
            let (bytes_of_step, rest) = bytes.split_at_mut(memory.saved_bytes);
            bytes = rest;
            let mode = Mode::Train {
                state: &mut state[step.state.clone()],
                saved: Saved { floats: floats_of_step, bytes: bytes_of_step },
                seed: mix(seed, index as u64),
            };
            let pass = Forward { mode, scratch: &mut buffers.scratch[..memory.train_scratch] };
            self.compute(index, &self.training.outputs, &mut values, w, pass);
            seen(step, values.of((self.training.outputs[index], step.output)));
        }
    }

    /// Where the last output lies in the floats of [`Self::forward`], and its gradient in those of [`Self::backward`].
    pub fn last_output(&self, batch: usize) -> Range<usize> {
        let last = self.training.outputs.last().copied().expect("a graph has a step");
        arena::range((last, self.output.len()), batch).expect("a value between steps has its place")
    }

    /// Forward pass of inference: overwrites `y`. `scratch` holds `memory(batch).infer_scratch` floats. `seen` is shown each step
    /// as soon as it is done.
    pub fn infer(
        &self,
        from: Values<'_>,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
        mut seen: impl FnMut(&Step),
    ) {
        let batch = x.len() / self.input.len();
        let (floats, scratch) = scratch.split_at_mut(batch * self.inference.len);
        let mut values = arena::Values { batch, floats, input: x, output: y };
        for (index, step) in self.steps.iter().enumerate() {
            let prepared = if from.prepared.is_empty() { &[] } else { &from.prepared[step.prepared.clone()] };
            let mode = Mode::Infer { state: &from.state[step.state.clone()], prepared };
            let pass = Forward { mode, scratch: &mut scratch[..step.memory(batch).infer_scratch] };
            self.compute(index, &self.inference.outputs, &mut values, from.w, pass);
            seen(step);
        }
    }

    /// The forward pass of one step; `outputs` says where each step's output lies.
    fn compute(
        &self,
        index: usize,
        outputs: &[Place],
        values: &mut arena::Values<'_>,
        w: &[f32],
        pass: Forward<'_>,
    ) {
        let step = &self.steps[index];
        let x = |from: Option<usize>| match from {
            None => (Place::Outside, self.input.len()),
            Some(from) => (outputs[from], self.steps[from].output),
        };
        let y = (outputs[index], step.output);
        match &step.operation {
            Operation::Layer(layer) => {
                let (x, y) = values.pair(x(step.inputs[0]), y);
                layer.forward(&w[step.params.clone()], x, y, pass);
            }
            Operation::Join(join) => {
                let lies_in_y = |from: &Option<usize>| from.is_some_and(|from| outputs[from] == y.0);
                let kept = match pass.mode {
                    Mode::Train { saved, .. } => saved.bytes,
                    Mode::Infer { .. } => &mut [],
                };
                let mut first = !step.inputs.iter().any(lies_in_y);
                let mut rest = step.inputs.iter().filter(|from| !lies_in_y(from)).count();
                for (number, from) in step.inputs.iter().enumerate().filter(|(_, from)| !lies_in_y(from)) {
                    let (x, y) = values.pair(x(*from), y);
                    rest -= 1;
                    join.take(number, (first, rest == 0), x, y, kept);
                    first = false;
                }
            }
        }
    }

    /// Backward pass. The last output's place holds the gradient of the loss with respect to it; `dw` is overwritten,
    /// and `x` by its gradient where wanted. `seen` is shown each step as soon as it is done.
    pub fn backward(
        &self,
        w: &[f32],
        dw: &mut [f32],
        x: Input<'_>,
        buffers: Buffers<'_>,
        mut seen: impl FnMut(&Step),
    ) {
        let batch = x.values().len() / self.input.len();
        let (floats, mut saved) = buffers.floats.split_at_mut(batch * self.training.len);
        let mut bytes = buffers.bytes;
        let mut gradients = arena::Gradients { batch, floats, input: x };
        for (index, step) in self.steps.iter().enumerate().rev() {
            let memory = step.memory(batch);
            let (rest, saved_floats) = saved.split_at_mut(saved.len() - memory.saved_floats);
            saved = rest;
            let (rest, saved_bytes) = bytes.split_at_mut(bytes.len() - memory.saved_bytes);
            bytes = rest;
            let pass = Backward {
                saved: Saved { floats: saved_floats, bytes: saved_bytes },
                scratch: &mut buffers.scratch[..memory.train_scratch],
            };
            let dy = (self.training.gradients[index], step.output);
            let x = |number: usize| {
                let from = step.inputs[number];
                let len = from.map_or(self.input.len(), |from| self.steps[from].output);
                InputOf { graph: from.is_none(), len, gradient: self.training.inputs[index][number] }
            };
            match &step.operation {
                Operation::Layer(layer) => {
                    let params = step.params.clone();
                    gradients.of_layer(x(0), dy, |x, dy| {
                        layer.backward(&w[params.clone()], &mut dw[params], x, dy, pass);
                    });
                }
                Operation::Join(join) if join.reads_inputs() => {
                    gradients.of_two([x(0), x(1)], dy, |x, gate, dy| join.gradients_of_product(x, gate, dy));
                }
                Operation::Join(join) => {
                    gradients.of_output(dy, |dy| join.mask(dy, pass.saved.bytes));
                    // From the end, as the parts of the gradient of one that is taken twice are planned.
                    for number in (0..step.inputs.len()).rev() {
                        gradients.of_part(x(number), dy, |dy, dx| join.gradient(number, dy, dx));
                    }
                }
            }
            seen(step);
        }
    }
}

fn row(node: &Node<'_>) -> Row {
    let (params, multiply_adds) = match &node.built {
        Built::Layer(layer) => (layer.params().iter().map(Param::len).sum(), layer.multiply_adds()),
        Built::Join(_) | Built::Reshape(_) => (0, 0),
    };
    let (name, kind) = (node.name.clone(), node.layer.kind().to_owned());
    Row { name, kind, output: node.output, params, multiply_adds, saved_bytes: 0 }
}

/// Appends a layer's arrays under its name; returns the values they occupy in the common buffer, from `start`.
fn append(all: &mut Vec<Param>, start: usize, layer: &str, params: Vec<Param>) -> Range<usize> {
    let len: usize = params.iter().map(Param::len).sum();
    all.extend(params.into_iter().map(|p| Param { name: format!("{layer}/{}", p.name), ..p }));
    start..start + len
}

/// A seed of its own for each `index`: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
