//! What each operator does: the layer that it is. Those that are none are in `views` and `sizes`.

use ndarray::{ArrayD, Axis as ArrayAxis, IxDyn};

use super::importer::{Importer, NodeResult};
use super::model::Node;
use super::sizes::wrapped;
use super::slide::{Slide, slide};
use super::value::{Activation, Axis, Mirror, Order, Size, Sizes, Value};
use crate::nn::{
    Add, AvgPool2d, BatchNorm, Conv2d, Dense, GlobalAvgPool, Init, LayerSpec, LeakyRelu, MaxPool2d, Relu,
    Shape,
};
use crate::onnx::ImportError;

/// What is read, for the error of an operator that is not.
const SUPPORTED: &str = "Conv, Gemm, MatMul, Add, Sub, Mul, Div, BatchNormalization, Relu, LeakyRelu, MaxPool, AveragePool, \
                         GlobalAveragePool, ReduceMean, Flatten, Reshape, Squeeze, Transpose, Pad, Dropout, Identity and, at \
                         the end, Softmax";

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
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Relu" => self.rectifier(node, Relu.into())?,
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
        self.check_mirror(node, &x)?;
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

    /// A sum, difference, product or quotient: of two values that depend on the images the sum alone.
    fn arithmetic(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let commutes = matches!(node.op, "Add" | "Mul");
        if self.is_tensor(node, 1) {
            return self.with_constant(node, 0, 1);
        }
        if self.is_tensor(node, 0) && commutes {
            return self.with_constant(node, 1, 0);
        }
        if node.op != "Add" {
            return Err(node.unsupported("it is supported of an image or vector and a constant behind it"));
        }
        let (a, b) = (self.activation(node, 0)?, self.activation(node, 1)?);
        let (shape_a, shape_b) = (self.steps.shape(a.step), self.steps.shape(b.step));
        if shape_a != shape_b || (&a.axes, a.order, a.mirror) != (&b.axes, b.order, b.mirror) {
            return Err(
                node.unsupported(format!("it adds values of different shapes: {shape_a} and {shape_b}"))
            );
        }
        let step = self.step(node, vec![a.step, b.step], Add.into(), Vec::new())?;
        Ok(Activation { step, ..a })
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
        self.layer(node, x, AvgPool2d::new(size).stride(stride).padding(padding), Vec::new())
    }

    fn global_pool(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        self.image(node, &x)?;
        let x = self.layer(node, x, GlobalAvgPool, Vec::new())?;
        Ok(Activation { axes: vec![Axis::Batch, Axis::Flat, Axis::One, Axis::One], ..x })
    }

    /// The mean over all pixels.
    fn reduce_mean(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        if self.any_activation(node, 0)?.mirror == Mirror::Apart {
            return self.mean_of_both(node);
        }
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
        let x = self.layer(node, x, GlobalAvgPool, Vec::new())?;
        Ok(Activation { axes, ..x })
    }

    pub(super) fn floats(&mut self, node: &Node<'a>, index: usize) -> Result<ArrayD<f32>, ImportError> {
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
pub fn in_own_order(array: ArrayD<f32>, order: Order) -> ArrayD<f32> {
    let Order::Chw { height, width, channels } = order else { return array };
    let chw = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        channel * height * width + pixel
    };
    let rows: Vec<usize> = (0..height * width * channels).map(chw).collect();
    array.select(ArrayAxis(0), &rows)
}
