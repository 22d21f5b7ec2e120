//! Model files that ask for much with few bytes.

use std::fs;

use floret::checkpoint::{load_model, load_training};
use serde_json::{Value, json};

use super::{targets, within_limits};

/// A model's metadata entry for square images of `side`, with these layers.
fn model(side: u64, layers: Value) -> Value {
    json!({
        "kind": "model", "version": 1, "seed": 0, "steps": 0, "classes": ["one"],
        "preprocess": { "image_size": side, "fit": "resize", "orientation": "as-stored" },
        "network": {
            "input": { "image": { "height": side, "width": side, "channels": 3 } },
            "layers": layers,
            "loss": { "loss": "softmax_cross_entropy", "reduction": "mean" },
        },
    })
}

fn dense(name: &str, units: u64) -> Value {
    let init = json!({ "constant": 0.0 });
    json!({ "name": name, "layer": "dense", "units": units, "kernel_init": init, "bias_init": init })
}

/// Fails unless a file of this entry and these arrays is refused by both readers, within the limits; gives the
/// messages.
fn is_refused(entry: &str, arrays: &str) -> String {
    let bytes = targets::model_file(format!("{entry}\n{arrays}").as_bytes()).expect("two lines of JSON");
    bytes_are_refused(&bytes)
}

fn bytes_are_refused(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let model = within_limits(|| load_model(file.path())).unwrap_err().to_string();
    let training = within_limits(|| load_training(file.path())).unwrap_err().to_string();
    format!("{model}\n{training}")
}

#[test]
fn a_network_of_enormous_layers_without_their_arrays_takes_no_memory() {
    let flatten = json!({ "name": "flatten", "layer": "flatten" });
    let layers = json!([flatten, dense("first", 1 << 28), dense("last", 1)]);
    let message = is_refused(&model(1, layers).to_string(), "{}");
    assert!(message.contains("the array `first/kernel` is missing"), "{message}");
    let layers = json!([flatten, dense("first", u64::MAX), dense("last", 1)]);
    let message = is_refused(&model(1, layers).to_string(), "{}");
    assert!(message.contains("is over the limit of 2147483647 values"), "{message}");
    let message = is_refused(&model(1 << 62, json!([flatten, dense("last", 1)])).to_string(), "{}");
    assert!(message.contains("is over the limit of 2147483647 values"), "{message}");
}

#[test]
fn a_network_of_tens_of_thousands_of_layers_is_built_in_time() {
    let norm = |i| json!({ "name": format!("n{i}"), "layer": "batch_norm", "momentum": 0.9, "epsilon": 0.1 });
    let layers: Vec<_> = (0..35_000).map(norm).collect();
    let message = is_refused(&model(1, layers.into()).to_string(), "{}");
    assert!(message.contains("is missing"), "{message}");
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = |begin: &str, end: &str| {
        is_refused(&format!("{}{}", begin.repeat(100_000), end.repeat(100_000)), "{}")
    };
    for message in [deep("[", "]"), deep("{\"body\":[", "]}")] {
        assert!(message.contains("recursion limit exceeded"), "{message}");
    }
    let residual = (0..1000)
        .fold(json!({ "layer": "flatten" }), |body, _| json!({ "layer": "residual", "body": [body] }));
    let message = is_refused(&model(1, json!([residual])).to_string(), "{}");
    assert!(message.contains("recursion limit exceeded"), "{message}");
}

/// JSON takes many times its length while it is parsed: the description's length is limited.
#[test]
fn descriptions_of_megabytes_take_little_memory() {
    let many =
        |item: &str, bytes: usize| format!("[{}{item}]", format!("{item},").repeat(bytes / (item.len() + 1)));
    for item in ["0", "[]", "{\"\":0}", "\"\""] {
        // Quotes take two bytes in the entry, as it is a string.
        let settings = many(item, 2 << 20);
        let message =
            is_refused(&format!("{{\"kind\":\"training\",\"version\":1,\"settings\":{settings}}}"), "{}");
        assert!(message.contains("missing field"), "{message}");
        let header = format!(
            "{{\"a\":{{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,0]}}}}",
            many(item, 4_000_000)
        );
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        bytes_are_refused(&bytes);
    }
    let over = [&100_000_000u64.to_le_bytes()[..], b"{}"].concat();
    let message = bytes_are_refused(&over);
    assert!(message.contains("over the limit of 4194304 bytes"), "{message}");
}

#[test]
fn arrays_that_overlap_or_do_not_fill_their_place_are_an_error() {
    let flatten = json!({ "name": "flatten", "layer": "flatten" });
    let entry = model(1, json!([flatten, dense("last", 1)])).to_string();
    let arrays = |kernel: [u64; 2], bias: [u64; 2], shape: Value| {
        let array =
            |shape: Value, place: [u64; 2]| json!({ "dtype": "F32", "shape": shape, "data_offsets": place });
        json!({ "last/kernel": array(shape, kernel), "last/bias": array(json!([1]), bias) }).to_string()
    };
    let fitting = arrays([0, 12], [12, 16], json!([3, 1]));
    let bytes = targets::model_file(format!("{entry}\n{fitting}").as_bytes()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    load_model(file.path()).unwrap();
    for arrays in [
        arrays([0, 12], [8, 12], json!([3, 1])),
        arrays([0, 12], [16, 20], json!([3, 1])),
        arrays([12, 0], [12, 16], json!([3, 1])),
        arrays([0, 16], [16, 20], json!([3, 1])),
        arrays([0, 12], [12, u64::MAX], json!([3, 1])),
        arrays([0, 12], [12, 16], json!([u64::MAX, 3])),
        arrays([0, 12], [12, 16], json!([1, 3])),
    ] {
        println!("{arrays}");
        is_refused(&entry, &arrays);
    }
}
