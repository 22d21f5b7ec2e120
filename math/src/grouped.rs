//! Grouped convolution and its gradients: input and output channels fall into as many groups, and each group of outputs sees
//! its own group of inputs alone. Images NHWC, filters HWIO, with I the input channels of one group.
//!
//! | groups | how |
//! | --- | --- |
//! | as many as channels in and out | `depthwise.rs` |
//! | else | the channels of one group after another as an image of their own, convolved by `conv/` |
//!
//! Copying the channels out and back costs a pass over images and outputs, which is little beside a convolution of several
//! channels.

use std::ops::Range;

use super::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue, Finish, Operand};
use super::depthwise::{self, DepthwiseShape};
use super::rearrange::{put, take};
use super::reduce::column_sums_scratch;
use super::simd::Isa;
use super::window::Window;

/// The shape of a grouped convolution over one image. `groups` divides both numbers of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupedShape {
    /// How the filter slides.
    pub window: Window,
    /// Input channels of all groups.
    pub cin: usize,
    /// Output channels of all groups.
    pub cout: usize,
    /// Groups.
    pub groups: usize,
}

impl GroupedShape {
    /// The convolution of one group.
    fn of_group(&self) -> ConvShape {
        let GroupedShape { window, cin, cout, groups } = *self;
        ConvShape { window, cin: cin / groups, cout: cout / groups }
    }

    /// The input channels of group `group`.
    fn inputs(&self, group: usize) -> Range<usize> {
        let len = self.cin / self.groups;
        group * len..(group + 1) * len
    }

    /// The output channels of group `group`, which are also the columns of its filter.
    fn outputs(&self, group: usize) -> Range<usize> {
        let len = self.cout / self.groups;
        group * len..(group + 1) * len
    }

    /// Images in an array of inputs.
    fn batch(&self, x: &[f32]) -> usize {
        x.len() / (self.window.input_pixels() * self.cin)
    }

    /// Values of the filter.
    pub fn filter_len(&self) -> usize {
        self.groups * self.of_group().filter_len()
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        self.groups as u64 * self.of_group().multiply_adds()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Depthwise(DepthwiseShape),
    /// The plan of one group.
    ByGroups(ConvPlan),
}

/// A grouped convolution, for one instruction set. Its gradients are computed in the steps of [`ConvPlan`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupedPlan {
    shape: GroupedShape,
    finish: Finish,
    isa: Isa,
    method: Method,
}

/// Room for one group at a time.
struct Room<'a> {
    x: &'a mut [f32],
    y: &'a mut [f32],
    w: &'a mut [f32],
    plan: &'a mut [f32],
}

impl GroupedPlan {
    /// Chooses how to compute this shape.
    ///
    /// # Panics
    /// If `FLORET_CONV` names no algorithm, or the epilogue has a pool.
    pub fn new(isa: Isa, shape: GroupedShape, finish: impl Into<Finish>) -> Self {
        let finish = finish.into();
        assert_ne!(
            finish.epilogue,
            Epilogue::ReluPool,
            "no pool is computed with a convolution of several groups"
        );
        let method = if shape.cin == shape.groups && shape.cout == shape.groups {
            Method::Depthwise(DepthwiseShape { window: shape.window, channels: shape.cin })
        } else {
            Method::ByGroups(ConvPlan::new(isa, shape.of_group(), finish, ConvAlgorithm::Auto))
        };
        Self { shape, finish, isa, method }
    }

    /// Bytes of `winners` for one image.
    pub fn winners_len(&self) -> usize {
        let len = self.shape.window.output_pixels() * self.shape.cout;
        if self.finish.epilogue.keeps_winners() { len } else { 0 }
    }

    /// The shape.
    pub fn shape(&self) -> &GroupedShape {
        &self.shape
    }

    /// Floats of [`Room`] without the plan's.
    fn room_len(&self, batch: usize) -> usize {
        let group = self.shape.of_group();
        batch * (group.input_len() + group.output_len()) + group.filter_len()
    }

    fn room<'a>(&self, batch: usize, scratch: &'a mut [f32]) -> Room<'a> {
        let group = self.shape.of_group();
        let (x, scratch) = scratch.split_at_mut(batch * group.input_len());
        let (y, scratch) = scratch.split_at_mut(batch * group.output_len());
        let (w, plan) = scratch.split_at_mut(group.filter_len());
        Room { x, y, w, plan }
    }

    /// Floats of room that [`forward`](Self::forward) works in.
    pub fn forward_scratch(&self, batch: usize) -> usize {
        match &self.method {
            Method::Depthwise(_) => 0,
            Method::ByGroups(plan) => self.room_len(batch) + plan.forward_scratch(),
        }
    }

    /// Floats of room that each step of the gradients works in.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        let gradients = match &self.method {
            Method::Depthwise(shape) => depthwise::filter_gradient_scratch(shape, batch)
                .max(depthwise::backward_scratch(shape, batch)),
            Method::ByGroups(plan) => self.room_len(batch) + plan.backward_scratch(batch),
        };
        gradients.max(column_sums_scratch(batch * self.shape.window.output_pixels(), self.shape.cout))
    }

    /// Forward pass over all images of `x`. Overwrites `y` and, in training, `winners`, which are empty where nothing is
    /// kept. An empty `bias` adds nothing.
    pub fn forward(
        &self,
        x: &[f32],
        w: &[f32],
        bias: &[f32],
        y: &mut [f32],
        winners: &mut [u8],
        scratch: &mut [f32],
    ) {
        let (shape, Finish { epilogue, adds }) = (&self.shape, self.finish);
        let plan = match &self.method {
            Method::Depthwise(shape) => {
                return depthwise::forward(self.isa, shape, self.finish, x, w, bias, y, winners);
            }
            Method::ByGroups(plan) => plan,
        };
        let room = self.room(shape.batch(x), scratch);
        for group in 0..shape.groups {
            take(x, shape.cin, shape.inputs(group), room.x);
            take(w, shape.cout, shape.outputs(group), room.w);
            let bias = if bias.is_empty() { &[] } else { &bias[shape.outputs(group)] };
            if adds {
                take(y, shape.cout, shape.outputs(group), room.y);
            }
            plan.forward(room.x, room.w, bias, room.y, &mut [], room.plan);
            put(room.y, y, shape.cout, shape.outputs(group));
        }
        if let Some(activation) = epilogue.activation().filter(|_| !winners.is_empty()) {
            activation.codes(self.isa, y, winners);
        }
    }

    /// As [`ConvPlan::backward`].
    #[allow(clippy::too_many_arguments, reason = "a convolution's operands and their gradients")]
    pub fn backward(
        &self,
        x: Operand<'_>,
        dy: &mut [f32],
        winners: &[u8],
        w: &[f32],
        gradients: Option<(&mut [f32], &mut [f32])>,
        scratch: &mut [f32],
    ) {
        let batch = self.shape.batch(x.values());
        let (x, gradients) = match (&self.method, x, gradients) {
            (Method::Depthwise(shape), Operand::Replaced(x), Some(gradients))
                if depthwise::in_one_pass(batch) =>
            {
                return depthwise::backward(self.isa, shape, x, dy, winners, w, gradients, scratch);
            }
            (_, x, gradients) => (x, gradients),
        };
        match gradients {
            Some((dw, db)) => {
                self.mask(dy, winners, db, scratch);
                self.filter_gradient(x.values(), dy, dw, scratch);
            }
            None => self.mask(dy, winners, &mut [], scratch),
        }
        if let Operand::Replaced(dx) = x {
            self.data_gradient(dy, w, dx, scratch);
        }
    }

    /// As [`ConvPlan::mask`].
    pub fn mask(&self, dy: &mut [f32], winners: &[u8], db: &mut [f32], scratch: &mut [f32]) {
        self.finish.epilogue.mask(self.isa, dy, winners, self.shape.cout, db, scratch);
    }

    /// The gradient of the filter, summed over all images. Overwrites `dw`.
    pub fn filter_gradient(&self, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
        let shape = &self.shape;
        let plan = match &self.method {
            Method::Depthwise(shape) => {
                return depthwise::filter_gradient(self.isa, shape, x, dy, dw, scratch);
            }
            Method::ByGroups(plan) => plan,
        };
        let room = self.room(shape.batch(x), scratch);
        for group in 0..shape.groups {
            take(x, shape.cin, shape.inputs(group), room.x);
            take(dy, shape.cout, shape.outputs(group), room.y);
            plan.filter_gradient(room.x, room.y, &[], room.w, room.plan);
            put(room.w, dw, shape.cout, shape.outputs(group));
        }
    }

    /// The gradient of the input. Overwrites `dx`.
    pub fn data_gradient(&self, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        let shape = &self.shape;
        let plan = match &self.method {
            Method::Depthwise(shape) => return depthwise::data_gradient(self.isa, shape, dy, w, dx),
            Method::ByGroups(plan) => plan,
        };
        let room = self.room(shape.batch(dx), scratch);
        for group in 0..shape.groups {
            take(dy, shape.cout, shape.outputs(group), room.y);
            take(w, shape.cout, shape.outputs(group), room.w);
            plan.data_gradient(room.y, &[], room.w, room.x, room.plan);
            put(room.x, dx, shape.cin, shape.inputs(group));
        }
    }
}
