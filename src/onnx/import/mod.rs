//! An ONNX graph as a network.

mod affine;
mod arithmetic;
mod channels;
mod curves;
mod files;
mod fold;
mod forms;
mod importer;
mod input;
mod joins;
mod known;
mod linear;
mod mirror;
mod model;
mod node;
mod norms;
mod operators;
mod order;
mod pools;
mod producers;
mod slide;
mod steps;
mod value;
mod views;
mod walk;

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{ImportError, OnnxError, metadata};
use crate::checkpoint::ModelInfo;
use crate::files::{FileError, FileKind, folder_of, open_regular};
use crate::image::Normalize;
use crate::network::{Network, NetworkBuilder, NetworkSpec};
use crate::nn::NamedLayer;
use files::Files;
use importer::Importer;
use model::Model;
use steps::Arrays;
use walk::Layers;

/// The largest file that is read: protocol buffer messages end there.
const MAX_BYTES: u64 = i32::MAX as u64;

/// The oldest set of operators whose definitions are those that are read.
const OLDEST_OPSET: u64 = 9;

/// The longest metadata entry that is read as JSON, which takes many times its length while it is parsed.
const MAX_METADATA_BYTES: usize = 2 << 20;

/// What a file may leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// The side of the square input where the graph takes images of any size, which is an error without
    /// ([`ImportError::AnySize`]).
    pub image_size: Option<usize>,
}

/// What was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The network, as good as trained.
    pub network: Network,
    /// Class names and preprocessing, if floret wrote the file and was told them. Other programs' files do not say how photos
    /// become inputs.
    pub info: Option<ModelInfo>,
    /// How levels, 0 to 255, become its input, where the graph begins with a rescaling that tells: as they are
    /// ([`Normalize::LEVELS`]), as Keras' EfficientNet takes them, or divided by 255 ([`Normalize::SHARES`]). The rescaling is part of
    /// the network.
    pub takes: Option<Normalize>,
}

/// Reads a network from an ONNX file, and from the files beside it where it keeps its weights in such.
///
/// Memory: the file, and four times the weights (which are no more than the files hold, and 16 MiB for those used twice); and as
/// much as the files and 16 MiB again for constants that the graph computes of others.
///
/// # Errors
/// A file that can't be read, is no ONNX model or is damaged; operators that are not read, all at once
/// ([`ImportError::Operators`]); a node that is no layer of floret's, by its name; layers that do not make a network.
pub fn import(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported, OnnxError> {
    let path = path.as_ref();
    let (file, len) = open_regular(path)?;
    let failed = |error| OnnxError::Import { path: path.into(), error: Box::new(error) };
    if len > MAX_BYTES {
        let reason = format!("it has {len} bytes, over the limit of {MAX_BYTES}");
        return Err(failed(ImportError::Model(reason)));
    }
    let mut bytes = Vec::new();
    // Bounded: the file may be growing.
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| FileError::new(path, "read", error))?;
    read(&bytes, Some(folder_of(path)), options).map_err(failed)
}

/// Reads a network from the bytes of an ONNX file that holds its weights itself.
///
/// # Errors
/// As [`import`].
pub fn decode(bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    read(bytes, None, options)
}

fn read(bytes: &[u8], folder: Option<&Path>, options: &ImportOptions) -> Result<Imported, ImportError> {
    let model = Model::parse(bytes).map_err(|error| match FileKind::of(bytes) {
        FileKind::Onnx => error,
        other => other.name().map_or(error, ImportError::OtherKind),
    })?;
    if model.opset < OLDEST_OPSET {
        return Err(ImportError::Model(format!(
            "its operators are of opset {}, and {OLDEST_OPSET} or newer is read: export it with a newer one",
            model.opset
        )));
    }
    let importer = Importer::new(&model, Files::new(folder, bytes.len()), options)?;
    let Layers { input, layers, test_time_flip, takes } = importer.layers()?;
    let loss = entry(&model, metadata::LOSS)?.unwrap_or_default();
    let network = build(NetworkSpec { input, layers: Vec::new(), loss, test_time_flip }, layers)?;
    let info = info(&model, &network)?;
    Ok(Imported { network, info, takes })
}

fn build(mut spec: NetworkSpec, layers: Vec<(NamedLayer, Arrays)>) -> Result<Network, ImportError> {
    let mut arrays = Vec::new();
    for (layer, of_layer) in layers {
        let name = layer.name.clone();
        arrays.extend(of_layer.into_iter().map(|(array, values)| (format!("{name}/{array}"), values)));
        spec.layers.push(layer);
    }
    let mut network = NetworkBuilder::from_spec(spec).build_zeros()?;
    for (name, values) in arrays {
        network.set_array(&name, values.view())?;
    }
    Ok(network)
}

fn info(model: &Model<'_>, network: &Network) -> Result<Option<ModelInfo>, ImportError> {
    let classes: Option<Vec<String>> = entry(model, metadata::CLASSES)?;
    let Some((classes, preprocess)) = classes.zip(entry(model, metadata::PREPROCESS)?) else {
        return Ok(None);
    };
    let info = ModelInfo { classes, preprocess };
    info.check(network)
        .map_err(|reason| ImportError::Model(format!("its metadata is not of its graph: {reason}")))?;
    Ok(Some(info))
}

/// The metadata entry of this key, read as JSON.
fn entry<T: DeserializeOwned>(model: &Model<'_>, key: &str) -> Result<Option<T>, ImportError> {
    let Some((_, value)) = model.metadata.iter().find(|(k, _)| *k == key) else { return Ok(None) };
    if value.len() > MAX_METADATA_BYTES {
        let reason = format!("its metadata `{key}` is over the limit of {MAX_METADATA_BYTES} bytes");
        return Err(ImportError::Model(reason));
    }
    // By way of a value, as in model files.
    let read = serde_json::from_slice(value.as_bytes()).and_then(serde_json::from_value::<T>);
    read.map(Some).map_err(|error| ImportError::Model(format!("its metadata `{key}`: {error}")))
}
