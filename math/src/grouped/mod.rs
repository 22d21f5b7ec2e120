//! Grouped convolution and its gradients: input and output channels fall into as many groups, and each group of outputs sees
//! its own group of inputs alone. Images NHWC, filters HWIO, with I the input channels of one group.
//!
//! | groups | how |
//! | --- | --- |
//! | as many as channels: depthwise | directly; there is one multiply-add for each value that is loaded, so memory decides |
//! | of few channels | directly: products of so few columns would leave most of the register tile empty |
//! | else | the channels of one group after another as an image of their own, convolved by `conv/` |
//!
//! | file | |
//! | --- | --- |
//! | `shape.rs` | sizes, and which channels read which |
//! | `rows.rs` | how rows are laid out for the direct way, and the loop of forward pass and data gradient |
//! | `forward.rs` | forward pass |
//! | `data_gradient.rs` | the gradient of the input |
//! | `filter_gradient.rs` | that of the filter |
//! | `backward.rs` | both in one pass |
//!
//! How the work is cut depends on the shape alone, and sums run in a fixed order.

mod backward;
mod data_gradient;
mod filter_gradient;
mod forward;
mod rows;
mod shape;

use super::conv::{ConvAlgorithm, ConvPlan, Epilogue, Finish, Operand};
use super::rearrange::{put, take};
use super::reduce::column_sums_scratch;
use super::simd::Isa;
pub(crate) use forward::{Forward, forward as forward_directly};
pub(crate) use rows::Room as Rows;
pub(crate) use shape::Filter;
pub use shape::GroupedShape;
use shape::{Reach, lanes};

/// Channels of a group up to which it is computed directly: where Winograd or a product without patches is the other way, and where
/// patches are.
///
/// Milliseconds of forward and backward pass of 16 images, 3x3, on two threads with AVX2, directly and one group after another:
///
/// | groups | stride | directly | after another |
/// | --- | --- | --- | --- |
/// | 56x56, 26 of 4 channels | 1 | 21, 51 | 107, 195 |
/// | 56x56, 16 of 8 | 1 | 27, 55 | 61, 128 |
/// | 28x28, 13 of 16 | 1 | 21, 49 | 19, 41 |
/// | 14x14, 12 of 32 | 1 | 20, 52 | 9, 21 |
/// | 56x56, 16 of 8 | 2 | 10, 19 | 45, 79 |
/// | 28x28, 13 of 16 | 2 | 6, 16 | 10, 20 |
/// | 28x28, 8 of 24 | 2 | 7, 20 | 11, 22 |
/// | 28x28, 12 of 32 | 2 | 19, 54 | 23, 48 |
const FEW: (usize, usize) = (8, 24);

#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one for each layer, and copied nowhere else")]
enum Method {
    Direct,
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
        let of_group = shape.of_group();
        let by_groups = ConvPlan::new(isa, of_group, finish, ConvAlgorithm::Auto);
        let few = if by_groups.copies_patches() { FEW.1 } else { FEW.0 };
        let method = match of_group.cin.max(of_group.cout) <= few {
            true => Method::Direct,
            false => Method::ByGroups(by_groups),
        };
        Self { shape, finish, isa, method }
    }

    /// Bytes of `winners` for one image.
    pub fn winners_len(&self) -> usize {
        if self.finish.epilogue.keeps_winners() { self.shape.output_len() } else { 0 }
    }

    /// Floats of the filter as forward pass and data gradient read it; depthwise it serves as it is.
    fn packed_lens(&self) -> (usize, usize) {
        let (shape, lanes) = (&self.shape, lanes(self.isa));
        let len = |reach: Reach| if shape.is_depthwise() { 0 } else { reach.packed_len(shape.window.taps()) };
        (len(shape.forward_reach(lanes)), len(shape.backward_reach(lanes)))
    }

    /// The filter as the forward pass reads it, packed into `room`.
    fn filter<'a>(&self, w: &'a [f32], room: &'a mut [f32]) -> Filter<'a> {
        let weight = |tap, input, output| self.weight(w, tap, input, output);
        self.packed(w, self.shape.forward_reach(lanes(self.isa)), &weight, room)
    }

    /// The same as the data gradient reads it.
    fn transposed<'a>(&self, w: &'a [f32], room: &'a mut [f32]) -> Filter<'a> {
        let weight = |tap, output, input| self.weight(w, tap, input, output);
        self.packed(w, self.shape.backward_reach(lanes(self.isa)), &weight, room)
    }

    fn packed<'a>(
        &self,
        w: &'a [f32],
        reach: Reach,
        weight: &(dyn Fn(usize, usize, usize) -> f32 + Sync),
        room: &'a mut [f32],
    ) -> Filter<'a> {
        if self.shape.is_depthwise() {
            return Filter::Depthwise(w);
        }
        reach.pack(self.shape.window.taps(), room, weight);
        Filter::Packed(room, reach)
    }

    /// The weight of a tap between an input and an output of the same group.
    fn weight(&self, w: &[f32], tap: usize, input: usize, output: usize) -> f32 {
        let of_group = self.shape.of_group().cin;
        w[(tap * of_group + input % of_group) * self.shape.cout + output]
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
            Method::Direct => self.packed_lens().0,
            Method::ByGroups(plan) => self.room_len(batch) + plan.forward_scratch(batch),
        }
    }

    /// Floats of room that each step of the gradients works in.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        let gradients = match &self.method {
            Method::Direct => {
                let (isa, shape) = (self.isa, &self.shape);
                let sums = filter_gradient::filter_gradient_scratch(isa, shape, batch)
                    .max(backward::backward_scratch(isa, shape, batch));
                self.packed_lens().1 + sums
            }
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
            Method::Direct => {
                let filter = self.filter(w, &mut scratch[..self.packed_lens().0]);
                return forward::forward(self.isa, shape, self.finish, x, filter, bias, y, winners);
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
            (Method::Direct, Operand::Replaced(x), Some(gradients)) if backward::in_one_pass(batch) => {
                let (packed, sums) = scratch.split_at_mut(self.packed_lens().1);
                let filter = self.transposed(w, packed);
                return backward::backward(self.isa, &self.shape, x, dy, winners, filter, gradients, sums);
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
            Method::Direct => {
                return filter_gradient::filter_gradient(self.isa, shape, x, dy, dw, scratch);
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
            Method::Direct => {
                let filter = self.transposed(w, &mut scratch[..self.packed_lens().1]);
                return data_gradient::data_gradient(self.isa, shape, dy, filter, dx);
            }
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
