//! RMSprop (Hinton 2012).

use super::{Common, Optimizer, Segment, Slot, SlotMut, for_each_weight};

/// `v = rho v + (1 - rho) g^2`, `w -= rate g / sqrt(v + epsilon)`; Keras' `RMSprop`.
#[derive(Debug, Clone)]
pub struct RmsProp {
    common: Common,
    rho: f32,
    epsilon: f32,
    v: Vec<f32>,
}

impl RmsProp {
    /// With rho = 0.9 and epsilon = 1e-7, as Keras.
    pub fn new(learning_rate: f32) -> Self {
        Self { common: Common::new(learning_rate), rho: 0.9, epsilon: 1e-7, v: Vec::new() }
    }

    /// Sets the decay rate of the mean square.
    pub fn rho(mut self, rho: f32) -> Self {
        self.rho = rho;
        self
    }
}

impl Optimizer for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn settings(&self) -> String {
        format!("rmsprop rho={} epsilon={}", self.rho, self.epsilon)
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn slots(&self) -> Vec<Slot<'_>> {
        vec![Slot { name: "v", values: &self.v }]
    }

    fn slots_mut(&mut self) -> Vec<SlotMut<'_>> {
        vec![SlotMut { name: "v", values: &mut self.v }]
    }

    fn apply(&mut self, weights: &mut [f32], gradients: &[f32], segments: &[Segment], scale: f32) {
        let (rate, rho, epsilon) = (self.common.learning_rate, self.rho, self.epsilon);
        for_each_weight(&self.common, weights, gradients, [&mut self.v], segments, |w, g, [v], factors| {
            let (keep, rate) = (factors.keep, factors.rate * rate);
            for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
                let g = scale * g;
                *v = rho * *v + (1.0 - rho) * g * g;
                *w = keep * *w - rate * g / (*v + epsilon).sqrt();
            }
        });
    }
}
