//! Shapes that a graph computes from its input's, as `x.view(x.size(0), -1)` is exported.

use super::importer::{Importer, NodeResult};
use super::model::Node;
use super::value::{Axis, Size, Sizes, Value};
use crate::nn::Shape;

/// The most axes of a shape.
const MAX_SIZES: usize = 16;

impl<'a> Importer<'a> {
    /// `Shape`: the sizes of a value, from `start` to `end`.
    pub(super) fn shape_of(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        let x = self.activation(node, 0)?;
        self.check_batch(node, &x)?;
        let image = match self.steps.shape(x.step) {
            Shape::Image { height, width, channels } => [height, width, channels],
            Shape::Vector(len) => [1, 1, len],
        };
        let size = |axis: &Axis| match axis {
            Axis::Batch => Size::Batch,
            Axis::Height => Size::Known(image[0] as i64),
            Axis::Width => Size::Known(image[1] as i64),
            Axis::Channels | Axis::Flat => Size::Known(image[2] as i64),
            Axis::One => Size::Known(1),
        };
        let sizes: Vec<Size> = x.axes.iter().map(size).collect();
        let rank = sizes.len();
        let bound = |name: &str, default: usize| {
            let bound = node.int(name)?.map_or(Some(default), |bound| wrapped(bound, rank + 1, rank));
            bound.ok_or_else(|| node.unsupported(format!("its `{name}` is no axis")))
        };
        let (start, end) = (bound("start", 0)?, bound("end", rank)?);
        Ok(Value::Sizes(Sizes { sizes: sizes.get(start..end).unwrap_or_default().to_vec() }))
    }

    /// `Gather`: some of the sizes.
    pub(super) fn gather(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        let (from, indices) = (self.sizes(node, 0)?, self.sizes(node, 1)?);
        let pick = |index: &Size| match index {
            Size::Known(index) => wrapped(*index, from.len(), from.len()).map(|index| from[index]),
            Size::Batch => None,
        };
        let picked: Option<Vec<Size>> = indices.iter().map(pick).collect();
        let sizes = picked.ok_or_else(|| node.unsupported("it takes what is not there"))?;
        Ok(Value::Sizes(Sizes { sizes }))
    }

    /// `Slice` of sizes, by constant bounds and steps of 1; or of images.
    pub(super) fn slice(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if let Value::Activation(_) = self.value(node, 0)? {
            return self.mirrored(node).map(Value::Activation);
        }
        let from = self.sizes(node, 0)?;
        let rank = from.len() as i64;
        let bound = |index: usize| match self.sizes(node, index)?[..] {
            [Size::Known(bound)] => {
                let bound = if bound < 0 { bound.saturating_add(rank) } else { bound };
                Ok(bound.clamp(0, rank) as usize)
            }
            _ => Err(node.unsupported("its bounds are not constant")),
        };
        let (start, end) = (bound(1)?, bound(2)?);
        if node.input(4).is_some() && self.sizes(node, 4)?[..] != [Size::Known(1)] {
            return Err(node.unsupported("a step of 1 is supported"));
        }
        Ok(Value::Sizes(Sizes { sizes: from.get(start..end).unwrap_or_default().to_vec() }))
    }

    /// `Concat` of sizes, or of images.
    pub(super) fn concat(&mut self, node: &Node<'a>) -> NodeResult<'a> {
        if let Value::Activation(_) = self.value(node, 0)? {
            return self.beside_each_other(node).map(Value::Activation);
        }
        let mut sizes = Vec::new();
        for index in 0..node.inputs.len() {
            sizes.extend(self.sizes(node, index)?);
            if sizes.len() > MAX_SIZES {
                return Err(node.unsupported(format!("a shape of over {MAX_SIZES} axes")));
            }
        }
        Ok(Value::Sizes(Sizes { sizes }))
    }
}

/// An index that counts from the end where it is negative: one below `len`, or `None`.
pub fn wrapped(index: i64, len: usize, from_end: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(from_end as i64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}
