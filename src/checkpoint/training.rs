//! Interrupted training as one file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::arrays::network_places;
use super::file::{self, Array, Described, Header, Kind, network_arrays};
use super::{Arithmetic, CheckpointError, ModelHeader, ModelInfo, check_count, load_model};
use crate::files::FileError;
use crate::network::Network;
use crate::optim::{Common, Optimizer};
use crate::train::{Best, Moment, Progress};

const NETWORK: &str = "network/";
const AVERAGE: &str = "average/";
const OPTIMIZER: &str = "optimizer/";

/// The most arrays of an optimizer's, each as long as the weights. Adam has two.
const MAX_SLOTS: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
struct TrainingHeader {
    #[serde(flatten)]
    model: ModelHeader,
    /// Whether there is an average of the weights.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    average: bool,
    optimizer: OptimizerHeader,
    progress: Progress,
    /// What the program that trains wants to find again.
    settings: serde_json::Value,
}

impl Header for TrainingHeader {
    fn check_arrays(&self, arrays: &mut Described<'_>) -> Result<(), CheckpointError> {
        let params = self.model.network.params();
        let (params, weights) = params.map_err(|error| CheckpointError::network(arrays.path(), error))?;
        arrays.take(NETWORK, &params)?;
        if self.average {
            arrays.take(AVERAGE, &params)?;
        }
        arrays.take_vectors(OPTIMIZER, MAX_SLOTS, weights)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct OptimizerHeader {
    settings: String,
    common: Common,
}

/// Writes all that resuming needs: network, average, optimizer and position as they are at this moment, and `settings` of the
/// caller's.
///
/// # Errors
/// Class names that do not fit the network's outputs, or preprocessing its input (where weights depend on the input's size: in
/// training it may be that of a [stage](crate::train::Stage)); a file that can't be written. An earlier one of this name is then
/// untouched.
pub fn save_training(
    path: impl AsRef<Path>,
    moment: Moment<'_>,
    info: &ModelInfo,
    settings: &serde_json::Value,
) -> Result<(), CheckpointError> {
    let path = path.as_ref();
    let Moment { network, average, optimizer, progress } = moment;
    let header = TrainingHeader {
        model: ModelHeader::in_training(path, network, info)?,
        average: average.is_some(),
        optimizer: OptimizerHeader { settings: optimizer.settings(), common: *optimizer.common() },
        progress: progress.clone(),
        settings: settings.clone(),
    };
    let mut arrays = arrays_under(NETWORK, network);
    arrays.extend(average.into_iter().flat_map(|average| arrays_under(AVERAGE, average)));
    let slots = optimizer.slots();
    if slots.len() > MAX_SLOTS {
        let (slots, limit) = (slots.len(), MAX_SLOTS);
        return Err(CheckpointError::ManySlots { path: path.into(), slots, limit });
    }
    arrays.extend(
        slots.iter().map(|slot| (format!("{OPTIMIZER}{}", slot.name), vec![slot.values.len()], slot.values)),
    );
    file::write(path, Kind::Training, &header, &arrays)
}

fn arrays_under<'a>(prefix: &str, network: &'a Network) -> Vec<Array<'a>> {
    let named = |(name, shape, values)| (format!("{prefix}{name}"), shape, values);
    network_arrays(network).into_iter().map(named).collect()
}

/// What [`load_training`] read.
#[derive(Debug)]
pub struct SavedTraining {
    /// The network as it was.
    pub network: Network,
    /// The average of its weights, if one was kept.
    pub average: Option<Network>,
    /// Class names and preprocessing.
    pub info: ModelInfo,
    /// Where training was.
    pub progress: Progress,
    /// What the program that trained wanted to find again.
    pub settings: serde_json::Value,
    /// With what it was computed, if the file tells. With another one, training goes on as well, but not to the same bits.
    pub arithmetic: Option<Arithmetic>,
    path: PathBuf,
    optimizer: OptimizerHeader,
    slots: Vec<(String, Vec<f32>)>,
}

/// Reads what [`save_training`] wrote. What is said of memory at [`load_model`](super::load_model) holds here too; the
/// average is a second network, and the optimizer's arrays take the memory of the weights once each, at most 8 times.
///
/// # Errors
/// A file that can't be read, is of another kind, is damaged, or whose arrays do not fit its network.
pub fn load_training(path: impl AsRef<Path>) -> Result<SavedTraining, CheckpointError> {
    let path = path.as_ref();
    let (header, arrays) = file::read::<TrainingHeader>(path, Kind::Training)?;
    let Progress { epoch, step, .. } = header.progress;
    for (what, count) in [("epochs", epoch), ("steps", step), ("updates", header.optimizer.common.steps)] {
        check_count(path, what, count)?;
    }
    if let Some(defect) = header.progress.defect() {
        return Err(CheckpointError::damaged(path, format!("it tells of {defect}")));
    }
    let zeros = |(name, len): (String, usize)| (name, vec![0.0; len]);
    let mut slots: Vec<_> = arrays.lengths_under(OPTIMIZER).into_iter().map(zeros).collect();
    let arithmetic = header.model.arithmetic.clone();
    let (mut network, info) = header.model.build(path)?;
    let mut average = header.average.then(|| network.clone());
    let of_slots =
        slots.iter_mut().map(|(name, values)| (format!("{OPTIMIZER}{name}"), values.as_mut_slice()));
    let of_average = average.iter_mut().flat_map(|average| network_places(average, AVERAGE));
    arrays.read_to(network_places(&mut network, NETWORK).chain(of_average).chain(of_slots).collect())?;
    let TrainingHeader { optimizer, progress, settings, .. } = header;
    Ok(SavedTraining {
        network,
        average,
        info,
        progress,
        settings,
        arithmetic,
        path: path.into(),
        optimizer,
        slots,
    })
}

impl SavedTraining {
    /// Sees to it that the file `model`, of [`Saver::model_path`](super::Saver::model_path), holds the best network that the
    /// state tells of. If it is missing, there is no best epoch any more, and it is given back.
    ///
    /// # Errors
    /// A model that is not of this run; one that can't be read.
    pub fn confirm_best(&mut self, model: impl AsRef<Path>) -> Result<Option<Best>, CheckpointError> {
        let model = model.as_ref();
        let Some(best) = self.progress.best else { return Ok(None) };
        let there = model.try_exists().map_err(|error| FileError::new(model, "open", error))?;
        if !there {
            return Ok(self.progress.best.take());
        }
        let (network, _) = load_model(model)?;
        let made =
            self.progress.history.iter().find(|epoch| epoch.epoch == best.epoch).map(|epoch| epoch.step);
        match made {
            Some(step) if network.seed() == self.network.seed() && network.steps() == step => {}
            // The crash came between the model's save and the state's, so the model is that of a better epoch, still to come:
            // it will be found again, unless training goes on in another way; then another one takes its place.
            Some(step) if network.seed() == self.network.seed() && network.steps() > step => {
                self.progress.best = None;
            }
            _ => return Err(CheckpointError::OtherModel { path: model.into(), epoch: best.epoch + 1 }),
        }
        Ok(None)
    }

    /// Brings `optimizer` into the state it was saved in.
    ///
    /// # Errors
    /// Another optimizer or other settings (learning rate, decay and clipping are taken from the file); slots that
    /// do not fit the network.
    pub fn restore(&mut self, optimizer: &mut dyn Optimizer) -> Result<(), CheckpointError> {
        if optimizer.settings() != self.optimizer.settings {
            return Err(CheckpointError::Optimizer {
                path: self.path.clone(),
                saved: self.optimizer.settings.clone(),
                wanted: optimizer.settings(),
            });
        }
        let damaged = |reason: String| CheckpointError::damaged(&self.path, reason);
        let weights: usize = self.network.weights().map(|(param, _)| param.len()).sum();
        let mut saved: Vec<_> = std::mem::take(&mut self.slots);
        for slot in optimizer.slots_mut() {
            let Some(place) = saved.iter().position(|(name, _)| name == slot.name) else {
                return Err(damaged(format!("the optimizer's array `{}` is missing", slot.name)));
            };
            let (_, values) = saved.swap_remove(place);
            // Empty before the first update.
            if !values.is_empty() && values.len() != weights {
                let message = format!(
                    "the optimizer's `{}` has {} values for {weights} weights",
                    slot.name,
                    values.len()
                );
                return Err(damaged(message));
            }
            *slot.values = values;
        }
        if let Some((name, _)) = saved.first() {
            return Err(damaged(format!("the optimizer's array `{name}` belongs to nothing")));
        }
        *optimizer.common_mut() = self.optimizer.common;
        Ok(())
    }
}
