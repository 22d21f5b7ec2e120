//! Operators that compute nothing floret has to compute: other looks at the same values.

use super::importer::{Importer, NodeResult};
use super::model::{FLOAT, Node};
use super::sizes::wrapped;
use super::value::{Activation, Axis, Mirror, NCHW, NHWC, Order, Size, Value};
use crate::nn::{Flatten, Shape};
use crate::onnx::ImportError;

impl<'a> Importer<'a> {
    pub(super) fn flatten_node(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
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
    pub(super) fn flatten(&mut self, node: &Node<'a>, x: Activation) -> Result<Activation, ImportError> {
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
        let x = self.layer(node, x, Flatten, Vec::new())?;
        Ok(Activation { axes, order, ..x })
    }

    pub(super) fn reshape(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if matches!(self.value(node, 0)?, Value::Sizes(_)) {
            return self.same(node);
        }
        let x = self.activation(node, 0)?;
        let shape = self.sizes(node, 1)?;
        if let Some(apart) = self.apart(&x, &shape) {
            return Ok(Value::Activation(apart));
        }
        self.check_batch(node, &x)?;
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

    pub(super) fn squeeze(&mut self, node: &Node<'a>) -> NodeResult<'a> {
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

    pub(super) fn transpose(&mut self, node: &Node<'a>) -> NodeResult<'a> {
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
    pub(super) fn pad(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
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

    pub(super) fn softmax(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let mut x = self.any_activation(node, 0)?;
        if x.mirror != Mirror::Mean || x.softmax {
            x = self.activation(node, 0)?;
        }
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
}
