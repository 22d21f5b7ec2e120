//! What is loaded is what was saved, bit for bit.

use std::fs;

use floret::checkpoint::{ModelInfo, load_model, save_model};
use floret::data::Preprocess;
use floret::loss::SoftmaxCrossEntropy;
use floret::network::Network;
use floret::nn::*;
use floret::optim::Sgd;
use tempfile::tempdir;

use super::{CLASSES, SIZE, bits, info, random_images};

/// Every kind of layer, with hyper-parameters that no decimal fraction is equal to.
fn every_layer() -> Network {
    Network::builder((SIZE, SIZE, 3))
        .add_named("first", Conv2d::new(6, 5).stride(2).bias_init(Init::Constant(1.0 / 3.0)))
        .add(BatchNorm::new().momentum(0.7).epsilon(1e-3 / 3.0))
        .add(LeakyRelu::new(0.1))
        .add(MaxPool2d::new(2))
        .add(
            Residual::new()
                .body(Conv2d::new(5, 3).dilation(2).no_bias())
                .body(BatchNorm::default())
                .shortcut(Conv2d::new(5, 1).kernel_init(Init::HeNormal)),
        )
        .add(Relu)
        .add(AvgPool2d::new(2).padding(Padding::Same))
        .add(Dropout::new(0.3))
        .add(Residual::new().body(Conv2d::new(5, 3)))
        .add(GlobalAvgPool)
        .add(Flatten)
        .add(Dense::new(CLASSES).kernel_init(Init::GlorotUniform))
        .loss(SoftmaxCrossEntropy::default().label_smoothing(0.1).class_weights(vec![1.0, 0.7, 1e-7, 3.0]))
        .seed(u64::MAX - 5)
        .build()
        .unwrap()
}

#[test]
fn a_loaded_model_is_the_one_that_was_saved() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut network = every_layer();
    let mut optimizer = Sgd::new(0.1);
    for step in 0..3 {
        network.train_step(random_images(5, step).view(), &[0, 1, 2, 3, 0], &mut optimizer).unwrap();
    }
    save_model(&path, &network, &info()).unwrap();
    let (mut loaded, loaded_info) = load_model(&path).unwrap();
    assert_eq!(loaded_info, info());
    assert_eq!(loaded.spec(), network.spec());
    assert_eq!((loaded.seed(), loaded.steps()), (u64::MAX - 5, 3));
    assert_eq!(bits(&loaded), bits(&network));
    let images = random_images(7, 9);
    assert_eq!(loaded.predict(images.view()).unwrap(), network.predict(images.view()).unwrap());
    assert_eq!(loaded.summary(), network.summary());

    // The same bytes again; and dropout goes on where it was.
    let again = folder.path().join("again.safetensors");
    save_model(&again, &loaded, &info()).unwrap();
    assert!(fs::read(&path).unwrap() == fs::read(again).unwrap());
    for network in [&mut network, &mut loaded] {
        network.train_step(images.view(), &[0; 7], &mut optimizer).unwrap();
    }
    assert_eq!(bits(&loaded), bits(&network));
}

#[test]
fn a_model_that_does_not_fit_its_classes_is_not_saved() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, "the old one").unwrap();
    let few = ModelInfo { classes: vec!["a".into()], ..info() };
    let message = save_model(&path, &every_layer(), &few).unwrap_err().to_string();
    assert!(
        message.ends_with("can't be saved: the network has 4 outputs, but there are 1 class names"),
        "{message}"
    );
    let larger = ModelInfo { preprocess: Preprocess::new(SIZE + 1), ..info() };
    let message = save_model(&path, &every_layer(), &larger).unwrap_err().to_string();
    let reason = "the network takes images of 12x12x3, but preprocessing makes 13x13x3";
    assert!(message.ends_with(reason), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"the old one");
    let message =
        save_model(folder.path().join("none/model"), &every_layer(), &info()).unwrap_err().to_string();
    assert!(message.contains("cannot create") && message.contains("none/model"), "{message}");
}
