//! Two-dimensional convolution and its gradients: `y = epilogue(x * w + b)`, images NHWC, filters HWIO.
//!
//! | file | |
//! | --- | --- |
//! | `im2col.rs` | any shape, as matrix products over patches |
//! | `pointwise.rs` | 1x1, stride 1: a plain matrix product |
//! | `stem.rs` | 1 or 3 input channels: patches read where they lie |
//! | `winograd/` | stride-1 3x3 and 5x5, with fewer multiplications |
//! | `panels.rs` | the filter, packed for the register tile |
//! | `epilogue.rs` | sums, bias, activation and max-pool, before outputs leave the cache |
//! | `bands.rs` | what one task computes |
//!
//! How the work is cut depends on the shape alone and sums run in a fixed order, so results are the same for any number of
//! threads.

mod bands;
mod epilogue;
mod im2col;
pub(crate) mod panels;
pub(crate) mod pointwise;
mod stem;
pub mod winograd;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use bands::Bands;
pub use epilogue::{Epilogue, Finish};
use winograd::{Weights, Winograd};

use super::buffer::sized;
use super::env::{EnvError, named};
use super::reduce::column_sums_scratch;
use super::simd::{Isa, Simd, dispatch};
use super::window::Window;

/// The shape of a convolution over one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// How the filter slides.
    pub window: Window,
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
}

impl ConvShape {
    /// Values of one input image.
    pub fn input_len(&self) -> usize {
        self.window.input_pixels() * self.cin
    }

    /// Values of one output image.
    pub fn output_len(&self) -> usize {
        self.window.output_pixels() * self.cout
    }

    /// Values of one patch (K): the window's taps times the input channels.
    pub fn patch(&self) -> usize {
        self.window.taps() * self.cin
    }

    /// Values of the filter.
    pub fn filter_len(&self) -> usize {
        self.patch() * self.cout
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        self.window.output_pixels() as u64 * self.filter_len() as u64
    }
}

/// How a convolution is computed. All give the same result up to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConvAlgorithm {
    /// Winograd where it is the faster (stride-1 3x3 and 5x5 of at least 4 input channels), else im2col; or what the
    /// environment variable `FLORET_CONV` names (`im2col`, `winograd`), for measurements.
    #[default]
    Auto,
    /// Matrix products over patches: any shape.
    Im2col,
    /// Fewer multiplications by transforms: stride 1, dilation 1, 3x3 or 5x5; im2col for other shapes.
    Winograd,
}

impl ConvAlgorithm {
    /// Every algorithm.
    pub const ALL: [ConvAlgorithm; 3] = [ConvAlgorithm::Auto, ConvAlgorithm::Im2col, ConvAlgorithm::Winograd];

    /// Its name, as the environment variable `FLORET_CONV` takes it.
    pub fn name(self) -> &'static str {
        match self {
            ConvAlgorithm::Auto => "auto",
            ConvAlgorithm::Im2col => "im2col",
            ConvAlgorithm::Winograd => "winograd",
        }
    }

    /// The algorithm that `FLORET_CONV` names, else Auto; or what is wrong with the variable.
    pub fn try_asked_for() -> Result<ConvAlgorithm, EnvError> {
        static ASKED: OnceLock<Result<ConvAlgorithm, EnvError>> = OnceLock::new();
        let asked = || {
            let value = std::env::var_os("FLORET_CONV");
            Ok(named("FLORET_CONV", value, &Self::ALL, Self::name)?.unwrap_or_default())
        };
        ASKED.get_or_init(asked).clone()
    }

    /// For Auto what `FLORET_CONV` asks for.
    fn or_asked_for(self) -> Self {
        match self {
            ConvAlgorithm::Auto => Self::try_asked_for().unwrap_or_else(|error| panic!("{error}")),
            chosen => chosen,
        }
    }
}

/// Input channels from which on Auto chooses Winograd for every shape that has it. Fewer are left to im2col, or to the first
/// layer's own way.
///
/// Time of im2col over that of Winograd, all three passes over 32 images on two threads:
///
/// | layer | AVX-512 | AVX2 |
/// | --- | --- | --- |
/// | 32x32x4 to 32, 5x5 | 2.5 | 2.2 |
/// | 32x32x8 to 32, 5x5 | 2.8 | 2.9 |
/// | 32x32x32 to 32, 5x5 | 4.2 | 3.7 |
/// | 16x16x64 to 128, 5x5 | 3.8 | 4.1 |
/// | 4x4x256 to 256, 5x5 | 5.2 | 4.2 |
/// | 32x32x8 to 32, 3x3 | 1.9 | 2.0 |
/// | 32x32x16 to 32, 3x3 | 2.0 | 1.6 |
/// | 32x32x64 to 64, 3x3 | 2.5 | 2.0 |
const AUTO_CHANNELS: usize = 4;

/// The input of a layer in its backward pass.
#[derive(Debug)]
pub enum Operand<'a> {
    /// Nobody wants its gradient.
    Given(&'a [f32]),
    /// Its gradient replaces it.
    Replaced(&'a mut [f32]),
}

impl Operand<'_> {
    /// The input.
    pub fn values(&self) -> &[f32] {
        match self {
            Operand::Given(x) => x,
            Operand::Replaced(x) => x,
        }
    }
}

/// What [`ConvAlgorithm`] comes to for one shape.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Winograd(Winograd),
    Pointwise,
    Stem,
    Im2col,
}

/// A convolution with its algorithm chosen, for one instruction set.
///
/// [`backward`](Self::backward) computes all gradients; its steps are [`mask`](Self::mask), then
/// [`filter_gradient`](Self::filter_gradient), then [`data_gradient`](Self::data_gradient) where they are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvPlan {
    shape: ConvShape,
    finish: Finish,
    isa: Isa,
    method: Method,
}

impl ConvPlan {
    /// Chooses how to compute this shape.
    ///
    /// # Panics
    /// If the algorithm is Auto and `FLORET_CONV` names none.
    pub fn new(isa: Isa, shape: ConvShape, finish: impl Into<Finish>, algorithm: ConvAlgorithm) -> Self {
        let finish = finish.into();
        let wanted = match algorithm.or_asked_for() {
            ConvAlgorithm::Auto => shape.cin >= AUTO_CHANNELS,
            ConvAlgorithm::Im2col => false,
            ConvAlgorithm::Winograd => true,
        };
        let method = match wanted.then(|| Winograd::new(isa, &shape, finish)).flatten() {
            Some(winograd) => Method::Winograd(winograd),
            None if pointwise::applies(&shape, finish.epilogue) => Method::Pointwise,
            None if stem::applies(&shape) => Method::Stem,
            None => Method::Im2col,
        };
        Self { shape, finish, isa, method }
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Whether it goes by way of patches.
    pub(crate) fn copies_patches(&self) -> bool {
        matches!(self.method, Method::Im2col | Method::Stem)
    }

    fn epilogue(&self) -> Epilogue {
        self.finish.epilogue
    }

    /// Height, width and channels of the stored outputs.
    pub fn output(&self) -> (usize, usize, usize) {
        let Window { y, x } = &self.shape.window;
        (self.epilogue().stored(y.output), self.epilogue().stored(x.output), self.shape.cout)
    }

    /// Bytes of `winners` for one image.
    pub fn winners_len(&self) -> usize {
        let (height, width, channels) = self.output();
        if self.epilogue().keeps_winners() { height * width * channels } else { 0 }
    }

    /// Floats of room that [`forward`](Self::forward) and [`forward_prepared`](Self::forward_prepared) work in, for this many
    /// images or fewer.
    pub fn forward_scratch(&self, batch: usize) -> usize {
        match &self.method {
            Method::Winograd(winograd) => winograd.forward_scratch().max(self.prepared_len()),
            Method::Im2col => {
                self.prepared_len() + im2col::forward_scratch(&self.shape, self.epilogue(), batch)
            }
            Method::Pointwise | Method::Stem => self.prepared_len(),
        }
    }

    /// Floats that [`prepare`](Self::prepare) writes.
    pub fn prepared_len(&self) -> usize {
        match &self.method {
            Method::Winograd(winograd) => winograd.for_few_tiles().forward_scratch(),
            _ => panels::packed_len(self.isa, self.shape.patch(), self.shape.cout),
        }
    }

    /// Prepares the filter for [`forward_prepared`](Self::forward_prepared). Overwrites `to`.
    pub fn prepare(&self, w: &[f32], to: &mut [f32]) {
        let (isa, shape) = (self.isa, &self.shape);
        match &self.method {
            Method::Winograd(winograd) => winograd.for_few_tiles().prepare(w, to),
            Method::Stem => stem::pack(isa, shape, w, to),
            Method::Pointwise | Method::Im2col => panels::pack(isa, w, shape.patch(), shape.cout, to),
        }
    }

    /// [`forward`](Self::forward) without winners, from what [`prepare`](Self::prepare) wrote: the way for few images, whose
    /// own part of the work is less than the filter's.
    pub fn forward_prepared(
        &self,
        x: &[f32],
        prepared: &[f32],
        bias: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        match &self.method {
            Method::Winograd(winograd) => {
                let few = winograd.for_few_tiles();
                few.forward(x, Weights::Packed(prepared), bias, y, &mut [], scratch);
            }
            _ => self.forward_packed(x, prepared, bias, y, &mut [], scratch),
        }
    }

    /// The forward pass of what is not Winograd, from what [`prepare`](Self::prepare) wrote.
    fn forward_packed(
        &self,
        x: &[f32],
        packed: &[f32],
        bias: &[f32],
        y: &mut [f32],
        winners: &mut [u8],
        scratch: &mut [f32],
    ) {
        let (isa, shape, finish) = (self.isa, &self.shape, self.finish);
        match &self.method {
            Method::Stem => stem::forward(isa, shape, finish, x, packed, bias, y, winners),
            Method::Pointwise => {
                let sizes = (shape.cin, shape.cout);
                pointwise::product(isa, finish, sizes, x, packed, bias, y, winners);
            }
            Method::Winograd(_) | Method::Im2col => {
                im2col::forward(isa, shape, finish, x, packed, bias, y, winners, scratch);
            }
        }
    }

    /// Floats of room that each step of the gradients works in, for this many images.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        let (height, width, channels) = self.output();
        let gradient = match &self.method {
            Method::Winograd(winograd) => winograd.backward_scratch(batch),
            Method::Stem => stem::filter_gradient_scratch(self.isa, &self.shape, batch),
            Method::Im2col => im2col::filter_gradient_scratch(self.isa, &self.shape, batch),
            Method::Pointwise => {
                let sizes = (self.shape.cin, self.shape.cout);
                im2col::filter_gradient_scratch(self.isa, &self.shape, batch)
                    .max(panels::packed_len(self.isa, self.shape.cout, self.shape.cin))
                    .max(pointwise::backward_scratch(self.isa, sizes, batch * height * width))
            }
        };
        gradient.max(column_sums_scratch(batch * height * width, channels))
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
        if let Method::Winograd(winograd) = &self.method {
            return winograd.forward(x, winograd.plain(w), bias, y, winners, scratch);
        }
        let (packed, scratch) = scratch.split_at_mut(self.prepared_len());
        self.prepare(w, packed);
        self.forward_packed(x, packed, bias, y, winners, scratch);
    }

    /// The gradients of a forward pass over `x`, which is overwritten by dx where that is wanted. Overwrites `gradients`, those of
    /// filter and bias, where they are wanted. `dy` is destroyed; `scratch` holds as much as each step needs.
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
        let (x, gradients) = match (x, gradients) {
            (Operand::Replaced(x), Some(gradients))
                if self.method == Method::Pointwise && pointwise::in_one_pass(&self.shape) =>
            {
                let sizes = (self.shape.cin, self.shape.cout);
                return pointwise::backward(self.isa, sizes, x, dy, winners, w, gradients, scratch);
            }
            others => others,
        };
        match gradients {
            Some((dw, db)) => {
                self.mask(dy, winners, db, scratch);
                self.filter_gradient(x.values(), dy, winners, dw, scratch);
            }
            None => self.mask(dy, winners, &mut [], scratch),
        }
        if let Operand::Replaced(dx) = x {
            self.data_gradient(dy, winners, w, dx, scratch);
        }
    }

    /// Sets `dy` to 0 where the epilogue let nothing through, and overwrites `db` with the gradient of the bias.
    pub fn mask(&self, dy: &mut [f32], winners: &[u8], db: &mut [f32], scratch: &mut [f32]) {
        self.epilogue().mask(self.isa, dy, winners, self.shape.cout, db, scratch);
    }

    /// The gradient of the filter, summed over all images. Overwrites `dw`.
    pub fn filter_gradient(
        &self,
        x: &[f32],
        dy: &[f32],
        winners: &[u8],
        dw: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (isa, shape, epilogue) = (self.isa, &self.shape, self.epilogue());
        match &self.method {
            Method::Winograd(winograd) => winograd.filter_gradient(x, dy, winners, dw, scratch),
            Method::Stem => stem::filter_gradient(isa, shape, epilogue, x, dy, winners, dw, scratch),
            Method::Pointwise | Method::Im2col => {
                im2col::filter_gradient(isa, shape, epilogue, x, dy, winners, dw, scratch);
            }
        }
    }

    /// The gradient of the input. Overwrites `dx`.
    pub fn data_gradient(&self, dy: &[f32], winners: &[u8], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        let ConvShape { cin, cout, .. } = self.shape;
        match &self.method {
            Method::Winograd(winograd) => winograd.data_gradient(dy, winners, w, dx, scratch),
            Method::Pointwise => {
                let packed = &mut scratch[..panels::packed_len(self.isa, cout, cin)];
                panels::pack_transposed(self.isa, w, cin, cout, packed);
                pointwise::product(self.isa, Finish::default(), (cout, cin), dy, packed, &[], dx, &mut []);
            }
            Method::Stem | Method::Im2col => {
                im2col::data_gradient(self.isa, &self.shape, self.epilogue(), dy, winners, w, dx);
            }
        }
    }
}

/// Columns of the register tile.
fn tile_columns(isa: Isa) -> usize {
    #[inline(always)]
    fn columns<S: Simd>(_: S) -> usize {
        S::TILE.1 * S::LANES
    }
    dispatch!(isa, |simd| columns(simd))
}

/// Adds equal matrices of `columns` columns, one after another in `sums`, and writes the first `n` columns to `to`.
fn add_sums(sums: &[f32], columns: usize, to: &mut [f32], n: usize) {
    let len = to.len() / n * columns;
    for (row, to) in to.chunks_exact_mut(n).enumerate() {
        to.copy_from_slice(&sums[row * columns..][..n]);
        for sums in sums.chunks_exact(len).skip(1) {
            to.iter_mut().zip(&sums[row * columns..][..n]).for_each(|(t, s)| *t += s);
        }
    }
}
