//! The program `flowers`, run as a process: what its subcommands print, their files and their exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

/// The built example, which `cargo test` puts beside the tests.
fn flowers() -> Command {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join("flowers");
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is not built: run `cargo test`, or `cargo build --examples`",
        program.display()
    );
    Command::new(program)
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    flowers().current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs what must succeed; its standard output.
#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs what must fail with exit code 1; its standard error, which must hold a line that begins with `error: `, every
/// one of `parts`, and no sign of a panic.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let output = run(folder, arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert!(errors.lines().any(|line| line.starts_with("error: ")), "{errors}");
    assert!(!errors.contains("panicked") && !errors.contains("RUST_BACKTRACE"), "{errors}");
    for part in parts {
        assert!(errors.contains(part), "{arguments:?}: {part:?} is not in {errors:?}");
    }
}

/// Photos of two classes, red and blue with noise, 12 each.
fn photos(folder: &Path) -> PathBuf {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (class, colour) in [("red", [200, 40, 40]), ("blue", [40, 40, 200])] {
        fs::create_dir_all(folder.join("photos").join(class)).unwrap();
        for number in 0..12 {
            let (width, height) = (rng.random_range(40u16..60), rng.random_range(40u16..60));
            let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height))
                .flat_map(|_| colour.map(|level: u8| level.saturating_add_signed(rng.random_range(-30..30))))
                .collect();
            let path = folder.join("photos").join(class).join(format!("{number}.jpg"));
            let encoder = jpeg_encoder::Encoder::new_file(path, 90).unwrap();
            encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        }
    }
    folder.join("photos")
}

const TRAIN: &[&str] =
    &["train", "--data", "data", "--image-size", "32", "--batch-size", "8", "--threads", "2"];

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
    ] {
        assert!(train.contains(flag), "{flag} is not in {train}");
    }
    for arguments in [
        &["train"][..],
        &["train", "--data", "x", "--image-size", "16"],
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
    let resumed = succeeds(folder, &[TRAIN, &["--epochs", "4", "--out", "run", "--resume"]].concat());
    assert!(resumed.contains("going on after 2 epochs") && resumed.contains("epoch   4/4"), "{resumed}");

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
    fails(folder, &["train", "--data", "nowhere", "--resume"], &["nowhere"]);
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
        found.contains("record 0 at byte 0") && found.contains("CRC") && found.contains("1 defects"),
        "{found}"
    );
    fails(folder, &[TRAIN, &["--epochs", "1"]].concat(), &["record 0 at byte 0", "train-00000-of-00001"]);
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
