//! The layer that computes a depthwise convolution together with the 1x1 convolutions around it, where no backward pass comes by.

use super::{Backward, Forward, Input, Layer, Memory, Mode, Shape};
use floret_math::separable::{SeparablePlan, Weights};

/// Its weights are kernel and bias of each of the convolutions, one behind another.
#[derive(Debug)]
pub(super) struct SeparableLayer {
    pub plan: SeparablePlan,
}

/// Kernel and bias of each of the three convolutions, empty where there is none.
type Filters<'a> = [(&'a [f32], &'a [f32]); 3];

impl SeparableLayer {
    fn filters<'a>(&self, mut w: &'a [f32]) -> Filters<'a> {
        self.plan.filter_sizes().map(|(kernel, bias)| {
            let (of_this, rest) = w.split_at(kernel + bias);
            w = rest;
            of_this.split_at(kernel)
        })
    }
}

impl Layer for SeparableLayer {
    fn output(&self) -> Shape {
        let (height, width, channels) = self.plan.output();
        Shape::Image { height, width, channels }
    }

    fn memory(&self, batch: usize) -> Memory {
        Memory::default().scratch(self.plan.prepared_len() + self.plan.forward_scratch(batch))
    }

    fn prepared_len(&self) -> usize {
        self.plan.prepared_len()
    }

    fn prepare(&self, w: &[f32], to: &mut [f32]) {
        let [(expand, _), _, (project, _)] = self.filters(w);
        self.plan.prepare(expand, project, to);
    }

    fn multiply_adds(&self) -> u64 {
        self.plan.multiply_adds()
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let filters = self.filters(w);
        let (packed, scratch) = pass.scratch.split_at_mut(self.plan.prepared_len());
        let packed = match pass.mode {
            Mode::Infer { prepared, .. } if !prepared.is_empty() => prepared,
            _ => {
                self.prepare(w, packed);
                &*packed
            }
        };
        let weights = Weights { packed, depthwise: filters[1].0, biases: filters.map(|(_, bias)| bias) };
        self.plan.forward(x, weights, y, scratch);
    }

    fn backward(&self, _: &[f32], _: &mut [f32], _: Input<'_>, _: &mut [f32], _: Backward<'_>) {
        unreachable!("convolutions are computed together only where no backward pass comes by");
    }
}
