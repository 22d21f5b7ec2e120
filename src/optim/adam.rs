//! Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).

use super::{Common, Optimizer, Segment, Slot, SlotMut, for_each_weight};

/// `m += (1 - b1) (g - m)`, `v += (1 - b2) (g^2 - v)`,
/// `w -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)`; Keras' `Adam`.
#[derive(Debug, Clone)]
pub struct Adam {
    common: Common,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Adam {
    /// With b1 = 0.9, b2 = 0.999, epsilon = 1e-7, as Keras.
    pub fn new(learning_rate: f32) -> Self {
        let common = Common::new(learning_rate);
        Self { common, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, m: Vec::new(), v: Vec::new() }
    }

    /// Sets the decay rates of the two moments.
    pub fn betas(mut self, beta1: f32, beta2: f32) -> Self {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }

    /// The decay rates of the two moments.
    pub fn decay_rates(&self) -> [f32; 2] {
        [self.beta1, self.beta2]
    }

    /// Sets the term added to the denominator.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn settings(&self) -> String {
        format!("adam beta1={} beta2={} epsilon={}", self.beta1, self.beta2, self.epsilon)
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn slots(&self) -> Vec<Slot<'_>> {
        vec![Slot { name: "m", values: &self.m }, Slot { name: "v", values: &self.v }]
    }

    fn slots_mut(&mut self) -> Vec<SlotMut<'_>> {
        vec![SlotMut { name: "m", values: &mut self.m }, SlotMut { name: "v", values: &mut self.v }]
    }

    fn apply(&mut self, weights: &mut [f32], gradients: &[f32], segments: &[Segment], scale: f32) {
        let (b1, b2, epsilon) = (self.beta1, self.beta2, self.epsilon);
        let t = self.common.steps as f64;
        let correction = (1.0 - f64::from(b2).powf(t)).sqrt() / (1.0 - f64::from(b1).powf(t));
        let rate = (f64::from(self.common.learning_rate) * correction) as f32;
        let slots = [&mut self.m, &mut self.v];
        for_each_weight(&self.common, weights, gradients, slots, segments, |w, g, [m, v], factors| {
            let (keep, rate) = (factors.keep, factors.rate * rate);
            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                let g = scale * g;
                *m += (1.0 - b1) * (g - *m);
                *v += (1.0 - b2) * (g * g - *v);
                *w = keep * *w - rate * *m / (v.sqrt() + epsilon);
            }
        });
    }
}

/// [`Adam`] with decoupled weight decay, 0.004 unless set otherwise; Keras' `AdamW`.
#[derive(Debug, Clone)]
pub struct AdamW(Adam);

impl AdamW {
    /// With Adam's defaults and a weight decay of 0.004, as Keras.
    pub fn new(learning_rate: f32) -> Self {
        Self(Adam::new(learning_rate).weight_decay(0.004))
    }

    /// Sets the decay rates of the two moments.
    pub fn betas(self, beta1: f32, beta2: f32) -> Self {
        Self(self.0.betas(beta1, beta2))
    }
}

impl Optimizer for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn settings(&self) -> String {
        format!("adamw {}", self.0.settings())
    }

    fn common(&self) -> &Common {
        self.0.common()
    }

    fn common_mut(&mut self) -> &mut Common {
        self.0.common_mut()
    }

    fn slots(&self) -> Vec<Slot<'_>> {
        self.0.slots()
    }

    fn slots_mut(&mut self) -> Vec<SlotMut<'_>> {
        self.0.slots_mut()
    }

    fn apply(&mut self, weights: &mut [f32], gradients: &[f32], segments: &[Segment], scale: f32) {
        self.0.apply(weights, gradients, segments, scale);
    }
}
