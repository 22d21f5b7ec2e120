//! Hostile files: the inputs that fuzzing kept, and bombs made by hand. Each gives a result or an error, quickly and in
//! little memory; none panics.

mod examples;
mod images;
mod models;
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{alone, peak_memory};

/// What one input may take: some thousand times what it does take, as the machine may be busy.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// What the process may take with one input, in bytes.
const MEMORY_LIMIT: u64 = 1 << 30;

/// Runs `target` on each input kept for it.
fn replay(name: &str, target: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        println!("{}", path.display());
        within_limits(|| target(&input));
        inputs += 1;
    }
    assert!(inputs >= 10, "only {inputs} inputs are in {}", folder.display());
}

/// The result of `f`, which must come in time, with the process's memory within its limit. One at a time.
fn within_limits<T>(f: impl FnOnce() -> T) -> T {
    let _alone = alone();
    let begin = Instant::now();
    let result = f();
    let took = begin.elapsed();
    assert!(took < TIME_LIMIT, "it took {took:?}");
    if let Some(peak) = peak_memory() {
        assert!(peak < MEMORY_LIMIT, "{peak} bytes of memory were taken");
    }
    result
}

#[test]
fn records() {
    replay("records", targets::records);
}

#[test]
fn example() {
    replay("example", targets::example);
}

#[test]
fn image() {
    replay("image", targets::image);
}

#[test]
fn model() {
    replay("model", targets::model);
}

#[test]
fn description() {
    replay("description", targets::description);
}

#[test]
fn onnx() {
    replay("onnx", targets::onnx);
}

#[test]
fn tf_checkpoint() {
    replay("tf_checkpoint", targets::tf_checkpoint);
}
