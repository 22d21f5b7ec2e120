//! A run that begins with the network of a model.

use std::path::Path;

use clap::ValueEnum;
use floret::checkpoint::{ModelInfo, load_model};
use floret::network::{Network, NetworkBuilder};
use floret::nn::Init;

use super::settings::learning_rate;
use super::{Architecture, Args, Settings, recipe};
use crate::{Result, args, memory, ui};

/// A network to begin with.
pub struct Start(Network);

/// Reads the model, to be trained on so many photos. Its image size and fit are taken where no flag says them; classes must be
/// those of the data.
pub fn read(
    path: &Path,
    settings: &mut Settings,
    flags: &Args,
    classes: &[String],
    photos: usize,
) -> Result<Start> {
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
    let mut network = network;
    let architecture = most_like(&mut network, side)?;
    settings.set_network(architecture, side);
    settings.fit = flags.fit.unwrap_or(preprocess.fit);
    if flags.learning_rate.is_none() {
        let Settings { recipe, optimizer, network, batch_size, .. } = *settings;
        settings.learning_rate = learning_rate(recipe, optimizer, network, batch_size, photos);
    }
    Ok(Start(network))
}

/// The architecture whose weights the network has; of another network, the one that is trained in the way that suits it: as
/// the reference network if it can't take images of other sizes.
fn most_like(network: &mut Network, side: usize) -> Result<Architecture> {
    let shapes = |network: &Network| -> Vec<_> {
        network.arrays().map(|(param, _)| (param.name.clone(), param.shape.clone())).collect()
    };
    let wanted = shapes(network);
    for &architecture in Architecture::value_variants() {
        let candidate = architecture.network(side, network.outputs(), 0.0, Init::Constant(0.0));
        let fits = memory::require(&candidate, 1, side).is_ok();
        if fits && candidate.build().is_ok_and(|candidate| shapes(&candidate) == wanted) {
            return Ok(architecture);
        }
    }
    let smaller = recipe::train_sizes(side)[0];
    let is_sizeless = network.set_input((smaller, smaller, 3)).is_ok();
    network.set_input((side, side, 3))?;
    Ok(if is_sizeless { Architecture::for_size(side) } else { Architecture::Reference })
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
