//! From help and photos to predictions; errors; output that nobody reads; measurements.

use std::fs;
use std::path::Path;

use floret::math::Isa;
use tempfile::TempDir;

use crate::support::*;

#[test]
fn help_teaches_and_bad_arguments_exit_with_2() {
    let folder = TempDir::new().unwrap();
    let help = succeeds(folder.path(), &["--help"]);
    for part in ["convert", "train", "eval", "predict", "inspect", "bench", "my-photos"] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
    let train = succeeds(folder.path(), &["train", "--help"]);
    for flag in [
        "--image-size",
        "--batch-size",
        "--epochs",
        "--optimizer",
        "--fit",
        "--augment",
        "--seed",
        "--resume",
        "--save-every",
        "--on-save-error",
    ] {
        assert!(train.contains(flag), "{flag} is not in {train}");
    }
    for arguments in [
        &["train"][..],
        &["train", "--data", "x", "--image-size", "15"],
        &["train", "--data", "x", "--learning-rate", "-1"],
        &["train", "--data", "x", "--fit", "stretch"],
        &["convert", "a", "b", "--eval-fraction", "1.5"],
        &["predict", "--model", "x"],
        &["grow"],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn photos_to_predictions() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    fs::write(photos.join("red/notes.txt"), "not a photo").unwrap();

    fails(folder, &["convert", "photos", "data", "--strict"], &["notes.txt"]);
    assert!(!folder.join("data").exists(), "strict writes nothing");
    let converted = succeeds(folder, &["convert", "photos", "data"]);
    for part in
        ["notes.txt", "train-00001-of-00002.tfrecord", "eval-00000-of-00002.tfrecord", "flowers train"]
    {
        assert!(converted.contains(part), "{part} is not in {converted}");
    }
    assert_eq!(fs::read_to_string(folder.join("data/labels.txt")).unwrap(), "background\nblue\nred\n");
    fails(folder, &["convert", "photos", "data"], &["data"]);

    let inspected = succeeds(folder, &["inspect", "data/train", "data/eval"]);
    assert!(inspected.contains("in all: 24 records"), "{inspected}");
    assert!(inspected.contains("image/encoded"), "{inspected}");

    let trained = succeeds(folder, &[TRAIN, &["--epochs", "2", "--out", "run"]].concat());
    assert!(trained.contains("epoch   2/2") && trained.contains("accuracy"), "{trained}");
    fails(folder, &[TRAIN, &["--out", "run"]].concat(), &["--resume", "--out"]);
    fails(folder, &[TRAIN, &["--out", "run", "--resume", "--seed", "9"]].concat(), &["--seed 9"]);
    let resume = [TRAIN, &["--epochs", "4", "--out", "run", "--resume"]].concat();
    let (resumed, notes) = prints(folder, &resume);
    assert!(!notes.contains("may round otherwise"), "{notes}");
    assert!(resumed.contains("going on after 2 epochs") && resumed.contains("epoch   4/4"), "{resumed}");

    // As on a processor without vector instructions.
    let resume = [TRAIN, &["--epochs", "5", "--out", "run", "--resume"]].concat();
    let elsewhere =
        flowers().current_dir(folder).env("FLORET_ISA", "portable").args(resume).output().unwrap();
    let notes = text(&elsewhere.stderr);
    let differs = Isa::best() != Isa::Portable;
    assert_eq!(
        notes.contains("goes on with floret") && notes.contains("may round otherwise"),
        differs,
        "{notes}"
    );

    let model = ["--model", "run/model.safetensors"];
    let evaluated = succeeds(folder, &[&["eval", "--data", "data"], &model[..]].concat());
    for part in ["accuracy", "precision", "true class", "blue", "red"] {
        assert!(evaluated.contains(part), "{part} is not in {evaluated}");
    }
    let predicted =
        succeeds(folder, &[&["predict"], &model[..], &["photos/blue", "photos/red/1.jpg"]].concat());
    assert_eq!(predicted.lines().count(), 13, "{predicted}");
    assert!(predicted.lines().all(|line| line.contains('%')), "{predicted}");
    fails(folder, &[&["predict"], &model[..], &["photos/red/notes.txt"]].concat(), &["notes.txt", "1 of 1"]);
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    fails(folder, &["train", "--data", "nowhere"], &["nowhere", "flowers convert"]);
    fails(folder, &["convert", "nowhere", "data"], &["nowhere"]);
    fails(folder, &["eval", "--data", "nowhere", "--model", "none.safetensors"], &["none.safetensors"]);
    fails(folder, &["inspect", "none.tfrecord"], &["none.tfrecord"]);
    fails(folder, &["train", "--data", "nowhere", "--resume"], &["there is no run to go on with"]);
    fs::write(folder.join("text.safetensors"), "no model").unwrap();
    fails(
        folder,
        &["predict", "--model", "text.safetensors", "x.jpg"],
        &["text.safetensors", "not a model file"],
    );

    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let shard = folder.join("data/train-00000-of-00001.tfrecord");
    let mut bytes = fs::read(&shard).unwrap();
    // Inside the first record's data.
    bytes[100] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let output = run(folder, &["inspect", "data/train"]);
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output.stdout);
    assert!(
        found.contains("record 0 at byte 0") && found.contains("CRC") && found.contains("1 defect\n"),
        "{found}"
    );
    fails(folder, &[TRAIN, &["--epochs", "1"]].concat(), &["record 0 at byte 0", "train-00000-of-00001"]);
}

#[test]
fn what_is_missing_or_does_not_fit_says_what_to_do() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let nothing = [TRAIN, &["--out", "empty", "--resume"]].concat();
    fails(folder, &nothing, &["empty/training.safetensors is missing", "leave out --resume", "--out"]);
    fs::write(folder.join("data/labels.txt"), "cats\ndogs\n").unwrap();
    let resume = [TRAIN, &["--epochs", "2", "--out", "run", "--resume"]].concat();
    fails(folder, &resume, &["blue, red", "cats, dogs", "--data", "--out"]);
    let eval = [&["eval", "--data", "data"], &MODEL[..]].concat();
    fails(
        folder,
        &eval,
        &["blue, red", "data/labels.txt names cats, dogs", "evaluate on data of the model's classes"],
    );
    fs::remove_file(folder.join("data/labels.txt")).unwrap();
    fails(folder, &resume, &["data: labels.txt is missing", "one a line", "flowers convert"]);
}

/// Runs a command whose output nobody reads.
#[track_caller]
fn succeeds_unread(folder: &Path, arguments: &[&str]) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = flowers().current_dir(folder).args(arguments).stdout(writer).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    assert!(!errors.contains("panicked") && !errors.contains("error"), "{errors}");
}

#[test]
fn a_reader_that_goes_away_ends_reports_but_no_training() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds_unread(folder, &["convert", "photos", "data", "--shards", "1"]);
    succeeds_unread(folder, &[TRAIN, &["--epochs", "2", "--out", "run"]].concat());
    let (resumed, _) = prints(folder, &[TRAIN, &["--out", "run", "--resume"]].concat());
    holds(&resumed, &["going on after 2 epochs", "all 2 epochs were done already"]);
    succeeds_unread(folder, &["inspect", "data/train"]);
    succeeds_unread(folder, &[&["eval", "--data", "data"], &MODEL[..]].concat());
    succeeds_unread(folder, &[&["predict", "photos/red"], &MODEL[..]].concat());
}

#[test]
fn bench_prints_the_peers_keys() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let line = succeeds(
        folder,
        &["bench", "--image-size", "32", "--batch-size", "2", "--steps", "1", "--threads", "1"],
    );
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    for key in ["peer", "size", "batch", "threads", "train_ms", "train_img_s", "forward_ms", "peak_mb"] {
        assert!(json.get(key).is_some(), "{key} is not in {line}");
    }
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let lines = succeeds(folder, &["bench", "--pipeline", "--data", "data", "--fit", "resize", "--cache"]);
    assert_eq!(lines.lines().count(), 3);
    for line in lines.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["peer", "fit", "size", "cache", "epoch", "images", "img_s"] {
            assert!(json.get(key).is_some(), "{key} is not in {line}");
        }
        // A fifth of 12 photos a class is for evaluation.
        assert_eq!(json["images"], 20);
    }
}

/// An allocation that fails would end the process with a signal.
#[cfg(target_os = "linux")]
#[test]
fn more_memory_than_there_is_is_refused() {
    let folder = TempDir::new().unwrap();
    let bench = ["bench", "--batch-size", "1048576", "--image-size", "1024"];
    fails(folder.path(), &bench, &["--batch-size 1048576 at --image-size 1024 needs about ", "TB of memory"]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 4000000; exec \"$0\" bench --batch-size 1 --image-size 1024"]);
    let output = limited.arg(flowers().get_program()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{:?}", output.status);
    holds(
        &text(&output.stderr),
        &["--batch-size 1 at --image-size 1024 needs about ", "there are 4.10 GB for"],
    );
}
