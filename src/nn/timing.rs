//! Where the time of a pass goes, layer by layer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Input;
use super::graph::Values;
use super::sequential::{FEW, Sequential, in_pool};
use super::step::Step;

/// The times of what one pass computes at once: a layer, with those behind it that are computed in the same pass.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayerTime {
    /// The name of the first layer.
    pub layer: String,
    /// Multiply-adds of one example's forward pass of training, as a direct computation counts them.
    pub multiply_adds: u64,
    /// Those of inference, which computes more layers at once; 0 where this one is a part of a layer before.
    pub inference_multiply_adds: u64,
    /// Median time in inference; zero where it is a part of a layer before, as batch norm behind a convolution is.
    pub inference: Duration,
    /// Median time in the forward pass of training.
    pub forward: Duration,
    /// Median time in the backward pass; zero where none comes by, as in frozen layers before the first that trains.
    pub backward: Duration,
}

/// Times of one kind of pass: of each step, pass after pass.
struct Times(Vec<Vec<Duration>>);

impl Times {
    fn new(steps: usize) -> Self {
        Self(vec![Vec::new(); steps])
    }

    /// Runs a pass that calls what it is given after each step, in the order of `indices`.
    fn pass(&mut self, indices: impl Iterator<Item = usize>, pass: impl FnOnce(&mut dyn FnMut())) {
        let (mut indices, mut last) = (indices, Instant::now());
        pass(&mut || {
            let now = Instant::now();
            if let Some(index) = indices.next() {
                self.0[index].push(now - last);
            }
            last = now;
        });
    }

    fn median(&mut self, step: usize) -> Duration {
        let times = &mut self.0[step];
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

impl Sequential {
    /// The times of each step in `passes` passes of each kind over a batch `x`, after one to warm up. Weights stay, moving averages
    /// move, gradients are overwritten.
    ///
    /// # Panics
    /// If `x` is not a whole number of examples.
    pub(crate) fn layer_times(&mut self, x: &[f32], passes: usize) -> Vec<LayerTime> {
        let batch = self.graph.batch(x);
        let (inferred, trained) = (self.graph.inference_steps().len(), self.graph.training_steps().len());
        let new = || (Times::new(inferred), Times::new(trained), Times::new(trained));
        let (mut inference, mut forward, mut backward) = new();
        let mut y = vec![0.0; batch * self.graph.output().len()];
        let memory = self.graph.memory(batch);
        if batch <= FEW {
            self.prepared();
        }
        for pass in 0..=passes {
            if pass == 1 {
                // The pass before was to warm up.
                (inference, forward, backward) = new();
            }
            let prepared = self.prepared.get().filter(|_| batch <= FEW).map_or(&[][..], |prepared| prepared);
            let values = Values { w: &self.weights, state: &self.state, prepared };
            let graph = &self.graph;
            self.workspace.infer(memory, |scratch| {
                in_pool(|| {
                    inference.pass(0..inferred, |seen| graph.infer(values, x, &mut y, scratch, |_| seen()))
                });
            });
            let buffers = self.workspace.train(memory);
            let (w, state) = (&self.weights, &mut self.state);
            in_pool(|| {
                forward.pass(0..trained, |seen| graph.forward(w, state, x, buffers, 0, |_, _| seen()))
            });
            // The outputs serve as their gradient.
            let buffers = self.workspace.train(memory);
            let (arrays, dw) = ((&*self.weights, &*self.state), &mut self.gradients);
            in_pool(|| {
                backward.pass((0..trained).rev(), |seen| {
                    graph.backward(arrays, dw, Input::Given(x), buffers, |_| seen())
                });
            });
        }
        self.pending = None;
        self.prepared.take();
        let named = |(index, step): (usize, &Step)| {
            (step.name.clone(), (inference.median(index), step.multiply_adds()))
        };
        let of_inference: HashMap<String, (Duration, u64)> =
            self.graph.inference_steps().iter().enumerate().map(named).collect();
        let time = |(index, step): (usize, &Step)| {
            let (inference, inference_multiply_adds) =
                of_inference.get(&step.name).copied().unwrap_or_default();
            LayerTime {
                layer: step.name.clone(),
                multiply_adds: step.multiply_adds(),
                inference_multiply_adds,
                inference,
                forward: forward.median(index),
                backward: if step.backward { backward.median(index) } else { Duration::ZERO },
            }
        };
        self.graph.training_steps().iter().enumerate().map(time).collect()
    }
}
