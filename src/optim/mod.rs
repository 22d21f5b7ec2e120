//! Gradients to weights: optimizers as Keras defines them, and learning-rate schedules.
//!
//! Weights and gradients each lie in one contiguous buffer, so an update is one fused pass over both.

mod adam;
mod lbfgs;
mod rmsprop;
mod schedule;
mod sgd;

use std::ops::Range;

pub use adam::{Adam, AdamW};
pub use lbfgs::{Lbfgs, Minimum};
pub use rmsprop::RmsProp;
pub use schedule::{ReduceOnPlateau, Schedule};
use serde::{Deserialize, Serialize};
pub use sgd::Sgd;

/// Settings that every optimizer has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Common {
    /// The step size.
    pub learning_rate: f32,
    /// Decoupled weight decay: `w -= learning_rate weight_decay w` before the update (Loshchilov and Hutter 2019),
    /// for weights that decay (kernels, not biases and normalization parameters).
    pub weight_decay: f32,
    /// The gradient of all weights together is scaled down to this L2 norm where it is larger.
    pub clip_norm: Option<f32>,
    /// Updates made so far.
    pub steps: u64,
}

impl Common {
    /// This learning rate, without decay or clipping, before the first update.
    pub fn new(learning_rate: f32) -> Self {
        Self { learning_rate, weight_decay: 0.0, clip_norm: None, steps: 0 }
    }
}

/// A stretch of the weights that is treated alike. Weights of no segment stay.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Segment {
    /// Which weights.
    pub range: Range<usize>,
    /// Whether weight decay applies.
    pub decays: bool,
    /// What the learning rate is multiplied by.
    pub learning_rate: f32,
}

impl Segment {
    /// Weights that decay, at the learning rate as it is.
    pub fn new(range: Range<usize>) -> Self {
        Self { range, decays: true, learning_rate: 1.0 }
    }
}

/// The weights of all segments, those that adjoin as one.
pub(crate) fn trained(segments: &[Segment]) -> impl Iterator<Item = Range<usize>> {
    segments
        .chunk_by(|a, b| a.range.end == b.range.start)
        .map(|chunk| chunk[0].range.start..chunk[chunk.len() - 1].range.end)
}

/// One named array of an optimizer's memory, as long as the weights once training has begun.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'a> {
    /// Such as `momentum`.
    pub name: &'static str,
    /// Its values; empty before the first update.
    pub values: &'a [f32],
}

/// A [`Slot`], to change.
#[derive(Debug)]
pub struct SlotMut<'a> {
    /// Such as `momentum`.
    pub name: &'static str,
    /// Its values; empty before the first update.
    pub values: &'a mut Vec<f32>,
}

/// A rule that moves weights against their gradients.
pub trait Optimizer: Send {
    /// The rule's name, such as `sgd`.
    fn name(&self) -> &'static str;

    /// The rule with its settings, in words that differ where the settings do (learning rate aside).
    fn settings(&self) -> String;

    /// Settings that every optimizer has.
    fn common(&self) -> &Common;

    /// Settings that every optimizer has, to change.
    fn common_mut(&mut self) -> &mut Common;

    /// What the rule remembers between updates: exactly what resuming needs besides [`Self::common`].
    fn slots(&self) -> Vec<Slot<'_>>;

    /// The same arrays in the same order, to change.
    fn slots_mut(&mut self) -> Vec<SlotMut<'_>>;

    /// The rule itself: moves `weights` by `scale` times `gradients`. Called by [`Self::update`].
    ///
    /// It makes each slot as long as the weights, with zeros, where it is shorter.
    fn apply(&mut self, weights: &mut [f32], gradients: &[f32], segments: &[Segment], scale: f32);

    /// One update: clips, decays and applies the rule. Returns the L2 norm of the gradients if it clips.
    fn update(&mut self, weights: &mut [f32], gradients: &[f32], segments: &[Segment]) -> Option<f64> {
        self.common_mut().steps += 1;
        let squares = |range: Range<usize>| floret_math::reduce::sum_of_squares(&gradients[range]);
        let norm = self.common().clip_norm.map(|_| trained(segments).map(squares).sum::<f64>().sqrt());
        let scale = match (self.common().clip_norm, norm) {
            (Some(limit), Some(norm)) if norm > f64::from(limit) => (f64::from(limit) / norm) as f32,
            _ => 1.0,
        };
        self.apply(weights, gradients, segments, scale);
        norm
    }

    /// The learning rate of the next update.
    fn learning_rate(&self) -> f32 {
        self.common().learning_rate
    }

    /// Sets the learning rate of the next update.
    fn set_learning_rate(&mut self, rate: f32) {
        self.common_mut().learning_rate = rate;
    }
}

/// The settings that every optimizer has, as builder methods of its own: no trait needs to be imported for them.
macro_rules! common_settings {
    ($($optimizer:ty),+) => {$(
        impl $optimizer {
            /// Sets the decoupled weight decay.
            pub fn weight_decay(mut self, decay: f32) -> Self {
                self.common_mut().weight_decay = decay;
                self
            }

            /// Scales gradients down to this L2 norm where theirs is larger.
            pub fn clip_norm(mut self, norm: f32) -> Self {
                self.common_mut().clip_norm = Some(norm);
                self
            }
        }
    )+};
}

common_settings!(Adam, AdamW, RmsProp, Sgd);

/// Values a task updates at a time.
const CHUNK: usize = 1 << 14;

/// What a rule needs to know of a segment.
#[derive(Clone, Copy)]
struct Factors {
    /// What decay leaves of a weight.
    keep: f32,
    /// What the learning rate is multiplied by.
    rate: f32,
}

/// Runs `rule(w, g, [slot values], factors)` over the weights of all segments in parallel. Slots are made as long as the weights
/// first.
fn for_each_weight<const S: usize>(
    common: &Common,
    weights: &mut [f32],
    gradients: &[f32],
    slots: [&mut Vec<f32>; S],
    segments: &[Segment],
    rule: impl Fn(&mut [f32], &[f32], [&mut [f32]; S], Factors) + Sync,
) {
    let mut slots = slots.map(|slot| {
        if slot.is_empty() {
            // Zeros from the system: those of frozen weights never take memory.
            *slot = vec![0.0; weights.len()];
        }
        slot.resize(weights.len(), 0.0);
        slot.as_mut_slice()
    });
    for Segment { range, decays, learning_rate } in segments {
        let decay = if *decays { common.learning_rate * learning_rate * common.weight_decay } else { 0.0 };
        let factors = Factors { keep: 1.0 - decay, rate: *learning_rate };
        let slots = slots.each_mut().map(|slot| &mut slot[range.clone()]);
        let rule = |w: &mut [f32], g: &[f32], slots: [&mut [f32]; S]| rule(w, g, slots, factors);
        in_chunks(&mut weights[range.clone()], &gradients[range.clone()], slots, &rule);
    }
}

/// Runs `rule` over chunks in parallel. Halves are joined rather than chunks collected: an update allocates nothing.
fn in_chunks<const S: usize>(
    w: &mut [f32],
    g: &[f32],
    slots: [&mut [f32]; S],
    rule: &(impl Fn(&mut [f32], &[f32], [&mut [f32]; S]) + Sync),
) {
    let chunks = w.len().div_ceil(CHUNK);
    if chunks <= 1 {
        return rule(w, g, slots);
    }
    let middle = chunks / 2 * CHUNK;
    let (w, w_rest) = w.split_at_mut(middle);
    let (g, g_rest) = g.split_at(middle);
    let mut rest = [const { None }; S];
    let mut places = rest.iter_mut();
    let slots = slots.map(|slot| {
        let (slot, slot_rest) = slot.split_at_mut(middle);
        if let Some(place) = places.next() {
            *place = Some(slot_rest);
        }
        slot
    });
    let rest = rest.map(|slot: Option<&mut [f32]>| slot.unwrap_or_default());
    rayon::join(|| in_chunks(w, g, slots, rule), || in_chunks(w_rest, g_rest, rest, rule));
}
