//! Depthwise separable convolution: a depthwise convolution with the 1x1 convolution behind it, that before it, or both, in one
//! pass; with both it is the inverted residual block of Sandler et al. 2018.
//!
//! ```text
//! y = g(f(e(x * w1 + b1) * w2 + b2) * w3 + b3)        w1, w3: 1x1; w2: depthwise
//! ```
//!
//! The values between are several times as many as those of x and y, and memory is slower than arithmetic with so few
//! multiply-adds for each. So a task takes a few rows through all three: values between live in the cache and are never stored.
//! Only at the border between two tasks are rows computed twice, by each of them alike: how the work is cut depends on the number of
//! threads, what it gives does not.

use std::cell::RefCell;

use super::buffer::sized;
use super::conv::pointwise::{block, product, strips};
use super::conv::{Epilogue, Finish, panels};
use super::grouped::{Filter, Forward, GroupedShape, Rows, forward_directly};
use super::parallel::{for_each_chunk, threads};
use super::simd::{Isa, MOST_LANES, MatrixMut, Simd, dispatch};

/// Values between that a task computes at a time, about: 128 KB, a fraction of an L2 cache.
const BETWEEN: usize = 1 << 15;

/// Values of the depthwise convolution's input from which on convolutions are computed together; and those from which on they are for
/// few images, whose values stay in the caches anyway, and where each task computes the rows at its border anew.
///
/// Milliseconds of inference on two threads with AVX2, medians of three alternate runs:
///
/// | together from | MobileNetV2, 1 photo | 32 photos | EfficientNet-Lite0, 1 photo | 32 photos |
/// | --- | --- | --- | --- | --- |
/// | never | 15.0 | 457 | 19.5 | 527 |
/// | 300,000 (56x56x144) | 14.2 | 405 | 16.7 | 480 |
/// | 131,072 (28x28x192) | 14.4 | 389 | 18.0 | 470 |
/// | 30,000 (14x14x384) | 16.4 | 385 | 19.7 | 451 |
const LEAST: usize = 30_000;
const LEAST_OF_FEW: usize = 300_000;

/// Images that are few.
const FEW: usize = 3;

/// Tasks for each thread into which few images are split.
const TASKS: usize = 2;

/// A depthwise convolution with what is computed around it, for one instruction set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeparablePlan {
    isa: Isa,
    depthwise: GroupedShape,
    epilogue: Epilogue,
    /// Input channels of the convolution before, and what follows it.
    expand: Option<(usize, Epilogue)>,
    /// Output channels of the one behind.
    project: Option<(usize, Finish)>,
}

/// The weights of the three convolutions; empty where there is none.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// What [`SeparablePlan::prepare`] wrote of the filters of the 1x1 convolutions.
    pub packed: &'a [f32],
    /// The depthwise filter.
    pub depthwise: &'a [f32],
    /// The biases.
    pub biases: [&'a [f32]; 3],
}

/// Room of a task, reused from call to call.
#[derive(Default)]
struct Buffers {
    /// The bias of the convolution before.
    lanes: Vec<f32>,
    filtered: Vec<f32>,
    rows: Rows,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers::default());
}

impl SeparablePlan {
    /// The depthwise convolution with its epilogue; of the 1x1 convolution before it the input channels and its epilogue, of the
    /// one behind it the output channels and how it ends.
    ///
    /// # Panics
    /// If there is a pool among them, or the first is not depthwise.
    pub fn new(
        isa: Isa,
        depthwise: GroupedShape,
        epilogue: Epilogue,
        expand: Option<(usize, Epilogue)>,
        project: Option<(usize, Finish)>,
    ) -> Self {
        assert!(depthwise.is_depthwise());
        let of_others = expand.map(|(_, epilogue)| epilogue).into_iter();
        let mut epilogues = of_others.chain(project.map(|(_, finish)| finish.epilogue)).chain([epilogue]);
        assert!(epilogues.all(|epilogue| epilogue != Epilogue::ReluPool), "no pool between them");
        Self { isa, depthwise, epilogue, expand, project }
    }

    /// Whether it is faster than one convolution after another.
    pub fn pays(depthwise: &GroupedShape) -> bool {
        depthwise.input_len() >= LEAST
    }

    /// Channels of the input.
    fn cin(&self) -> usize {
        self.expand.map_or(self.depthwise.cout, |(cin, _)| cin)
    }

    /// Channels of the output.
    fn cout(&self) -> usize {
        self.project.map_or(self.depthwise.cout, |(cout, _)| cout)
    }

    /// Height, width and channels of the output.
    pub fn output(&self) -> (usize, usize, usize) {
        let window = &self.depthwise.window;
        (window.y.output, window.x.output, self.cout())
    }

    /// Values of kernel and bias of each of the three convolutions, 0 where there is none.
    pub fn filter_sizes(&self) -> [(usize, usize); 3] {
        let channels = self.depthwise.cout;
        [
            self.expand.map_or((0, 0), |(cin, _)| (cin * channels, channels)),
            (self.depthwise.filter_len(), channels),
            self.project.map_or((0, 0), |(cout, _)| (channels * cout, cout)),
        ]
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        let [(expand, _), _, (project, _)] = self.filter_sizes();
        let window = &self.depthwise.window;
        let around = window.input_pixels() * expand + window.output_pixels() * project;
        around as u64 + self.depthwise.multiply_adds()
    }

    /// Floats of the packed filters of the two 1x1 convolutions.
    fn packed_lens(&self) -> [usize; 2] {
        let channels = self.depthwise.cout;
        let packed = |k, n| panels::packed_len(self.isa, k, n);
        [
            self.expand.map_or(0, |(cin, _)| packed(cin, channels)),
            self.project.map_or(0, |(cout, _)| packed(channels, cout)),
        ]
    }

    /// Floats that [`prepare`](Self::prepare) writes.
    pub fn prepared_len(&self) -> usize {
        self.packed_lens().iter().sum()
    }

    /// Packs the filters of the two 1x1 convolutions for [`forward`](Self::forward). Overwrites `to`.
    pub fn prepare(&self, expand: &[f32], project: &[f32], to: &mut [f32]) {
        let channels = self.depthwise.cout;
        let (of_expand, of_project) = to.split_at_mut(self.packed_lens()[0]);
        if let Some((cin, _)) = self.expand {
            panels::pack(self.isa, expand, cin, channels, of_expand);
        }
        if let Some((cout, _)) = self.project {
            panels::pack(self.isa, project, channels, cout, of_project);
        }
    }

    /// Whether the convolutions of so many images are computed one after another all the same.
    fn apart(&self, batch: usize) -> bool {
        batch <= FEW && self.depthwise.input_len() < LEAST_OF_FEW
    }

    /// Floats of room that [`forward`](Self::forward) works in.
    pub fn forward_scratch(&self, batch: usize) -> usize {
        if !self.apart(batch) {
            return 0;
        }
        let expanded = self.expand.map_or(0, |_| self.depthwise.input_len());
        let filtered = self.project.map_or(0, |_| self.depthwise.output_len());
        batch * (expanded + filtered)
    }

    /// Forward pass over all images of `x`. Overwrites `y`.
    pub fn forward(&self, x: &[f32], weights: Weights<'_>, y: &mut [f32], scratch: &mut [f32]) {
        let (height, width, cout) = self.output();
        let (image, row_len) = (self.depthwise.window.input_pixels() * self.cin(), width * cout);
        let batch = x.len() / image;
        if self.apart(batch) {
            return self.forward_apart(batch, x, weights, y, scratch);
        }
        // Whole images where there are many: each band computes rows at its border that its neighbour does too.
        let bands = (TASKS * threads()).div_ceil(batch).min(height);
        let band = height.div_ceil(bands);
        for_each_chunk(y, height * row_len, &|index, y| {
            let x = &x[index * image..][..image];
            for_each_chunk(y, band * row_len, &|index, y| {
                BUFFERS.with_borrow_mut(|buffers| {
                    dispatch!(self.isa, |simd| self.rows(simd, x, weights, index * band, y, buffers));
                });
            });
        });
    }

    /// The three convolutions one after another, with the values between in `scratch`.
    fn forward_apart(
        &self,
        batch: usize,
        x: &[f32],
        weights: Weights<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (isa, shape, channels) = (self.isa, &self.depthwise, self.depthwise.cout);
        let [bias_before, bias, bias_behind] = weights.biases;
        let (of_expand, of_project) = weights.packed.split_at(self.packed_lens()[0]);
        let (expanded, filtered) = scratch.split_at_mut(self.expand.map_or(0, |_| batch * shape.input_len()));
        let x = match self.expand {
            Some((cin, epilogue)) => {
                let finish = epilogue.into();
                product(isa, finish, (cin, channels), x, of_expand, bias_before, expanded, &mut []);
                &*expanded
            }
            None => x,
        };
        let filter = Filter::Depthwise(weights.depthwise);
        let depthwise = |y: &mut [f32]| {
            forward_directly(isa, shape, self.epilogue.into(), x, filter, bias, y, &mut []);
        };
        match self.project {
            Some((cout, finish)) => {
                let filtered = &mut filtered[..batch * shape.output_len()];
                depthwise(filtered);
                product(isa, finish, (channels, cout), filtered, of_project, bias_behind, y, &mut []);
            }
            None => depthwise(y),
        }
    }

    /// The rows of outputs from `first` on that `y` holds, of one image.
    #[inline(always)]
    fn rows<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        weights: Weights<'_>,
        first: usize,
        y: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let Buffers { lanes, filtered, rows: room } = buffers;
        let GroupedShape { window, cout: channels, .. } = self.depthwise;
        let [bias_before, bias, bias_behind] = weights.biases;
        let (of_expand, of_project) = weights.packed.split_at(self.packed_lens()[0]);
        let row_in = window.x.input * self.cin();
        let (row_filtered, row_out) = (window.x.output * channels, window.x.output * self.cout());
        let rows = y.len() / row_out;
        // The tile adds it to whole vectors.
        let lanes = sized(lanes, bias_before.len().next_multiple_of(2 * MOST_LANES));
        lanes[..bias_before.len()].copy_from_slice(bias_before);
        let filter = Filter::Depthwise(weights.depthwise);
        let mut forward = Forward::new::<S>(&self.depthwise, self.epilogue.into(), filter, bias, room);

        let most_filtered = (BETWEEN / row_filtered).clamp(1, rows);
        let filtered = sized(filtered, if self.project.is_some() { most_filtered * row_filtered } else { 0 });
        let mut oy = first;
        for y in y.chunks_mut(most_filtered * row_out) {
            let count = y.len() / row_out;
            for index in 0..count {
                for row in forward.missing(oy) {
                    let x = &x[row * row_in..][..row_in];
                    let Some((cin, epilogue)) = self.expand else {
                        forward.copy(simd, row, x);
                        continue;
                    };
                    let x = &x[..forward.pixels() * cin];
                    let (to, distance) = forward.strips::<S>(row);
                    strips(simd, epilogue, (cin, channels), x, of_expand, lanes, to, distance);
                }
                let to = if self.project.is_some() { &mut *filtered } else { &mut *y };
                forward.row(simd, oy, &mut to[index * row_filtered..][..row_filtered], &mut []);
                oy += 1;
            }
            if let Some((cout, finish)) = self.project {
                let filtered = &filtered[..count * row_filtered];
                let y = MatrixMut::new(y, count * window.x.output, cout, cout);
                block(simd, finish, channels, (filtered, channels), of_project, bias_behind, y, &mut []);
            }
        }
    }
}
