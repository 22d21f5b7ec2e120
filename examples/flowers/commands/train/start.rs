//! A run that begins with the network of a model.

use std::path::Path;

use floret::checkpoint::{ModelInfo, load_model};
use floret::network::{Network, NetworkBuilder};

use super::{Args, Settings};
use crate::{Result, args, memory, ui};

/// A network to begin with.
pub struct Start(Network);

/// Reads the model. Its image size and fit are taken where no flag says them; classes must be those of the data.
pub fn read(path: &Path, settings: &mut Settings, flags: &Args, classes: &[String]) -> Result<Start> {
    let (network, info) = load_model(path)?;
    let ModelInfo { classes: known, preprocess } = info;
    let path = ui::path(path);
    if known != classes {
        let (known, data) = (ui::names(&known), ui::names(classes));
        return Err(format!(
            "{path} knows the classes {known}, but the data has {data}: train on data of the model's classes, in their order"
        )
        .into());
    }
    let side = preprocess.image_size;
    if let Some(wanted) = flags.image_size.filter(|wanted| *wanted != side) {
        return Err(format!("{path} takes images of {side}x{side}: leave out --image-size {wanted}").into());
    }
    args::image_size(&side.to_string())
        .map_err(|error| format!("{path} takes images of {side}x{side}: {error}"))?;
    settings.set_network(settings.network, side);
    // Only some networks can train on smaller images.
    let mut network = network;
    let smaller = settings.train_sizes.iter().try_for_each(|&size| network.set_input((size, size, 3)));
    if smaller.is_err() {
        settings.train_sizes = vec![side];
    }
    network.set_input((side, side, 3))?;
    settings.fit = flags.fit.unwrap_or(preprocess.fit);
    Ok(Start(network))
}

impl Start {
    /// The network with its weights, and with the loss and the seed of the settings, if training it on so many photos fits
    /// into memory.
    pub fn network(&self, settings: &Settings, photos: usize) -> Result<Network> {
        let Self(start) = self;
        let builder = NetworkBuilder::from_spec(start.spec().clone()).loss(settings.loss());
        let builder = builder.test_time_flip(settings.regularization.test_time_flip);
        memory::require(&builder, settings.batch_size.min(photos), settings.image_size)?;
        let mut network = builder.seed(settings.seed).build()?;
        for (param, values) in start.arrays() {
            network.set_array(&param.name, values)?;
        }
        Ok(network)
    }
}
