//! Runs the numbered examples, and holds them to their length.

use std::{fs, path::Path};

#[path = "../examples/01_train_on_arrays.rs"]
mod train_on_arrays;

#[path = "../examples/02_own_network.rs"]
mod own_network;

#[path = "../examples/03_own_loop.rs"]
mod own_loop;

#[path = "../examples/04_own_layer.rs"]
mod own_layer;

#[path = "../examples/05_own_callback.rs"]
mod own_callback;

#[path = "../examples/06_shared_classifier.rs"]
mod shared_classifier;

#[path = "../examples/07_digits.rs"]
mod digits;

#[test]
fn train_on_arrays_runs() {
    train_on_arrays::main().unwrap();
}

#[test]
fn own_network_runs() {
    own_network::main().unwrap();
}

#[test]
fn own_loop_runs() {
    own_loop::main().unwrap();
}

#[test]
fn own_layer_runs() {
    own_layer::main().unwrap();
}

#[test]
fn own_callback_runs() {
    own_callback::main().unwrap();
}

#[test]
fn shared_classifier_runs() {
    shared_classifier::main().unwrap();
}

#[test]
fn digits_run() {
    digits::main().unwrap();
}

/// Each numbered example is at most 60 lines, and is one of those above.
#[test]
fn examples_are_short_and_run_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = fs::read_to_string(root.join("tests/examples.rs")).unwrap();
    let mut numbered = 0;
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            let lines = fs::read_to_string(root.join("examples").join(&name)).unwrap().lines().count();
            assert!(lines <= 60, "{name} has {lines} lines");
            assert!(tests.contains(&format!("#[path = \"../examples/{name}\"]")), "{name} is not run");
            numbered += 1;
        }
    }
    assert_eq!(numbered, 7);
}
