//! Stochastic gradient descent.

use super::{Common, Optimizer, Segment, Slot, SlotMut, for_each_weight};

/// `w -= rate g`; with momentum m: `v = m v - rate g`, `w += v`, or with Nesterov's look-ahead `w += m v - rate g`.
///
/// Keras' `SGD`; TensorFlow-1's `GradientDescentOptimizer` and `MomentumOptimizer`.
#[derive(Debug, Clone)]
pub struct Sgd {
    common: Common,
    momentum: f32,
    nesterov: bool,
    velocity: Vec<f32>,
}

impl Sgd {
    /// Plain gradient descent.
    pub fn new(learning_rate: f32) -> Self {
        Self { common: Common::new(learning_rate), momentum: 0.0, nesterov: false, velocity: Vec::new() }
    }

    /// Sets the momentum, in [0, 1).
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Uses Nesterov's momentum.
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn settings(&self) -> String {
        format!("sgd momentum={} nesterov={}", self.momentum, self.nesterov)
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn slots(&self) -> Vec<Slot<'_>> {
        match self.momentum {
            0.0 => Vec::new(),
            _ => vec![Slot { name: "momentum", values: &self.velocity }],
        }
    }

    fn slots_mut(&mut self) -> Vec<SlotMut<'_>> {
        match self.momentum {
            0.0 => Vec::new(),
            _ => vec![SlotMut { name: "momentum", values: &mut self.velocity }],
        }
    }

    fn apply(&mut self, weights: &mut [f32], gradients: &[f32], segments: &[Segment], scale: f32) {
        let (rate, m, nesterov) = (self.common.learning_rate * scale, self.momentum, self.nesterov);
        if m == 0.0 {
            for_each_weight(&self.common, weights, gradients, [], segments, |w, g, [], factors| {
                let (keep, rate) = (factors.keep, factors.rate * rate);
                w.iter_mut().zip(g).for_each(|(w, g)| *w = keep * *w - rate * g);
            });
            return;
        }
        for_each_weight(
            &self.common,
            weights,
            gradients,
            [&mut self.velocity],
            segments,
            |w, g, [v], factors| {
                let (keep, rate) = (factors.keep, factors.rate * rate);
                for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
                    *v = m * *v - rate * g;
                    *w = keep * *w + if nesterov { m * *v - rate * g } else { *v };
                }
            },
        );
    }
}
