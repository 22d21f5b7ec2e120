//! What training does not begin with.

use floret::data::{Loader, LoaderOptions, Mix};
use floret::network::Network;
use floret::nn::{Dense, Flatten};
use floret::train::{Stage, TrainOptions, Trainer, evaluate};

use super::{CLASSES, SIZE, Witness, arrays, data, loader, network, sgd};

#[test]
fn options_that_make_no_sense_are_refused() {
    let (_folder, shards) = data();
    let (train, mut network) = (loader(&shards), network(SIZE).build().unwrap());
    let mut refused = |options: TrainOptions| {
        let error = Trainer::new(options).run(&mut network, &mut sgd(), &train, None, &mut []);
        error.unwrap_err().to_string()
    };
    let new = || TrainOptions::new(1, 0.1);
    let stage = |image_size| vec![Stage { from: 0.0, image_size }];
    for (options, message) in [
        (
            TrainOptions { average: Some(1.0), ..new() },
            "the decay of the average must be at least 0 and under 1",
        ),
        (TrainOptions { average: Some(f32::NAN), ..new() }, "the decay of the average"),
        (
            TrainOptions { evaluate_every: 0, ..new() },
            "the epochs from one evaluation to the next must be at least 1",
        ),
        (TrainOptions { stages: stage(SIZE + 5), ..new() }, "the source size (20) must not be under"),
        (TrainOptions { stages: stage(0), ..new() }, "the image size must be at least 1"),
        (TrainOptions { stages: vec![Stage { from: f64::NAN, image_size: 12 }], ..new() }, "from 0 to 1"),
        (TrainOptions { stages: vec![Stage { from: 1.1, image_size: 12 }], ..new() }, "from 0 to 1"),
    ] {
        let error = refused(options);
        assert!(error.contains(message), "{error}");
    }
}

/// Though it could be set to that size.
#[test]
fn a_network_for_other_images_is_refused_and_stays_as_it_is() {
    let (_folder, shards) = data();
    let mut other = network(SIZE + 2).build().unwrap();
    let mut trainer = Trainer::new(TrainOptions::new(1, 0.1));
    let error = trainer.run(&mut other, &mut sgd(), &loader(&shards), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("the network takes images of 18x18x3") && error.contains("16x16x3"), "{error}");
    assert_eq!(other.input(), (SIZE + 2, SIZE + 2, 3).into());
}

/// Before the first step, not after nine tenths of training.
#[test]
fn a_stage_that_can_never_begin_is_refused_at_the_start() {
    let (_folder, shards) = data();
    let plain = LoaderOptions { augment: None, ..loader(&shards).options().clone() };
    let plain = Loader::open(&shards, plain).unwrap();
    let flat = Network::builder((SIZE, SIZE, 3)).add(Flatten).add(Dense::new(CLASSES));
    let stage = |image_size| vec![Stage { from: 0.9, image_size }];
    for (network, train, image_size, message) in [
        (network(SIZE), loader(&shards), SIZE + 5, "the source size (20) must not be under"),
        (network(SIZE), plain, 12, "only be made with augmentation"),
        (flat, loader(&shards), 12, "and would be [432, 3] for 12x12x3"),
    ] {
        let (mut network, mut witness) = (network.build().unwrap(), Witness::default());
        let options = TrainOptions { stages: stage(image_size), ..TrainOptions::new(20, 0.1) };
        let mut trainer = Trainer::new(options);
        let error = trainer.run(&mut network, &mut sgd(), &train, None, &mut [&mut witness]).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(witness.sides.is_empty());
        assert_eq!(network.input(), (SIZE, SIZE, 3).into());
    }
}

#[test]
fn mixed_photos_are_no_evaluation() {
    let (_folder, shards) = data();
    let train = loader(&shards);
    let mixed = LoaderOptions { mix: Some(Mix::new(0.0, 1.0)), ..train.options().clone() };
    let mixed = Loader::open(&shards, mixed).unwrap();
    let mut network = network(SIZE).build().unwrap();
    let mut trainer = Trainer::new(TrainOptions::new(1, 0.1));
    for error in [
        trainer.run(&mut network, &mut sgd(), &mixed, Some(&mixed), &mut []).unwrap_err(),
        evaluate(&network, &mixed).unwrap_err(),
    ] {
        assert!(error.to_string().contains("open them with LoaderOptions::for_evaluation"), "{error}");
    }
}

#[test]
fn an_average_of_another_network_is_refused() {
    let (_folder, shards) = data();
    let train = loader(&shards);
    let other = Network::builder((SIZE, SIZE, 3)).add(Flatten).add(Dense::new(CLASSES)).build().unwrap();
    let mut network = network(SIZE).build().unwrap();
    let before = arrays(&network);
    let options = TrainOptions { average: Some(0.9), ..TrainOptions::new(1, 0.1) };
    let mut trainer = Trainer::new(options).with_average(Some(other));
    let error = trainer.run(&mut network, &mut sgd(), &train, None, &mut []).unwrap_err().to_string();
    assert!(error.contains("the average of the weights is that of another network"), "{error}");
    assert_eq!(arrays(&network), before);
}
