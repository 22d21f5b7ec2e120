//! What each operator does: the layer that it is, or another look at the same value.

use ndarray::{ArrayD, Axis as ArrayAxis, IxDyn};

use super::model::{FLOAT, Node};
use super::nodes::{Activation, Axis, Importer, NCHW, NHWC, NodeResult, Order, Value};
use super::sizes::{Size, Sizes, wrapped};
use crate::math::window::{Padding, Window};
use crate::nn::{
    AvgPool2d, BatchNorm, Conv2d, Dense, Flatten, GlobalAvgPool, Init, LayerSpec, LeakyRelu, MaxPool2d, Relu,
    Residual, Shape,
};
use crate::onnx::ImportError;

/// What is read, for the error of an operator that is not.
const SUPPORTED: &str = "Conv, Gemm, MatMul, Add, BatchNormalization, Relu, LeakyRelu, MaxPool, AveragePool, \
                         GlobalAveragePool, ReduceMean, Flatten, Reshape, Squeeze, Transpose, Pad, Dropout, Identity and, at \
                         the end, Softmax";

/// Where a window slides: kernel, stride, dilation and padding.
struct Slide {
    kernel: (usize, usize),
    stride: (usize, usize),
    dilation: (usize, usize),
    padding: Padding,
    /// Whether some window reaches into the padding.
    pads: bool,
}

impl<'a> Importer<'a> {
    /// What a node gives.
    pub(super) fn operator(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if !matches!(node.domain, "" | "ai.onnx") {
            let domain = node.domain.escape_debug();
            return Err(node.unsupported(format!(
                "its operator is of the set `{domain}`; only ONNX's own are supported"
            )));
        }
        let value = match node.op {
            "Conv" => self.conv(node)?,
            "Gemm" => self.gemm(node)?,
            "MatMul" => self.matmul(node)?,
            "Add" => self.add(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Relu" => self.rectifier(node, Relu {}.into())?,
            "LeakyRelu" => {
                let slope = node.float("alpha")?.unwrap_or(0.01);
                self.rectifier(node, LeakyRelu::new(slope).into())?
            }
            "MaxPool" | "AveragePool" => self.pool(node)?,
            "GlobalAveragePool" => self.global_pool(node)?,
            "ReduceMean" => self.reduce_mean(node)?,
            "Flatten" => self.flatten_node(node)?,
            "Pad" => self.pad(node)?,
            "Softmax" | "LogSoftmax" => self.softmax(node)?,
            "Dropout" => self.any_activation(node, 0)?,
            "Reshape" => return self.reshape(node),
            "Squeeze" | "Unsqueeze" => return self.squeeze(node),
            "Transpose" => return self.transpose(node),
            "Identity" | "Cast" => return self.same(node),
            "Constant" => return constant(node),
            "Shape" => return self.shape_of(node),
            "Gather" => return self.gather(node),
            "Slice" => return self.slice(node),
            "Concat" => return self.concat(node),
            _ => {
                return Err(
                    node.unsupported(format!("the operator is not supported; these are: {SUPPORTED}"))
                );
            }
        };
        Ok(Value::Activation(value))
    }

    fn conv(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let mut x = self.any_activation(node, 0)?;
        let before = std::mem::take(&mut x.pads);
        if x.softmax {
            return Err(node.unsupported("it takes a softmax, which is supported at the end alone"));
        }
        let [height, width, channels] = self.image(node, &x)?;
        node.expect_int("group", 1)?;
        let kernel = self.floats(node, 1)?;
        let &[filters, cin, kh, kw] = kernel.shape() else {
            return Err(node.unsupported(format!(
                "its weights have the shape {:?}, four sizes are wanted",
                kernel.shape()
            )));
        };
        if cin != channels {
            return Err(node.unsupported(format!("its weights are for {cin} channels, and {channels} come")));
        }
        let slide = slide(node, (height, width), (kh, kw), before)?;
        let mut conv = Conv2d { kernel: (kh, kw), ..Conv2d::new(filters, 1) }.no_bias();
        (conv.stride, conv.dilation, conv.padding) = (slide.stride, slide.dilation, slide.padding);
        // OIHW to HWIO
        let mut arrays = vec![("kernel", kernel.permuted_axes(IxDyn(&[2, 3, 1, 0])))];
        if node.input(2).is_some() {
            arrays.push(("bias", self.bias(node, 2, filters)?));
            conv = conv.bias_init(Init::Constant(0.0));
        }
        self.layer(node, x, conv, arrays)
    }

    fn gemm(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        node.expect_int("transA", 0)?;
        node.expect_float("alpha", 1.0)?;
        node.expect_float("beta", 1.0)?;
        let kernel = self.floats(node, 1)?;
        let kernel = if node.int("transB")?.unwrap_or(0) != 0 { kernel.reversed_axes() } else { kernel };
        self.dense(node, kernel, node.input(2).map(|_| 2))
    }

    fn matmul(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let kernel = self.floats(node, 1)?;
        self.dense(node, kernel, None)
    }

    /// A dense layer of a kernel (in, out), and the bias that an input is.
    fn dense(
        &mut self,
        node: &Node<'a>,
        kernel: ArrayD<f32>,
        bias: Option<usize>,
    ) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        let Shape::Vector(len) = self.steps.shape(x.step) else {
            return Err(node.unsupported("it takes an image; a vector is wanted: flatten it before"));
        };
        if x.axes != [Axis::Batch, Axis::Flat] {
            return Err(node.unsupported("it takes values of more than two axes: flatten them before"));
        }
        let &[inputs, units] = kernel.shape() else {
            return Err(node.unsupported(format!(
                "its weights have the shape {:?}, two sizes are wanted",
                kernel.shape()
            )));
        };
        if inputs != len {
            return Err(node.unsupported(format!("its weights are for {inputs} values, and {len} come")));
        }
        let mut dense = Dense::new(units).no_bias();
        let mut arrays = vec![("kernel", in_own_order(kernel, x.order))];
        if let Some(index) = bias {
            arrays.push(("bias", self.bias(node, index, units)?));
            dense = dense.bias_init(Init::Constant(0.0));
        }
        self.layer(node, Activation { order: Order::Own, ..x }, dense, arrays)
    }

    /// A constant that is added to each of `outputs` outputs, as a vector.
    fn bias(&mut self, node: &Node<'a>, index: usize, outputs: usize) -> Result<ArrayD<f32>, ImportError> {
        let bias = self.floats(node, index)?;
        let values: Vec<f32> = match bias.len() {
            1 => vec![bias.iter().copied().next().unwrap_or_default(); outputs],
            _ => bias.iter().copied().collect(),
        };
        if values.len() != outputs {
            let shape = bias.shape();
            return Err(node.unsupported(format!(
                "its input {index} has the shape {shape:?}, not a value for each of {outputs} outputs"
            )));
        }
        Ok(ArrayD::from_shape_vec(IxDyn(&[outputs]), values).expect("a vector of its own length"))
    }

    fn add(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        for (x, constant) in [(0, 1), (1, 0)] {
            if self.is_tensor(node, constant) {
                return self.add_bias(node, x, constant);
            }
        }
        let (a, b) = (self.activation(node, 0)?, self.activation(node, 1)?);
        let (shape_a, shape_b) = (self.steps.shape(a.step), self.steps.shape(b.step));
        if shape_a != shape_b || (&a.axes, a.order) != (&b.axes, b.order) {
            return Err(
                node.unsupported(format!("it adds values of different shapes: {shape_a} and {shape_b}"))
            );
        }
        let name = self.layer_name(node, &Residual::new().into());
        let step = self.steps.sum(name, a.step, b.step);
        Ok(Activation { step, ..a })
    }

    /// A constant added to the outputs of a layer without a bias becomes its bias.
    fn add_bias(&mut self, node: &Node<'a>, x: usize, constant: usize) -> Result<Activation, ImportError> {
        let x = self.activation(node, x)?;
        let channels = self.steps.shape(x.step).channels();
        let place = x.axes.iter().position(|axis| matches!(axis, Axis::Channels | Axis::Flat));
        let dims = self.tensor(node, constant)?.dims.clone();
        let after = place.map_or(0, |place| x.axes.len() - 1 - place);
        // Aligned at the last axis, it has the channels' size where they are, and 1 elsewhere.
        let is_vector = dims.iter().rev().enumerate().all(|(i, &size)| size == 1 || i == after);
        let bias = self.bias(node, constant, channels)?;
        let refused = node.unsupported(
            "it adds a constant; that is supported as the bias of the convolution or dense layer before it",
        );
        if !is_vector || x.order != Order::Own {
            return Err(refused);
        }
        let zero = Some(Init::Constant(0.0));
        let Some(draft) = self.steps.draft(x.step) else { return Err(refused) };
        match &mut draft.layer {
            LayerSpec::Conv2d(Conv2d { bias_init: init @ None, .. })
            | LayerSpec::Dense(Dense { bias_init: init @ None, .. }) => *init = zero,
            _ => return Err(refused),
        }
        draft.arrays.push(("bias", bias));
        let step = self.steps.renew(x.step);
        Ok(Activation { step, ..x })
    }

    fn batch_norm(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        node.expect_int("training_mode", 0)?;
        let shape = self.steps.shape(x.step);
        if !matches!(x.axes.get(1), Some(Axis::Channels | Axis::Flat)) {
            return Err(node.unsupported("it takes an image that is not NCHW"));
        }
        let mut arrays = Vec::new();
        for (index, name) in (1..).zip(["gamma", "beta", "moving_mean", "moving_variance"]) {
            let values = self.floats(node, index)?;
            if values.shape() != [shape.channels()] {
                let (got, want) = (values.shape(), shape.channels());
                return Err(node.unsupported(format!(
                    "its input {index} has the shape {got:?}, and {want} channels come"
                )));
            }
            arrays.push((name, in_own_order(values, x.order)));
        }
        let norm = BatchNorm {
            momentum: node.float("momentum")?.unwrap_or(0.9),
            epsilon: node.float("epsilon")?.unwrap_or(1e-5),
        };
        self.layer(node, x, norm, arrays)
    }

    fn rectifier(&mut self, node: &Node<'a>, layer: LayerSpec) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        self.layer(node, x, layer, Vec::new())
    }

    fn pool(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        let [height, width, _] = self.image(node, &x)?;
        let kernel = node.sizes("kernel_shape", 1)?;
        let [kh, kw] = kernel.ok_or_else(|| node.unsupported("its `kernel_shape` is missing"))?;
        let Slide { kernel: size, stride, dilation, padding, pads } =
            slide(node, (height, width), (kh, kw), [0; 4])?;
        if dilation != (1, 1) {
            return Err(node.unsupported("a dilation is supported of convolutions alone"));
        }
        if node.op == "MaxPool" {
            return self.layer(node, x, MaxPool2d { size, stride, padding }, Vec::new());
        }
        if pads && node.int("count_include_pad")?.unwrap_or(0) != 0 {
            return Err(node.unsupported("padding is left out of means; export with count_include_pad=False"));
        }
        self.layer(node, x, AvgPool2d { size, stride, padding }, Vec::new())
    }

    fn global_pool(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        self.image(node, &x)?;
        let x = self.layer(node, x, GlobalAvgPool {}, Vec::new())?;
        Ok(Activation { axes: vec![Axis::Batch, Axis::Flat, Axis::One, Axis::One], ..x })
    }

    /// The mean over all pixels.
    fn reduce_mean(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        let axes = self.constants(node, "axes", 1)?.unwrap_or_default();
        let axes: Option<Vec<usize>> =
            axes.iter().map(|&axis| wrapped(axis, x.axes.len(), x.axes.len())).collect();
        let mut over: Vec<Axis> = axes.unwrap_or_default().into_iter().map(|axis| x.axes[axis]).collect();
        over.sort_by_key(|axis| *axis as u8);
        if over != [Axis::Height, Axis::Width] {
            return Err(node.unsupported("a mean over height and width is supported, and no other"));
        }
        let keep = node.int("keepdims")?.unwrap_or(1) != 0;
        let axis = |axis: &Axis| match axis {
            Axis::Height | Axis::Width => keep.then_some(Axis::One),
            Axis::Channels => Some(Axis::Flat),
            axis => Some(*axis),
        };
        let axes = x.axes.iter().filter_map(axis).collect();
        let x = self.layer(node, x, GlobalAvgPool {}, Vec::new())?;
        Ok(Activation { axes, ..x })
    }

    fn flatten_node(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        let axis = node.int("axis")?.unwrap_or(1);
        if wrapped(axis, x.axes.len(), x.axes.len()) != Some(1) || x.axes[0] != Axis::Batch {
            return Err(
                node.unsupported(format!("its `axis` is {axis}; each image becomes a vector by axis 1"))
            );
        }
        self.flatten(node, x)
    }

    /// Each image as a vector.
    fn flatten(&mut self, node: &Node<'a>, x: Activation) -> Result<Activation, ImportError> {
        let axes = vec![Axis::Batch, Axis::Flat];
        let Shape::Image { height, width, channels } = self.steps.shape(x.step) else {
            return Ok(Activation { axes, ..x });
        };
        let is_known = x.axes == NCHW || x.axes == NHWC;
        let order = if height * width == 1 || x.axes == NHWC || channels == 1 && is_known {
            Order::Own
        } else if x.axes == NCHW {
            Order::Chw { height, width, channels }
        } else {
            return Err(node.unsupported("it flattens an image that is neither NCHW nor NHWC"));
        };
        let x = self.layer(node, x, Flatten {}, Vec::new())?;
        Ok(Activation { axes, order, ..x })
    }

    fn reshape(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if matches!(self.value(node, 0)?, Value::Sizes(_)) {
            return self.same(node);
        }
        let x = self.activation(node, 0)?;
        let shape = self.sizes(node, 1)?;
        let len = self.steps.shape(x.step).len() as i64;
        // Of a batch that the graph has fixed any number will do.
        let is_flat = match shape[..] {
            [Size::Known(-1), Size::Known(values)] => values == len,
            [Size::Batch | Size::Known(0..), Size::Known(values)] => values == len || values == -1,
            _ => false,
        };
        if !is_flat || x.axes[0] != Axis::Batch {
            return Err(node.unsupported(format!("a reshape to (batch, {len}) is supported, and no other")));
        }
        Ok(Value::Activation(self.flatten(node, x)?))
    }

    fn squeeze(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if matches!(self.value(node, 0)?, Value::Sizes(_)) {
            return self.same(node);
        }
        let mut x = self.activation(node, 0)?;
        if node.op == "Unsqueeze" {
            return Err(node.unsupported("it is supported of shapes alone"));
        }
        let axes = self.constants(node, "axes", 1)?;
        let rank = x.axes.len();
        let dropped = |index: usize| match &axes {
            None => x.axes[index] == Axis::One,
            Some(axes) => axes.iter().any(|&axis| wrapped(axis, rank, rank) == Some(index)),
        };
        let (drop, keep): (Vec<usize>, Vec<usize>) = (0..rank).partition(|&index| dropped(index));
        if drop.iter().any(|&index| x.axes[index] != Axis::One) {
            return Err(
                node.unsupported("it takes away other axes than those that a mean over all pixels left")
            );
        }
        x.axes = keep.into_iter().map(|index| x.axes[index]).collect();
        Ok(Value::Activation(x))
    }

    fn transpose(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if self.is_tensor(node, 0) {
            let mut tensor = self.tensor(node, 0)?.clone();
            if tensor.dims.len() != 2 || node.ints("perm").is_some_and(|perm| perm != [1, 0]) {
                return Err(node.unsupported("of constants, those of two axes may be transposed"));
            }
            tensor.transposed = !tensor.transposed;
            return Ok(Value::Tensor(tensor));
        }
        let mut x = self.any_activation(node, 0)?;
        let rank = x.axes.len();
        let perm: Vec<i64> =
            node.ints("perm").map_or_else(|| (0..rank as i64).rev().collect(), <[i64]>::to_vec);
        let places: Option<Vec<usize>> = perm.iter().map(|&axis| wrapped(axis, rank, rank)).collect();
        let mut sorted = places.clone().unwrap_or_default();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() || x.pads != [0; 4] {
            return Err(node.unsupported("it is no permutation of the axes of an image that is not padded"));
        }
        x.axes = places.into_iter().flatten().map(|place| x.axes[place]).collect();
        Ok(Value::Activation(x))
    }

    /// Zeros around an image, for the convolution behind it.
    fn pad(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let mut x = self.any_activation(node, 0)?;
        self.image(node, &x)?;
        if node.attribute("mode").is_some_and(|mode| mode.string != Some(b"constant")) {
            return Err(node.unsupported("padding with zeros is supported, and no other"));
        }
        let value = match node.input(2) {
            Some(_) => self.floats(node, 2)?.iter().copied().next().unwrap_or_default(),
            None => node.float("value")?.unwrap_or(0.0),
        };
        let pads = self.constants(node, "pads", 1)?.unwrap_or_default();
        let pads: Vec<usize> = pads.iter().filter_map(|&pad| usize::try_from(pad).ok()).collect();
        let (&[0, 0, top, left, 0, 0, bottom, right], 0.0, None) = (&pads[..], value, node.input(3)) else {
            return Err(node.unsupported("padding of height and width with zeros is supported, and no other"));
        };
        for (sum, pad) in x.pads.iter_mut().zip([top, left, bottom, right]) {
            *sum = sum.saturating_add(pad);
        }
        Ok(x)
    }

    fn softmax(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        let last = node.int("axis")?.is_none_or(|axis| matches!(axis, -1 | 1));
        if x.axes != [Axis::Batch, Axis::Flat] || !last {
            return Err(
                node.unsupported("a softmax over the outputs of each image is supported, and no other")
            );
        }
        Ok(Activation { softmax: true, ..x })
    }

    /// The value as it is.
    pub(super) fn same(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        let value = self.value(node, 0)?.clone();
        if node.op == "Cast" && !matches!(value, Value::Sizes(_)) && node.int("to")? != Some(FLOAT as i64) {
            return Err(node.unsupported("floats are computed with, and no other type"));
        }
        Ok(value)
    }

    fn floats(&mut self, node: &Node<'a>, index: usize) -> Result<ArrayD<f32>, ImportError> {
        let tensor = self.tensor(node, index)?.clone();
        self.files.floats(&tensor)
    }
}

fn constant<'a>(node: &Node<'a>) -> NodeResult<'a> {
    if let Some(tensor) = node.attribute("value").and_then(|value| value.tensor.clone()) {
        return Ok(Value::Tensor(tensor));
    }
    let sizes = match (node.int("value_int")?, node.ints("value_ints")) {
        (Some(int), _) => vec![Size::Known(int)],
        (None, Some(ints)) => ints.iter().map(|&int| Size::Known(int)).collect(),
        (None, None) => return Err(node.unsupported("arrays and whole numbers are supported as constants")),
    };
    Ok(Value::Sizes(Sizes { sizes }))
}

/// An array whose first axis counts the values of a vector, put into floret's order of them.
fn in_own_order(array: ArrayD<f32>, order: Order) -> ArrayD<f32> {
    let Order::Chw { height, width, channels } = order else { return array };
    let chw = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        channel * height * width + pixel
    };
    let rows: Vec<usize> = (0..height * width * channels).map(chw).collect();
    array.select(ArrayAxis(0), &rows)
}

/// How a window slides over an image of `input` (height, width), around which `before` was padded already.
fn slide(
    node: &Node<'_>,
    input: (usize, usize),
    kernel: (usize, usize),
    before: [usize; 4],
) -> Result<Slide, ImportError> {
    if let Some(told) = node.sizes::<2>("kernel_shape", 1)?
        && told != [kernel.0, kernel.1]
    {
        return Err(
            node.unsupported(format!("its `kernel_shape` {told:?} is not that of its weights, {kernel:?}"))
        );
    }
    let [sy, sx] = node.sizes("strides", 1)?.unwrap_or([1, 1]);
    let [dy, dx] = node.sizes("dilations", 1)?.unwrap_or([1, 1]);
    let (stride, dilation) = ((sy, sx), (dy, dx));
    let window = |padding| Window::new(input, kernel, stride, dilation, padding);
    let does_not_fit =
        || node.unsupported(format!("its window does not fit an image of {}x{}", input.0, input.1));
    let auto = node.attribute("auto_pad").and_then(|auto| auto.string).unwrap_or(b"NOTSET");
    let pads = match auto {
        b"NOTSET" => node.sizes("pads", 0)?.unwrap_or([0; 4]),
        b"VALID" => [0; 4],
        b"SAME_UPPER" | b"SAME_LOWER" => {
            if before != [0; 4] {
                return Err(node.unsupported("it pads by itself an image that is padded already"));
            }
            let Window { y, x } = window(Padding::Same).ok_or_else(does_not_fit)?;
            let upper = [y.pad_before, x.pad_before, y.pad_after(), x.pad_after()];
            let [top, left, bottom, right] = upper;
            // The odd zero is at the other end.
            if auto == b"SAME_LOWER" { [bottom, right, top, left] } else { upper }
        }
        _ => return Err(node.unsupported("its `auto_pad` is none that is known")),
    };
    let mut sum = pads;
    for (sum, before) in sum.iter_mut().zip(before) {
        *sum = sum.checked_add(before).ok_or_else(does_not_fit)?;
    }
    let [top, left, mut bottom, mut right] = sum;
    if node.int("ceil_mode")?.unwrap_or(0) != 0 {
        bottom = reached(input.0, kernel.0, sy, dy, (top, bottom)).ok_or_else(does_not_fit)?;
        right = reached(input.1, kernel.1, sx, dx, (left, right)).ok_or_else(does_not_fit)?;
    }
    let explicit = Padding::Explicit { top, bottom, left, right };
    let wanted = window(explicit).ok_or_else(|| {
        node.unsupported(format!(
            "its window of {}x{} with padding {sum:?} does not fit an image of {}x{}, or lies in the padding altogether",
            kernel.0, kernel.1, input.0, input.1
        ))
    })?;
    let padding =
        [Padding::Valid, Padding::Same].into_iter().find(|&padding| window(padding) == Some(wanted));
    let pads =
        [wanted.y.pad_before, wanted.x.pad_before, wanted.y.pad_after(), wanted.x.pad_after()] != [0; 4];
    Ok(Slide { kernel, stride, dilation, padding: padding.unwrap_or(explicit), pads })
}

/// The padding behind an axis that makes a place for the last window where its number is rounded up: it must begin before the
/// end of the input.
fn reached(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    (before, after): (usize, usize),
) -> Option<usize> {
    let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    let room = input.checked_add(before)?.checked_add(after)?.checked_sub(extent)?;
    let mut last = room.div_ceil(stride).checked_mul(stride)?;
    if last >= input + before {
        last = last.checked_sub(stride)?;
    }
    Some(after.max((last.checked_add(extent)?).saturating_sub(input + before)))
}
