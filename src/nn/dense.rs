//! Fully connected layer.

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::shape::check_values;
use super::{Backward, Forward, Init, Input, Layer, Memory, Param, Shape, ShapeError};
use floret_math::gemm::{matrix, matrix_mut, par_gemm};
use floret_math::reduce::{column_sums, column_sums_scratch};
use floret_math::simd::Isa;

/// `y = x w + b`: x a vector of `in` values, w (in, out), b (out). TensorFlow's `tf.matmul(x, w) + b`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dense {
    /// Output values.
    pub units: usize,
    /// How w begins; default truncated normal, stddev 0.05.
    pub kernel_init: Init,
    /// How b begins (default 0), or `None` for no bias.
    pub bias_init: Option<Init>,
}

impl Dense {
    /// A dense layer of `units` outputs.
    pub fn new(units: usize) -> Self {
        Self { units, kernel_init: Init::TRUNCATED_NORMAL, bias_init: Some(Init::Constant(0.0)) }
    }

    /// Sets how the kernel begins.
    pub fn kernel_init(mut self, init: Init) -> Self {
        self.kernel_init = init;
        self
    }

    /// Sets how the bias begins.
    pub fn bias_init(mut self, init: Init) -> Self {
        self.bias_init = Some(init);
        self
    }

    /// Leaves the bias out.
    pub fn no_bias(mut self) -> Self {
        self.bias_init = None;
        self
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        let Shape::Vector(inputs) = input else {
            return Err(ShapeError::new(format!(
                "a dense layer needs a vector, but its input is an image of {input}: put a Flatten or a GlobalAvgPool before it"
            )));
        };
        if self.units == 0 {
            return Err(ShapeError::new("a dense layer needs at least 1 unit, got 0"));
        }
        check_values("a kernel", &[inputs, self.units])?;
        Ok(Built::layer(DenseLayer { spec: self.clone(), inputs, isa }))
    }
}

#[derive(Debug)]
struct DenseLayer {
    spec: Dense,
    inputs: usize,
    isa: Isa,
}

impl Layer for DenseLayer {
    fn output(&self) -> Shape {
        Shape::Vector(self.spec.units)
    }

    fn params(&self) -> Vec<Param> {
        let (inputs, units) = (self.inputs, self.spec.units);
        let kernel = Param::kernel(vec![inputs, units], self.spec.kernel_init, (inputs, units));
        let bias = self.spec.bias_init.map(|init| Param::vector("bias", units, init));
        [kernel].into_iter().chain(bias).collect()
    }

    fn memory(&self, batch: usize) -> Memory {
        Memory { train_scratch: column_sums_scratch(batch, self.spec.units), ..Memory::default() }
    }

    fn multiply_adds(&self) -> u64 {
        self.inputs as u64 * self.spec.units as u64
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        let (inputs, units, batch) = (self.inputs, self.spec.units, x.len() / self.inputs);
        let (w, b) = w.split_at(inputs * units);
        let beta = if b.is_empty() {
            0.0
        } else {
            y.chunks_exact_mut(units).for_each(|y| y.copy_from_slice(b));
            1.0
        };
        par_gemm(
            self.isa,
            1.0,
            matrix(x, batch, inputs),
            matrix(w, inputs, units),
            beta,
            matrix_mut(y, batch, units),
        );
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let (inputs, units, batch) = (self.inputs, self.spec.units, dy.len() / self.spec.units);
        let (w, _) = w.split_at(inputs * units);
        // y = x w + b
        if !pass.frozen {
            let (dw, db) = dw.split_at_mut(inputs * units);
            column_sums(self.isa, dy, units, db, pass.scratch);
            let (x, dw) = (matrix(x.values(), batch, inputs), matrix_mut(dw, inputs, units));
            par_gemm(self.isa, 1.0, x.t(), matrix(dy, batch, units), 0.0, dw);
        }
        let dy = matrix(dy, batch, units);
        if let Some(dx) = x.gradient() {
            par_gemm(self.isa, 1.0, dy, matrix(w, inputs, units).t(), 0.0, matrix_mut(dx, batch, inputs));
        }
    }
}
