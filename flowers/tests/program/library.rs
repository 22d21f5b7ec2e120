//! What the program does, by the library alone.

use std::fs;
use std::path::Path;

use floret::checkpoint::load_model;
use floret::network::Network;
use floret::recipe::{Budget, Choices, Note, Training};
use tempfile::TempDir;

use crate::support::*;

/// The bits of every array of a network.
fn bits(network: &Network) -> Vec<(String, Vec<u32>)> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    let arrays = network.arrays();
    arrays.map(|(param, values)| (param.name.clone(), bits(values.as_slice().unwrap()))).collect()
}

/// Data of [`photos`], whose notes of few photos are part of the comparison.
fn data(folder: &Path) {
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
}

#[test]
fn the_library_trains_the_very_network_of_the_program() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    data(folder);
    let train = ["train", "--data", "data", "--epochs", "2", "--seed", "5", "--image-size", "48"];
    let (_, notes) = prints(folder, &train);
    holds(&notes, &["few photos to train on"]);
    let (wanted, info) = load_model(folder.join("run/model.safetensors")).unwrap();

    let choices = Choices { image_size: Some(48), ..Choices::default() };
    let training = Training::new(folder.join("data")).choose(choices).epochs(2).seed(5);
    let trained = training.run().unwrap();
    assert!(bits(&trained.network) == bits(&wanted));
    assert_eq!(trained.info, info);
    assert!(trained.notes.iter().any(|note| matches!(note, Note::FewPhotos { .. })), "{:?}", trained.notes);
    let best = trained.progress.history.iter().rfind(|epoch| epoch.best).unwrap();
    let evaluation = trained.evaluation.as_ref().unwrap();
    assert_eq!(Some(evaluation.accuracy()), best.eval.map(|eval| eval.accuracy));
    // The file is the same too.
    trained.save(folder.join("library.safetensors")).unwrap();
    let [program, library] =
        ["run/model.safetensors", "library.safetensors"].map(|path| fs::read(folder.join(path)).unwrap());
    assert!(program == library);
}

#[test]
fn the_library_keeps_to_a_budget_of_time() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    data(folder);
    let trained = floret::fit(folder.join("data"), Budget::minutes(0.05)).unwrap();
    let planned = trained.notes.iter().find_map(|note| match note {
        Note::Planned { image_size, epochs, .. } => Some((*image_size, *epochs)),
        _ => None,
    });
    let (image_size, epochs) = planned.unwrap();
    assert_eq!(trained.info.preprocess.image_size, image_size);
    assert!(epochs >= 1 && trained.progress.is_finished());
    let error = floret::fit(folder.join("none"), Budget::epochs(1)).unwrap_err().to_string();
    holds(&error, &["none: there is no such data folder"]);
    let impossible = Training::new(folder.join("data")).minutes(-1.0).run().unwrap_err().to_string();
    holds(&impossible, &["minutes can't be -1: a number of minutes from 0.02 to 10080 is wanted"]);
}
