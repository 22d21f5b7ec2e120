//! Some of the channels, or all in another order: `Slice`, `Split`, `Gather`; and the sizes of values.

use ndarray::ArrayD;

use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::value::{Activation, Axis, Constant, Mirror, Order, Size, Value, axis_size, wrapped};
use crate::nn::ChannelSlice;
use crate::onnx::ImportError;

impl<'a> Importer<'a> {
    /// `Slice`: some of the channels; or the mirror images of the network's input.
    pub(super) fn slice(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.activation(node, 0)?;
        let starts = self.constants(node, "starts", 1)?.ok_or_else(|| node.missing(1))?;
        let ends = self.constants(node, "ends", 2)?.ok_or_else(|| node.missing(2))?;
        let axes = self.constants(node, "axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.constants(node, "steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err(node.unsupported("its bounds are not as many as its axes"));
        }
        for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
            let rank = x.axes.len();
            let place = wrapped(axis, rank, rank)
                .ok_or_else(|| node.unsupported(format!("its `axes` hold {axis}, and {rank} axes come")))?;
            let unread = || {
                node.unsupported(format!(
                    "it takes {start} to {end} by steps of {step} of axis {axis} of {}; slices of channels by steps of 1 are read",
                    axes_in_words(&x.axes)
                ))
            };
            if x.axes[place] == Axis::Width && step == -1 {
                x = self.mirrored(node, x, start, end)?;
                continue;
            }
            // Of the images of a batch none can be left out.
            let Some(size) = axis_size(x.axes[place], self.steps.shape(x.step)) else {
                if (start, step) == (0, 1) && end == i64::MAX {
                    continue;
                }
                return Err(unread());
            };
            let bound = |bound: i64| if bound < 0 { bound.saturating_add(size as i64) } else { bound };
            let (from, to) =
                (bound(start).clamp(0, size as i64) as usize, bound(end).clamp(0, size as i64) as usize);
            if step != 1 || to <= from {
                return Err(unread());
            }
            if (from, to) != (0, size) {
                x = self.some_channels(node, x, place, from..to)?;
            } else if self.is_own() && x.channels() == Some(place) {
                // floret writes none for nothing.
                x = self.layer(node, x, ChannelSlice::new(0, size), Vec::new())?;
            }
        }
        Ok(x)
    }

    fn some_channels(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        place: usize,
        part: std::ops::Range<usize>,
    ) -> NodeResult {
        if x.channels() != Some(place) || x.order != Order::Own {
            return Err(node.unsupported(format!(
                "it takes {} to {} of axis {place} of {}; some of the channels can be taken, and of no other axis",
                part.start,
                part.end,
                axes_in_words(&x.axes)
            )));
        }
        self.layer(node, x, ChannelSlice::new(part.start, part.len()), Vec::new())
    }

    /// `Split`: each output is some of the channels.
    pub(super) fn split(&mut self, node: &Node<'a>) -> Result<Vec<Value<'a>>, ImportError> {
        let x = self.activation(node, 0)?;
        let (axis, rank) = (node.int("axis")?.unwrap_or(0), x.axes.len());
        let place = wrapped(axis, rank, rank)
            .ok_or_else(|| node.unsupported(format!("its `axis` is {axis}, and {rank} axes come")))?;
        let size = axis_size(x.axes[place], self.steps.shape(x.step)).ok_or_else(|| {
            node.unsupported("it parts the images of a batch; parts of the channels are read")
        })?;
        let parts = node.outputs.len();
        let equal = size.div_ceil(parts) as i64;
        let sizes = match self.constants(node, "split", 1)? {
            Some(sizes) => sizes,
            None => (0..parts as i64).map(|part| equal.min(size as i64 - part * equal)).collect(),
        };
        let sum = sizes.iter().try_fold(0i64, |sum, &part| sum.checked_add(part).filter(|_| part > 0));
        if sizes.len() != parts || sum != Some(size as i64) {
            return Err(
                node.unsupported(format!("its parts {sizes:?} are not the {size} values in {parts} outputs"))
            );
        }
        let mut start = 0;
        let mut values = Vec::new();
        for len in sizes {
            let end = start + len as usize;
            let part = if (start, end) == (0, size) {
                x.clone()
            } else {
                self.some_channels(node, x.clone(), place, start..end)?
            };
            values.push(Value::Activation(part));
            start = end;
        }
        Ok(values)
    }

    /// `Gather`: of an axis that holds one value the axis goes; of all values of a batch all, by their places, are what they were.
    pub(super) fn gather(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.activation(node, 0)?;
        let indices = self.whole_numbers(node, 1)?;
        let (axis, rank) = (node.int("axis")?.unwrap_or(0), x.axes.len());
        let place = wrapped(axis, rank, rank);
        if x.axes == [Axis::All] {
            let Some(axes) = self.places(&x, &indices) else {
                return Err(node.unsupported("it picks some values of a batch; all in their order are read"));
            };
            return Ok(Activation { axes, ..x });
        }
        let place = place.filter(|&place| x.axes[place] == Axis::One);
        let (Some(place), [], Some(Size::Known(0 | -1))) = (place, indices.shape(), indices.first()) else {
            return Err(node.unsupported(format!(
                "it picks values along axis {axis} of {}; of values of the images the only one of an axis can be picked",
                axes_in_words(&x.axes)
            )));
        };
        x.axes.remove(place);
        Ok(x)
    }

    /// The axes of a vector whose values are picked from all of a batch, if these are the places of all in their order.
    fn places(&self, x: &Activation, indices: &ArrayD<Size>) -> Option<Vec<Axis>> {
        let len = self.steps.shape(x.step).len();
        let (&images, rest) = indices.shape().split_first()?;
        if rest.iter().filter(|size| **size != 1).count() > 1 || rest.iter().product::<usize>() != len {
            return None;
        }
        let len_of_image = i64::try_from(len).ok()?;
        let is_place = |(index, place): (usize, &Size)| match *place {
            Size::Known(place) => place == index as i64,
            Size::OfImage { times, plus } => images == 1 && (times, plus) == (len_of_image, index as i64),
            Size::Batch => false,
        };
        if !indices.iter().enumerate().all(is_place) {
            return None;
        }
        let flat = rest.iter().position(|&size| size == len)?;
        let ones = (0..rest.len()).map(|index| if index == flat { Axis::Flat } else { Axis::One });
        Some([Axis::Batch].into_iter().chain(ones).collect())
    }

    /// `Shape`: the sizes of a value, from `start` to `end`.
    pub(super) fn shape_of(&mut self, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
        let x = self.activation(node, 0)?;
        if x.mirror != Mirror::No {
            return Err(self.not_for_mirror_images(node));
        }
        if x.axes == [Axis::All] {
            return Err(node.unsupported("it takes the number of all values of a batch, which is not read"));
        }
        let shape = self.steps.shape(x.step);
        let size = |&axis: &Axis| axis_size(axis, shape).map_or(Size::Batch, |size| Size::Known(size as i64));
        let sizes: Vec<Size> = x.axes.iter().map(size).collect();
        let rank = sizes.len();
        let bound = |name: &str, default: usize| {
            let bound = node.int(name)?.map_or(Some(default), |bound| wrapped(bound, rank + 1, rank));
            bound.ok_or_else(|| node.unsupported(format!("its `{name}` is no axis")))
        };
        let (start, end) = (bound("start", 0)?, bound("end", rank)?);
        let sizes = sizes.get(start..end).unwrap_or_default().to_vec();
        Ok(Value::Constant(Constant::Ints(ndarray::Array1::from_vec(sizes).into_dyn())))
    }
}
