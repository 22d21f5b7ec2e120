//! Test-time flips: the images with their mirror images behind them go through the network, and the means of their outputs come
//! out, as `export` writes it. Nothing else may be done to mirror images.

use super::importer::Importer;
use super::model::Node;
use super::steps::Steps;
use super::value::{Activation, Axis, Mirror, Size};
use crate::nn::Shape;
use crate::onnx::ImportError;

/// What a value without a place for them is told.
const AT_THE_INPUT: &str = "mirror images are supported of the network's input, by their width, with their outputs' means at \
                            the end, and no otherwise";

impl<'a> Importer<'a> {
    /// `Slice` of images: their mirror images.
    pub(super) fn mirrored(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.activation(node, 0)?;
        let width = match self.steps.shape(x.step) {
            Shape::Image { width, .. } if x.step == Steps::INPUT && x.mirror == Mirror::No => width as i64,
            _ => return Err(node.unsupported(AT_THE_INPUT)),
        };
        let one = |index: usize| match self.sizes(node, index)?[..] {
            [Size::Known(number)] => Ok(number),
            _ => Err(node.unsupported(AT_THE_INPUT)),
        };
        let (start, end, axis, step) = (one(1)?, one(2)?, one(3)?, one(4)?);
        let axis = usize::try_from(axis).ok().and_then(|axis| x.axes.get(axis));
        // Both bounds count from the end; beyond the first column nothing is left out.
        if axis != Some(&Axis::Width) || (start, step) != (-1, -1) || end >= -width {
            return Err(node.unsupported(AT_THE_INPUT));
        }
        Ok(Activation { mirror: Mirror::Alone, ..x })
    }

    /// `Concat` of images and their mirror images.
    pub(super) fn beside_each_other(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let (x, mirrored) = (self.activation(node, 0)?, self.any_activation(node, 1)?);
        let wanted = Activation { mirror: Mirror::Alone, ..x.clone() };
        let is_batch = node.int("axis")? == Some(0) && x.axes[0] == Axis::Batch;
        if mirrored != wanted || x.mirror != Mirror::No || !is_batch || node.inputs.len() != 2 {
            return Err(node.unsupported(AT_THE_INPUT));
        }
        Ok(Activation { mirror: Mirror::Behind, ..x })
    }

    /// `Reshape` of outputs to those of images and those of mirror images, if it is that.
    pub(super) fn apart(&mut self, x: &Activation, shape: &[Size]) -> Option<Activation> {
        let Shape::Vector(len) = self.steps.shape(x.step) else { return None };
        let wanted = [Size::Known(2), Size::Known(-1), Size::Known(len as i64)];
        let is_whole = x.mirror == Mirror::Behind && x.axes == [Axis::Batch, Axis::Flat];
        (is_whole && shape == wanted).then(|| Activation { mirror: Mirror::Apart, ..x.clone() })
    }

    /// `ReduceMean` over the two.
    pub(super) fn mean_of_both(&mut self, node: &Node<'a>) -> Result<Activation, ImportError> {
        let x = self.any_activation(node, 0)?;
        let axes = self.constants(node, "axes", 1)?;
        if axes.as_deref() != Some(&[0]) || node.int("keepdims")? != Some(0) || x.axes[0] != Axis::Batch {
            return Err(node.unsupported(AT_THE_INPUT));
        }
        Ok(Activation { mirror: Mirror::Mean, ..x })
    }

    /// Fails if a layer can't take such a value.
    pub(super) fn check_mirror(&self, node: &Node<'a>, value: &Activation) -> Result<(), ImportError> {
        match value.mirror {
            Mirror::No | Mirror::Behind => Ok(()),
            Mirror::Alone | Mirror::Apart | Mirror::Mean => Err(node.unsupported(AT_THE_INPUT)),
        }
    }

    /// Fails if sizes of such a value would not be those of the images.
    pub(super) fn check_batch(&self, node: &Node<'a>, value: &Activation) -> Result<(), ImportError> {
        match value.mirror {
            Mirror::No => Ok(()),
            _ => Err(node.unsupported(AT_THE_INPUT)),
        }
    }
}
