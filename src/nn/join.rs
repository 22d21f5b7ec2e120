//! Layers of several inputs, by which ways through a network meet again.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::shape::check_values;
use super::{CHUNK, Shape, ShapeError};
use floret_math::parallel::{for_each_chunk, for_each_chunk_with_codes};
use floret_math::rearrange;

/// `y = x1 + x2 + ..`: values of one shape (He et al. 2016, residual learning). The gradient of each is that of y.
///
/// ```
/// use floret::network::Network;
/// use floret::nn::{Add, Conv2d, Dense, GlobalAvgPool, Relu};
///
/// let network = Network::builder((8, 8, 3))
///     .add_named("stem", Conv2d::new(4, 3))
///     .add_named("body", Conv2d::new(4, 3))
///     .add_from("sum", Add, ["body", "stem"])
///     .add(Relu)
///     .add(GlobalAvgPool)
///     .add(Dense::new(2))
///     .build()?;
/// # assert_eq!(network.spec().layers[2].from, ["body", "stem"]);
/// # Ok::<(), floret::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Add;

/// `y = x g`: an image and a gate, which has the image's shape, or one factor for each channel (a vector, or an image of 1x1).
/// With a gate for each channel that is made of their means it is squeeze-and-excitation (Hu et al. 2018).
///
/// `dx = dy g`, `dg = dy x`, summed over the pixels where the gate has one factor for them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Multiply;

/// The channels of images of one height and width behind one another, in the order of the inputs (Huang et al. 2017); or
/// vectors behind one another. The gradient of each is its part of that of y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Concat;

impl Add {
    pub(crate) fn build(&self, inputs: &[Shape]) -> Result<Join, ShapeError> {
        let first = several("a sum", inputs)?;
        match inputs.iter().find(|&&shape| shape != first) {
            Some(other) => {
                Err(ShapeError::new(format!("a sum takes values of one shape, got {first} and {other}")))
            }
            None => Ok(Join::Add { shape: first, relu: false }),
        }
    }
}

impl Multiply {
    pub(crate) fn build(&self, inputs: &[Shape]) -> Result<Join, ShapeError> {
        let &[x, gate] = inputs else { return Err(ShapeError::of_inputs(2, inputs.len())) };
        let of_channels = match gate {
            Shape::Vector(channels) | Shape::Image { height: 1, width: 1, channels } => {
                channels == x.channels()
            }
            Shape::Image { .. } => false,
        };
        if gate != x && !of_channels {
            return Err(ShapeError::new(format!(
                "a product takes a value and a gate of its shape or with one factor for each channel, got {x} and {gate}"
            )));
        }
        Ok(Join::Multiply(x, x.len() / gate.len()))
    }
}

impl Concat {
    pub(crate) fn build(&self, inputs: &[Shape]) -> Result<Join, ShapeError> {
        let first = several("a concatenation", inputs)?;
        let with_channels = |channels| match first {
            Shape::Image { height, width, .. } => Shape::Image { height, width, channels },
            Shape::Vector(_) => Shape::Vector(channels),
        };
        if let Some(other) = inputs.iter().find(|shape| **shape != with_channels(shape.channels())) {
            return Err(ShapeError::new(format!(
                "a concatenation takes images of one height and width, or vectors, got {first} and {other}"
            )));
        }
        let channels: Vec<usize> = inputs.iter().map(Shape::channels).collect();
        let total = channels.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)).unwrap_or(usize::MAX);
        check_values("an output", &[first.len() / first.channels(), total])?;
        Ok(Join::Concat(with_channels(total), channels))
    }
}

/// The first shape of at least two.
fn several(what: &str, inputs: &[Shape]) -> Result<Shape, ShapeError> {
    match inputs {
        [first, _, ..] => Ok(*first),
        _ => Err(ShapeError::new(format!(
            "{what} takes two or more inputs, got {}: name the layers that they come from",
            inputs.len()
        ))),
    }
}

/// Rows, which are pixels or vectors, of a task.
const ROWS: usize = 256;

/// A function of several values, built for their shapes.
#[derive(Debug, Clone)]
pub(crate) enum Join {
    /// The sum of values of this shape, or what a ReLU makes of it.
    Add { shape: Shape, relu: bool },
    /// The product of a value of this shape and a gate, of which each row serves so many of the value's.
    Multiply(Shape, usize),
    /// Channels behind one another: the shape of them all, and the channels of each.
    Concat(Shape, Vec<usize>),
}

impl Join {
    /// Shape of one example's output.
    pub fn output(&self) -> Shape {
        let (Join::Add { shape, .. } | Join::Multiply(shape, _) | Join::Concat(shape, _)) = self;
        *shape
    }

    /// The same with a ReLU behind it, if it is a sum.
    pub fn with_relu(self) -> Self {
        match self {
            Join::Add { shape, .. } => Join::Add { shape, relu: true },
            other => other,
        }
    }

    /// Bytes kept from forward to backward for a batch: of a sum with a ReLU, where it lets the gradient through.
    pub fn saved_bytes(&self, batch: usize) -> usize {
        match self {
            Join::Add { shape, relu: true } => batch * shape.len(),
            _ => 0,
        }
    }

    /// Whether backward reads the inputs.
    pub fn reads_inputs(&self) -> bool {
        matches!(self, Join::Multiply(..))
    }

    /// Fails if it can't take its inputs from these steps, of which `None` is the graph's input.
    pub fn check(&self, inputs: &[Option<usize>]) -> Result<(), ShapeError> {
        if !self.reads_inputs() {
            return Ok(());
        }
        // Backward writes a gradient over each.
        match inputs {
            [first, second] if first == second => {
                Err(ShapeError::new("a product takes two different values: put a layer before one of them"))
            }
            _ if inputs.contains(&None) => {
                Err(ShapeError::new("a product can't take the network's own input: put a layer before it"))
            }
            _ => Ok(()),
        }
    }

    /// Whether `y` may lie where an input does.
    pub fn may_be_in_place(&self) -> bool {
        matches!(self, Join::Add { .. })
    }

    /// Takes the input `index` into `y`. Each comes once, the gate of a product last: `first` where `y` holds nothing yet, `last`
    /// where all others have come. A sum with a ReLU keeps then what [`saved_bytes`](Self::saved_bytes) tells in `kept`, unless it
    /// is empty.
    pub fn take(&self, index: usize, (first, last): (bool, bool), x: &[f32], y: &mut [f32], kept: &mut [u8]) {
        match self {
            Join::Add { .. } | Join::Multiply(..) if first => copy(y, x),
            Join::Add { relu: true, .. } if last && kept.is_empty() => {
                for_each_chunk(y, CHUNK, &|chunk, y| {
                    y.iter_mut().zip(&x[chunk * CHUNK..]).for_each(|(y, x)| *y = rectified(*y + x));
                });
            }
            Join::Add { relu: true, .. } if last => {
                for_each_chunk_with_codes(y, kept, CHUNK, &|chunk, y, kept| {
                    for ((y, x), kept) in y.iter_mut().zip(&x[chunk * CHUNK..]).zip(kept) {
                        *y = rectified(*y + x);
                        *kept = u8::from(*y != 0.0);
                    }
                });
            }
            Join::Add { .. } => add(y, x),
            Join::Multiply(shape, rows) => {
                let c = shape.channels();
                for_each_chunk(y, ROWS * c, &|task, y| {
                    for (row, y) in y.chunks_exact_mut(c).enumerate() {
                        let gate = &x[(task * ROWS + row) / rows * c..][..c];
                        y.iter_mut().zip(gate).for_each(|(y, g)| *y *= g);
                    }
                });
            }
            Join::Concat(shape, channels) => rearrange::put(x, y, shape.channels(), part(channels, index)),
        }
    }

    /// The first step of the backward pass of a sum with a ReLU: `dy` becomes 0 where `kept` says so.
    pub fn mask(&self, dy: &mut [f32], kept: &[u8]) {
        if let Join::Add { relu: true, .. } = self {
            for_each_chunk(dy, CHUNK, &|chunk, dy| {
                let kept = &kept[chunk * CHUNK..];
                dy.iter_mut().zip(kept).for_each(|(dy, kept)| *dy = if *kept == 0 { 0.0 } else { *dy });
            });
        }
    }

    /// From `dy`, the gradient of the input `index` of a function that does not read its inputs backward. Overwrites `dx`.
    pub fn gradient(&self, index: usize, dy: &[f32], dx: &mut [f32]) {
        match self {
            Join::Concat(shape, channels) => rearrange::take(dy, shape.channels(), part(channels, index), dx),
            Join::Add { .. } | Join::Multiply(..) => copy(dx, dy),
        }
    }

    /// From `dy`, both gradients of a product: overwrites `x` by dx and `gate` by dg. Destroys `dy`.
    pub fn gradients_of_product(&self, x: &mut [f32], gate: &mut [f32], dy: &mut [f32]) {
        let Join::Multiply(shape, rows) = self else { return };
        let c = shape.channels();
        // A gate's row with the rows that it serves.
        let served = rows * c;
        let tasks = x.par_chunks_mut(served).zip(dy.par_chunks_mut(served)).zip(gate.par_chunks_mut(c));
        tasks.for_each(|((x, dy), gate)| {
            for (x, dy) in x.chunks_exact_mut(c).zip(dy.chunks_exact_mut(c)) {
                for ((x, dy), gate) in x.iter_mut().zip(dy).zip(&*gate) {
                    (*x, *dy) = (*dy * gate, *dy * *x);
                }
            }
            gate.fill(0.0);
            // Sums of sums: their rounding stays that of few terms.
            for few in dy.chunks_mut(FEW * c) {
                let (sum, rest) = few.split_at_mut(c);
                for row in rest.chunks_exact(c) {
                    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                gate.iter_mut().zip(sum).for_each(|(gate, sum)| *gate += *sum);
            }
        });
    }
}

/// Rows that are added up before their sum is added to the others'.
const FEW: usize = 64;

/// The channels of the input `index` among those of all.
fn part(channels: &[usize], index: usize) -> Range<usize> {
    let start = channels[..index].iter().sum();
    start..start + channels[index]
}

/// `max(x, 0)`; a NaN stays one.
fn rectified(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// Copies `from` to `to`.
pub(crate) fn copy(to: &mut [f32], from: &[f32]) {
    for_each_chunk(to, CHUNK, &|chunk, to| to.copy_from_slice(&from[chunk * CHUNK..][..to.len()]));
}

/// Adds `from` to `to`.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    for_each_chunk(to, CHUNK, &|chunk, to| {
        to.iter_mut().zip(&from[chunk * CHUNK..]).for_each(|(t, f)| *t += f);
    });
}
