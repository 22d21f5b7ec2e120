//! Test-time flips: the images with their mirror images behind them go through the network, and the means of their outputs come
//! out, as `export` writes it. Nothing else may be done to mirror images.

use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::steps::Steps;
use super::value::{Activation, Axis, Mirror, Size};
use crate::nn::Shape;
use crate::onnx::ImportError;

/// What may be done.
const WAY: &str = "a test-time flip is read where the images and behind them their mirror images (`Slice` by columns backwards, `Concat`) go \
                   through all layers, and the means of both outputs are the network's: else export without it, and set it in floret";

impl<'a> Importer<'a> {
    /// `Slice` of images by columns, backwards: their mirror images.
    pub(super) fn mirrored(&mut self, node: &Node<'a>, x: Activation, start: i64, end: i64) -> NodeResult {
        let unread = |what: &str| Err(node.unsupported(format!("it {what}; {WAY}")));
        let width = match self.steps.shape(x.step) {
            Shape::Image { width, .. } if x.step == Steps::INPUT && x.mirror == Mirror::No => width as i64,
            _ => return unread("reverses the columns of a value that is not the network's input"),
        };
        // Both bounds count from the end; beyond the first column nothing is left out.
        if start != -1 || end >= -width {
            return unread("reverses some of the columns");
        }
        Ok(Activation { mirror: Mirror::Alone, ..x })
    }

    /// `Concat` along the batch: images and their mirror images.
    pub(super) fn beside_each_other(&mut self, node: &Node<'a>) -> NodeResult {
        let (x, mirrored) = (self.activation(node, 0)?, self.any_activation(node, 1)?);
        let wanted = Activation { mirror: Mirror::Alone, shared: mirrored.shared, ..x.clone() };
        if mirrored != wanted || x.mirror != Mirror::No || node.inputs.len() != 2 {
            return Err(node.unsupported(format!("it joins batches of images; {WAY}")));
        }
        Ok(Activation { mirror: Mirror::Behind, ..x })
    }

    /// `Reshape` of outputs to those of images and those of mirror images, if it is that.
    pub(super) fn apart(&self, x: &Activation, shape: &[Size]) -> Option<Activation> {
        let Shape::Vector(len) = self.steps.shape(x.step) else { return None };
        let wanted = [Size::Known(2), Size::Known(-1), Size::Known(len as i64)];
        let is_whole = x.mirror == Mirror::Behind && x.axes == [Axis::Batch, Axis::Flat];
        (is_whole && shape == wanted).then(|| Activation { mirror: Mirror::Apart, ..x.clone() })
    }

    /// `ReduceMean` over the two.
    pub(super) fn mean_of_both(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.any_activation(node, 0)?;
        let axes = self.constants(node, "axes", 1)?;
        let is_mean = node.op == "ReduceMean" && axes.as_deref() == Some(&[0]);
        if !is_mean || node.int("keepdims")? != Some(0) || x.axes[0] != Axis::Batch {
            let axes = axes.unwrap_or_default();
            return Err(node.unsupported(format!(
                "it goes over the axes {axes:?} of (images and mirror images, {}; {WAY}",
                axes_in_words(&x.axes).trim_start_matches('(')
            )));
        }
        Ok(Activation { mirror: Mirror::Mean, ..x })
    }

    /// Fails if a layer can't take such a value.
    pub(super) fn check_mirror(&self, node: &Node<'a>, value: &Activation) -> Result<(), ImportError> {
        match value.mirror {
            Mirror::No | Mirror::Behind => Ok(()),
            Mirror::Alone | Mirror::Apart | Mirror::Mean => Err(self.not_for_mirror_images(node)),
        }
    }

    /// The error of a node that takes mirror images and may not.
    pub(super) fn not_for_mirror_images(&self, node: &Node<'a>) -> ImportError {
        node.unsupported(format!("it takes mirror images, or the outputs of such; {WAY}"))
    }
}
