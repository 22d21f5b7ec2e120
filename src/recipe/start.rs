//! Training that begins with the network of a model.

use std::path::Path;

use super::resume::untrainable;
use super::rules::{learning_rate, train_sizes};
use super::{Architecture, Choices, Conflict, ModelFault, Named, RecipeError, Settings, require_memory};
use crate::checkpoint::{ModelInfo, load_model};
use crate::network::{Network, NetworkBuilder};
use crate::nn::Init;

/// A network to begin with.
#[derive(Debug)]
pub(super) struct Start(Network);

impl Start {
    /// Reads the model, to be trained on so many photos. Its image size and fit are taken where they were not chosen; its classes
    /// must be those of the data.
    pub fn read(
        path: &Path,
        settings: &mut Settings,
        choices: &Choices,
        classes: &[String],
        photos: usize,
    ) -> Result<Self, RecipeError> {
        if choices.network.is_some() {
            return Err(Conflict::StartFrom("network").into());
        }
        if choices.dropout.is_some() {
            return Err(Conflict::StartFrom("dropout").into());
        }
        let (mut network, info) = load_model(path)?;
        let ModelInfo { classes: known, preprocess } = info;
        let fault = |reason| Err(RecipeError::Model { path: path.into(), reason });
        if known != classes {
            return fault(ModelFault::Classes { model: known, data: classes.into() });
        }
        let side = preprocess.image_size;
        if let Some(chosen) = choices.image_size.filter(|chosen| *chosen != side) {
            return fault(ModelFault::ImageSize { side, chosen });
        }
        if let Some(reason) = untrainable(side) {
            return fault(ModelFault::Untrainable { side, reason });
        }
        let architecture = most_like(&mut network, side)?;
        settings.set_network(architecture, side);
        settings.fit = choices.fit.unwrap_or(preprocess.fit);
        if choices.learning_rate.is_none() {
            let Settings { recipe, optimizer, network, batch_size, .. } = *settings;
            settings.learning_rate = learning_rate(recipe, optimizer, network, batch_size, photos);
        }
        Ok(Self(network))
    }

    /// The network with its weights, and with the loss and the seed of the settings, if training it on so many photos fits
    /// into memory.
    pub fn network(&self, settings: &Settings, photos: usize) -> Result<Network, RecipeError> {
        let Self(start) = self;
        let builder = NetworkBuilder::from_spec(start.spec().clone()).loss(settings.loss());
        let builder = builder.test_time_flip(settings.regularization.test_time_flip);
        require_memory(&builder, settings.batch_size.min(photos), settings.image_size)?;
        let mut network = builder.seed(settings.seed).build()?;
        for (param, values) in start.arrays() {
            network.set_array(&param.name, values)?;
        }
        Ok(network)
    }
}

/// The architecture whose weights the network has. Another network is taken for the one that is trained in the way that suits
/// it: for the reference network if it can't take images of other sizes.
///
/// # Errors
/// Images of side `side` that the network can't take.
pub fn most_like(network: &mut Network, side: usize) -> Result<Architecture, RecipeError> {
    let shapes = |network: &Network| -> Vec<_> {
        network.arrays().map(|(param, _)| (param.name.clone(), param.shape.clone())).collect()
    };
    let wanted = shapes(network);
    for &architecture in Architecture::ALL {
        let candidate = architecture.network(side, network.outputs(), 0.0, Init::Constant(0.0));
        let fits = require_memory(&candidate, 1, side).is_ok();
        if fits && candidate.build().is_ok_and(|candidate| shapes(&candidate) == wanted) {
            return Ok(architecture);
        }
    }
    let smaller = train_sizes(side)[0];
    let is_sizeless = network.set_input((smaller, smaller, 3)).is_ok();
    network.set_input((side, side, 3))?;
    Ok(if is_sizeless { Architecture::for_size(side) } else { Architecture::Reference })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv2d, Dense, Flatten, GlobalAvgPool};

    #[test]
    fn an_architecture_is_known_by_its_weights() {
        for &architecture in Architecture::ALL {
            let network = architecture.network(32, 3, 0.2, Init::Constant(0.0));
            assert_eq!(most_like(&mut network.build().unwrap(), 32).unwrap(), architecture);
        }
        let convolution = || Network::builder((64, 64, 3)).add(Conv2d::new(2, 3));
        let any_size = convolution().add(GlobalAvgPool {}).add(Dense::new(3)).build();
        assert_eq!(most_like(&mut any_size.unwrap(), 64).unwrap(), Architecture::Small);
        let one_size = convolution().add(Flatten {}).add(Dense::new(3)).build();
        assert_eq!(most_like(&mut one_size.unwrap(), 64).unwrap(), Architecture::Reference);
    }
}
