//! Files of an earlier version, which `tests/fixtures/earlier` holds: they load, and give what they gave there.

use std::fs;

use approx::assert_relative_eq;
use floret::checkpoint::{load_model, load_training};
use floret::data::{Loader, LoaderOptions, Preprocess};
use floret::network::Network;
use floret::optim::{Schedule, Sgd};
use floret::train::{TrainOptions, Trainer};
use ndarray::Array4;
use serde_json::{Value, json};

use crate::common::fixture;

/// What the earlier version computed.
fn given() -> Value {
    serde_json::from_slice(&fs::read(fixture("earlier/outputs.json")).unwrap()).unwrap()
}

/// Holds a network's outputs to those of the earlier version.
#[track_caller]
fn gives(network: &Network, given: &Value) {
    let images = Array4::from_shape_fn((3, 16, 16, 3), |(n, y, x, c)| {
        ((5 * n + 3 * y + 2 * x + 7 * c) % 11) as f32 / 5.0 - 1.0
    });
    let wanted: Vec<Vec<f32>> = serde_json::from_value(given.clone()).unwrap();
    let outputs = network.forward(&images).unwrap();
    assert_relative_eq!(outputs.as_slice().unwrap(), wanted.concat().as_slice(), epsilon = 1e-5);
}

#[test]
fn a_model_gives_what_it_gave() {
    let (network, info) = load_model(fixture("earlier/model.safetensors")).unwrap();
    gives(&network, &given()["model"]);
    assert_eq!(info.classes, ["daisy", "dandelion", "roses", "sunflowers", "tulips"]);
    assert_eq!(info.preprocess, Preprocess::new(16));
}

/// Saved in the middle of its second epoch, by momentum and with an average of the weights.
#[test]
fn training_goes_on_where_it_was() {
    let mut saved = load_training(fixture("earlier/training.safetensors")).unwrap();
    let given = given();
    gives(&saved.network, &given["network"]);
    gives(saved.average.as_ref().unwrap(), &given["average"]);
    assert_eq!(saved.settings, json!({ "note": "by an earlier version" }));
    assert_eq!((saved.progress.epoch, saved.progress.batch, saved.progress.step), (1, 2, 8));

    let shards = [0, 1].map(|shard| fixture(&format!("train-0000{shard}-of-00002.tfrecord")));
    let options = LoaderOptions { batch_size: 4, seed: 11, ..LoaderOptions::new(Preprocess::new(16), 5) };
    let train = Loader::open(&shards, options).unwrap();
    let options = TrainOptions {
        schedule: Schedule::cosine(4 * train.batches() as u64, 3),
        average: Some(0.8),
        ..TrainOptions::new(4, 0.05)
    };
    let mut optimizer = Sgd::new(0.05).momentum(0.9).nesterov().weight_decay(1e-3);
    saved.restore(&mut optimizer).unwrap();
    let mut trainer = Trainer::resume(options, saved.progress).with_average(saved.average);
    let mut network = saved.network;
    trainer.run(&mut network, &mut optimizer, &train, None, &mut []).unwrap();
    let losses: Vec<f64> = trainer.progress().history.iter().map(|epoch| epoch.train_loss).collect();
    let wanted: Vec<f64> = serde_json::from_value(given["losses"].clone()).unwrap();
    assert_relative_eq!(losses[..], wanted[..], epsilon = 1e-4);
    gives(&network, &given["end"]);
}
