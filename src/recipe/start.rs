//! Training that begins with a network trained before.

use std::collections::HashSet;
use std::path::Path;

use super::known::foreign_preprocess;
use super::resume::untrainable;
use super::rules::{learning_rate, train_sizes};
use super::tuning;
use super::{
    Architecture, Census, Choices, Conflict, ModelFault, Named, Note, RecipeError, Settings, require_memory,
};
use crate::checkpoint::{ModelInfo, load_model};
use crate::data::Preprocess;
use crate::image::Normalize;
use crate::network::{Network, NetworkBuilder, NetworkError};
use crate::nn::{Init, LayerSpec, NamedLayer, Shape};

/// A network to begin with.
#[derive(Debug)]
pub(super) struct Start {
    network: Network,
}

/// What is read: a network, and if known its classes and preprocessing.
struct Source {
    network: Network,
    info: Option<ModelInfo>,
    takes: Option<Normalize>,
}

impl Start {
    /// Reads the model or ONNX file, to be trained on these photos. Its image size and preprocessing are taken where they were not
    /// chosen. If its classes are not those of the data, it gets a new last layer.
    pub fn read(
        path: &Path,
        settings: &mut Settings,
        choices: &Choices,
        classes: &[String],
        census: &Census,
        tell: &mut dyn FnMut(Note),
    ) -> Result<Self, RecipeError> {
        if choices.network.is_some() {
            return Err(Conflict::StartFrom("network").into());
        }
        if choices.dropout.is_some() {
            return Err(Conflict::StartFrom("dropout").into());
        }
        let fault = |reason| RecipeError::Model { path: path.into(), reason };
        let Source { mut network, info, takes } = read(path, choices)?;
        let (known, preprocess) = match info {
            Some(ModelInfo { classes, preprocess }) => (Some(classes), preprocess),
            None => (None, foreign(&network, takes, settings, choices).map_err(fault)?),
        };
        let made = preprocess.image_size;
        let side = choices.image_size.unwrap_or(made);
        if let Some(reason) = untrainable(side) {
            return Err(fault(ModelFault::Untrainable { side, reason }));
        }
        settings.set_preprocess(choices, preprocess);
        let (input, channels) = (network.input(), settings.channel_order.channels());
        if !matches!(input, Shape::Image { channels: of_network, .. } if of_network == channels) {
            return Err(fault(ModelFault::Channels { input, order: settings.channel_order }));
        }
        if network.set_input((side, side, channels)).is_err() {
            return Err(fault(ModelFault::ImageSize { side: made, chosen: side }));
        }
        if known.as_deref() == Some(classes) {
            if choices.head_only {
                return Err(Conflict::HeadOnly.into());
            }
            if settings.head_views > 1 {
                return Err(Conflict::HeadViews.into());
            }
            let architecture = most_like(&mut network, side)?;
            settings.set_network(architecture, side);
            if choices.learning_rate.is_none() {
                let Settings { recipe, optimizer, network, batch_size, .. } = *settings;
                settings.learning_rate =
                    learning_rate(recipe, optimizer, network, batch_size, census.photos());
            }
            return Ok(Self { network });
        }
        let (mut network, head) = network.with_head(classes.len()).map_err(|error| match error {
            NetworkError::NoHead => fault(ModelFault::NoHead),
            error => error.into(),
        })?;
        settings.image_size = side;
        settings.set_head(&head, choices, census);
        tell(Note::NewHead {
            layer: head.clone(),
            before: known.unwrap_or_default(),
            preprocess: settings.preprocess(),
        });
        let frozen = frozen(&network);
        network.freeze(|name| frozen.contains(name))?;
        Ok(Self { network })
    }

    /// The network with its weights, and with the loss and the seed of the settings, if training it on so many photos fits
    /// into memory.
    pub fn network(&self, settings: &Settings, photos: usize) -> Result<Network, RecipeError> {
        let Self { network: start } = self;
        let builder = NetworkBuilder::from_spec(start.spec().clone()).loss(settings.loss());
        let builder = builder.test_time_flip(settings.regularization.test_time_flip);
        if settings.trains_steps() {
            require_memory(&builder, settings.batch_size.min(photos), settings.image_size)?;
        }
        let mut network = builder.seed(settings.seed).build()?;
        for (param, values) in start.arrays() {
            network.set_array(&param.name, values)?;
        }
        Ok(network)
    }
}

/// The layers that stay as they are: the first ones, which hold a small part of the weights, and batch norms, whose averages
/// other photos in small batches would spoil.
fn frozen(network: &Network) -> HashSet<String> {
    let weights = |layer: &str| -> usize {
        let of_layer = |name: &str| name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('/'));
        network.weights().filter(|(param, _)| of_layer(&param.name)).map(|(param, _)| param.len()).sum()
    };
    let layers = &network.spec().layers;
    let all: usize = network.weights().map(|(param, _)| param.len()).sum();
    let mut held = 0;
    let is_first = |layer: &&NamedLayer| {
        held += weights(&layer.name);
        held as f64 <= tuning::FROZEN * all as f64
    };
    let first = layers.iter().take_while(is_first).count();
    let stays = |(index, layer): &(usize, &NamedLayer)| {
        *index < first || matches!(layer.layer, LayerSpec::BatchNorm(_))
    };
    layers.iter().enumerate().filter(stays).map(|(_, layer)| layer.name.clone()).collect()
}

/// Reads a file of floret's, or an ONNX graph of any program's.
fn read(path: &Path, choices: &Choices) -> Result<Source, RecipeError> {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        let (network, info) = load_model(path)?;
        return Ok(Source { network, info: Some(info), takes: None });
    }
    #[cfg(feature = "onnx")]
    {
        let options = crate::onnx::ImportOptions { image_size: choices.image_size };
        let crate::onnx::Imported { network, info, takes } = crate::onnx::import(path, &options)?;
        Ok(Source { network, info, takes })
    }
    #[cfg(not(feature = "onnx"))]
    {
        let _ = choices;
        Err(RecipeError::Model { path: path.into(), reason: ModelFault::NoOnnx })
    }
}

/// How photos become its input, or why that is not known.
fn foreign(
    network: &Network,
    takes: Option<Normalize>,
    settings: &Settings,
    choices: &Choices,
) -> Result<Preprocess, ModelFault> {
    match network.input() {
        Shape::Image { height, width, channels: 1 | 3 } if height == width => {}
        input => return Err(ModelFault::Input(input)),
    }
    foreign_preprocess(network, takes, choices.normalize.map(|_| settings.normalize))
        .ok_or(ModelFault::Normalization)
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
    let channels = if let Shape::Image { channels, .. } = network.input() { channels } else { 3 };
    let wanted = shapes(network);
    for &architecture in Architecture::ALL {
        let candidate = architecture.network(side, network.outputs(), 0.0, Init::Constant(0.0));
        let candidate = candidate.input((side, side, channels));
        let fits = require_memory(&candidate, 1, side).is_ok();
        if fits && candidate.build().is_ok_and(|candidate| shapes(&candidate) == wanted) {
            return Ok(architecture);
        }
    }
    let smaller = train_sizes(side)[0];
    let is_sizeless = network.set_input((smaller, smaller, channels)).is_ok();
    network.set_input((side, side, channels))?;
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
