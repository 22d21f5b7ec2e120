//! Pools, means and maxima over images, and the padding before them.

use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::slide::{Slide, slide};
use super::value::{Activation, Axis, Mirror, wrapped};
use crate::nn::{AvgPool2d, GlobalAvgPool, GlobalMaxPool, LayerSpec, MaxPool2d, Shape};

/// The most taps of a pool's window: see [`AvgPool2d`].
const MAX_TAPS: usize = 255;

impl<'a> Importer<'a> {
    pub(super) fn pool(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.any_activation(node, 0)?;
        self.check_place(node, &x)?;
        let before = std::mem::take(&mut x.pads);
        let [kh, kw] = node
            .sizes("kernel_shape", 1)?
            .ok_or_else(|| node.unsupported("its `kernel_shape` is missing"))?;
        if let Shape::Vector(_) = self.steps.shape(x.step)
            && (kh, kw, before) == (1, 1, [0; 4])
        {
            return Ok(x);
        }
        let [height, width, _] = self.image(node, &x)?;
        let Slide { kernel: size, stride, dilation, padding, pads, rounds_up } =
            slide(node, (height, width), (kh, kw), before)?;
        if dilation != (1, 1) {
            return Err(
                node.unsupported("its window has gaps (`dilations`), which are read of convolutions alone")
            );
        }
        let padded = before != [0; 4];
        if node.op == "MaxPool" {
            if padded && !self.is_never_negative(&x) {
                return Err(node.unsupported(
                    "it takes the maximum with zeros that a `Pad` put around values of both signs; floret's padding never wins: put a `Relu` \
                     before, or let the pool pad",
                ));
            }
            return self.layer(node, x, MaxPool2d { size, stride, padding }, Vec::new());
        }
        // What windows beyond the end reach, where their number is rounded up, never counts.
        let counts = node.int("count_include_pad")?.unwrap_or(0) != 0 && (has_pads(node) || !rounds_up);
        // Of its own padding and another's only both or none can count.
        let count = pads && (counts || padded);
        if count && (rounds_up || padded && !counts && has_pads(node)) {
            return Err(node.unsupported(
                "some of its padding counts in its means and some does not; all or none is read: export it with `ceil_mode=False`",
            ));
        }
        if size == (height, width) && !pads && size.0 * size.1 > MAX_TAPS {
            return self.global(node, x, GlobalAvgPool.into());
        }
        let pool = AvgPool2d::new(size).stride(stride).padding(padding).count_padding(count);
        self.layer(node, x, pool, Vec::new())
    }

    /// Whether the layer that made a value gives nothing below zero.
    fn is_never_negative(&self, x: &Activation) -> bool {
        let layer = self.steps.draft(x.step).map(|draft| &draft.layer);
        match layer {
            Some(LayerSpec::Clip(clip)) => clip.min >= 0.0,
            Some(layer) => matches!(
                layer,
                LayerSpec::Relu(_) | LayerSpec::Relu6(_) | LayerSpec::Sigmoid(_) | LayerSpec::HardSigmoid(_)
            ),
            None => false,
        }
    }

    pub(super) fn global_pool(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.activation(node, 0)?;
        if let Shape::Vector(_) = self.steps.shape(x.step)
            && x.axes == [Axis::Batch, Axis::Flat, Axis::One, Axis::One]
        {
            return Ok(x);
        }
        self.image(node, &x)?;
        let layer = if node.op == "GlobalMaxPool" { GlobalMaxPool.into() } else { GlobalAvgPool.into() };
        self.global(node, x, layer)
    }

    /// A mean or maximum over all pixels of an image NCHW, whose axes stay.
    fn global(&mut self, node: &Node<'a>, x: Activation, layer: LayerSpec) -> NodeResult {
        let x = self.layer(node, x, layer, Vec::new())?;
        Ok(Activation { axes: vec![Axis::Batch, Axis::Flat, Axis::One, Axis::One], ..x })
    }

    /// `ReduceMean`, `ReduceMax`: over all pixels.
    pub(super) fn reduce(&mut self, node: &Node<'a>) -> NodeResult {
        if self.any_activation(node, 0)?.mirror == Mirror::Apart {
            return self.mean_of_both(node);
        }
        let x = self.activation(node, 0)?;
        let rank = x.axes.len();
        let axes = self.constants(node, "axes", 1)?.unwrap_or_default();
        let over: Option<Vec<usize>> = axes.iter().map(|&axis| wrapped(axis, rank, rank)).collect();
        let over = over.unwrap_or_default();
        let reduced = |index: usize| over.contains(&index);
        let has =
            |axis: Axis| x.axes.iter().enumerate().any(|(index, &found)| found == axis && reduced(index));
        let is_image = matches!(self.steps.shape(x.step), Shape::Image { .. });
        let others =
            over.iter().any(|&index| !matches!(x.axes[index], Axis::Height | Axis::Width | Axis::One));
        let whole = if is_image { has(Axis::Height) && has(Axis::Width) } else { !over.is_empty() };
        if !whole || others {
            return Err(node.unsupported(format!(
                "it goes over the axes {axes:?} of {}; means and maxima over height and width together are read",
                axes_in_words(&x.axes)
            )));
        }
        let keep = node.int("keepdims")?.unwrap_or(1) != 0;
        let axis = |(index, &axis): (usize, &Axis)| match axis {
            _ if reduced(index) => keep.then_some(Axis::One),
            Axis::Channels => Some(Axis::Flat),
            axis => Some(axis),
        };
        let axes = x.axes.iter().enumerate().filter_map(axis).collect();
        let x = match (is_image, node.op) {
            (false, _) => x,
            (true, "ReduceMax") => self.layer(node, x, GlobalMaxPool, Vec::new())?,
            (true, _) => self.layer(node, x, GlobalAvgPool, Vec::new())?,
        };
        Ok(Activation { axes, ..x })
    }

    /// Zeros around an image, for the convolution or pool behind it.
    pub(super) fn pad(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.any_activation(node, 0)?;
        self.check_place(node, &x)?;
        if let Some(mode) = node.attribute("mode").and_then(|mode| mode.string)
            && mode != b"constant"
        {
            let mode = String::from_utf8_lossy(mode);
            return Err(node.unsupported(format!(
                "it pads by `{}`; zeros are read, and no other padding",
                mode.escape_debug()
            )));
        }
        let value = match node.input(2) {
            Some(_) => self.floats(node, 2)?.iter().copied().next().unwrap_or_default(),
            None => node.float("value")?.unwrap_or(0.0),
        };
        let pads = self.constants(node, "pads", 1)?.ok_or_else(|| node.missing(1))?;
        let rank = x.axes.len();
        let axes = match node.input(3) {
            Some(_) => self.constants(node, "axes", 3)?.unwrap_or_default(),
            None => (0..rank as i64).collect(),
        };
        if pads.iter().all(|&pad| pad == 0) {
            return Ok(x);
        }
        let unread = || {
            node.unsupported(format!(
                "it pads by {pads:?} with {value} the axes {}; zeros around height and width are read",
                axes_in_words(&x.axes)
            ))
        };
        if value != 0.0
            || pads.len() != 2 * axes.len()
            || matches!(self.steps.shape(x.step), Shape::Vector(_))
        {
            return Err(unread());
        }
        let mut sums = x.pads;
        for (index, &axis) in axes.iter().enumerate() {
            let axis = wrapped(axis, rank, rank).ok_or_else(unread)?;
            let pad = |pad: i64| usize::try_from(pad).map_err(|_| unread());
            let (before, after) = (pad(pads[index])?, pad(pads[axes.len() + index])?);
            let [first, last] = match x.axes[axis] {
                Axis::Height => [0, 2],
                Axis::Width => [1, 3],
                _ if (before, after) == (0, 0) => continue,
                _ => return Err(unread()),
            };
            sums[first] = sums[first].saturating_add(before);
            sums[last] = sums[last].saturating_add(after);
        }
        x.pads = sums;
        Ok(x)
    }
}

/// Whether a node pads by itself.
fn has_pads(node: &Node<'_>) -> bool {
    node.ints("pads").is_some_and(|pads| pads.iter().any(|&pad| pad != 0))
}
