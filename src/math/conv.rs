//! Two-dimensional convolution and its gradients: `y = x * w`, images NHWC, filters HWIO.
//!
//! All three passes are matrix products over patches (see [`super::im2col`]), with P the output pixels of the whole
//! batch, K = kernel height x kernel width x input channels, and N the output channels:
//!
//! | pass | product |
//! | --- | --- |
//! | forward | `y (P x N) = patches (P x K) w (K x N)` |
//! | filter gradient | `dw (K x N) = patches^T (K x P) dy (P x N)` |
//! | data gradient | `dpatches (P x K) = dy (P x N) w^T (N x K)`, added back onto `dx` |
//!
//! The patch matrix is never held whole: each task holds a block of its rows. The blocks depend on the shape alone
//! and sums run in a fixed order, so results are the same for any number of threads.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::gemm::{gemm, matrix, matrix_mut};
use super::im2col::{col2im_add, im2col};
use super::window::Window;
use super::winograd::Winograd;

/// Floats in one block of the patch matrix: 2 MB, which the cores' caches hold beside the filter.
const PATCH_BLOCK: usize = 1 << 19;

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

    /// Image, row and column of an output pixel counted through all images.
    pub(super) fn locate(&self, pixel: usize) -> (usize, usize, usize) {
        let per_image = self.window.output_pixels();
        let (image, within) = (pixel / per_image, pixel % per_image);
        (image, within / self.window.x.output, within % self.window.x.output)
    }

    /// Output pixels whose patches fill a block, for an operand of `columns` patch columns.
    fn block_pixels(&self, columns: usize) -> usize {
        (PATCH_BLOCK / columns).max(1)
    }
}

/// How a convolution is computed. All give the same result up to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConvAlgorithm {
    /// Winograd where it is the faster, else im2col.
    #[default]
    Auto,
    /// Patches as rows of a matrix: any shape.
    Im2col,
    /// Fewer multiplications by transforms: stride 1, dilation 1, 3x3 or 5x5; im2col for other shapes.
    Winograd,
}

/// Input channels from which on Auto chooses Winograd: with fewer, the transforms cost more than the products they save.
const AUTO_CHANNELS: usize = 16;

/// A convolution with its algorithm chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvPlan {
    shape: ConvShape,
    winograd: Option<Winograd>,
}

impl ConvPlan {
    /// Chooses how to compute this shape.
    pub fn new(shape: ConvShape, algorithm: ConvAlgorithm) -> Self {
        let wanted = match algorithm {
            ConvAlgorithm::Auto => shape.cin >= AUTO_CHANNELS,
            ConvAlgorithm::Im2col => false,
            ConvAlgorithm::Winograd => true,
        };
        Self { shape, winograd: wanted.then(|| Winograd::new(&shape)).flatten() }
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Floats of room that [`forward`](Self::forward) works in.
    pub fn forward_scratch(&self) -> usize {
        self.winograd.map_or(0, |winograd| winograd.forward_scratch())
    }

    /// Floats of room that each of the two gradients works in, for this many images.
    pub fn backward_scratch(&self, batch: usize) -> usize {
        self.winograd.map_or(0, |winograd| winograd.backward_scratch(batch))
    }

    /// `y = x * w + bias`: forward pass over all images of `x`. Overwrites `y`; an empty `bias` adds nothing.
    pub fn forward(&self, x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32], scratch: &mut [f32]) {
        match &self.winograd {
            Some(winograd) => winograd.forward(x, w, bias, y, scratch),
            None => forward(&self.shape, x, w, bias, y),
        }
    }

    /// The gradient of the filter, summed over all images. Overwrites `dw`.
    pub fn filter_gradient(&self, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
        match &self.winograd {
            Some(winograd) => winograd.filter_gradient(x, dy, dw, scratch),
            None => filter_gradient(&self.shape, x, dy, dw),
        }
    }

    /// The gradient of the input. Overwrites `dx`.
    pub fn data_gradient(&self, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        match &self.winograd {
            Some(winograd) => winograd.data_gradient(dy, w, dx, scratch),
            None => data_gradient(&self.shape, dy, w, dx),
        }
    }
}

/// `y = x * w + bias` by im2col.
fn forward(shape: &ConvShape, x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32]) {
    let (k, n) = (shape.patch(), shape.cout);
    let block = shape.block_pixels(k);
    let w = matrix(w, k, n);
    y.par_chunks_mut(block * n).enumerate().for_each_init(Vec::new, |patches, (index, y)| {
        let pixels = y.len() / n;
        patches.resize(block.min(pixels) * k, 0.0);
        let first = index * block;
        im2col(shape, x, first..first + pixels, patches);
        let beta = if bias.is_empty() {
            0.0
        } else {
            y.chunks_exact_mut(n).for_each(|pixel| pixel.copy_from_slice(bias));
            1.0
        };
        gemm(1.0, matrix(patches, pixels, k), w, beta, matrix_mut(y, pixels, n));
    });
}

/// The gradient of the filter, `dw = patches^T dy`, by im2col.
fn filter_gradient(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (k, n) = (shape.patch(), shape.cout);
    let total = dy.len() / n;
    // Few pixels at a time, since the product of a block is a sum into the whole of dw.
    let block = shape.block_pixels(k).min(total.max(1));
    let mut patches = vec![0.0; block * k];
    dw.fill(0.0);
    for first in (0..total).step_by(block) {
        let pixels = block.min(total - first);
        let patches = &mut patches[..pixels * k];
        patches.par_chunks_mut(16 * k).enumerate().for_each(|(index, rows)| {
            let first = first + index * 16;
            im2col(shape, x, first..first + rows.len() / k, rows);
        });
        let patches = matrix(patches, pixels, k);
        let dy = matrix(&dy[first * n..][..pixels * n], pixels, n);
        // Each task owns rows of dw: the sum over pixels stays in one fixed order.
        let rows = k.div_ceil(8).max(16);
        dw.par_chunks_mut(rows * n).enumerate().for_each(|(index, dw)| {
            let columns = index * rows..index * rows + dw.len() / n;
            let patches = patches.slice(ndarray::s![.., columns.clone()]);
            gemm(1.0, patches.t(), dy, 1.0, matrix_mut(dw, columns.len(), n));
        });
    }
}

/// The gradient of the input, `dpatches = dy w^T` added back onto each image, by im2col.
fn data_gradient(shape: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let (k, n) = (shape.patch(), shape.cout);
    let w = matrix(w, k, n);
    let per_image = shape.window.output_pixels();
    let block = shape.block_pixels(k).min(per_image);
    dx.par_chunks_mut(shape.input_len()).zip(dy.par_chunks(per_image * n)).for_each_init(
        || vec![0.0; block * k],
        |patches, (dx, dy)| {
            dx.fill(0.0);
            for (index, dy) in dy.chunks(block * n).enumerate() {
                let pixels = dy.len() / n;
                let patches = &mut patches[..pixels * k];
                gemm(1.0, matrix(dy, pixels, n), w.t(), 0.0, matrix_mut(patches, pixels, k));
                let first = index * block;
                col2im_add(shape, patches, first..first + pixels, dx);
            }
        },
    );
}
