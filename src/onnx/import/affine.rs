//! Constants that are added and multiplied: biases, layer scales, and norms that an exporter took apart.

use std::ops::RangeInclusive;

use ndarray::{ArrayD, IxDyn};

use super::importer::{Importer, NodeResult, axes_in_words};
use super::model::Node;
use super::steps::{Draft, StepId, Steps};
use super::value::{Activation, Order};
use crate::image::Normalize;
use crate::nn::{BatchNorm, Conv2d, Dense, Init, LayerScale, LayerSpec};
use crate::onnx::ImportError;

/// So small that `1 + EPSILON` is 1 in `f32`: with a mean of 0 and a variance of 1 nothing but gamma and beta is left.
const EPSILON: f32 = 1e-8;

/// `y = scale x + shift` for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affine {
    Scale,
    Shift,
}

/// What is done to the network's input for each channel: `y = scale x + shift`.
pub struct Rescaling {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

/// The largest factor that levels are rescaled by: they are divided by 127 or 255, and by deviations of no less than 0.2. What is
/// rescaled by more is normalized already.
const OF_LEVELS: f32 = 1.0 / 40.0;
/// Factors and means of values from 0 to 1: they are divided by deviations of 0.1 to 0.5, after what lies in their middle.
const OF_SHARES: RangeInclusive<f32> = 1.9..=10.0;
const MEANS: RangeInclusive<f32> = 0.2..=0.8;

impl Rescaling {
    /// How levels become what it takes, where its numbers tell: as they are, or divided by 255.
    pub fn takes(&self) -> Option<Normalize> {
        let is_share =
            |(scale, shift): (&f32, &f32)| OF_SHARES.contains(scale) && MEANS.contains(&(-shift / scale));
        if self.scale.iter().all(|scale| scale.abs() < OF_LEVELS) {
            Some(Normalize::LEVELS)
        } else if self.scale.len() == 3 && self.scale.iter().zip(&self.shift).all(is_share) {
            Some(Normalize::SHARES)
        } else {
            None
        }
    }
}

impl<'a> Importer<'a> {
    /// `Add`, `Sub`, `Mul` or `Div` of the input `x` and the constant `constant`.
    pub(super) fn with_constant(&mut self, node: &Node<'a>, x: usize, constant: usize) -> NodeResult {
        let mut x = self.activation(node, x)?;
        let values = self.by_channel(node, &x, constant)?;
        let (what, values) = match (node.op, constant) {
            ("Add", _) => (Affine::Shift, values),
            ("Sub", 1) => (Affine::Shift, -values),
            // c - x
            ("Sub", _) => {
                x = self.scale(node, x, -1.0)?;
                (Affine::Shift, values)
            }
            ("Mul", _) => (Affine::Scale, values),
            ("Div", 1) => (Affine::Scale, values.mapv(f32::recip)),
            _ => {
                return Err(node.unsupported(
                    "it divides a constant by a value of the images; only the reverse is read",
                ));
            }
        };
        self.affine(node, x, what, values)
    }

    /// A constant as a value for each channel, in floret's order: it has them, or is one number for all.
    fn by_channel(
        &mut self,
        node: &Node<'a>,
        x: &Activation,
        constant: usize,
    ) -> Result<ArrayD<f32>, ImportError> {
        let channels = self.steps.shape(x.step).channels();
        let dims = self.constant_shape(node, constant)?;
        // Aligned at the last axis, it has a size other than 1 only where the channels are.
        let after = x.channels().map_or(0, |place| x.axes.len() - 1 - place);
        let fits = dims
            .iter()
            .rev()
            .enumerate()
            .all(|(index, &size)| size == 1 || index == after && size == channels);
        let known = x.channels().is_some() || dims.iter().all(|&size| size == 1);
        let fits = fits && known && dims.len() <= x.axes.len();
        if !fits {
            return Err(node.unsupported(format!(
                "its constant of shape {dims:?} is not a value for each of {channels} channels of {}, nor one for all",
                axes_in_words(&x.axes)
            )));
        }
        let values = self.floats(node, constant)?;
        Ok(in_own_order(self.repeated(node, values, channels)?, x.order))
    }

    /// The value times a number.
    pub(super) fn scale(&mut self, node: &Node<'a>, x: Activation, number: f32) -> NodeResult {
        self.affine_number(node, x, Affine::Scale, number)
    }

    /// The value with a number added to it, or times it.
    pub(super) fn affine_number(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        what: Affine,
        number: f32,
    ) -> NodeResult {
        let channels = self.steps.shape(x.step).channels();
        self.spend_values(node, channels)?;
        self.affine(node, x, what, ArrayD::from_elem(IxDyn(&[channels]), number))
    }

    /// Takes values for each channel into the layer before, where that changes nothing else; or a layer of their own.
    fn affine(&mut self, node: &Node<'a>, x: Activation, what: Affine, values: ArrayD<f32>) -> NodeResult {
        if !x.shared
            && let Some(draft) = self.steps.draft_mut(x.step)
            && take_up(draft, what, &values)
        {
            return Ok(x);
        }
        let (layer, arrays): (LayerSpec, _) = match what {
            Affine::Scale => (LayerScale::new(1.0).into(), vec![("gamma", values)]),
            Affine::Shift => batch_norm(ArrayD::ones(values.raw_dim()), values),
        };
        let x = self.layer(node, x, layer, arrays)?;
        // What floret wrote comes back layer by layer.
        let open = !self.is_own();
        self.steps.draft_mut(x.step).into_iter().for_each(|draft| draft.open = open);
        Ok(x)
    }

    /// The rescaling of the network's input that alone makes `x`, and nothing else takes.
    pub(super) fn rescaling(&self, x: &Activation) -> Option<Rescaling> {
        if x.shared { None } else { self.rescaling_at(x.step) }
    }

    /// The same, whatever takes it.
    pub(super) fn rescaling_at(&self, step: StepId) -> Option<Rescaling> {
        let draft = self.steps.draft(step).filter(|draft| draft.open)?;
        if self.steps.inputs(step) != [Steps::INPUT] {
            return None;
        }
        let array = |wanted: &str| {
            let found = draft.arrays.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, values)| values.iter().copied().collect::<Vec<f32>>())
        };
        let scale = array("gamma")?;
        let shift = match draft.layer {
            LayerSpec::LayerScale(_) => vec![0.0; scale.len()],
            LayerSpec::BatchNorm(_) => array("beta")?,
            _ => return None,
        };
        Some(Rescaling { scale, shift })
    }

    pub(super) fn batch_norm(&mut self, node: &Node<'a>) -> NodeResult {
        let x = self.activation(node, 0)?;
        node.expect_int("training_mode", 0)?;
        let channels = self.steps.shape(x.step).channels();
        if x.channels() != Some(1) {
            return Err(node.unsupported(format!(
                "it takes the axes {}, and its channels are the second: a `Transpose` before it is missing",
                axes_in_words(&x.axes)
            )));
        }
        let mut arrays = Vec::new();
        for (index, name) in (1..).zip(["gamma", "beta", "moving_mean", "moving_variance"]) {
            let values = self.vector(node, index, channels)?;
            arrays.push((name, in_own_order(values, x.order)));
        }
        let norm = BatchNorm {
            momentum: node.float("momentum")?.unwrap_or(0.9),
            epsilon: node.float("epsilon")?.unwrap_or(1e-5),
        };
        self.layer(node, x, norm, arrays)
    }

    /// A constant of one axis of so many values.
    pub(super) fn vector(
        &mut self,
        node: &Node<'a>,
        index: usize,
        len: usize,
    ) -> Result<ArrayD<f32>, ImportError> {
        let shape = self.constant_shape(node, index)?;
        if shape != [len] {
            return Err(node.unsupported(format!(
                "{} has the shape {shape:?}, and {len} channels come",
                node.role(index)
            )));
        }
        self.floats(node, index)
    }

    /// A constant that is added to each of `outputs` outputs, as a vector.
    pub(super) fn bias(
        &mut self,
        node: &Node<'a>,
        index: usize,
        outputs: usize,
    ) -> Result<ArrayD<f32>, ImportError> {
        let shape = self.constant_shape(node, index)?;
        let len = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if len != Some(outputs) && len != Some(1) {
            return Err(node.unsupported(format!(
                "{} has the shape {shape:?}, not a value for each of {outputs} outputs",
                node.role(index)
            )));
        }
        let bias = self.floats(node, index)?;
        self.repeated(node, bias, outputs)
    }

    /// So many values: these, or the one there is for all.
    fn repeated(
        &mut self,
        node: &Node<'a>,
        values: ArrayD<f32>,
        len: usize,
    ) -> Result<ArrayD<f32>, ImportError> {
        let values: Vec<f32> = match values.len() {
            1 => {
                self.spend_values(node, len)?;
                vec![values.iter().copied().next().unwrap_or_default(); len]
            }
            _ => values.iter().copied().collect(),
        };
        let shape = IxDyn(&[values.len()]);
        Ok(ArrayD::from_shape_vec(shape, values).expect("a vector of its own length"))
    }
}

/// A batch norm that is nothing but `y = gamma x + beta` in inference.
fn batch_norm(gamma: ArrayD<f32>, beta: ArrayD<f32>) -> (LayerSpec, Vec<(&'static str, ArrayD<f32>)>) {
    let (zeros, ones) = (ArrayD::zeros(beta.raw_dim()), ArrayD::ones(beta.raw_dim()));
    let arrays = vec![("gamma", gamma), ("beta", beta), ("moving_mean", zeros), ("moving_variance", ones)];
    (BatchNorm { epsilon: EPSILON, ..BatchNorm::new() }.into(), arrays)
}

/// Whether the layer took the values up.
fn take_up(draft: &mut Draft, what: Affine, values: &ArrayD<f32>) -> bool {
    let open = draft.open;
    let arrays = &mut draft.arrays;
    let array =
        |arrays: &mut Vec<(&'static str, ArrayD<f32>)>, wanted: &str, change: &dyn Fn(&mut ArrayD<f32>)| {
            arrays.iter_mut().filter(|(name, _)| *name == wanted).for_each(|(_, array)| change(array));
        };
    match (what, &mut draft.layer) {
        (
            Affine::Shift,
            LayerSpec::Conv2d(Conv2d { bias_init: bias @ None, .. })
            | LayerSpec::Dense(Dense { bias_init: bias @ None, .. }),
        ) => {
            *bias = Some(Init::Constant(0.0));
            arrays.push(("bias", values.clone()));
        }
        (Affine::Shift, LayerSpec::BatchNorm(_) | LayerSpec::LayerNorm(_)) => {
            array(arrays, "beta", &|beta| *beta += values);
        }
        (Affine::Shift, LayerSpec::LayerScale(_)) if open => {
            let gamma =
                arrays.pop().map(|(_, gamma)| gamma).unwrap_or_else(|| ArrayD::ones(values.raw_dim()));
            (draft.layer, draft.arrays) = batch_norm(gamma, values.clone());
        }
        (Affine::Scale, LayerSpec::BatchNorm(_) | LayerSpec::LayerNorm(_) | LayerSpec::LayerScale(_))
            if open =>
        {
            array(arrays, "gamma", &|gamma| *gamma *= values);
            array(arrays, "beta", &|beta| *beta *= values);
        }
        _ => return false,
    }
    true
}

/// An array whose first axis counts the values of a vector, put into floret's order of them.
pub fn in_own_order(array: ArrayD<f32>, order: Order) -> ArrayD<f32> {
    let Order::Chw { height, width, channels } = order else { return array };
    let chw = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        channel * height * width + pixel
    };
    let rows: Vec<usize> = (0..height * width * channels).map(chw).collect();
    array.select(ndarray::Axis(0), &rows)
}
