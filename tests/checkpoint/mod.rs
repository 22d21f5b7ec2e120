//! Model and training files: what is loaded is what was saved, resumed training ends where it would have ended without an
//! interruption, and files that are something else are told apart.

mod earlier;
mod files;
mod models;
mod resume;
#[cfg(feature = "tensorflow")]
mod tensorflow;
#[cfg(feature = "tensorflow")]
mod tensorflow_networks;

use std::fs;
use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, save_model, save_training};
use floret::data::Preprocess;
use floret::network::{Network, NetworkBuilder};
use floret::nn::{BatchNorm, Conv2d, Dense, Dropout, Flatten, Init, MaxPool2d, Relu};
use floret::optim::{Optimizer, Sgd};
use floret::train::{Moment, Progress, TrainOptions, Trainer};
use ndarray::Array4;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

const SIZE: usize = 12;
const CLASSES: usize = 4;

fn info() -> ModelInfo {
    let classes = ["Gänseblümchen", "rose", "two words", "\"quoted\""];
    ModelInfo { classes: classes.map(String::from).to_vec(), preprocess: Preprocess::new(SIZE) }
}

fn random_images(batch: usize, seed: u64) -> Array4<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array4::from_shape_simple_fn((batch, SIZE, SIZE, 3), || rng.random_range(-2.0..2.0))
}

/// The bits of every array.
fn bits(network: &Network) -> Vec<(String, Vec<u32>)> {
    let bits = network
        .arrays()
        .map(|(param, values)| (param.name.clone(), values.iter().map(|v| v.to_bits()).collect()));
    bits.collect()
}

fn small_network(dropout: f32) -> NetworkBuilder {
    Network::builder((SIZE, SIZE, 3))
        .add(Conv2d::new(4, 3).stride(2).kernel_init(Init::HeNormal))
        .add(BatchNorm::default())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(8).kernel_init(Init::HeNormal))
        .add(Relu)
        .add(Dropout::new(dropout))
        .add(Dense::new(CLASSES).kernel_init(Init::HeNormal))
        .seed(3)
}

/// A moment of training without an average.
fn moment<'a>(network: &'a Network, optimizer: &'a dyn Optimizer, progress: &'a Progress) -> Moment<'a> {
    Moment::new(network, None, optimizer, progress)
}

/// A small model, and a training state of it.
fn small_files() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempdir().unwrap();
    let [model, training] = ["model", "training"].map(|name| folder.path().join(name));
    let mut network = small_network(0.5).build().unwrap();
    let mut optimizer = Sgd::new(0.1).momentum(0.9);
    network.train_step(random_images(2, 1).view(), &[0, 1], &mut optimizer).unwrap();
    save_model(&model, &network, &info()).unwrap();
    let progress = Trainer::new(TrainOptions::new(1, 0.1)).progress().clone();
    save_training(&training, moment(&network, &optimizer, &progress), &info(), &json!({"any": 1})).unwrap();
    (folder, model, training)
}

/// What an error says.
#[cfg(feature = "tensorflow")]
#[track_caller]
fn error_message<T>(result: Result<T, impl std::fmt::Display>) -> String {
    match result {
        Ok(_) => panic!("an error is wanted"),
        Err(error) => error.to_string(),
    }
}

/// Rewrites a file's metadata entry, and takes its checksum out as a program must that changes anything.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    edit_entry(path, |entry| {
        entry.as_object_mut().unwrap().remove("crc32c").unwrap();
        change(entry);
    })
}

/// Rewrites a file's metadata entry.
fn edit_entry(path: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    edit_header(path, |header| {
        let mut entry: Value =
            serde_json::from_str(header["__metadata__"]["floret"].as_str().unwrap()).unwrap();
        change(&mut entry);
        header["__metadata__"]["floret"] = entry.to_string().into();
    })
}

/// Rewrites the JSON in front of a file's arrays, in a copy.
fn edit_header(path: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, arrays) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    change(&mut header);
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let edited = path.with_extension("edited");
    fs::write(&edited, [&(header.len() as u64).to_le_bytes()[..], &header, arrays].concat()).unwrap();
    edited
}
