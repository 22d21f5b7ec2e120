//! What training does with its data, its flags and its folder.

use std::fs;

use tempfile::TempDir;

use crate::support::*;

#[test]
fn a_data_set_without_evaluation_photos_trains_by_its_training_loss() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let converted = succeeds(folder, &["convert", "photos", "data", "--eval-fraction", "0"]);
    holds(&converted, &["no photo is kept for evaluation", "--eval-fraction"]);
    let (trained, notes) = prints(folder, &[TRAIN, &["--epochs", "2", "--out", "run"]].concat());
    holds(&trained, &["24 photos to train on, 0 to evaluate on", "was the best by its training loss"]);
    holds(&notes, &["no eval shards", "lowest training loss"]);
    assert!(!trained.contains("flowers eval"), "{trained}");
    assert!(folder.join("run/model.safetensors").exists());
    fails(
        folder,
        &[&["eval", "--data", "data"], &MODEL[..]].concat(),
        &["nothing to evaluate on", "eval-*", "--eval-fraction", "--split"],
    );
    let evaluated = succeeds(folder, &[&["eval", "--data", "data", "--split", "train"], &MODEL[..]].concat());
    holds(&evaluated, &["24 examples"]);
}

#[test]
fn training_replaces_no_model() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/model.safetensors"), "of weeks").unwrap();
    fails(folder, &[TRAIN, &["--out", "run"]].concat(), &["run/model.safetensors exists already", "--out"]);
    assert_eq!(fs::read(folder.join("run/model.safetensors")).unwrap(), b"of weeks");
}

#[test]
fn more_epochs_change_the_curve_and_the_run_says_so() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let (_, notes) = prints(folder, &[TRAIN, &["--out", "run", "--resume", "--epochs", "2"]].concat());
    holds(&notes, &["2 epochs instead of 1", "not that of a run of 2 epochs"]);
    let (_, notes) = prints(folder, &[TRAIN, &["--out", "run", "--resume", "--epochs", "2"]].concat());
    assert!(!notes.contains("instead of"), "{notes}");
    let help = succeeds(folder, &["train", "--help"]);
    holds(&help, &["With the same number of epochs"]);
}

#[test]
fn recipes_and_batches_are_put_in_relation() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let script = [TRAIN, &["--recipe", "script", "--epochs", "1"]].concat();
    // The mean loss's 0.02 over the 8 photos of a batch, whose losses are added up.
    let momentum = [&script[..], &["--optimizer", "momentum", "--out", "momentum", "--augment"]].concat();
    holds(&succeeds(folder, &momentum), &["learning rate 0.0025", "1 epoch of 3 steps of 8 photos"]);
    holds(&succeeds(folder, &[&script[..], &["--out", "sgd"]].concat()), &["learning rate 0.0005"]);
    let help = succeeds(folder, &["train", "--help"]);
    holds(
        &help,
        &["default: standard", "sgd 0.0005 and momentum 0.02 / batch size", "--label-offset", "--skip-bad"],
    );

    let train = ["train", "--data", "data", "--image-size", "32", "--epochs", "3", "--out", "run"];
    let (trained, notes) = prints(folder, &train);
    holds(&trained, &["3 epochs of 1 step of 20 photos"]);
    holds(&notes, &["20 photos do not fill a batch of 64", "--batch-size 2 would make it 10"]);
}
