//! The program as a process, and the data it is run on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use floret::record::{Compression, ImageExample, ImageSchema, RecordWriter};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn flowers() -> Command {
    Command::new(env!("CARGO_BIN_EXE_flowers"))
}

/// A fixture of the library's tests.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures")).join(name)
}

pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    flowers().current_dir(folder).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs what must succeed; its standard output.
#[track_caller]
pub fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command prints to standard output and to standard error, when it succeeds.
#[track_caller]
pub fn prints(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Runs what must fail with exit code 1; its standard error, which must hold a line that begins with `error: `, every
/// one of `parts`, and no sign of a panic.
#[track_caller]
pub fn fails(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let output = run(folder, arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert!(errors.lines().any(|line| line.starts_with("error: ")), "{errors}");
    assert!(!errors.contains("panicked") && !errors.contains("RUST_BACKTRACE"), "{errors}");
    for part in parts {
        assert!(errors.contains(part), "{arguments:?}: {part:?} is not in {errors:?}");
    }
}

#[track_caller]
pub fn holds(found: &str, parts: &[&str]) {
    for part in parts {
        assert!(found.contains(part), "{part:?} is not in {found:?}");
    }
}

/// Photos of two classes, red and blue with noise, 12 each.
pub fn photos(folder: &Path) -> PathBuf {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (class, color) in [("red", [200, 40, 40]), ("blue", [40, 40, 200])] {
        fs::create_dir_all(folder.join("photos").join(class)).unwrap();
        for number in 0..12 {
            let (width, height) = (rng.random_range(40u16..60), rng.random_range(40u16..60));
            let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height))
                .flat_map(|_| color.map(|level: u8| level.saturating_add_signed(rng.random_range(-30..30))))
                .collect();
            let path = folder.join("photos").join(class).join(format!("{number}.jpg"));
            let encoder = jpeg_encoder::Encoder::new_file(path, 90).unwrap();
            encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        }
    }
    folder.join("photos")
}

pub const TRAIN: &[&str] =
    &["train", "--data", "data", "--image-size", "32", "--batch-size", "8", "--threads", "2"];

pub const MODEL: [&str; 2] = ["--model", "run/model.safetensors"];

/// Photos, their data set, and a network trained on it for one epoch.
pub fn trained(folder: &Path) {
    trained_with(folder, &[]);
}

/// The same with more flags.
pub fn trained_with(folder: &Path, flags: &[&str]) {
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"], flags].concat());
}

/// Records of the photos, each as `change` leaves it, as the only shard `data/train`, with `labels.txt`.
pub fn records(folder: &Path, change: impl Fn(usize, &mut ImageExample)) {
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
