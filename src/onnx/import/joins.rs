//! Values that meet again: sums, products, channels behind one another.

use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::steps::{StepId, Steps};
use super::value::{Activation, Axis, Order, axis_size, wrapped};
use crate::nn::{Add, ChannelSlice, Concat, LayerSpec, Multiply, Shape};
use crate::onnx::ImportError;

impl<'a> Importer<'a> {
    /// A sum, difference, product or quotient.
    pub(super) fn arithmetic(&mut self, node: &Node<'a>) -> NodeResult {
        if node.op == "Sum" {
            return self.sum(node);
        }
        if self.is_constant(node, 1) {
            return self.with_constant(node, 0, 1);
        }
        if self.is_constant(node, 0) {
            return self.with_constant(node, 1, 0);
        }
        let (a, b) = (self.activation(node, 0)?, self.activation(node, 1)?);
        match node.op {
            "Add" => self.add(node, vec![a, b]),
            "Sub" => {
                let b = self.scale(node, Activation { shared: true, ..b }, -1.0)?;
                self.add(node, vec![a, b])
            }
            "Mul" => self.multiply(node, a, b),
            _ => Err(node.unsupported(
                "it divides two values that both depend on the images, which is read in layer norms alone; a constant can be the divisor",
            )),
        }
    }

    fn sum(&mut self, node: &Node<'a>) -> NodeResult {
        let values = (0..node.inputs.len())
            .map(|index| self.activation(node, index))
            .collect::<Result<Vec<_>, _>>()?;
        match values.len() {
            0 => Err(node.missing(0)),
            1 => self.any_activation(node, 0),
            _ => self.add(node, values),
        }
    }

    fn add(&mut self, node: &Node<'a>, values: Vec<Activation>) -> NodeResult {
        let first = values[0].clone();
        let shape = self.steps.shape(first.step);
        for other in &values[1..] {
            let found = self.steps.shape(other.step);
            if found != shape || !is_laid_out_alike(&first, other) {
                return Err(node.unsupported(format!(
                    "it adds values of different shapes, {shape} by the axes {} and {found} by {}; sums are read of values of one shape",
                    axes_in_words(&first.axes),
                    axes_in_words(&other.axes)
                )));
            }
        }
        let inputs = values.iter().map(|value| value.step).collect();
        let step = self.step(node, inputs, Add.into(), Vec::new())?;
        Ok(Activation { step, shared: false, ..first })
    }

    /// A product: of two values of one shape, or of an image and a factor for each channel, in either order.
    fn multiply(&mut self, node: &Node<'a>, a: Activation, b: Activation) -> NodeResult {
        let (x, gate) = if self.is_gate(&a, &b) { (b, a) } else { (a, b) };
        let (of_x, of_gate) = (self.steps.shape(x.step), self.steps.shape(gate.step));
        let alike = of_x == of_gate && is_laid_out_alike(&x, &gate);
        if !alike && !self.is_gate(&gate, &x) {
            return Err(node.unsupported(format!(
                "it multiplies {of_x} by the axes {} with {of_gate} by {}; products are read of values of one shape, and of an image with one \
                 factor for each channel",
                axes_in_words(&x.axes),
                axes_in_words(&gate.axes)
            )));
        }
        // Backward writes a gradient over each: neither may be the other, or the network's input.
        let (first, mut second) = (self.own(node, x.step)?, self.own(node, gate.step)?);
        if first == second {
            second = self.copy(node, second)?;
        }
        let step = self.step(node, vec![first, second], Multiply.into(), Vec::new())?;
        Ok(Activation { step, shared: false, ..x })
    }

    /// The value of a step, which is not the network's input.
    fn own(&mut self, node: &Node<'a>, step: StepId) -> Result<StepId, ImportError> {
        if step == Steps::INPUT { self.copy(node, step) } else { Ok(step) }
    }

    /// All channels of a value, as a value of their own.
    fn copy(&mut self, node: &Node<'a>, step: StepId) -> Result<StepId, ImportError> {
        let all = ChannelSlice::new(0, self.steps.shape(step).channels());
        self.step(node, vec![step], all.into(), Vec::new())
    }

    /// Whether `gate` has one factor for each channel of `x`, an image, be it of one pixel.
    fn is_gate(&self, gate: &Activation, x: &Activation) -> bool {
        let (of_gate, of_x) = (self.steps.shape(gate.step), self.steps.shape(x.step));
        if of_gate.channels() != of_x.channels()
            || of_gate.len() > of_x.len()
            || of_gate == of_x
            || x.axes.len() < gate.axes.len()
        {
            return false;
        }
        let is_image = matches!(of_x, Shape::Image { .. });
        let behind = x.axes.len() - gate.axes.len();
        // A batch that is not aligned with the other's would be one factor for each image.
        let aligned =
            gate.axes.iter().zip(&x.axes[behind..]).all(|(&of_gate_axis, &of_x_axis)| match of_gate_axis {
                Axis::Batch => of_x_axis == Axis::Batch,
                Axis::Channels | Axis::Flat => of_x_axis == Axis::Channels,
                axis => axis_size(axis, of_gate) == Some(1),
            });
        is_image
            && aligned
            && behind == 0
            && gate.order == Order::Own
            && (gate.mirror, x.order) == (x.mirror, Order::Own)
    }

    /// `Concat` of channels, or of images and their mirror images.
    pub(super) fn concat(&mut self, node: &Node<'a>) -> NodeResult {
        let first = self.any_activation(node, 0)?;
        if node.inputs.len() == 1 {
            return Ok(first);
        }
        let axis = node.int("axis")?.ok_or_else(|| node.unsupported("its `axis` is missing"))?;
        let rank = first.axes.len();
        let axis = wrapped(axis, rank, rank)
            .ok_or_else(|| node.unsupported(format!("its `axis` is {axis}, and {rank} axes come")))?;
        if first.axes[axis] == Axis::Batch {
            return self.beside_each_other(node);
        }
        let values = (0..node.inputs.len())
            .map(|index| self.activation(node, index))
            .collect::<Result<Vec<_>, _>>()?;
        let alike = values.iter().all(|value| is_laid_out_alike(value, &first));
        if first.channels() != Some(axis) || first.order != Order::Own || !alike {
            let axes: Vec<String> = values.iter().map(|value| axes_in_words(&value.axes)).collect();
            return Err(node.unsupported(format!(
                "it joins {} along axis {axis}; joining channels, or vectors, is read",
                axes.join(" and ")
            )));
        }
        let inputs = values.iter().map(|value| value.step).collect();
        let layer: LayerSpec = Concat.into();
        let step = self.step(node, inputs, layer, Vec::new())?;
        Ok(Activation { step, shared: false, ..first })
    }
}

/// Whether the graph sees both by the same axes, in the same order, of the same images.
fn is_laid_out_alike(a: &Activation, b: &Activation) -> bool {
    (&a.axes, a.order, a.mirror) == (&b.axes, b.order, b.mirror)
}
