//! What happens to a convolution's outputs while they are still in registers or the nearest cache: a sum with other values,
//! bias, activation, max-pool.
//!
//! With an activation or a pool the outputs of the convolution itself are never stored. For the gradient one byte is kept for
//! each stored value: the number of the output that won its window, or [`NO_WINNER`] where the activation let nothing through.
//!
//! Kernels apply ReLU to their registers; any other activation follows in a second pass over a row or a tile of values,
//! which is in the cache, by a function that all of them share: nine functions in each kernel would be much code.

use std::ops::Range;

use crate::activation::{Activation, NO_WINNER};
use crate::reduce::{column_sums, prepared_column_sums};
use crate::simd::{Isa, Simd, dispatch};

/// What follows a convolution in the same pass.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Epilogue {
    /// `y = x * w + b`.
    #[default]
    Bias,
    /// `y = relu(x * w + b)`.
    Relu,
    /// `y = max_pool(relu(x * w + b))` over windows of 2x2, stride 2, SAME padding.
    ReluPool,
    /// `y = f(x * w + b)`.
    Activation(Activation),
}

impl Epilogue {
    /// Rows and columns of the convolution's outputs that make one stored value.
    #[inline(always)]
    pub fn side(self) -> usize {
        if matches!(self, Epilogue::ReluPool) { 2 } else { 1 }
    }

    /// Rows or columns stored of so many computed ones.
    #[inline(always)]
    pub fn stored(self, computed: usize) -> usize {
        computed.div_ceil(self.side())
    }

    /// Whether a code is kept for each stored value.
    pub fn keeps_winners(self) -> bool {
        match self {
            Epilogue::Bias => false,
            Epilogue::Relu | Epilogue::ReluPool => true,
            Epilogue::Activation(activation) => activation.gates(),
        }
    }

    /// Whether the codes are enough for the gradient. Other activations want the value before them, which isn't kept: for
    /// inference only.
    pub fn trains(self) -> bool {
        match self {
            Epilogue::Activation(activation) => activation.gates(),
            _ => true,
        }
    }

    /// The activation, where no pool follows it.
    pub fn activation(self) -> Option<Activation> {
        match self {
            Epilogue::Bias | Epilogue::ReluPool => None,
            Epilogue::Relu => Some(Activation::Relu),
            Epilogue::Activation(activation) => Some(activation),
        }
    }

    /// The bounds between which outputs are held, where nothing else happens to them.
    #[inline(always)]
    pub fn bounds(self) -> Option<(f32, f32)> {
        match self {
            Epilogue::Bias => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Epilogue::Relu | Epilogue::Activation(Activation::Relu) => Some((0.0, f32::INFINITY)),
            Epilogue::Activation(Activation::Clip { min, max }) => Some((min, max)),
            Epilogue::ReluPool | Epilogue::Activation(_) => None,
        }
    }

    /// The activation that is not part of [`store`](Self::store): stored values are still to go through it.
    #[inline(always)]
    pub fn second_pass(self) -> Option<Activation> {
        match self {
            Epilogue::Activation(activation) => Some(activation),
            _ => None,
        }
    }

    /// The value to store of a window of outputs, before a [second pass](Self::second_pass), and its code as a number. `window` holds the outputs (0, 0), (0, 1), (1, 0)
    /// and (1, 1); those outside of the image are `None`.
    #[inline(always)]
    pub fn store<S: Simd>(self, simd: S, window: [Option<S::V>; 4], bias: S::V) -> (S::V, S::V) {
        let zero = simd.splat(0.0);
        let [first, others @ ..] = window;
        let (mut best, mut code) = (first.unwrap_or(zero), zero);
        if matches!(self, Epilogue::ReluPool) {
            // The bias is common to the window: the largest output stays the largest.
            for (value, number) in others.into_iter().zip([1.0, 2.0, 3.0]) {
                if let Some(value) = value {
                    code = simd.where_greater(value, best, simd.splat(number), code);
                    // A NaN wins and stays: training must notice it.
                    best = simd.nan_or(value, simd.where_greater(value, best, value, best));
                }
            }
        }
        let best = simd.add(best, bias);
        if matches!(self, Epilogue::Bias | Epilogue::Activation(_)) {
            return (best, code);
        }
        // Of a NaN and 0 this maximum is the NaN.
        (simd.max(zero, best), simd.where_greater(best, zero, code, simd.splat(f32::from(NO_WINNER))))
    }

    /// The gradient before the epilogue of one row of outputs, from that of the row of stored values it went into.
    ///
    /// `row` is the row's number, of which channels `some` of the first `width` outputs are wanted; `to[x * stride + o]` is
    /// written in whole vectors, o counted from the first of these channels. Without a pool `dy` has been
    /// [masked](Self::mask).
    #[allow(clippy::too_many_arguments, reason = "a row of gradients, its codes, and where it goes")]
    #[inline(always)]
    pub fn spread_row<S: Simd>(
        self,
        simd: S,
        dy: &[f32],
        winners: &[u8],
        channels: usize,
        some: Range<usize>,
        row: usize,
        width: usize,
        stride: usize,
        to: &mut [f32],
    ) {
        let side = self.side();
        let code = (row % side * 2) as u8;
        for (x, to) in to[..width * stride].chunks_mut(side * stride).enumerate() {
            for channel in some.clone().step_by(S::LANES) {
                let (at, left) = (x * channels + channel, some.end - channel);
                let channel = channel - some.start;
                let v = simd.load_up_to(&dy[at..], left);
                if side == 1 {
                    simd.store(v, &mut to[channel..]);
                    continue;
                }
                let winners = &winners[at..];
                simd.store(simd.where_code_up_to(winners, code, v, left), &mut to[channel..]);
                if to.len() > stride {
                    let right = simd.where_code_up_to(winners, code + 1, v, left);
                    simd.store(right, &mut to[stride + channel..]);
                }
            }
        }
    }

    /// [`spread_row`](Self::spread_row) of the rows of outputs from `first` on, one behind another in `to`; `dy` and
    /// `winners` begin with the row that the first went into.
    #[allow(clippy::too_many_arguments, reason = "rows of gradients, their codes, and where they go")]
    #[inline(always)]
    pub fn spread_rows<S: Simd>(
        self,
        simd: S,
        channels: usize,
        width: usize,
        first: usize,
        dy: &[f32],
        winners: &[u8],
        stride: usize,
        to: &mut [f32],
    ) {
        let stored = self.stored(width) * channels;
        for (row, to) in to.chunks_exact_mut(width * stride).enumerate() {
            let at = row / self.side() * stored;
            let winners = if matches!(self, Epilogue::ReluPool) { &winners[at..][..stored] } else { &[] };
            let dy = &dy[at..][..stored];
            self.spread_row(simd, dy, winners, channels, 0..channels, first + row, width, stride, to);
        }
    }

    /// The first steps of the backward pass: sets `dy` to 0 where the activation let nothing through, and sums it for each
    /// channel to `db`, which may be empty. `scratch` is as long as [`column_sums`] wants.
    ///
    /// # Panics
    /// Unless it [`trains`](Self::trains).
    pub fn mask(
        self,
        isa: Isa,
        dy: &mut [f32],
        winners: &[u8],
        channels: usize,
        db: &mut [f32],
        scratch: &mut [f32],
    ) {
        assert!(self.trains(), "{self:?} kept nothing for its gradient");
        if !self.keeps_winners() || winners.is_empty() {
            return column_sums(isa, dy, channels, db, scratch);
        }
        prepared_column_sums(isa, dy, channels, db, scratch, &|first, dy| {
            dispatch!(isa, |simd| mask(simd, dy, &winners[first..]));
        });
    }
}

/// How a forward pass ends.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Finish {
    /// What happens to the outputs.
    pub epilogue: Epilogue,
    /// Whether y is added to the outputs first, before the activation: `y = f(x * w + b + y)`. Not before a pool.
    pub adds: bool,
}

impl From<Epilogue> for Finish {
    fn from(epilogue: Epilogue) -> Self {
        Self { epilogue, adds: false }
    }
}

impl Finish {
    /// The same with y added first.
    ///
    /// # Panics
    /// If there is a pool, behind which y has other sizes than the outputs.
    pub fn adding(self) -> Self {
        assert_ne!(self.epilogue, Epilogue::ReluPool, "nothing is added before a pool");
        Self { adds: true, ..self }
    }

    /// Stores one row of values from as many rows of outputs as make one, fewer at the bottom of the image.
    ///
    /// `rows[r][x * stride + o]` is output channel o of row r, in whole vectors. An empty `bias` adds nothing; empty
    /// `winners` are not kept.
    #[allow(clippy::too_many_arguments, reason = "a block of outputs, its sizes, and where it goes")]
    #[inline(always)]
    pub fn store_row<S: Simd>(
        self,
        simd: S,
        rows: &[f32],
        row_count: usize,
        width: usize,
        stride: usize,
        bias: &[f32],
        y: &mut [f32],
        winners: &mut [u8],
    ) {
        let Finish { epilogue, adds } = self;
        let (stored, side, second_pass) = (epilogue.stored(width), epilogue.side(), epilogue.second_pass());
        let channels = y.len() / stored;
        let codes = !winners.is_empty() && second_pass.is_none();
        for x in 0..stored {
            for channel in (0..channels).step_by(S::LANES) {
                let left = channels - channel;
                let mut window = [None; 4];
                for i in 0..side.min(row_count) {
                    for j in 0..side.min(width - side * x) {
                        let at = (i * width + side * x + j) * stride + channel;
                        window[2 * i + j] = Some(simd.load(&rows[at..]));
                    }
                }
                let at = x * channels + channel;
                let mut bias =
                    if bias.is_empty() { simd.splat(0.0) } else { simd.load_up_to(&bias[channel..], left) };
                if adds {
                    bias = simd.add(bias, simd.load_up_to(&y[at..], left));
                }
                let (value, code) = epilogue.store(simd, window, bias);
                simd.store_up_to(value, &mut y[at..], left);
                if codes {
                    simd.store_codes(code, &mut winners[at..], left);
                }
            }
        }
        if let Some(activation) = second_pass {
            activation.finish_values(simd, y);
            if !winners.is_empty() {
                activation.codes_of_values(simd, y, winners);
            }
        }
    }
}

#[inline(always)]
fn mask<S: Simd>(_: S, dy: &mut [f32], winners: &[u8]) {
    for (dy, winner) in dy.iter_mut().zip(winners) {
        *dy = if *winner == NO_WINNER { 0.0 } else { *dy };
    }
}
