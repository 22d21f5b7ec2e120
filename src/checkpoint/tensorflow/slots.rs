//! What optimizers remember, as TensorFlow 1 saves it beside the variables.

use std::path::PathBuf;

use ndarray::ArrayD;

use super::network::{begin_network, keys, read_arrays, set_arrays};
use super::{Checkpoint, CheckpointWriter, NameMap, SlotsError, TensorFlowError};
use crate::network::Network;
use crate::optim::{Adam, Optimizer, Sgd};

/// An optimizer whose memory TensorFlow 1 saves in *slots*, tensors beside each variable of its shape.
///
/// | TensorFlow 1 | slots of the variable `w` | in floret |
/// | --- | --- | --- |
/// | `MomentumOptimizer(rate, m)`: `a = m a + g`, `w -= rate a` | `w/Momentum`: a | [`Sgd`]: `v = m v - rate g`, `w += v`, so `v = -rate a` |
/// | `AdamOptimizer` | `w/Adam`, `w/Adam_1`: m, v | [`Adam`]: m, v |
///
/// Adam's updates so far, t, are in `beta1_power` and `beta2_power`: each beta to the power of t + 1.
///
/// The momentum's rate is the optimizer's of the next update ([`Optimizer::learning_rate`]): set it before.
#[derive(Debug)]
#[non_exhaustive]
pub enum SlotOptimizer<'a> {
    /// Stochastic gradient descent with momentum.
    Momentum(&'a mut Sgd),
    /// Adam. TensorFlow 1's epsilon is 1e-8 unless set.
    Adam(&'a mut Adam),
}

/// The ends of the slots' names, in the order of floret's slots.
const MOMENTUM: [&str; 1] = ["Momentum"];
const ADAM: [&str; 2] = ["Adam", "Adam_1"];

/// The tensors that hold the powers of Adam's betas.
const POWERS: [&str; 2] = ["beta1_power", "beta2_power"];

impl SlotOptimizer<'_> {
    fn optimizer(&self) -> &dyn Optimizer {
        match self {
            SlotOptimizer::Momentum(sgd) => *sgd,
            SlotOptimizer::Adam(adam) => *adam,
        }
    }

    fn optimizer_mut(&mut self) -> &mut dyn Optimizer {
        match self {
            SlotOptimizer::Momentum(sgd) => *sgd,
            SlotOptimizer::Adam(adam) => *adam,
        }
    }

    fn names(&self) -> &'static [&'static str] {
        match self {
            SlotOptimizer::Momentum(_) => &MOMENTUM,
            SlotOptimizer::Adam(_) => &ADAM,
        }
    }

    /// What TensorFlow's values are multiplied by to be floret's.
    fn factor(&self) -> Result<f32, SlotsError> {
        let rate = match self {
            SlotOptimizer::Momentum(sgd) => sgd.learning_rate(),
            SlotOptimizer::Adam(_) => return Ok(1.0),
        };
        if rate > 0.0 && rate.is_finite() {
            return Ok(-rate);
        }
        Err(SlotsError::LearningRate(rate))
    }
}

/// [`save_network`](super::save_network), with the optimizer's slots.
///
/// # Errors
/// As there; an optimizer of no momentum or of another network, or at a learning rate of 0.
pub fn save_network_and_slots(
    prefix: impl Into<PathBuf>,
    network: &Network,
    names: &NameMap,
    optimizer: SlotOptimizer<'_>,
) -> Result<(), TensorFlowError> {
    let factor = optimizer.factor()?;
    let mut writer = begin_network(prefix.into(), network, names)?;
    let tensors = weights(network, names)?;
    let len: usize = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let ends = optimizer.names();
    let slots = optimizer.optimizer().slots();
    check_slots(slots.len(), ends)?;
    for (slot, end) in slots.into_iter().zip(ends) {
        let mut values = slot.values.to_vec();
        // None before the first update.
        if values.is_empty() {
            values.resize(len, 0.0);
        }
        if values.len() != len {
            return Err(SlotsError::Length { values: values.len(), weights: len }.into());
        }
        values.iter_mut().for_each(|value| *value /= factor);
        write_slot(&mut writer, &tensors, end, &values)?;
    }
    if let SlotOptimizer::Adam(adam) = &optimizer {
        let exponent = adam.common().steps as f64 + 1.0;
        for (name, beta) in POWERS.into_iter().zip(adam.decay_rates()) {
            writer.add(name, &[], &[f64::from(beta).powf(exponent) as f32])?;
        }
    }
    writer.finish()
}

fn write_slot(
    writer: &mut CheckpointWriter,
    tensors: &[(String, Vec<usize>)],
    end: &str,
    mut values: &[f32],
) -> Result<(), TensorFlowError> {
    for (tensor, shape) in tensors {
        let (slot, rest) = values.split_at(shape.iter().product());
        writer.add(&format!("{tensor}/{end}"), shape, slot)?;
        values = rest;
    }
    Ok(())
}

/// [`load_network`](super::load_network), with the optimizer's slots. Both are as they were if there is an error.
///
/// # Errors
/// As there; a slot that is missing or of another shape; an optimizer of no momentum, or at a learning rate of 0.
pub fn load_network_and_slots(
    network: &mut Network,
    checkpoint: &Checkpoint,
    names: &NameMap,
    mut optimizer: SlotOptimizer<'_>,
) -> Result<(), TensorFlowError> {
    let factor = optimizer.factor()?;
    let ends = optimizer.names();
    check_slots(optimizer.optimizer().slots().len(), ends)?;
    let keys = keys(network, checkpoint, names)?;
    let key = |array: &str| keys.iter().find(|(name, _)| name == array).map_or("", |(_, key)| key.as_str());
    let mut slots = Vec::new();
    for end in ends {
        let mut values = Vec::new();
        for (param, _) in network.weights() {
            let slot = read_slot(checkpoint, &format!("{}/{end}", key(&param.name)), &param.shape)?;
            values.extend(slot.iter().map(|value| factor * value));
        }
        slots.push(values);
    }
    let steps = match &optimizer {
        SlotOptimizer::Momentum(_) => None,
        SlotOptimizer::Adam(adam) => Some(adam_steps(checkpoint, adam.decay_rates())?),
    };
    let arrays = read_arrays(network, checkpoint, names)?;
    set_arrays(network, arrays)?;
    for (slot, values) in optimizer.optimizer_mut().slots_mut().into_iter().zip(slots) {
        *slot.values = values;
    }
    if let Some(steps) = steps {
        optimizer.optimizer_mut().common_mut().steps = steps;
    }
    Ok(())
}

fn read_slot(checkpoint: &Checkpoint, name: &str, shape: &[usize]) -> Result<ArrayD<f32>, TensorFlowError> {
    let info = checkpoint.info(name)?;
    if info.shape != shape {
        let (slot, variable) = (info.shape.clone(), shape.to_vec());
        return Err(SlotsError::Shape { name: name.to_owned(), slot, variable }.into());
    }
    checkpoint.read(name)?.to_f32()
}

/// How many updates the powers of the betas tell of: `beta^(t + 1)`. The slower one tells it better, and once it is too small
/// a number, it no longer matters.
fn adam_steps(checkpoint: &Checkpoint, betas: [f32; 2]) -> Result<u64, TensorFlowError> {
    let mut steps = 0f64;
    for (name, beta) in POWERS.into_iter().zip(betas) {
        let power = read_slot(checkpoint, name, &[])?.sum().max(f32::MIN_POSITIVE);
        let exponent = f64::from(power).ln() / f64::from(beta).ln();
        if exponent.is_finite() {
            steps = steps.max((exponent - 1.0).round());
        }
    }
    Ok(steps as u64)
}

fn check_slots(found: usize, ends: &[&str]) -> Result<(), SlotsError> {
    if found == ends.len() { Ok(()) } else { Err(SlotsError::NoMomentum) }
}

/// Tensor and shape of each weight, in the order of the optimizer's values.
fn weights(network: &Network, names: &NameMap) -> Result<Vec<(String, Vec<usize>)>, TensorFlowError> {
    let tensors = names.of(network)?;
    let tensor =
        |array: &str| tensors.iter().find(|(name, _)| *name == array).map_or("", |(_, tensor)| *tensor);
    Ok(network.weights().map(|(param, _)| (tensor(&param.name).to_owned(), param.shape.clone())).collect())
}
