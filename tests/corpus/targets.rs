//! What is done with hostile bytes: the bodies of the fuzz targets in `fuzz/`, which the corpus test runs too.
//!
//! Each takes any bytes and must return: an input is at fault only if it panics, hangs or takes much memory.
#![allow(dead_code, reason = "each fuzz target uses one of them")]

#[path = "tf_checkpoints.rs"]
mod tf_checkpoints;

use std::fs;
use std::path::{Path, PathBuf};

use floret::checkpoint::{load_model, load_training};
use floret::image::{DecodeOptions, Fit, Orientation, Truncated, decode, decode_fitted, read_header};
use floret::network::Network;
use floret::nn::Shape;
use floret::onnx::{self, ExportOptions, ImportOptions};
use floret::record::{
    Compression, ImageExample, ImageSchema, ReaderOptions, RecordReader, ShardIndex, guess_pixels,
    list_features,
};
use ndarray::Array4;
use serde_json::{Value, json};
pub use tf_checkpoints::tf_checkpoint;

/// The longest record taken: hardly longer than the longest input, so that compressed zeros make none either.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// The most pixels decoded: enough for every path, few enough for thousands of images a second.
const MAX_PIXELS: u64 = 1 << 16;

/// A TFRecord file: read in order and indexed, its compression told from its bytes and by the caller.
pub fn records(input: &[u8]) {
    use Compression::{Gzip, Plain, Zlib};
    let options =
        |compression, search| ReaderOptions { compression, max_record_bytes: MAX_RECORD_BYTES, search };
    let cases = [None, Some(Plain), Some(Gzip), Some(Zlib)].map(|compression| options(compression, false));
    for options in cases.into_iter().chain([options(Some(Plain), true)]) {
        if let Ok(reader) = RecordReader::new(input, "input", &options) {
            let mut end = 0;
            for record in reader.flatten() {
                assert!(record.position.offset >= end, "a record is given twice");
                end = record.position.offset + record.payload.len() as u64;
            }
        }
        if let Ok((index, _)) = with_file(input, |path| ShardIndex::open_skipping_damage(&[path], &options)) {
            assert!((0..index.len()).all(|record| index.location(record).is_some()));
        }
    }
}

/// A record's payload: a `tf.train.Example` of an image.
pub fn example(input: &[u8]) {
    let schema = ImageSchema::default();
    let listed =
        list_features(input).map(|features| features.iter().map(ToString::to_string).collect::<String>());
    match ImageExample::parse(input, &schema) {
        Ok(example) => {
            assert!(listed.is_ok());
            let encoded = example.clone().encode(&schema);
            assert_eq!(
                ImageExample::parse(&encoded, &schema).expect("what was encoded is an example"),
                example
            );
        }
        Err(error) => drop(error.to_string()),
    }
    for format in ["auto", "auto-channels-first:0..1", "4x4x3", "3x8x8:-1..1"] {
        let pixels = Some(format.parse().expect("a format"));
        match ImageExample::parse(input, &ImageSchema { pixels, ..ImageSchema::default() }) {
            Ok(example) => {
                let pixels = example.pixels.expect("pixels are asked for");
                assert_eq!(pixels.levels.len(), pixels.height * pixels.width * pixels.channels);
            }
            Err(error) => drop(error.to_string()),
        }
    }
    guess_pixels(&[input, input], &schema.encoded);
}

/// A photo: its header, itself at full size, and fitted in every way.
pub fn image(input: &[u8]) {
    let header = read_header(input);
    for (truncated, orientation) in
        [(Truncated::Error, Orientation::AsStored), (Truncated::Recover, Orientation::Upright)]
    {
        let options =
            DecodeOptions { max_pixels: MAX_PIXELS, truncated, orientation, ..DecodeOptions::default() };
        match decode(input, &options) {
            Ok(image) => {
                let header = header.as_ref().expect("what is decoded has a header");
                let mut size = (header.height, header.width);
                if orientation == Orientation::Upright && header.is_sideways() {
                    size = (header.width, header.height);
                }
                assert_eq!(image.dim(), (size.0, size.1, 3));
            }
            Err(error) => drop(error.to_string()),
        }
        for fit in Fit::ALL {
            if let Ok(image) = decode_fitted(input, fit, (5, 9), &options) {
                assert_eq!(image.dim(), (5, 9, 3));
            }
        }
    }
}

/// A model file or a training state.
pub fn model(input: &[u8]) {
    with_file(input, load);
}

/// The description in a model file or a training state, whatever its checksum says. Two lines: the JSON of the
/// metadata entry, and of the arrays' places, which [`model_file`] makes a file of.
pub fn description(input: &[u8]) {
    if let Some(file) = model_file(input) {
        with_file(&file, load);
    }
}

/// The safetensors file of a [`description`]: its arrays hold zeros.
pub fn model_file(description: &[u8]) -> Option<Vec<u8>> {
    let (entry, arrays) = std::str::from_utf8(description).ok()?.split_once('\n')?;
    let mut header: Value = serde_json::from_str(arrays).ok()?;
    let ends = header.as_object()?.values().filter_map(|array| array["data_offsets"][1].as_u64());
    let end = ends.max().unwrap_or(0).min(MAX_RECORD_BYTES) as usize;
    header.as_object_mut()?.insert("__metadata__".into(), json!({ "floret": entry }));
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + end, 0);
    Some(file)
}

/// An ONNX file without others beside it. What was read survives being written.
pub fn onnx(input: &[u8]) {
    match onnx::decode(input, &ImportOptions::default()) {
        Ok(imported) => {
            let written = onnx::encode(&imported.network, imported.info.as_ref(), &ExportOptions::default());
            let written = written.expect("a network of images");
            let again = onnx::decode(&written, &ImportOptions::default()).expect("what was written is read");
            let arrays = |network: &Network| {
                network.arrays().map(|(param, _)| param.shape.clone()).collect::<Vec<_>>()
            };
            assert_eq!(arrays(&again.network), arrays(&imported.network));
            run(imported.network);
        }
        Err(error) => drop(error.to_string()),
    }
}

fn load(path: &Path) {
    match load_model(path) {
        Ok((network, _)) => run(network),
        Err(error) => drop(error.to_string()),
    }
    match load_training(path) {
        Ok(training) => run(training.network),
        Err(error) => drop(error.to_string()),
    }
}

/// Describes the network, and runs a small one: what was loaded must be fit for use.
fn run(network: Network) {
    drop(network.summary());
    if let Shape::Image { height, width, channels } = network.input()
        && height * width * channels <= 1 << 10
    {
        let outputs = network.forward(Array4::zeros((1, height, width, channels)).view());
        assert_eq!(outputs.expect("an image of the network's size").dim(), (1, network.outputs()));
    }
}

/// A folder in memory where the system has one, else that of temporary files.
fn in_memory() -> PathBuf {
    if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() }
}

/// Gives `f` a file with these contents, in memory where the system has a place for that.
fn with_file<T>(contents: &[u8], f: impl FnOnce(&Path) -> T) -> T {
    let file = tempfile::NamedTempFile::new_in(in_memory()).expect("a temporary file");
    fs::write(file.path(), contents).expect("a temporary file is written");
    f(file.path())
}
