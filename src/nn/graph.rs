//! Layers built into a graph of steps: offsets of their weights, their memory, and the forward and backward walk.
//!
//! The forward walk of training goes through the steps in their order, the backward walk from the end; where each value and its
//! gradient lie in between is planned once ([`plan`](super::plan)). What the layers save from one walk to the other lies in a
//! part of its own, a layer's behind that of the one before.

use std::ops::Range;

use super::arena::{self, InputOf};
use super::arrays::Arrays;
use super::built::Built;
use super::join::copy;
use super::nodes::{Node, nodes};
use super::plan::{self, InferencePlan, Place, TrainingPlan};
use super::step::{self, Operation, Purpose, Step};
use super::{Backward, Forward, Input, Memory, Mode, NamedLayer, Param, Saved, Shape, ShapeError};
use crate::optim::Segment;
use floret_math::simd::Isa;

/// Numbers of one layer for a summary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub name: String,
    pub kind: String,
    pub output: Shape,
    pub params: usize,
    pub multiply_adds: u64,
    /// Whether training leaves it as it is.
    pub frozen: bool,
    /// Bytes kept for one example from forward to backward.
    pub saved_bytes: usize,
}

/// Built layers, each with what it takes.
#[derive(Debug)]
pub(crate) struct Graph {
    input: Shape,
    isa: Isa,
    output: Shape,
    params: Vec<Param>,
    state: Vec<Param>,
    /// The parameters that training changes.
    segments: Vec<Segment>,
    rows: Vec<Row>,
    /// Whether backward can compute the gradient of the input.
    input_gradient: bool,
    /// The steps of training's passes, and where their values lie.
    training: Vec<Step>,
    training_plan: TrainingPlan,
    /// Those of inference, which computes more layers at once.
    inference: Vec<Step>,
    inference_plan: InferencePlan,
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
        let (mut params, mut state, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        let mut arrays: Vec<Arrays> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let (mut of_params, mut of_state) = (Vec::new(), Vec::new());
            if let Built::Layer(layer) = &node.built {
                (of_params, of_state) = (layer.params(), layer.state());
            }
            let before = arrays.last().cloned().unwrap_or_default();
            if !node.frozen {
                segments.extend(segments_of(&of_params, before.params.end, node.learning_rate));
            }
            arrays.push(Arrays {
                params: append(&mut params, before.params.end, &node.name, of_params),
                state: append(&mut state, before.state.end, &node.name, of_state),
            });
        }
        let steps = |purpose| step::steps(&nodes, &arrays, purpose, input, isa);
        let (training, mut inference) = (steps(Purpose::Training)?, steps(Purpose::Inference)?);
        let (Some(last), false) = (nodes.last(), training.is_empty()) else {
            return Err(ShapeError::new("there is no layer that computes anything"));
        };
        if inference.is_empty() {
            // Dropout alone: its input is copied.
            inference = steps(Purpose::Training)?;
        }
        let input_gradient = step::input_gradient(&nodes);
        let training_plan = plan::training(&training, input.len(), input_gradient);
        let mut rows: Vec<Row> = nodes.iter().map(row).collect();
        for step in &training {
            let memory = kept(step, 1);
            let output = if step.backward { step.output } else { 0 };
            rows[step.last].saved_bytes =
                size_of::<f32>() * (output + memory.saved_floats) + memory.saved_bytes;
        }
        Ok(Self {
            input,
            isa,
            output: last.output,
            params,
            state,
            segments,
            rows,
            input_gradient,
            training_plan,
            inference_plan: plan::inference(&inference),
            training,
            inference,
        })
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

    /// The parameters that training changes.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What training computes one after another.
    pub fn training_steps(&self) -> &[Step] {
        &self.training
    }

    /// What inference computes one after another.
    pub fn inference_steps(&self) -> &[Step] {
        &self.inference
    }

    /// Whether backward can compute the gradient of the graph's input: where no layer is frozen.
    pub fn input_gradient(&self) -> bool {
        self.input_gradient
    }

    /// Floats that [`prepare`](Self::prepare) writes.
    pub fn prepared_len(&self) -> usize {
        self.inference.last().map_or(0, |step| step.prepared.end)
    }

    /// What each layer prepares of its weights for the inference of few examples.
    pub fn prepare(&self, w: &[f32], state: &[f32], to: &mut [f32]) {
        // The weights; the scales behind them are not kept.
        let mut folded = Vec::new();
        for step in &self.inference {
            let Operation::Layer(layer) = &step.operation else { continue };
            let to = &mut to[step.prepared.clone()];
            folded.resize(step.folds.len(), 0.0);
            let (from, _) = step.weights(w, state, &mut folded);
            let (weights, of_layer) = to.split_at_mut(step.folds.weights());
            weights.copy_from_slice(&from[..weights.len()]);
            layer.prepare(from, of_layer);
        }
    }

    /// What the graph needs for a batch; `saved_floats` includes every output.
    pub fn memory(&self, batch: usize) -> Memory {
        let mut total = Memory::default();
        for step in &self.training {
            let memory = kept(step, batch);
            total.saved_floats += memory.saved_floats;
            total.saved_bytes += memory.saved_bytes;
            total.train_scratch = total.train_scratch.max(memory.train_scratch);
        }
        for step in &self.inference {
            total.infer_scratch = total.infer_scratch.max(step.memory(batch).infer_scratch);
        }
        total.saved_floats += batch * self.training_plan.len;
        total.infer_scratch += batch * self.inference_plan.len;
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
        let plan = &self.training_plan;
        let (floats, mut saved) = buffers.floats.split_at_mut(batch * plan.len);
        let mut bytes = buffers.bytes;
        let mut values = arena::Values { batch, floats, input: x, output: &mut [] };
        for (index, step) in self.training.iter().enumerate() {
            let memory = kept(step, batch);
            let (floats_of_step, rest) = saved.split_at_mut(memory.saved_floats);
            saved = rest;
            let (bytes_of_step, rest) = bytes.split_at_mut(memory.saved_bytes);
            bytes = rest;
            let (w, scratch) = step.weights(w, state, &mut buffers.scratch[..memory.train_scratch]);
            let of_step = &mut state[step.arrays.state.clone()];
            let mode = if keeps(step) {
                let saved = Saved { floats: floats_of_step, bytes: bytes_of_step };
                Mode::Train { state: of_step, saved, seed: mix(seed, index as u64) }
            } else {
                Mode::Infer { state: of_step, prepared: &[] }
            };
            let pass = Forward { mode, scratch };
            self.compute(index, &self.training, &plan.outputs, &mut values, w, pass);
            seen(step, values.of((plan.outputs[index], step.output)));
        }
    }

    /// Where the last output lies in the floats of [`Self::forward`], and its gradient in those of [`Self::backward`].
    pub fn last_output(&self, batch: usize) -> Range<usize> {
        let last = self.training_plan.outputs.last().copied().expect("a graph has a step");
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
        let plan = &self.inference_plan;
        let (floats, scratch) = scratch.split_at_mut(batch * plan.len);
        let mut values = arena::Values { batch, floats, input: x, output: y };
        for (index, step) in self.inference.iter().enumerate() {
            let scratch = &mut scratch[..step.memory(batch).infer_scratch];
            let mut prepared =
                if from.prepared.is_empty() { &[] } else { &from.prepared[step.prepared.clone()] };
            let (w, scratch) = if prepared.is_empty() || step.folds.is_empty() {
                step.weights(from.w, from.state, scratch)
            } else {
                let (w, of_layer) = prepared.split_at(step.folds.weights());
                prepared = of_layer;
                (w, scratch)
            };
            let mode = Mode::Infer { state: &from.state[step.arrays.state.clone()], prepared };
            let pass = Forward { mode, scratch };
            self.compute(index, &self.inference, &plan.outputs, &mut values, w, pass);
            seen(step);
        }
    }

    /// The forward pass of the step `index` of `steps` with its weights; `outputs` says where each step's output lies.
    fn compute(
        &self,
        index: usize,
        steps: &[Step],
        outputs: &[Place],
        values: &mut arena::Values<'_>,
        w: &[f32],
        pass: Forward<'_>,
    ) {
        let step = &steps[index];
        let x = |from: Option<usize>| match from {
            None => (Place::Outside, self.input.len()),
            Some(from) => (outputs[from], steps[from].output),
        };
        let y = (outputs[index], step.output);
        match &step.operation {
            Operation::Layer(layer) => {
                // What it adds to.
                if let Some(from) = step.inputs.get(1)
                    && from.is_none_or(|from| outputs[from] != y.0)
                {
                    let (shortcut, y) = values.pair(x(*from), y);
                    copy(y, shortcut);
                }
                let (x, y) = values.pair(x(step.inputs[0]), y);
                layer.forward(w, x, y, pass);
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
        (w, state): (&[f32], &[f32]),
        dw: &mut [f32],
        x: Input<'_>,
        buffers: Buffers<'_>,
        mut seen: impl FnMut(&Step),
    ) {
        let batch = x.values().len() / self.input.len();
        let plan = &self.training_plan;
        let (floats, mut saved) = buffers.floats.split_at_mut(batch * plan.len);
        let mut bytes = buffers.bytes;
        let mut gradients = arena::Gradients { batch, floats, input: x };
        for (index, step) in self.training.iter().enumerate().rev() {
            let memory = kept(step, batch);
            let (rest, saved_floats) = saved.split_at_mut(saved.len() - memory.saved_floats);
            saved = rest;
            let (rest, saved_bytes) = bytes.split_at_mut(bytes.len() - memory.saved_bytes);
            bytes = rest;
            if !step.backward {
                seen(step);
                continue;
            }
            let saved = Saved { floats: saved_floats, bytes: saved_bytes };
            let scratch = &mut buffers.scratch[..memory.train_scratch];
            let dy = (plan.gradients[index], step.output);
            let x = |number: usize| {
                let from = step.inputs[number];
                let len = from.map_or(self.input.len(), |from| self.training[from].output);
                InputOf { graph: from.is_none(), len, gradient: plan.inputs[index][number] }
            };
            match &step.operation {
                Operation::Layer(layer) => gradients.of_layer(x(0), dy, |x, dy| {
                    let (params, frozen, folds) = (step.arrays.params.clone(), step.frozen, &step.folds);
                    if folds.is_empty() {
                        let (w, dw) = (&w[params.clone()], &mut dw[params]);
                        return layer.backward(w, dw, x, dy, Backward { saved, scratch, frozen });
                    }
                    let (folded, scratch) = scratch.split_at_mut(folds.len());
                    folds.fold(w, state, folded);
                    let (w, scales) = folded.split_at(folds.weights());
                    if frozen {
                        return layer.backward(w, &mut [], x, dy, Backward { saved, scratch, frozen });
                    }
                    let (of_folded, scratch) = scratch.split_at_mut(folds.weights());
                    layer.backward(w, of_folded, x, dy, Backward { saved, scratch, frozen });
                    folds.unfold(scales, of_folded, dw);
                }),
                Operation::Join(join) if join.reads_inputs() => {
                    gradients.of_two([x(0), x(1)], dy, |x, gate, dy| join.gradients_of_product(x, gate, dy));
                }
                Operation::Join(join) => {
                    gradients.of_output(dy, |dy| join.mask(dy, saved.bytes));
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
        Built::Activation(..) | Built::Join(_) | Built::Reshape(_) => (0, 0),
    };
    let (name, kind) = (node.name.clone(), node.layer.kind().to_owned());
    Row { name, kind, output: node.output, params, multiply_adds, frozen: node.frozen, saved_bytes: 0 }
}

/// Whether a step of training keeps what backward needs. A frozen one by which no backward pass comes is computed as in inference; one
/// that is not frozen may draw random numbers in training, as dropout does.
fn keeps(step: &Step) -> bool {
    step.backward || !step.frozen
}

/// Memory of a step of training for a batch, beside its output.
fn kept(step: &Step, batch: usize) -> Memory {
    let memory = step.memory(batch);
    if keeps(step) { memory } else { Memory { saved_floats: 0, saved_bytes: 0, ..memory } }
}

/// One segment for each of a layer's parameters that training changes, from `start`.
fn segments_of(params: &[Param], mut start: usize, learning_rate: f32) -> impl Iterator<Item = Segment> {
    params.iter().map(move |param| {
        let range = start..start + param.len();
        start = range.end;
        Segment { range, decays: param.decays, learning_rate }
    })
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
