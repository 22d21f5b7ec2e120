//! Operators that compute nothing floret has to compute: other looks at the same values.

use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::{FLOAT, Node};
use super::value::{Activation, Axis, Mirror, NCHW, NHWC, Order, Size, axis_size, wrapped};
use crate::nn::{ChannelShuffle, Flatten, Shape};

/// The most axes that a value is seen by.
const MAX_AXES: usize = 16;

impl<'a> Importer<'a> {
    pub(super) fn flatten_node(&mut self, node: &Node<'a>) -> NodeResult {
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
    fn flatten(&mut self, node: &Node<'a>, x: Activation) -> NodeResult {
        let axes = vec![Axis::Batch, Axis::Flat];
        let Shape::Image { height, width, channels } = self.steps.shape(x.step) else {
            return match x.channels() {
                Some(_) => Ok(Activation { axes, ..x }),
                None => Err(node.unsupported("it flattens channels that were parted into groups")),
            };
        };
        let is_known = x.axes == NCHW || x.axes == NHWC;
        let order = if height * width == 1 && x.channels().is_some()
            || x.axes == NHWC
            || channels == 1 && is_known
        {
            Order::Own
        } else if x.axes == NCHW {
            Order::Chw { height, width, channels }
        } else {
            return Err(node.unsupported(format!(
                "it flattens an image by the axes {}; (batch, channels, height, width) and (batch, height, width, channels) are read",
                axes_in_words(&x.axes)
            )));
        };
        let x = self.layer(node, x, Flatten, Vec::new())?;
        Ok(Activation { axes, order, ..x })
    }

    /// `Reshape`: to vectors, to the same with axes of size 1 elsewhere, of channels to groups and back.
    pub(super) fn reshape(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.activation(node, 0)?;
        let shape = self.sizes(node, 1)?;
        if let Some(apart) = self.apart(&x, &shape) {
            return Ok(apart);
        }
        let of_x = self.steps.shape(x.step);
        let from: Vec<Size> = x
            .axes
            .iter()
            .map(|&axis| axis_size(axis, of_x).map_or(Size::Batch, |size| Size::Known(size as i64)))
            .collect();
        let unread = || {
            node.unsupported(format!(
                "it makes {} of {}; vectors of images, axes of size 1, and groups of channels are read, the batch first",
                sizes_in_words(&shape),
                sizes_in_words(&from)
            ))
        };
        // A number of images that the graph has fixed is not that of the mirror images too.
        if x.mirror != Mirror::No && !matches!(shape.first(), Some(Size::Known(0 | -1))) {
            return Err(self.not_for_mirror_images(node));
        }
        if shape == [Size::Known(-1)]
            && matches!(of_x, Shape::Vector(_))
            && x.order == Order::Own
            && x.axes[0] == Axis::Batch
        {
            return Ok(Activation { axes: vec![Axis::All], ..x });
        }
        let keeps = node.int("allowzero")?.unwrap_or(0) == 0;
        let of_image = target(&shape, &from, of_x.len(), keeps).ok_or_else(unread)?;
        // A vector, with axes of size 1 around it.
        let others = of_image.iter().filter(|size| **size != 1).count();
        if x.channels().is_some()
            && others <= 1
            && of_image.contains(&of_x.len())
            && of_image != self.sizes_of(&x)[1..]
        {
            let flat = of_image.iter().position(|&size| size == of_x.len()).unwrap_or_default();
            let ones = (0..of_image.len()).map(|index| if index == flat { Axis::Flat } else { Axis::One });
            let axes = [Axis::Batch].into_iter().chain(ones).collect();
            let x = self.flatten(node, x)?;
            return Ok(Activation { axes, ..x });
        }
        let sizes = self.sizes_of(&x);
        let (axes, shuffle) = matched(&x, &sizes[1..], &of_image).ok_or_else(unread)?;
        let mut axes: Vec<Axis> = [Axis::Batch].into_iter().chain(axes).collect();
        if matches!(of_x, Shape::Vector(_)) {
            axes.iter_mut().filter(|axis| **axis == Axis::Channels).for_each(|axis| *axis = Axis::Flat);
        }
        let x = match shuffle {
            Some(groups) => self.layer(node, x, ChannelShuffle::new(groups), Vec::new())?,
            None => x,
        };
        self.seen_by(node, x, axes)
    }

    /// The sizes of all axes, that of the batch as 0.
    fn sizes_of(&self, x: &Activation) -> Vec<usize> {
        let shape = self.steps.shape(x.step);
        x.axes.iter().map(|&axis| axis_size(axis, shape).unwrap_or(0)).collect()
    }

    /// The value by these axes; one of an image that has lost its height and width is a vector.
    fn seen_by(&mut self, node: &Node<'a>, x: Activation, mut axes: Vec<Axis>) -> NodeResult {
        let Shape::Image { height, width, .. } = self.steps.shape(x.step) else {
            return Ok(Activation { axes, ..x });
        };
        if axes.contains(&Axis::Height) && axes.contains(&Axis::Width) {
            return Ok(Activation { axes, ..x });
        }
        if (height, width) != (1, 1) {
            return Err(node.unsupported(format!(
                "it takes an axis from an image of {height}x{width}; height and width must go together, where both are 1"
            )));
        }
        let x = self.flatten(node, x)?;
        for axis in &mut axes {
            *axis = match *axis {
                Axis::Channels => Axis::Flat,
                Axis::Height | Axis::Width => Axis::One,
                axis => axis,
            };
        }
        Ok(Activation { axes, ..x })
    }

    pub(super) fn squeeze(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.activation(node, 0)?;
        let given = self.constants(node, "axes", 1)?;
        let sizes = self.sizes_of(&x);
        if node.op == "Unsqueeze" {
            let given = given.ok_or_else(|| node.missing(1))?;
            let rank = x.axes.len() + given.len();
            let added: Option<Vec<usize>> = given.iter().map(|&axis| wrapped(axis, rank, rank)).collect();
            let added = added.filter(|added| !added.contains(&0) && rank <= MAX_AXES).ok_or_else(|| {
                node.unsupported(format!(
                    "its axes {given:?} are none behind the batch of {}",
                    axes_in_words(&x.axes)
                ))
            })?;
            let mut kept = x.axes.iter().copied();
            let axes = (0..rank).map(|axis| match added.contains(&axis) {
                true => Axis::One,
                false => kept.next().unwrap_or(Axis::One),
            });
            return Ok(Activation { axes: axes.collect(), ..x });
        }
        let rank = x.axes.len();
        let dropped = |index: usize| match &given {
            None => sizes[index] == 1,
            Some(axes) => axes.iter().any(|&axis| wrapped(axis, rank, rank) == Some(index)),
        };
        let (drop, keep): (Vec<usize>, Vec<usize>) = (0..rank).partition(|&index| dropped(index));
        if drop.iter().any(|&index| sizes[index] != 1 || Some(index) == x.channels()) {
            return Err(node.unsupported(format!(
                "it takes axes from {} that are not of size 1, or hold the channels",
                axes_in_words(&x.axes)
            )));
        }
        let axes = keep.into_iter().map(|index| x.axes[index]).collect();
        self.seen_by(node, x, axes)
    }

    pub(super) fn transpose(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.any_activation(node, 0)?;
        let rank = x.axes.len();
        let perm: Vec<i64> =
            node.ints("perm").map_or_else(|| (0..rank as i64).rev().collect(), <[i64]>::to_vec);
        let places: Option<Vec<usize>> = perm.iter().map(|&axis| wrapped(axis, rank, rank)).collect();
        let mut sorted = places.clone().unwrap_or_default();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(node.unsupported(format!(
                "its `perm` {perm:?} is no order of the {rank} axes {}",
                axes_in_words(&x.axes)
            )));
        }
        x.axes = places.into_iter().flatten().map(|place| x.axes[place]).collect();
        Ok(x)
    }

    pub(super) fn softmax(&mut self, node: &Node<'a>) -> NodeResult {
        let mut x = self.any_activation(node, 0)?;
        if x.mirror != Mirror::Mean || x.softmax {
            x = self.activation(node, 0)?;
        }
        let last = node.int("axis")?.is_none_or(|axis| matches!(axis, -1 | 1));
        if x.axes != [Axis::Batch, Axis::Flat] || !last {
            return Err(node.unsupported("a softmax over the outputs of each image is read, and no other"));
        }
        Ok(Activation { softmax: true, ..x })
    }

    /// A value of floats, cast to what it is.
    pub(super) fn cast(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.any_activation(node, 0)?;
        match node.int("to")? {
            Some(to) if to == FLOAT as i64 => Ok(x),
            to => Err(node.unsupported(format!(
                "it makes values of type {} of the images'; networks of 32-bit floats are read: export it in that type",
                to.unwrap_or_default()
            ))),
        }
    }
}

/// `(batch, 8, 1, 1)`
fn sizes_in_words(sizes: &[Size]) -> String {
    let word = |size: &Size| match size {
        Size::Known(size) => size.to_string(),
        Size::Batch => "batch".into(),
        Size::OfImage { .. } => "one for each image".into(),
    };
    format!("({})", sizes.iter().map(word).collect::<Vec<_>>().join(", "))
}

/// The sizes that a reshape gives each image of `len` values, if it leaves the batch as the first axis.
fn target(shape: &[Size], from: &[Size], len: usize, keeps_zeros: bool) -> Option<Vec<usize>> {
    let of_from = |index: usize| from.get(index).copied();
    let resolved: Option<Vec<Size>> = shape
        .iter()
        .enumerate()
        .map(|(index, &size)| if size == Size::Known(0) && keeps_zeros { of_from(index) } else { Some(size) })
        .collect();
    let resolved = resolved?;
    let (batch, rest) = resolved.split_first()?;
    if from.first() != Some(&Size::Batch) {
        return None;
    }
    let rest: Option<Vec<i64>> = rest.iter().map(|size| size.known()).collect();
    let mut rest = rest?;
    let known = rest
        .iter()
        .filter(|size| **size != -1)
        .try_fold(1usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?))?;
    let open = rest.iter().filter(|size| **size == -1).count();
    let fits = match (batch, open) {
        // Of a batch that the graph has fixed any number will do.
        (Size::Batch | Size::Known(1..), 1) => known > 0 && len.is_multiple_of(known),
        (Size::Batch | Size::Known(1.. | -1), 0) => known == len,
        _ => false,
    };
    if !fits {
        return None;
    }
    rest.iter_mut().filter(|size| **size == -1).for_each(|size| *size = (len / known) as i64);
    rest.into_iter().map(|size| usize::try_from(size).ok()).collect()
}

/// The axes behind the batch that sizes `to` are, of the same behind the batch of `x`, which are of sizes `from`; and the groups that
/// channels are to be shuffled from.
fn matched(x: &Activation, from: &[usize], to: &[usize]) -> Option<(Vec<Axis>, Option<usize>)> {
    let axes = &x.axes[1..];
    let (mut axes_to, mut shuffle, mut i, mut j) = (Vec::new(), None, 0, 0);
    while i < from.len() || j < to.len() {
        match (from.get(i), to.get(j)) {
            (Some(a), Some(b)) if a == b => {
                axes_to.push(axes[i]);
                (i, j) = (i + 1, j + 1);
            }
            // Axes that hold one value come and go.
            (Some(1), _)
                if !matches!(axes[i], Axis::Channels | Axis::Flat | Axis::Groups(_) | Axis::InGroup(_)) =>
            {
                i += 1
            }
            (_, Some(1)) => {
                axes_to.push(Axis::One);
                j += 1;
            }
            // Channels part,
            (Some(&a), Some(&groups)) if a > groups => {
                let in_group = *to.get(j + 1)?;
                let own = matches!(axes[i], Axis::Channels | Axis::Flat) && x.order == Order::Own;
                if !own || groups.checked_mul(in_group) != Some(a) {
                    return None;
                }
                axes_to.extend([Axis::Groups(groups), Axis::InGroup(in_group)]);
                (i, j) = (i + 1, j + 2);
            }
            // and come together, in their order or shuffled.
            (Some(&a), Some(&b)) => {
                if a.checked_mul(*from.get(i + 1)?) != Some(b) {
                    return None;
                }
                match (axes[i], axes[i + 1]) {
                    (Axis::Groups(_), Axis::InGroup(_)) => {}
                    (Axis::InGroup(_), Axis::Groups(groups)) => shuffle = Some(groups),
                    _ => return None,
                }
                axes_to.push(Axis::Channels);
                (i, j) = (i + 2, j + 1);
            }
            _ => return None,
        }
    }
    Some((axes_to, shuffle))
}
