//! Layers one after another with their weights and memory: the part of a network below the loss.

use std::sync::OnceLock;

use ndarray::{ArrayViewD, IxDyn};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::graph::{Graph, Values};
use super::workspace::Workspace;
use super::{CHUNK, Input, NamedLayer, Param, Shape, ShapeError};
use crate::optim::{Optimizer, trained};
use floret_math::buffer::Aligned;
use floret_math::parallel::for_each_chunk;
use floret_math::reduce::all_finite;
use floret_math::simd::Isa;

/// The generator's stream that weights are drawn from. Streams 0, 1, ... and, from the last one down, their complements
/// are those of a loader's epochs: it may have the same seed, and must not shuffle by the numbers that the weights are.
const WEIGHTS_STREAM: u64 = 1 << 63;

/// Layers with their weights, gradients and moving averages.
///
/// Batches are flat slices, one example after another. [`crate::network::Network`] adds a loss and checks what comes
/// from outside; this is also the way to run a layer alone. Several threads may infer at once.
#[derive(Debug)]
pub struct Sequential {
    pub(super) graph: Graph,
    /// All weights, layer by layer, in one buffer; gradients likewise.
    pub(super) weights: Aligned,
    pub(super) gradients: Aligned,
    /// Moving averages, and what they were before the last forward pass of training.
    pub(super) state: Vec<f32>,
    state_before: Vec<f32>,
    pub(super) workspace: Workspace,
    /// What the layers prepared of the weights and moving averages as they are, once it has been wanted: taken away by whatever
    /// changes them.
    pub(super) prepared: OnceLock<Aligned>,
    /// Input values of a forward pass that awaits its backward pass.
    pub(super) pending: Option<usize>,
}

/// Examples up to which inference uses what layers prepare of their weights; with more it hardly matters.
pub(super) const FEW: usize = 4;

/// Why a backward pass can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackwardError {
    /// No forward pass to go back from.
    #[error("backward needs a forward pass in training mode before it, and each serves once")]
    WithoutForward,
    /// Another input than the forward pass's.
    #[error("the forward pass took {want} input values, but backward was given {got}")]
    Input {
        /// Input values of the batch.
        want: usize,
        /// Values given.
        got: usize,
    },
    /// The gradient of the input is wanted behind frozen layers.
    #[error("the gradient of the input is computed only where no layer is frozen")]
    Frozen,
    /// A gradient of another length than the outputs of the forward pass.
    #[error("the forward pass gave {want} output values, but the gradient has {got}")]
    Length {
        /// Output values of the batch.
        want: usize,
        /// Values of the gradient.
        got: usize,
    },
}

impl Sequential {
    /// Builds the layers for examples of shape `input`, with kernels of the best instruction set; `seed` draws the weights.
    ///
    /// # Errors
    /// The first layer that does not fit its input, by name; no layer that computes anything.
    ///
    /// # Panics
    /// As [`Isa::best`].
    pub fn new(input: Shape, layers: &[NamedLayer], seed: u64) -> Result<Self, ShapeError> {
        Self::with_isa(input, layers, seed, Isa::best())
    }

    /// [`new`](Self::new) with kernels of instruction set `isa`: a pass panics if this processor does not have it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_isa(input: Shape, layers: &[NamedLayer], seed: u64, isa: Isa) -> Result<Self, ShapeError> {
        let mut drawn = Self::zeros(input, layers, isa)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(WEIGHTS_STREAM);
        draw(drawn.graph.params(), &mut rng, &mut drawn.weights);
        draw(drawn.graph.state(), &mut rng, &mut drawn.state);
        Ok(drawn)
    }

    /// The same with every weight 0, for weights that are known: drawing them takes longer than reading them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn zeros(input: Shape, layers: &[NamedLayer], isa: Isa) -> Result<Self, ShapeError> {
        let graph = Graph::build(layers, input, isa)?;
        let values = |params: &[Param]| params.iter().map(Param::len).sum();
        let (weights, state): (usize, usize) = (values(graph.params()), values(graph.state()));
        Ok(Self {
            weights: Aligned::zeros(weights),
            gradients: Aligned::zeros(weights),
            state: vec![0.0; state],
            state_before: vec![0.0; state],
            workspace: Workspace::default(),
            prepared: OnceLock::new(),
            pending: None,
            graph,
        })
    }

    /// Takes examples of shape `input` from now on; `layers` are those it was built of, and every weight stays.
    ///
    /// # Errors
    /// The first layer that does not fit its input; weights that would have another shape. Nothing has changed then.
    pub(crate) fn set_input(&mut self, input: Shape, layers: &[NamedLayer]) -> Result<(), ShapeError> {
        let graph = Graph::build(layers, input, self.graph.isa())?;
        let before = self.graph.params().iter().chain(self.graph.state());
        let differs =
            before.zip(graph.params().iter().chain(graph.state())).find(|(a, b)| a.shape != b.shape);
        if let Some((param, other)) = differs {
            return Err(ShapeError::new(format!(
                "`{}` is {:?} for images of {} and would be {:?} for {input}: only a network whose weights do not depend on the \
                 image size can take another, such as one with GlobalAvgPool before its dense layers",
                param.name,
                param.shape,
                self.input(),
                other.shape,
            )));
        }
        self.graph = graph;
        self.prepared.take();
        self.pending = None;
        Ok(())
    }

    /// Whether training changes any weight.
    pub(crate) fn trains(&self) -> bool {
        !self.graph.segments().is_empty()
    }

    /// Shape of one example's input.
    pub fn input(&self) -> Shape {
        self.graph.input()
    }

    /// Shape of one example's output.
    pub fn output(&self) -> Shape {
        self.graph.output()
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Forward pass of inference over a batch `x`: overwrites `y`.
    ///
    /// # Panics
    /// If `x` is not a whole number of examples, or `y` not as many.
    pub fn infer(&self, x: &[f32], y: &mut [f32]) {
        let batch = self.graph.batch(x);
        assert_eq!(y.len(), batch * self.output().len(), "an output for each example");
        let prepared = if batch <= FEW { self.prepared() } else { &[] };
        let values = Values { w: &self.weights, state: &self.state, prepared };
        self.workspace.infer(self.graph.memory(batch), |scratch| {
            in_pool(|| self.graph.infer(values, x, y, scratch, |_| ()));
        });
    }

    /// What the layers prepare of the weights as they are.
    ///
    /// Threads that want it at once may each make it; the first one's is kept. To wait for that one could take forever: in
    /// the pool, what a thread does while it waits for a part of its work may be another's inference.
    pub(super) fn prepared(&self) -> &[f32] {
        if let Some(prepared) = self.prepared.get() {
            return prepared;
        }
        let mut prepared = Aligned::zeros(self.graph.prepared_len());
        in_pool(|| self.graph.prepare(&self.weights, &self.state, &mut prepared));
        self.prepared.get_or_init(|| prepared)
    }

    /// Forward pass of training over a batch `x`: the outputs. What [`backward`](Self::backward) needs besides `x` is kept.
    ///
    /// `seed` is the source of randomness of this pass (dropout).
    ///
    /// # Panics
    /// If `x` is not a whole number of examples.
    pub fn forward(&mut self, x: &[f32], seed: u64) -> &[f32] {
        let batch = self.graph.batch(x);
        let memory = self.graph.memory(batch);
        self.prepared.take();
        self.state_before.copy_from_slice(&self.state);
        self.pending = Some(x.len());
        let buffers = self.workspace.train(memory);
        in_pool(|| self.graph.forward(&self.weights, &mut self.state, x, buffers, seed, |_, _| ()));
        &self.workspace.train(memory).floats[self.graph.last_output(batch)]
    }

    /// Backward pass from `dy`, the gradient of the loss with respect to the outputs of the last forward pass: computes
    /// the gradient of every weight.
    ///
    /// `x` holds what the forward pass was given. As an [`Input::Activation`] it is overwritten by its gradient; that of an
    /// [`Input::Given`] is not computed.
    ///
    /// # Errors
    /// No forward pass came before: each serves one backward pass. Its input or outputs had another length. The gradient of the
    /// input is asked for, but layers are frozen.
    pub fn backward(&mut self, x: Input<'_>, dy: &[f32]) -> Result<(), BackwardError> {
        let want = self.pending.take().ok_or(BackwardError::WithoutForward)?;
        let got = x.values().len();
        if got != want {
            return Err(BackwardError::Input { want, got });
        }
        if matches!(x, Input::Activation(_)) && !self.graph.input_gradient() {
            return Err(BackwardError::Frozen);
        }
        let batch = self.graph.batch(x.values());
        let want = batch * self.output().len();
        if dy.len() != want {
            return Err(BackwardError::Length { want, got: dy.len() });
        }
        let buffers = self.workspace.train(self.graph.memory(batch));
        buffers.floats[self.graph.last_output(batch)].copy_from_slice(dy);
        let arrays = (&*self.weights, &*self.state);
        in_pool(|| self.graph.backward(arrays, &mut self.gradients, x, buffers, |_| ()));
        Ok(())
    }

    /// The first layer among whose outputs for `x`, in a forward pass of training from this `seed`, one is not finite. Makes that
    /// pass again.
    pub(crate) fn first_not_finite(&mut self, x: &[f32], seed: u64) -> Option<String> {
        let buffers = self.workspace.train(self.graph.memory(self.graph.batch(x)));
        let (mut state, mut found) = (self.state_before.clone(), None);
        in_pool(|| {
            self.graph.forward(&self.weights, &mut state, x, buffers, seed, |step, outputs| {
                if found.is_none() && !all_finite(outputs) {
                    found = Some(step.name.clone());
                }
            })
        });
        found
    }

    /// Gives the moving averages the values they had before the last forward pass of training.
    pub(crate) fn undo_forward_pass(&mut self) {
        self.prepared.take();
        self.state.copy_from_slice(&self.state_before);
    }

    /// The first parameter whose gradient, from the last backward pass, is not finite.
    pub(crate) fn non_finite_gradient(&self) -> Option<&Param> {
        if trained(self.graph.segments()).all(|range| all_finite(&self.gradients[range])) {
            return None;
        }
        self.gradients().find(|(_, values)| values.iter().any(|v| !v.is_finite())).map(|(param, _)| param)
    }

    /// Moves the weights against the gradients of the last backward pass. Returns the gradients' L2 norm if the
    /// optimizer clips.
    pub fn update(&mut self, optimizer: &mut dyn Optimizer) -> Option<f64> {
        self.prepared.take();
        optimizer.update(&mut self.weights, &self.gradients, self.graph.segments())
    }

    /// Moves every weight and moving average a part of the way to `other`'s, of the same layers: `a = a + share (b - a)`.
    /// A share of 1 copies them.
    ///
    /// # Panics
    /// If `other` has other layers.
    pub(crate) fn move_towards(&mut self, other: &Self, share: f32) {
        self.prepared.take();
        let pairs = [(&mut *self.weights, &*other.weights), (&mut *self.state, &*other.state)];
        for (to, from) in pairs {
            assert_eq!(to.len(), from.len(), "the same layers");
            for_each_chunk(to, CHUNK, &|chunk, to| {
                let from = &from[chunk * CHUNK..][..to.len()];
                if share == 1.0 {
                    to.copy_from_slice(from);
                } else {
                    to.iter_mut().zip(from).for_each(|(a, b)| *a += share * (b - *a));
                }
            });
        }
    }

    /// Every weight by its name, in the order of the optimizer's values: those of frozen layers too.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Param, ArrayViewD<'_, f32>)> {
        views(self.graph.params(), &self.weights)
    }

    /// Every array by its name (`conv2d_1/kernel`): weights, then moving averages.
    pub fn arrays(&self) -> impl Iterator<Item = (&Param, ArrayViewD<'_, f32>)> {
        self.weights().chain(views(self.graph.state(), &self.state))
    }

    /// The gradient of each weight that trains, from the last backward pass.
    pub fn gradients(&self) -> impl Iterator<Item = (&Param, ArrayViewD<'_, f32>)> {
        let mut segments = self.graph.segments().iter().map(|segment| segment.range.start).peekable();
        let all = views(self.graph.params(), &self.gradients);
        all.zip(starts(self.graph.params()))
            .filter(move |(_, start)| segments.next_if_eq(start).is_some())
            .map(|(gradient, _)| gradient)
    }

    /// Every array, to change, in the order of [`arrays`](Self::arrays).
    pub(crate) fn arrays_mut(&mut self) -> impl Iterator<Item = (&Param, &mut [f32])> {
        self.prepared.take();
        slices(self.graph.params(), &mut self.weights).chain(slices(self.graph.state(), &mut self.state))
    }

    /// The values of the array `name`, to change; with its description.
    pub(crate) fn array_mut(&mut self, name: &str) -> Option<(&Param, &mut [f32])> {
        self.arrays_mut().find(|(param, _)| param.name == name)
    }

    /// Sets the values of the array `name`, in row-major order.
    ///
    /// # Errors
    /// No array of this name, or one of another length.
    pub fn set_array(&mut self, name: &str, values: &[f32]) -> Result<(), ShapeError> {
        let (param, array) = self
            .array_mut(name)
            .ok_or_else(|| ShapeError::new(format!("there is no array named `{name}`")))?;
        if array.len() != values.len() {
            let message = format!(
                "`{name}` of shape {:?} takes {} values, got {}",
                param.shape,
                array.len(),
                values.len()
            );
            return Err(ShapeError::new(message));
        }
        array.copy_from_slice(values);
        Ok(())
    }
}

/// Runs a whole pass on a thread of rayon's pool: from any other thread each parallel loop of each layer would be handed over
/// and waited for, which takes longer than a small layer.
pub(super) fn in_pool(pass: impl FnOnce() + Send) {
    // Handed over as `dyn`, so that rayon's part is compiled once.
    fn run(pass: &mut (dyn FnMut() + Send)) {
        rayon::scope(|_| pass());
    }
    let mut pass = Some(pass);
    run(&mut || pass.take().into_iter().for_each(|pass| pass()));
}

/// Draws the initial values of arrays that lie one after another in `to`.
fn draw(params: &[Param], rng: &mut ChaCha8Rng, to: &mut [f32]) {
    for (param, values) in slices(params, to) {
        values.iter_mut().zip(param.init.draw(param, rng)).for_each(|(to, value)| *to = value);
    }
}

fn views<'a>(
    params: &'a [Param],
    values: &'a [f32],
) -> impl Iterator<Item = (&'a Param, ArrayViewD<'a, f32>)> {
    let mut start = 0;
    params.iter().map(move |param| {
        let range = start..start + param.len();
        start = range.end;
        let view =
            ArrayViewD::from_shape(IxDyn(&param.shape), &values[range]).expect("a parameter fills its range");
        (param, view)
    })
}

/// Where the values of each array begin.
fn starts(params: &[Param]) -> impl Iterator<Item = usize> {
    params.iter().scan(0, |start, param| Some(std::mem::replace(start, *start + param.len())))
}

/// The values of each array, which lie one after another in `rest`.
fn slices<'a>(
    params: &'a [Param],
    mut rest: &'a mut [f32],
) -> impl Iterator<Item = (&'a Param, &'a mut [f32])> {
    params.iter().map(move |param| {
        let (values, after) = std::mem::take(&mut rest).split_at_mut(param.len());
        rest = after;
        (param, values)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{BatchNorm, Conv2d, Dense, Flatten, Init, LayerSpec, Relu, Residual};
    use crate::optim::Sgd;

    #[test]
    fn weights_are_not_drawn_from_the_stream_that_a_loader_of_the_same_seed_shuffles_by() {
        let dense = Dense::new(3).kernel_init(Init::GlorotUniform).no_bias();
        let layer = NamedLayer::new("dense", dense.clone());
        let network = Sequential::new(Shape::Vector(4), &[layer], 7).unwrap();
        let param = network.graph.params()[0].clone();
        for (stream, same) in [(0, false), (1, false), (u64::MAX, false), (WEIGHTS_STREAM, true)] {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            rng.set_stream(stream);
            assert_eq!(
                network.weights.to_vec() == param.init.draw(&param, &mut rng).to_vec(),
                same,
                "{stream}"
            );
        }
    }

    #[test]
    fn a_few_examples_give_what_many_give_also_after_the_weights_changed() {
        let conv = || LayerSpec::from(Conv2d::new(16, 3));
        let layers: [LayerSpec; 4] = [
            conv(),
            Residual::new().body(conv()).body(Relu).shortcut(conv()).into(),
            Flatten.into(),
            Dense::new(3).into(),
        ];
        let named = |(index, layer)| NamedLayer::new(format!("layer{index}"), layer);
        let layers: Vec<NamedLayer> = layers.into_iter().enumerate().map(named).collect();
        let mut network = Sequential::new(Shape::from((9, 9, 16)), &layers, 1).unwrap();
        assert!(network.graph.prepared_len() > 0);
        let many = FEW + 1;
        let x: Vec<f32> = (0..many * 9 * 9 * 16).map(|i| (i % 23) as f32 / 11.0 - 1.0).collect();
        let mut optimizer = Sgd::new(0.1);
        for change in 0..3 {
            let (mut all, mut some) = (vec![0.0; 3 * many], vec![0.0; 3 * FEW]);
            network.infer(&x, &mut all);
            network.infer(&x[..x.len() / many * FEW], &mut some);
            approx::assert_abs_diff_eq!(all[..3 * FEW], some[..], epsilon = 1e-4);
            if change == 0 {
                let len = network.array_mut("layer0/kernel").unwrap().1.len();
                network.set_array("layer0/kernel", &vec![0.01; len]).unwrap();
            } else {
                network.forward(&x, 1);
                network.backward(Input::Given(&x), &vec![1.0; 3 * many]).unwrap();
                network.update(&mut optimizer);
            }
        }
    }

    /// What is prepared holds batch norm's averages, which a forward pass of training moves without a change of weights.
    #[test]
    fn a_few_examples_give_what_many_give_also_after_the_averages_moved() {
        let layers = [
            NamedLayer::new("conv", Conv2d::new(4, 3)),
            NamedLayer::new("norm", BatchNorm::new().momentum(0.5)),
            NamedLayer::new("flat", Flatten),
        ];
        let mut network = Sequential::new(Shape::from((3, 3, 2)), &layers, 1).unwrap();
        let many = FEW + 1;
        let x: Vec<f32> = (0..many * 18).map(|i| (i % 7) as f32).collect();
        let check = |network: &Sequential| {
            let (mut all, mut some) = (vec![0.0; 36 * many], vec![0.0; 36 * FEW]);
            network.infer(&x, &mut all);
            network.infer(&x[..18 * FEW], &mut some);
            approx::assert_abs_diff_eq!(all[..36 * FEW], some[..], epsilon = 1e-4);
        };
        check(&network);
        network.forward(&x, 1);
        check(&network);
        network.undo_forward_pass();
        check(&network);
        network.forward(&x, 1);
        check(&network);
        network.layer_times(&x, 1);
        check(&network);
    }
}
