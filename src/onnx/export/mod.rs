//! A network as an ONNX graph.

mod graph;
mod layers;
mod mirror;
mod preprocessing;

use std::io::Write;
use std::path::Path;

use prost::Message;
use serde::Serialize;

use super::{ExportError, OnnxError, PRODUCER, metadata};
use crate::checkpoint::ModelInfo;
use crate::data::Preprocess;
use crate::files::write_atomically;
use crate::loss::Loss;
use crate::network::Network;
use crate::nn::Shape;
use crate::proto::onnx::{DataType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use graph::{Axis, Graph};

/// The set of operators that graphs are written in.
const OPSET: i64 = 17;

/// The version of the file format that this set of operators came with.
const IR_VERSION: i64 = 8;

/// Protocol buffer messages end at 2 GiB, and with them ONNX files.
const MAX_BYTES: usize = i32::MAX as usize;

/// The graph's input.
const INPUT: &str = "images";
/// The network's outputs before the softmax.
const LOGITS: &str = "logits";
/// After it.
const PROBABILITIES: &str = "probabilities";

/// The order of an image's values in the graph's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Layout {
    /// (batch, height, width, channels), as floret and TensorFlow.
    #[default]
    Nhwc,
    /// (batch, channels, height, width), as PyTorch.
    Nchw,
}

impl Layout {
    /// The axis of the channels.
    fn channel_axis(self) -> i64 {
        match self {
            Layout::Nhwc => 3,
            Layout::Nchw => 1,
        }
    }
}

/// What the graph gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Output {
    /// `probabilities`: what [`Network::predict`] gives.
    #[default]
    Probabilities,
    /// `logits`: what [`Network::forward`] gives.
    Logits,
    /// Both, in this order: `logits`, `probabilities`.
    Both,
}

/// How a network is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportOptions {
    /// The order of the input's values.
    pub layout: Layout,
    /// The outputs. Under a loss without a softmax there are `logits` alone.
    pub output: Output,
    /// Whether the graph takes levels (`uint8`, 0 to 255) of RGB or gray pixels and [normalizes](crate::image::Normalize) them itself, as
    /// the [`ModelInfo`] says. Without, it takes normalized values (`float32`).
    /// Decoding and fitting a photo to the network's size stay outside in either case.
    pub preprocessing: bool,
}

/// Writes `network` to an ONNX file, with `info` as its metadata.
///
/// The input is `images`, of any number of them; the outputs are `logits` or `probabilities`.
///
/// # Errors
/// A network of vectors rather than images, or too large for the format (2 GiB); a file that can't be written. An earlier one
/// of this name is then untouched.
pub fn export(
    path: impl AsRef<Path>,
    network: &Network,
    info: Option<&ModelInfo>,
    options: &ExportOptions,
) -> Result<(), OnnxError> {
    let bytes = encode(network, info, options)?;
    Ok(write_atomically(path.as_ref(), |file| file.write_all(&bytes))?)
}

/// The bytes that [`export`] writes.
///
/// # Errors
/// As [`export`], but for the file's.
pub fn encode(
    network: &Network,
    info: Option<&ModelInfo>,
    options: &ExportOptions,
) -> Result<Vec<u8>, OnnxError> {
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: PRODUCER.into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: String::new(),
        graph: Some(graph(network, info.map(|info| &info.preprocess), options)?),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: metadata(network, info)?,
    };
    let len = model.encoded_len();
    if len > MAX_BYTES {
        return Err(ExportError::TooLong { bytes: len, limit: MAX_BYTES }.into());
    }
    Ok(model.encode_to_vec())
}

fn graph(
    network: &Network,
    preprocess: Option<&Preprocess>,
    options: &ExportOptions,
) -> Result<GraphProto, OnnxError> {
    let Shape::Image { height, width, channels } = network.input() else {
        return Err(ExportError::VectorInput.into());
    };
    let mut graph = Graph::new();
    let sizes = [Axis::Size(height), Axis::Size(width), Axis::Size(channels)];
    let [h, w, c] = sizes;
    let axes = match options.layout {
        Layout::Nhwc => [Axis::Batch, h, w, c],
        Layout::Nchw => [Axis::Batch, c, h, w],
    };
    let kind = if options.preprocessing { DataType::Uint8 } else { DataType::Float };
    let mut images = graph.input(INPUT, kind, &axes);
    if options.preprocessing {
        let layout = options.layout;
        images = preprocessing::write(&mut graph, preprocess, layout, &images, (height, width, channels));
    }
    if options.layout == Layout::Nhwc {
        images = layers::to_nchw(&mut graph, "input", &images);
    }
    let flip = network.spec().test_time_flip;
    if flip {
        images = mirror::with_mirror_images(&mut graph, &images);
    }
    let outputs = layers::write(&mut graph, network, images)?;
    match flip {
        true => mirror::means(&mut graph, &outputs, network.outputs()),
        false => graph.rename(&outputs, LOGITS),
    }

    let classes = [Axis::Batch, Axis::Size(network.outputs())];
    let softmax = matches!(network.spec().loss, Loss::SoftmaxCrossEntropy(_));
    if options.output != Output::Probabilities || !softmax {
        graph.output(LOGITS, &classes);
    }
    if options.output != Output::Logits && softmax {
        graph.node("Softmax", "softmax", &[LOGITS], PROBABILITIES).int("axis", 1);
        graph.output(PROBABILITIES, &classes);
    }
    Ok(graph.finish())
}

fn metadata(network: &Network, info: Option<&ModelInfo>) -> Result<Vec<StringStringEntryProto>, OnnxError> {
    let mut entries = vec![entry(metadata::LOSS, &network.spec().loss)?];
    if let Some(ModelInfo { classes, preprocess }) = info {
        entries.push(entry(metadata::CLASSES, classes)?);
        entries.push(entry(metadata::PREPROCESS, preprocess)?);
    }
    Ok(entries)
}

fn entry(key: &str, value: &impl Serialize) -> Result<StringStringEntryProto, OnnxError> {
    let value = serde_json::to_string(value)
        .map_err(|error| ExportError::Metadata { key: key.into(), reason: error.to_string() })?;
    Ok(StringStringEntryProto { key: key.into(), value })
}
