//! Data at the edge of what makes sense: each gives a right result or a clear error.

use std::fs;
use std::path::PathBuf;

use crate::common::photos::{jpeg, payload, png, write_shards};
use floret::data::{BatchError, Loader, LoaderOptions, Preprocess};
use floret::image::{Fit, standardize};
use floret::models;
use floret::network::Network;
use floret::nn::{BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, Relu};
use floret::optim::Sgd;
use floret::record::{Compression, shard_name};
use floret::train::{Ended, TrainOptions, Trainer, evaluate};
use ndarray::Array4;
use tempfile::{TempDir, tempdir};

/// Shards of these photos with their labels, counted from 1.
fn shards(photos: Vec<(Vec<u8>, i64)>) -> (TempDir, Vec<PathBuf>) {
    let folder = tempdir().unwrap();
    let payloads: Vec<_> = photos.into_iter().map(|(encoded, label)| payload(encoded, label)).collect();
    let shards = write_shards(folder.path(), &payloads, 1, Compression::Plain);
    (folder, shards)
}

fn loader(shards: &[PathBuf], side: usize, batch_size: usize, classes: usize) -> Loader {
    let options = LoaderOptions { batch_size, ..LoaderOptions::new(Preprocess::new(side), classes) };
    Loader::open(shards, options).unwrap()
}

/// A network with a layer of each kind that looks at statistics or windows.
fn network(side: usize, classes: usize) -> Network {
    Network::builder((side, side, 3))
        .add(Conv2d::new(4, 3))
        .add(BatchNorm::default())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(classes))
        .seed(1)
        .build()
        .unwrap()
}

/// Trains two epochs; the loss of the last and the accuracy on the same photos.
fn train(network: &mut Network, data: &Loader) -> (f64, f64) {
    let mut trainer = Trainer::new(TrainOptions::new(2, 0.01));
    let ended = trainer.run(network, &mut Sgd::new(0.01), data, Some(data), &mut []).unwrap();
    assert_eq!(ended, Ended::Finished);
    let evaluation = evaluate(network, data).unwrap();
    assert_eq!(evaluation.confusion.total() as usize, data.len());
    (evaluation.loss, evaluation.accuracy())
}

#[test]
fn images_of_one_color_become_zeros_and_can_be_trained_on() {
    for level in [0, 1, 127, 255] {
        let mut out = [f32::NAN; 48];
        standardize(&[level; 48], &mut out).unwrap();
        assert_eq!(out, [0.0; 48]);
    }
    let gray = |level: u8| {
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.encode(&[level; 20 * 20 * 3], 20, 20, jpeg_encoder::ColorType::Rgb).unwrap();
        bytes
    };
    let (_folder, shards) = shards((0..6).map(|i| (gray(40 * i), 1 + i64::from(i) % 2)).collect());
    let (loss, _) = train(&mut network(8, 2), &loader(&shards, 8, 3, 2));
    assert!(loss.is_finite());
}

#[test]
fn batches_of_one_and_classes_of_one_or_none_train() {
    let photos = |labels: &[i64]| labels.iter().zip(0..).map(|(l, seed)| (jpeg(seed, 20, 16), *l)).collect();
    for (labels, batch) in [(&[1, 1, 1, 2, 1][..], 1), (&[1, 1, 1, 1, 4], 2), (&[3], 64)] {
        let (_folder, shards) = shards(photos(labels));
        let (loss, accuracy) = train(&mut network(8, 4), &loader(&shards, 8, batch, 4));
        assert!(loss.is_finite() && (0.0..=1.0).contains(&accuracy), "{labels:?}: {loss}, {accuracy}");
    }
}

#[test]
fn photos_of_one_pixel_and_of_one_row_fit_any_size() {
    let photos = vec![(jpeg(1, 1, 1), 1), (png(2, 1, 1), 2), (png(3, 40, 1), 1), (jpeg(4, 1, 30), 2)];
    let (_folder, shards) = shards(photos);
    for fit in [Fit::Crop, Fit::Resize, Fit::ResizeCrop] {
        for side in [1, 2, 7] {
            let preprocess = Preprocess::new(side).fit(fit);
            let loader = Loader::open(&shards, LoaderOptions::new(preprocess, 2)).unwrap();
            let batch = loader.epoch(0).next().unwrap().unwrap();
            assert_eq!(batch.images.dim(), (4, side, side, 3), "{fit:?}");
            assert!(batch.images.iter().all(|value| value.is_finite()), "{fit:?} {side}");
        }
    }
}

/// Pools with padding and strides round up: no size need be a multiple of anything.
#[test]
fn any_image_size_trains() {
    for side in [1, 2, 3, 5, 17, 31, 33, 50] {
        let mut network = models::seed(side, 3, 0.5).seed(2).build().unwrap();
        let images = Array4::from_shape_fn((2, side, side, 3), |(n, y, x, c)| {
            ((n * 5 + y * 3 + x * 2 + c) % 7) as f32 / 3.0 - 1.0
        });
        let mut optimizer = Sgd::new(0.01);
        let report = network.train_step(images.view(), &[0, 2], &mut optimizer).unwrap();
        assert!(report.mean_loss.is_finite(), "{side}");
    }
}

#[test]
fn shards_without_records_and_files_without_bytes_are_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join(shard_name("eval", 0, 1));
    fs::write(&path, b"").unwrap();
    let error =
        Loader::open(std::slice::from_ref(&path), LoaderOptions::new(Preprocess::new(8), 2)).unwrap_err();
    assert!(matches!(&error, BatchError::Empty(shards) if *shards == [path.clone()]), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}
