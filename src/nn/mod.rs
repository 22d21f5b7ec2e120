//! Layers: a function `y = f(x; w)` and its derivative, side by side in one file each.
//!
//! A layer is described by plain data ([`LayerSpec`], what a network's file holds) and built for one input shape into
//! a [`Layer`], which checks every shape once. A built layer owns nothing that changes: weights, gradients and
//! everything kept between forward and backward are slices handed to it by the graph, so a network's
//! memory is planned once and one set of weights can serve several threads.
//!
//! # A layer of one's own
//! A program adds its own kinds of layers by two traits: [`CustomLayer`] is the description, [`Layer`] the built layer.
//! `examples/04_own_layer.rs` is a whole one. Who overwrites what:
//!
//! | | reads | overwrites | may destroy |
//! | --- | --- | --- | --- |
//! | [`Layer::forward`] of inference | `w`, `x`, `state` | `y` | `scratch` |
//! | [`Layer::forward`] of training | `w`, `x` | `y`, `saved`; moves `state` | `scratch` |
//! | [`Layer::backward`] | `w`, `x`, `dy`, `saved` | `dw`, and `x` by dx where it is wanted ([`Input`]) | `dy`, `saved`, `scratch` |
//!
//! Each of `y`, `dw` and dx must be written whole: they hold arbitrary values before. `dw` is overwritten, not added to. A
//! layer that is [frozen](NamedLayer::frozen) needs no dw: [`Backward::frozen`] says so.
//! Whatever [`Layer::memory`] asks for is part of the network's memory and reused from step to step: a layer allocates
//! nothing itself. Passes run in rayon's pool, and a layer may use it; sums should not depend on the number of threads.
//!
//! # From a description to a pass
//! | file | |
//! | --- | --- |
//! | `spec.rs` | layers as plain data, with the names of what they take |
//! | `nodes.rs` | names found, residual blocks opened, shapes checked |
//! | `fuse.rs`, `fold.rs`, `separable.rs` | which layers one pass computes |
//! | `step.rs`, `plan.rs` | the steps of a pass, and where each value lies |
//! | `graph.rs`, `arena.rs` | the forward and the backward walk over the steps, in that memory |
//! | `sequential.rs` | the graph with its weights |
//!
//! # How to add a layer to floret
//! 1. Write `nn/my_layer.rs`: a `serde` struct with the hyper-parameters, `build(&self, input: Shape, isa: Isa)` that returns
//!    the output shape or a [`ShapeError`], and a private struct that implements [`Layer`].
//! 2. Name it in [`LayerSpec`]: one line in the `layer_specs!` of `spec.rs`.
//! 3. Say what it is in other programs' files: one arm each in `onnx/export/layers.rs` and `log/graph.rs`.
//! 4. Give it one line in `tests/gradients.rs`: the numeric gradient check over random shapes.

mod activation;
mod arena;
mod arrays;
mod batch_norm;
mod built;
mod channels;
mod conv2d;
mod custom;
mod dense;
mod dropout;
mod flatten;
mod fold;
mod fuse;
pub(crate) mod graph;
mod init;
mod join;
mod layer_norm;
mod layer_scale;
pub(crate) mod nodes;
mod plan;
mod pool;
mod residual;
mod separable;
mod sequential;
mod shape;
mod spec;
mod squeeze_excite;
mod step;
mod stochastic_depth;
mod timing;
mod workspace;

use std::fmt;

pub use activation::{Clip, Gelu, HardSigmoid, HardSwish, LeakyRelu, Relu, Relu6, Sigmoid, Silu};
pub use batch_norm::BatchNorm;
pub use channels::{ChannelShuffle, ChannelSlice};
pub use conv2d::Conv2d;
pub use custom::{Custom, CustomLayer, register};
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use floret_math::conv::ConvAlgorithm;
pub use floret_math::window::Padding;
pub use init::Init;
pub use join::{Add, Concat, Multiply};
pub use layer_norm::LayerNorm;
pub use layer_scale::LayerScale;
pub use pool::{AvgPool2d, GlobalAvgPool, GlobalMaxPool, MaxPool2d};
pub use residual::Residual;
pub use sequential::{BackwardError, Sequential};
pub use shape::{HeightWidth, Shape, ShapeError};
pub use spec::{LayerSpec, NamedLayer};
pub use squeeze_excite::SqueezeExcite;
pub use stochastic_depth::StochasticDepth;
pub use timing::LayerTime;

/// Values that a task works on where each takes a moment: 64 KB of input and of output.
const CHUNK: usize = 1 << 14;

/// One array of a layer: a trainable parameter, or a value that training moves in another way (a moving average).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Param {
    /// Its name within the layer, such as `kernel`; of a nested layer, `inner/kernel`.
    pub name: String,
    /// Its shape, row-major: HWIO for convolutions, (in, out) for dense layers.
    pub shape: Vec<usize>,
    /// How it begins.
    pub init: Init,
    /// Values that feed one output and outputs fed by one value, which He's and Glorot's initializers scale by.
    pub fans: (usize, usize),
    /// Whether weight decay applies: to kernels, not to biases and normalization parameters.
    pub decays: bool,
}

impl Param {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the array holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A `kernel`: decays, and its initializer scales by the fans (in, out).
    pub fn kernel(shape: Vec<usize>, init: Init, fans: (usize, usize)) -> Self {
        Self { name: "kernel".into(), shape, init, fans, decays: true }
    }

    /// A vector of `len` values (bias, scale, moving average): never decays.
    pub fn vector(name: &str, len: usize, init: Init) -> Self {
        Self { name: name.into(), shape: vec![len], init, fans: (len, len), decays: false }
    }
}

/// Memory a layer needs for a batch, beside its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Memory {
    /// Floats kept from forward to backward.
    pub saved_floats: usize,
    /// Bytes kept from forward to backward (masks, winners).
    pub saved_bytes: usize,
    /// Floats used only within a forward or backward call of training.
    pub train_scratch: usize,
    /// Floats used only within a forward call of inference.
    pub infer_scratch: usize,
}

impl Memory {
    /// Keeps so many floats from forward to backward.
    pub fn saved_floats(mut self, floats: usize) -> Self {
        self.saved_floats = floats;
        self
    }

    /// Keeps so many bytes from forward to backward.
    pub fn saved_bytes(mut self, bytes: usize) -> Self {
        self.saved_bytes = bytes;
        self
    }

    /// Works in so many floats within a call, in training and in inference.
    pub fn scratch(mut self, floats: usize) -> Self {
        (self.train_scratch, self.infer_scratch) = (floats, floats);
        self
    }
}

/// What a forward pass keeps for the backward pass: exactly the sizes of the layer's [`Memory`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Saved<'a> {
    /// Kept floats.
    pub floats: &'a mut [f32],
    /// Kept bytes.
    pub bytes: &'a mut [u8],
}

/// Whether a forward pass trains or infers, with what each may touch.
#[derive(Debug)]
pub enum Mode<'a> {
    /// Inference: nothing is kept, state is only read.
    #[non_exhaustive]
    Infer {
        /// The layer's state (moving averages).
        state: &'a [f32],
        /// What [`Layer::prepare`] wrote; empty where it was not called.
        prepared: &'a [f32],
    },
    /// Training.
    #[non_exhaustive]
    Train {
        /// The layer's state, which the pass may move.
        state: &'a mut [f32],
        /// Where to keep what backward needs.
        saved: Saved<'a>,
        /// The source of randomness of this layer in this step.
        seed: u64,
    },
}

/// A forward pass.
#[derive(Debug)]
#[non_exhaustive]
pub struct Forward<'a> {
    /// Training or inference.
    pub mode: Mode<'a>,
    /// Room to work in, with arbitrary content before and after.
    pub scratch: &'a mut [f32],
}

/// A backward pass.
#[derive(Debug)]
#[non_exhaustive]
pub struct Backward<'a> {
    /// What forward kept. May be destroyed.
    pub saved: Saved<'a>,
    /// Room to work in, with arbitrary content before and after.
    pub scratch: &'a mut [f32],
    /// Whether dw is not needed: it may then be left as it is.
    pub frozen: bool,
}

/// A layer's input in the backward pass.
#[derive(Debug)]
pub enum Input<'a> {
    /// The network's own input, or what frozen layers gave: its gradient is not needed.
    Given(&'a [f32]),
    /// The output of the layer before: backward replaces x by its gradient dx, in place, so that activations and
    /// their gradients need no memory twice.
    Activation(&'a mut [f32]),
}

impl<'a> Input<'a> {
    /// The input's values, x.
    pub fn values(&self) -> &[f32] {
        match self {
            Input::Given(x) => x,
            Input::Activation(x) => x,
        }
    }

    /// Where dx goes, if it is wanted. Until it is overwritten it still holds x.
    pub fn gradient(self) -> Option<&'a mut [f32]> {
        match self {
            Input::Given(_) => None,
            Input::Activation(x) => Some(x),
        }
    }
}

/// A layer built for one input shape.
///
/// Slices hold a whole batch, one example after another; the batch size is `x.len()` over the input's length.
/// `w` and `dw` hold the layer's [`params`](Layer::params) one after another.
pub trait Layer: fmt::Debug + Send + Sync {
    /// Shape of one example's output.
    fn output(&self) -> Shape;

    /// Trainable parameters, in the order of `w`.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }

    /// Values moved by the forward pass of training rather than by gradients, in the order of `state`.
    fn state(&self) -> Vec<Param> {
        Vec::new()
    }

    /// Memory needed for a batch of `batch` examples.
    fn memory(&self, batch: usize) -> Memory {
        let _ = batch;
        Memory::default()
    }

    /// Whether backward reads x. If not, the memory that it writes dx to holds arbitrary values, and that of x serves others as
    /// soon as the forward pass is past it.
    fn reads_input(&self) -> bool {
        true
    }

    /// Floats that [`prepare`](Layer::prepare) writes; 0 where there is nothing to prepare.
    fn prepared_len(&self) -> usize {
        0
    }

    /// Writes to `to` what inference of a few examples needs of `w` in another form. For one photo this takes longer than the
    /// inference itself, so it is done once for many.
    fn prepare(&self, w: &[f32], to: &mut [f32]) {
        let _ = (w, to);
    }

    /// Multiply-adds of one example's forward pass, as a direct computation counts them.
    fn multiply_adds(&self) -> u64 {
        0
    }

    /// `y = f(x; w)`. Overwrites `y`.
    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>);

    /// From `dy`, the gradient of the loss with respect to y: overwrites `dw`, and x by dx where it is wanted.
    /// `dy` may be destroyed.
    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>);
}
