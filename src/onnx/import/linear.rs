//! Convolutions and products of matrices: `Conv2d`, and `Dense` where the image is a single pixel.

use ndarray::{ArrayD, Axis as ArrayAxis, IxDyn};

use super::affine::{Rescaling, in_own_order};
use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::slide::{Slide, slide};
use super::value::{Activation, Axis, Order};
use crate::nn::{Conv2d, Dense, Init, LayerScale, Shape};
use crate::onnx::ImportError;

impl<'a> Importer<'a> {
    pub(super) fn conv(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.any_activation(node, 0)?;
        let before = std::mem::take(&mut x.pads);
        self.check_place(node, &x)?;
        let shape = self.constant_shape(node, 1)?;
        let &[filters, of_group, kh, kw] = &shape[..] else {
            return Err(node.unsupported(format!(
                "its weights have the shape {shape:?}; four sizes are wanted, those of an image's filters"
            )));
        };
        let groups = node.int("group")?.unwrap_or(1);
        let groups = usize::try_from(groups)
            .ok()
            .filter(|groups| *groups > 0)
            .ok_or_else(|| node.unsupported(format!("its `group` is {groups}; it must be 1 or more")))?;
        let channels = self.steps.shape(x.step).channels();
        if of_group.checked_mul(groups) != Some(channels) {
            let of_all = of_group.saturating_mul(groups);
            return Err(node.unsupported(format!(
                "its weights are for {of_all} channels ({groups} groups of {of_group}), and {channels} come"
            )));
        }
        if let Shape::Vector(_) = self.steps.shape(x.step) {
            return self.conv_of_pixel(node, x, (kh, kw), groups);
        }
        let [height, width, _] = self.image(node, &x)?;
        let Slide { stride, dilation, padding, pads, .. } = slide(node, (height, width), (kh, kw), before)?;
        let mut kernel = self.floats(node, 1)?;
        let mut bias = match node.input(2) {
            Some(_) => Some(self.bias(node, 2, filters)?),
            None => None,
        };
        if let Some(rescaling) = self.rescaling(&x)
            && filters.is_multiple_of(groups)
            && (!pads || rescaling.shift.iter().all(|shift| *shift == 0.0))
        {
            x.step = self.steps.inputs(x.step)[0];
            fold(&rescaling, &mut kernel, &mut bias, groups);
        }
        let mut conv = Conv2d { kernel: (kh, kw), ..Conv2d::new(filters, 1) }.groups(groups).no_bias();
        (conv.stride, conv.dilation, conv.padding) = (stride, dilation, padding);
        // OIHW to HWIO
        let mut arrays = vec![("kernel", kernel.permuted_axes(IxDyn(&[2, 3, 1, 0])))];
        if let Some(bias) = bias {
            arrays.push(("bias", bias));
            conv = conv.bias_init(Init::Constant(0.0));
        }
        self.layer(node, x, conv, arrays)
    }

    /// A convolution of an image of one pixel that floret holds as a vector, as means over all pixels are.
    fn conv_of_pixel(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        kernel: (usize, usize),
        groups: usize,
    ) -> NodeResult {
        let is_image = x.axes.len() == 4 && x.channels() == Some(1);
        if !is_image || kernel != (1, 1) {
            let axes = axes_in_words(&x.axes);
            return Err(node.unsupported(format!(
                "it takes a vector by the axes {axes} with a kernel of {}x{}; a kernel of 1x1 on (batch, values, 1, 1) is read",
                kernel.0, kernel.1
            )));
        }
        let weights = self.floats(node, 1)?;
        let (filters, of_group) = (weights.shape()[0], weights.shape()[1]);
        if groups == 1 {
            // (out, in) to (in, out)
            let flat = weights.index_axis_move(ArrayAxis(3), 0).index_axis_move(ArrayAxis(2), 0);
            return self.dense(node, x, flat.reversed_axes(), Some(2));
        }
        if of_group != 1 || filters != groups || node.input(2).is_some() || x.order != Order::Own {
            return Err(node.unsupported(format!(
                "it takes an image of one pixel by {groups} groups; one group is read there, or one for each channel without a bias"
            )));
        }
        let gamma = weights.into_iter().collect();
        let gamma = ArrayD::from_shape_vec(IxDyn(&[filters]), gamma).expect("a factor for each");
        self.layer(node, x, LayerScale::new(1.0), vec![("gamma", gamma)])
    }

    pub(super) fn gemm(&mut self, node: &Node<'a>) -> NodeResult {
        node.expect_int("transA", 0)?;
        let x = self.activation(node, 0)?;
        let kernel = self.floats(node, 1)?;
        let mut kernel = if node.int("transB")?.unwrap_or(0) != 0 { kernel.reversed_axes() } else { kernel };
        let alpha = node.float("alpha")?.unwrap_or(1.0);
        if alpha != 1.0 {
            kernel *= alpha;
        }
        node.expect_float("beta", 1.0)?;
        self.dense(node, x, kernel, Some(2))
    }

    /// A product with a constant matrix, over the last axis.
    pub(super) fn matmul(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.activation(node, 0)?;
        if x.channels() != Some(x.axes.len() - 1) {
            return Err(node.unsupported(format!(
                "it takes values by the axes {}; channels are wanted last: a `Transpose` or `Flatten` before it is missing",
                axes_in_words(&x.axes)
            )));
        }
        let kernel = self.floats(node, 1)?;
        match self.steps.shape(x.step) {
            Shape::Vector(_) => self.dense(node, x, kernel, None),
            Shape::Image { channels, .. } => {
                let (inputs, units) = self.matrix(node, &kernel)?;
                self.check_inputs(node, inputs, channels)?;
                let kernel = kernel.insert_axis(ArrayAxis(0)).insert_axis(ArrayAxis(0));
                self.layer(node, x, Conv2d::new(units, 1).no_bias(), vec![("kernel", kernel)])
            }
        }
    }

    /// The inputs and outputs of a kernel (in, out).
    fn matrix(&self, node: &Node<'a>, kernel: &ArrayD<f32>) -> Result<(usize, usize), ImportError> {
        match *kernel.shape() {
            [inputs, units] => Ok((inputs, units)),
            _ => Err(node.unsupported(format!(
                "its weights have the shape {:?}; two sizes are wanted",
                kernel.shape()
            ))),
        }
    }

    fn check_inputs(&self, node: &Node<'a>, weights: usize, come: usize) -> Result<(), ImportError> {
        match weights == come {
            true => Ok(()),
            false => Err(node.unsupported(format!("its weights are for {weights} values, and {come} come"))),
        }
    }

    /// A dense layer of a kernel (in, out), and the bias that an input may be.
    fn dense(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        kernel: ArrayD<f32>,
        bias: Option<usize>,
    ) -> NodeResult {
        let Shape::Vector(len) = self.steps.shape(x.step) else {
            return Err(node.unsupported("it takes an image; a vector is wanted: flatten it before"));
        };
        if x.axes.iter().any(|axis| !matches!(axis, Axis::Batch | Axis::Flat | Axis::One)) {
            return Err(node.unsupported(format!(
                "it takes a vector by the axes {}: flatten it before",
                axes_in_words(&x.axes)
            )));
        }
        let (inputs, units) = self.matrix(node, &kernel)?;
        self.check_inputs(node, inputs, len)?;
        let mut dense = Dense::new(units).no_bias();
        let mut arrays = vec![("kernel", in_own_order(kernel, x.order))];
        if let Some(index) = bias.filter(|&index| node.input(index).is_some()) {
            arrays.push(("bias", self.bias(node, index, units)?));
            dense = dense.bias_init(Init::Constant(0.0));
        }
        self.layer(node, Activation { order: Order::Own, ..x }, dense, arrays)
    }
}

/// `w (scale x + shift) + b` as weights of `x` alone: `w scale`, and `b` with the sum of `w shift`. The kernel is OIHW.
fn fold(rescaling: &Rescaling, kernel: &mut ArrayD<f32>, bias: &mut Option<ArrayD<f32>>, groups: usize) {
    let (filters, of_group) = (kernel.shape()[0], kernel.shape()[1]);
    let mut sums = vec![0.0f64; filters];
    for (output, mut weights) in kernel.axis_iter_mut(ArrayAxis(0)).enumerate() {
        let first = output / (filters / groups).max(1) * of_group;
        for (input, mut taps) in weights.axis_iter_mut(ArrayAxis(0)).enumerate() {
            let (scale, shift) = (rescaling.scale[first + input], rescaling.shift[first + input]);
            sums[output] += taps.iter().map(|tap| f64::from(*tap) * f64::from(shift)).sum::<f64>();
            taps *= scale;
        }
    }
    if sums.iter().any(|sum| *sum != 0.0) {
        let bias = bias.get_or_insert_with(|| ArrayD::zeros(IxDyn(&[filters])));
        bias.iter_mut().zip(sums).for_each(|(bias, sum)| *bias = (f64::from(*bias) + sum) as f32);
    }
}
