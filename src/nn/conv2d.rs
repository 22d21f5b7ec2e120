//! Two-dimensional convolution layer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::built::Built;
use super::shape::{HeightWidth, check_values};
use super::{Backward, Forward, Init, Input, Layer, Memory, Mode, Param, Shape, ShapeError};
use floret_math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue, Finish, Operand};
use floret_math::grouped::{GroupedPlan, GroupedShape};
use floret_math::simd::Isa;
use floret_math::window::{Padding, Window};

/// `y = x * w + b`: x an image (height, width, in), w HWIO (kernel height, kernel width, in, out), b (out).
///
/// `y[oy, ox, o] = b[o] + sum over ky, kx, i of x[oy s + ky d - p, ox s + kx d - p, i] w[ky, kx, i, o]`
/// with stride s, dilation d and padding p; TensorFlow's `tf.nn.conv2d`.
///
/// With g groups (Krizhevsky et al. 2012, Xie et al. 2017) the channels fall into g equal parts, in as out, and each part of the output
/// sees only its part of the input: w is (kernel height, kernel width, in / g, out), and output o reads the input channels from
/// `floor(o g / out) in / g` on. With as many groups as input channels that is a depthwise convolution (Howard et al. 2017) with
/// `out / in` filters for each channel.
///
/// A network is not built, with a [`ShapeError`] that names the numbers, where the input is no image, the kernel does not fit it, or the
/// groups divide the channels or the filters unequally.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conv2d {
    /// Output channels.
    pub filters: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Step along height and width; default 1.
    pub stride: (usize, usize),
    /// Distance of the kernel's taps; default 1.
    pub dilation: (usize, usize),
    /// Default SAME.
    pub padding: Padding,
    /// Parts of the channels that are convolved apart; default 1. Absent in files where it is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// How w begins; default truncated normal, stddev 0.05.
    pub kernel_init: Init,
    /// How b begins (default 0), or `None` for no bias.
    pub bias_init: Option<Init>,
    /// How it is computed; not saved with the network. Ignored where there are several groups.
    #[serde(skip)]
    pub algorithm: ConvAlgorithm,
}

impl Conv2d {
    /// A convolution with `filters` output channels, stride 1 and SAME padding.
    ///
    /// `kernel` is the side of a square kernel, such as `5`, or its height and width, such as `(3, 5)`.
    pub fn new(filters: usize, kernel: impl Into<HeightWidth>) -> Self {
        Self {
            filters,
            kernel: kernel.into().into(),
            stride: (1, 1),
            dilation: (1, 1),
            padding: Padding::Same,
            groups: 1,
            kernel_init: Init::TRUNCATED_NORMAL,
            bias_init: Some(Init::Constant(0.0)),
            algorithm: ConvAlgorithm::Auto,
        }
    }

    /// A depthwise convolution: one filter for each of the `channels` of the input, stride 1 and SAME padding.
    pub fn depthwise(channels: usize, kernel: impl Into<HeightWidth>) -> Self {
        Self::new(channels, kernel).groups(channels)
    }

    /// Sets how it is computed; no effect where there are several groups.
    pub fn algorithm(mut self, algorithm: ConvAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets the stride: one for both axes, or (height, width).
    pub fn stride(mut self, stride: impl Into<HeightWidth>) -> Self {
        self.stride = stride.into().into();
        self
    }

    /// Sets the dilation: one for both axes, or (height, width).
    pub fn dilation(mut self, dilation: impl Into<HeightWidth>) -> Self {
        self.dilation = dilation.into().into();
        self
    }

    /// Sets the padding.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Sets the number of groups, which must divide the numbers of input channels and of filters.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
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

    /// Leaves the bias out, as before a batch normalisation.
    pub fn no_bias(mut self) -> Self {
        self.bias_init = None;
        self
    }

    /// Gives it a bias, if it has none.
    pub(super) fn with_bias(mut self) -> Self {
        self.bias_init.get_or_insert(Init::Constant(0.0));
        self
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        self.build_with(input, Epilogue::Bias, isa).map(Built::Layer)
    }

    /// Kernel and bias, for so many input channels.
    fn params(&self, cin: usize) -> Vec<Param> {
        let ((kh, kw), of_in, of_out) = (self.kernel, cin / self.groups, self.filters / self.groups);
        let fans = (kh * kw * of_in, kh * kw * of_out);
        let kernel = Param::kernel(vec![kh, kw, of_in, self.filters], self.kernel_init, fans);
        let bias = self.bias_init.map(|init| Param::vector("bias", self.filters, init));
        [kernel].into_iter().chain(bias).collect()
    }

    /// Whether it can compute these layers behind it in the same pass. In training only what [trains](Epilogue::trains).
    pub(super) fn fuses(&self, epilogue: Epilogue) -> bool {
        self.groups == 1 || epilogue != Epilogue::ReluPool
    }

    /// The way the kernel slides over an input of this height and width, if it fits.
    fn window(&self, (height, width): (usize, usize)) -> Option<Window> {
        Window::new((height, width), self.kernel, self.stride, self.dilation, self.padding)
    }

    /// Its shape for this input where it has one filter for each channel.
    pub(super) fn depthwise_shape(&self, input: Shape) -> Option<GroupedShape> {
        let Shape::Image { height, width, channels } = input else { return None };
        let is_depthwise = self.groups > 1 && (self.groups, self.filters) == (channels, channels);
        let window = self.window((height, width)).filter(|_| is_depthwise)?;
        Some(GroupedShape::depthwise(window, channels))
    }

    /// Builds the layer together with the layers behind it that it computes in the same pass, such as it
    /// [`fuses`](Self::fuses); with a [`Finish`] that adds, what y holds before is added to the convolution.
    pub(super) fn build_with(
        &self,
        input: Shape,
        finish: impl Into<Finish>,
        isa: Isa,
    ) -> Result<Arc<dyn Layer>, ShapeError> {
        let (height, width, cin) = input.image("a convolution")?;
        if self.filters == 0 {
            return Err(ShapeError::new("a convolution needs at least 1 filter, got 0"));
        }
        let window = self.window((height, width)).ok_or_else(|| {
                ShapeError::new(format!(
                    "a kernel of {}x{} (stride {}x{}, dilation {}x{}, padding {:?}) does not fit an input of {input}",
                    self.kernel.0,
                    self.kernel.1,
                    self.stride.0,
                    self.stride.1,
                    self.dilation.0,
                    self.dilation.1,
                    self.padding
                ))
            })?;
        let (groups, cout) = (self.groups, self.filters);
        if groups == 0 || cin % groups != 0 || cout % groups != 0 {
            return Err(ShapeError::new(format!(
                "{groups} groups do not divide {cin} input channels and {cout} filters into equal parts"
            )));
        }
        check_values("a kernel", &[self.kernel.0, self.kernel.1, cin / groups, cout])?;
        check_values("an output", &[window.y.output, window.x.output, cout])?;
        if groups > 1 {
            let plan = GroupedPlan::new(isa, GroupedShape { window, cin, cout, groups }, finish);
            return Ok(Arc::new(GroupedConv2dLayer { spec: self.clone(), plan }));
        }
        let shape = ConvShape { window, cin, cout };
        let plan = ConvPlan::new(isa, shape, finish, self.algorithm);
        Ok(Arc::new(Conv2dLayer { spec: self.clone(), plan }))
    }
}

fn operand(x: Input<'_>) -> Operand<'_> {
    match x {
        Input::Given(x) => Operand::Given(x),
        Input::Activation(x) => Operand::Replaced(x),
    }
}

fn one() -> usize {
    1
}

fn is_one(groups: &usize) -> bool {
    *groups == 1
}

#[derive(Debug)]
struct Conv2dLayer {
    spec: Conv2d,
    plan: ConvPlan,
}

impl Conv2dLayer {
    fn shape(&self) -> &ConvShape {
        self.plan.shape()
    }
}

impl Layer for Conv2dLayer {
    fn output(&self) -> Shape {
        let (height, width, channels) = self.plan.output();
        Shape::Image { height, width, channels }
    }

    fn params(&self) -> Vec<Param> {
        self.spec.params(self.shape().cin)
    }

    fn memory(&self, batch: usize) -> Memory {
        let infer_scratch = self.plan.forward_scratch(batch);
        let train_scratch = infer_scratch.max(self.plan.backward_scratch(batch));
        let saved_bytes = batch * self.plan.winners_len();
        Memory { saved_bytes, train_scratch, infer_scratch, ..Memory::default() }
    }

    fn prepared_len(&self) -> usize {
        self.plan.prepared_len()
    }

    fn prepare(&self, w: &[f32], to: &mut [f32]) {
        self.plan.prepare(&w[..self.shape().filter_len()], to);
    }

    fn multiply_adds(&self) -> u64 {
        self.shape().multiply_adds()
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let (w, b) = w.split_at(self.shape().filter_len());
        match pass.mode {
            Mode::Train { saved, .. } => self.plan.forward(x, w, b, y, saved.bytes, pass.scratch),
            Mode::Infer { prepared: [], .. } => self.plan.forward(x, w, b, y, &mut [], pass.scratch),
            Mode::Infer { prepared, .. } => self.plan.forward_prepared(x, prepared, b, y, pass.scratch),
        }
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let len = self.shape().filter_len();
        // y = epilogue(x * w + b)
        let gradients = (!pass.frozen).then(|| dw.split_at_mut(len));
        self.plan.backward(operand(x), dy, pass.saved.bytes, &w[..len], gradients, pass.scratch);
    }
}

#[derive(Debug)]
struct GroupedConv2dLayer {
    spec: Conv2d,
    plan: GroupedPlan,
}

impl Layer for GroupedConv2dLayer {
    fn output(&self) -> Shape {
        let GroupedShape { window, cout, .. } = *self.plan.shape();
        Shape::Image { height: window.y.output, width: window.x.output, channels: cout }
    }

    fn params(&self) -> Vec<Param> {
        self.spec.params(self.plan.shape().cin)
    }

    fn memory(&self, batch: usize) -> Memory {
        let infer_scratch = self.plan.forward_scratch(batch);
        let train_scratch = infer_scratch.max(self.plan.backward_scratch(batch));
        let saved_bytes = batch * self.plan.winners_len();
        Memory { saved_bytes, train_scratch, infer_scratch, ..Memory::default() }
    }

    fn multiply_adds(&self) -> u64 {
        self.plan.shape().multiply_adds()
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let (w, b) = w.split_at(self.plan.shape().filter_len());
        let winners = match pass.mode {
            Mode::Train { saved, .. } => saved.bytes,
            Mode::Infer { .. } => &mut [],
        };
        self.plan.forward(x, w, b, y, winners, pass.scratch);
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let len = self.plan.shape().filter_len();
        // y = epilogue(x * w + b)
        let gradients = (!pass.frozen).then(|| dw.split_at_mut(len));
        self.plan.backward(operand(x), dy, pass.saved.bytes, &w[..len], gradients, pass.scratch);
    }
}
