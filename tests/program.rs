//! The program `flowers`, run as a process: what its subcommands print, their files and their exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use floret::record::{Compression, ImageExample, ImageSchema, RecordWriter};
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
        found.contains("record 0 at byte 0") && found.contains("CRC") && found.contains("1 defect\n"),
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

/// What a command prints to standard output and to standard error, when it succeeds.
#[track_caller]
fn prints(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn holds(found: &str, parts: &[&str]) {
    for part in parts {
        assert!(found.contains(part), "{part:?} is not in {found:?}");
    }
}

const MODEL: [&str; 2] = ["--model", "run/model.safetensors"];

/// Photos, their data set, and a network trained on it for one epoch.
fn trained(folder: &Path) {
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat());
}

/// Records of the photos, each as `change` leaves it, as the only shard `data/train`, with `labels.txt`.
fn records(folder: &Path, change: impl Fn(usize, &mut ImageExample)) {
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::write(folder.join("data/labels.txt"), "blue\nred\n").unwrap();
    let mut writer =
        RecordWriter::create(folder.join("data/train-00000-of-00001.tfrecord"), Compression::Plain).unwrap();
    for number in 0..24 {
        let class = ["blue", "red"][number % 2];
        let encoded = fs::read(folder.join(format!("photos/{class}/{}.jpg", number / 2))).unwrap();
        let mut example = ImageExample { encoded, label: number as i64 % 2 + 1, ..ImageExample::default() };
        change(number, &mut example);
        writer.write(&example.encode(&ImageSchema::default())).unwrap();
    }
    writer.commit().unwrap();
}

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
fn predict_passes_over_what_is_no_photo_and_reads_nothing_huge() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let mixed = folder.join("mixed");
    fs::create_dir_all(mixed.join("more")).unwrap();
    fs::copy(folder.join("photos/red/1.jpg"), mixed.join("rose.jpg")).unwrap();
    fs::write(mixed.join("notes.txt"), "not a photo").unwrap();
    // Sparse: it takes no room on the disk, but would take 8 GiB of memory.
    fs::File::create(mixed.join("movie.mp4")).unwrap().set_len(8 << 30).unwrap();
    let predict = |photo: &'static str| [&["predict"], &MODEL[..], &[photo]].concat();

    let (predicted, notes) = prints(folder, &predict("mixed"));
    assert_eq!(predicted.lines().count(), 1, "{predicted}");
    holds(&predicted, &["rose.jpg: "]);
    holds(
        &notes,
        &["passed over mixed/notes.txt", "a text file", "passed over mixed/movie.mp4", "mixed/more"],
    );
    fails(folder, &predict("mixed/movie.mp4"), &["movie.mp4: not a JPEG or PNG", "1 of 1 photo"]);
    fails(folder, &predict("photos"), &["holds no photos itself", "photos/blue, photos/red"]);
    fails(folder, &predict("mixed/more"), &["mixed/more holds no photos"]);

    // What begins as a photo is not read wholly either when it is far too long for one.
    let huge = folder.join("huge.jpg");
    fs::copy(folder.join("photos/red/1.jpg"), &huge).unwrap();
    fs::File::options().write(true).open(&huge).unwrap().set_len(8 << 30).unwrap();
    fails(folder, &predict("huge.jpg"), &["huge.jpg: its 8589934592 bytes are over the limit"]);
    // A photo that is cut off is an error, wherever it was found.
    let whole = fs::read(mixed.join("rose.jpg")).unwrap();
    fs::write(mixed.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    fails(folder, &predict("mixed"), &["cut.jpg: JPEG is cut off", "1 of 2 photos"]);
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
fn inspect_names_every_defect() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, example| (example.height, example.width) = (Some(7), Some(9)));
    fs::copy(
        folder.join("data/train-00000-of-00001.tfrecord"),
        folder.join("data/eval-00000-of-00001.tfrecord"),
    )
    .unwrap();
    records(folder, |_, _| ());
    let output = run(folder, &["inspect", "data/train", "data/eval"]);
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output.stdout);
    let defects: Vec<_> = found.lines().filter(|line| line.starts_with("defect: ")).collect();
    assert_eq!(defects.len(), 48, "{found}");
    for record in 0..24 {
        let place = format!("defect: data/eval-00000-of-00001.tfrecord: record {record} at byte ");
        let of_record: Vec<_> = defects.iter().filter(|line| line.starts_with(&place)).collect();
        assert!(of_record[0].contains("height of 7") && of_record[1].contains("width of 9"), "{found}");
    }
    holds(&text(&output.stderr), &["48 defects in 1 of 2 files"]);
}

#[test]
fn convert_lists_every_file_left_out() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    let names: Vec<String> = (0..25).map(|number| format!("{number}.txt")).collect();
    names.iter().for_each(|name| fs::write(photos.join("red").join(name), "no photo").unwrap());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    fails(folder, &["convert", "photos", "data", "--strict"], &[&names[..], &["25 files"]].concat());
    let converted = succeeds(folder, &["convert", "photos", "data"]);
    holds(&converted, &names);
    assert!(!converted.contains("more"), "{converted}");
    fails(folder, &["convert", "photos", "data"], &["labels.txt and 4 more", "--overwrite"]);
    let whole = fs::read(photos.join("red/1.jpg")).unwrap();
    fs::write(photos.join("red/cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    let converted = succeeds(folder, &["convert", "photos", "data", "--overwrite"]);
    holds(&converted, &["cut.jpg: JPEG is cut off"]);
    assert!(!converted.contains("Truncated"), "a name of the library's: {converted}");
}

#[test]
fn labels_may_count_from_0() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, example| example.label -= 1);
    let train = [TRAIN, &["--epochs", "1", "--out", "run"]].concat();
    fails(folder, &train, &["label 0 is out of range", "say --label-offset 0"]);
    succeeds(folder, &[&train[..], &["--label-offset", "0"]].concat());
    let eval = [&["eval", "--data", "data", "--split", "train"], &MODEL[..]].concat();
    fails(folder, &eval, &["label 0 is out of range", "--label-offset 0"]);
    succeeds(folder, &[&eval[..], &["--label-offset", "0"]].concat());
    succeeds(folder, &["bench", "--pipeline", "--data", "data", "--epochs", "1", "--label-offset", "0"]);
    // It is one of the settings saved.
    let resume = [TRAIN, &["--epochs", "2", "--out", "run", "--resume"]].concat();
    fails(folder, &[&resume[..], &["--label-offset", "1"]].concat(), &["--label-offset 1 (it was 0)"]);
    succeeds(folder, &resume);
    records(folder, |_, _| ());
    let other = [TRAIN, &["--epochs", "1", "--out", "other", "--label-offset", "0"]].concat();
    fails(folder, &other, &["label 2 is out of range", "say --label-offset 1"]);
}

#[test]
fn bad_records_are_left_out_and_counted_on_demand() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |number, example| {
        if number == 5 {
            example.encoded.truncate(example.encoded.len() / 2);
        }
    });
    let train = [TRAIN, &["--epochs", "2", "--out", "run"]].concat();
    let errors = text(&run(folder, &train).stderr);
    holds(&errors, &["record 5 at byte", "JPEG is cut off", "--skip-bad leaves out"]);
    assert!(!errors.contains("Truncated"), "a name of the library's: {errors}");
    let (_, notes) = prints(folder, &[&train[..], &["--skip-bad"]].concat());
    holds(&notes, &["left out 1 bad record of the train shards", "record 5 at byte"]);
    assert_eq!(notes.matches("left out").count(), 1, "{notes}");
    let eval = [&["eval", "--data", "data", "--split", "train"], &MODEL[..]].concat();
    fails(folder, &eval, &["record 5 at byte", "--skip-bad"]);
    holds(&succeeds(folder, &[&eval[..], &["--skip-bad"]].concat()), &["23 examples"]);
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
    fails(folder, &resume, &["data/labels.txt is missing", "one a line", "flowers convert"]);
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
