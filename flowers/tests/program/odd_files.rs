//! Files that are no files: pipes that nobody writes to, devices without end.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::*;

/// Runs what must fail, and soon, without the end of anything that has none; its standard error.
#[track_caller]
fn fails_soon(folder: &Path, arguments: &[&str]) -> String {
    let mut command = flowers();
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let (mut child, begun) = (command.spawn().unwrap(), Instant::now());
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr)
}

fn fifo(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_and_devices_are_refused() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    fifo(&folder.join("fifo"));
    for device in ["fifo", "/dev/zero", "/dev/full"] {
        let found = run(folder, &["inspect", device]);
        assert_eq!(found.status.code(), Some(1));
        holds(&text(&found.stdout), &["defect: cannot open ", device, "not a regular file"]);
        let errors = fails_soon(folder, &["predict", "--model", device, "photos/red/1.jpg"]);
        holds(&errors, &["cannot open ", device, "not a regular file"]);
    }
    let train = [TRAIN, &["--out", "run"]].concat();
    fifo(&folder.join("run/training.safetensors"));
    for arguments in [&[&train[..], &["--resume"]].concat(), &train] {
        let errors = fails_soon(folder, arguments);
        assert!(errors.contains("is a FIFO") || errors.contains("holds a training run already"), "{errors}");
    }
    fifo(&folder.join("data/.conversion-unfinished"));
    let errors = fails_soon(folder, &["convert", "photos", "data"]);
    holds(&errors, &[".conversion-unfinished: it is a FIFO, not a regular file"]);
    fs::remove_file(folder.join("data/.conversion-unfinished")).unwrap();
    fifo(&folder.join("data/labels.txt"));
    let errors = fails_soon(folder, &[TRAIN, &["--out", "other"]].concat());
    holds(&errors, &["labels.txt: it is a FIFO, not a regular file"]);
}

/// What a shell's `|` and `<` give a command.
#[test]
fn inspect_reads_its_standard_input() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    records(folder, |_, _| ());
    let shard = folder.join("data/train-00000-of-00001.tfrecord");
    let mut cat = Command::new("cat").arg(&shard).stdout(Stdio::piped()).spawn().unwrap();
    let inputs: [Stdio; 2] = [cat.stdout.take().unwrap().into(), File::open(&shard).unwrap().into()];
    for input in inputs {
        let output = flowers().args(["inspect", "/dev/stdin"]).stdin(input).output().unwrap();
        holds(&text(&output.stdout), &["/dev/stdin: 24 records", "in all: 24 records"]);
        assert!(output.status.success());
    }
    cat.wait().unwrap();
    // Longer than what is looked at first; a photo may have more bytes behind its end.
    records(folder, |_, example| example.encoded.resize(1 << 20, 0));
    let mut cat = Command::new("cat").arg(&shard).stdout(Stdio::piped()).spawn().unwrap();
    let output =
        flowers().args(["inspect", "/dev/stdin"]).stdin(cat.stdout.take().unwrap()).output().unwrap();
    holds(&text(&output.stdout), &["/dev/stdin: 24 records", "JPEG YCbCr: 24", "12  -"]);
    assert!(output.status.success());
    cat.wait().unwrap();
    let zeros =
        flowers().args(["inspect", "/dev/stdin"]).stdin(File::open("/dev/zero").unwrap()).output().unwrap();
    holds(&text(&zeros.stdout), &["/dev/stdin: record 0 at byte 0: not a TFRecord file"]);
}
