//! Constants that are added or multiplied: biases, and batch norms that an exporter took apart.

use ndarray::{ArrayD, IxDyn};

use super::importer::Importer;
use super::model::Node;
use super::operators::in_own_order;
use super::steps::Draft;
use super::value::{Activation, Axis};
use crate::nn::{BatchNorm, Conv2d, Dense, Init, LayerSpec};
use crate::onnx::ImportError;

/// So small that `1 + EPSILON` is 1 in `f32`: with a mean of 0 and a variance of 1 nothing but gamma and beta is left.
const EPSILON: f32 = 1e-8;

/// `y = scale x + shift` for each channel.
#[derive(Clone, Copy)]
enum Affine {
    Scale,
    Shift,
}

impl<'a> Importer<'a> {
    /// `Add`, `Sub`, `Mul` or `Div` of the input `x` and the constant `constant`.
    pub(super) fn with_constant(
        &mut self,
        node: &Node<'a>,
        x: usize,
        constant: usize,
    ) -> Result<Activation, ImportError> {
        let x = self.activation(node, x)?;
        if node.op == "Add" && self.lacks_bias(node, &x, constant)? {
            let bias = self.bias(node, constant, self.steps.shape(x.step).channels())?;
            let step = self.steps.renew(x.step, |draft| add_bias(draft, bias));
            return Ok(Activation { step, ..x });
        }
        let values = self.floats(node, constant)?;
        let channels = self.steps.shape(x.step).channels();
        if !self.is_by_channel(node, &x, constant)? || values.len() != channels {
            let shape = values.shape();
            return Err(node.unsupported(format!(
                "its constant of shape {shape:?} is not a value for each of {channels} channels"
            )));
        }
        let values = ArrayD::from_shape_vec(IxDyn(&[channels]), values.iter().copied().collect())
            .expect("a vector of its own length");
        let values = in_own_order(values, x.order);
        let (what, values) = match node.op {
            "Add" => (Affine::Shift, values),
            "Sub" => (Affine::Shift, -values),
            "Mul" => (Affine::Scale, values),
            _ => (Affine::Scale, values.mapv(f32::recip)),
        };
        self.affine(node, x, what, values)
    }

    /// A batch norm that scales or shifts, or the shift of the one before.
    fn affine(
        &mut self,
        node: &Node<'a>,
        x: Activation,
        what: Affine,
        values: ArrayD<f32>,
    ) -> Result<Activation, ImportError> {
        let is_norm = |draft: &Draft| matches!(draft.layer, LayerSpec::BatchNorm(_));
        if matches!(what, Affine::Shift) && self.steps.draft(x.step).is_some_and(is_norm) {
            let step = self.steps.renew(x.step, |draft| {
                let beta = draft.arrays.iter_mut().find(|(name, _)| *name == "beta");
                beta.into_iter().for_each(|(_, beta)| *beta += &values);
            });
            return Ok(Activation { step, ..x });
        }
        let (ones, zeros) = (ArrayD::ones(values.raw_dim()), ArrayD::zeros(values.raw_dim()));
        let (gamma, beta) = match what {
            Affine::Scale => (values, zeros.clone()),
            Affine::Shift => (ones.clone(), values),
        };
        let arrays =
            vec![("gamma", gamma), ("beta", beta), ("moving_mean", zeros), ("moving_variance", ones)];
        self.layer(node, x, BatchNorm { epsilon: EPSILON, ..BatchNorm::new() }, arrays)
    }

    /// Whether the constant fits as the bias of the layer that made `x`.
    fn lacks_bias(&self, node: &Node<'a>, x: &Activation, constant: usize) -> Result<bool, ImportError> {
        let fits = self.is_by_channel(node, x, constant)?;
        let layer = self.steps.draft(x.step).map(|draft| &draft.layer);
        Ok(fits
            && matches!(
                layer,
                Some(
                    LayerSpec::Conv2d(Conv2d { bias_init: None, .. })
                        | LayerSpec::Dense(Dense { bias_init: None, .. })
                )
            ))
    }

    /// Whether the constant's values are one for each channel, or one for all: aligned at the last axis, it has a size other
    /// than 1 only where the channels are.
    fn is_by_channel(&self, node: &Node<'a>, x: &Activation, constant: usize) -> Result<bool, ImportError> {
        let place = x.axes.iter().rposition(|axis| matches!(axis, Axis::Channels | Axis::Flat));
        let after = place.map_or(0, |place| x.axes.len() - 1 - place);
        let dims = &self.tensor(node, constant)?.dims;
        Ok(dims.iter().rev().enumerate().all(|(index, &size)| size == 1 || index == after))
    }

    /// A constant that is added to each of `outputs` outputs, as a vector.
    pub(super) fn bias(
        &mut self,
        node: &Node<'a>,
        index: usize,
        outputs: usize,
    ) -> Result<ArrayD<f32>, ImportError> {
        let bias = self.floats(node, index)?;
        let values: Vec<f32> = match bias.len() {
            1 => vec![bias.iter().copied().next().unwrap_or_default(); outputs],
            _ => bias.iter().copied().collect(),
        };
        if values.len() != outputs {
            let shape = bias.shape();
            return Err(node.unsupported(format!(
                "its input {index} has the shape {shape:?}, not a value for each of {outputs} outputs"
            )));
        }
        Ok(ArrayD::from_shape_vec(IxDyn(&[outputs]), values).expect("a vector of its own length"))
    }
}

fn add_bias(draft: &mut Draft, bias: ArrayD<f32>) {
    if let LayerSpec::Conv2d(Conv2d { bias_init, .. }) | LayerSpec::Dense(Dense { bias_init, .. }) =
        &mut draft.layer
    {
        *bias_init = Some(Init::Constant(0.0));
        draft.arrays.push(("bias", bias));
    }
}
