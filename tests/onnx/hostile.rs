//! Damaged and hostile files end in an error or a network, never in a panic, and take little memory.

use floret::network::Network;
use floret::nn::{BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, Relu, Residual};
use floret::onnx::{ExportOptions, ImportOptions, decode, encode, import};
use ndarray::Array4;
use prost::Message;

use super::graphs::{floats, imported, ints, model, node, refused, with_ints};
use crate::common::fixture;

/// A file of some two thousand bytes with most kinds of nodes.
fn file() -> Vec<u8> {
    let residual = Residual::new().body(Conv2d::new(1, 3)).body(BatchNorm::new());
    let builder =
        Network::builder((4, 4, 3)).add(Conv2d::new(1, 2)).add(Relu).add(MaxPool2d::new(2)).add(residual);
    let network = builder.add(Flatten).add(Dense::new(2)).test_time_flip(true).build().unwrap();
    encode(&network, None, &ExportOptions::default()).unwrap()
}

fn is_handled(bytes: &[u8]) -> bool {
    match decode(bytes, &ImportOptions::default()) {
        Ok(imported) => !imported.network.summary().is_empty(),
        Err(error) => !error.to_string().is_empty(),
    }
}

#[test]
fn every_cut_is_an_error() {
    let file = file();
    assert!(decode(&file, &ImportOptions::default()).is_ok());
    for len in 0..file.len() {
        // The metadata come last: without them it may be whole.
        assert!(is_handled(&file[..len]), "{len} bytes");
    }
    let message = decode(&file[..file.len() / 2], &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("it is no whole ONNX model"), "{message}");
}

#[test]
fn every_changed_byte_is_handled() {
    let mut file = file();
    for at in 0..file.len() {
        for flip in [0x01, 0x08, 0x80, 0xFF] {
            file[at] ^= flip;
            assert!(is_handled(&file), "byte {at} ^ {flip}");
            file[at] ^= flip;
        }
    }
}

#[test]
fn files_of_other_kinds_are_named() {
    let message = |bytes: &[u8]| decode(bytes, &ImportOptions::default()).unwrap_err().to_string();
    assert_eq!(message(b"\xff\xd8\xff\xe0 and so on"), "it looks like a JPEG image, not an ONNX model");
    assert_eq!(message(b""), "it looks like an empty file, not an ONNX model");
    let folder = import(fixture("onnx"), &ImportOptions::default()).unwrap_err().to_string();
    assert!(folder.ends_with("it is a folder, not a regular file"), "{folder}");
}

#[test]
fn enormous_sizes_take_no_memory() {
    let mean = || {
        vec![
            node("Relu", &["x"], "h"),
            node("GlobalAveragePool", &["h"], "mean"),
            node("Flatten", &["mean"], "y"),
        ]
    };
    for sizes in [[3, 1 << 40, 1 << 40], [3, i64::MAX, 2], [i64::MAX; 3], [3, -1, 4]] {
        let message = refused(&model(sizes, mean(), vec![]));
        assert!(message.contains("is over the limit of 2147483647 values"), "{message}");
    }
    assert!(refused(&model([3, 0, 4], mean(), vec![])).contains("hold no value"));
    let mut huge = floats("w", &[1, 2]);
    huge.dims = vec![i64::MAX, i64::MAX];
    let nodes = || vec![node("Flatten", &["x"], "flat"), node("Gemm", &["flat", "w"], "y")];
    assert!(refused(&model([1, 1, 1], nodes(), vec![huge.clone()])).contains("is too large"));
    huge.dims = vec![1 << 30, 1 << 20];
    assert!(refused(&model([1, 1, 1], nodes(), vec![huge])).contains("and 8 are there"));
}

/// A constant of one value is added to as many outputs as there are; these are known by nothing but numbers.
#[test]
fn outputs_without_weights_take_no_memory() {
    let mut kernel = floats("k", &[0]);
    kernel.dims = vec![1 << 40, 3, 0, 0];
    let conv = vec![node("Conv", &["x", "k", "b"], "y")];
    assert!(refused(&model([3, 4, 4], conv, vec![kernel, floats("b", &[1])])).contains("does not fit"));
    let nodes = vec![node("Flatten", &["x"], "flat"), node("Add", &["flat", "b"], "y")];
    let message = refused(&model([3, 20_000, 30_000], nodes, vec![floats("b", &[1])]));
    assert!(message.contains("not a value for each of 1800000000 channels"), "{message}");
}

/// Windows with much padding make images larger, layer by layer.
#[test]
fn images_that_grow_stop_at_the_limit() {
    let names: Vec<String> = (0..4000).map(|i| format!("v{i}")).chain(["y".into()]).collect();
    let pool = |(index, output): (usize, &String)| {
        let input = if index == 0 { "x" } else { &names[index - 1] };
        let pool = with_ints(node("MaxPool", &[input], output), "kernel_shape", &[15, 15]);
        with_ints(pool, "pads", &[14, 14, 14, 14])
    };
    let nodes = names.iter().enumerate().map(pool).collect();
    let message = refused(&model([3, 4, 4], nodes, vec![]));
    assert!(message.contains("is over the limit of 2147483647 values"), "{message}");
}

/// The same large array in thousands of layers would be thousands of arrays.
#[test]
fn arrays_used_often_are_bounded_by_the_file() {
    let side = 300;
    let names: Vec<String> = (0..400).map(|i| format!("v{i}")).chain(["y".into()]).collect();
    let mut nodes = vec![node("Flatten", &["x"], "flat")];
    for (index, output) in names.iter().enumerate() {
        let input = if index == 0 { "flat" } else { &names[index - 1] };
        nodes.push(node("MatMul", &[input, "w"], output));
    }
    let message = refused(&model([3, 10, 10], nodes, vec![floats("w", &[side, side])]));
    assert!(message.contains("far more memory than the file"), "{message}");
}

#[test]
fn numbers_of_things_are_limited() {
    let relu = |index: usize| node("Relu", &[&format!("v{index}")], &format!("v{}", index + 1));
    assert!(
        refused(&model([3, 4, 4], (0..20_000).map(relu).collect(), vec![]))
            .contains("it has over 16384 nodes")
    );
    let many = vec!["x"; 100];
    assert!(
        refused(&model([3, 4, 4], vec![node("Concat", &many, "y")], vec![]))
            .contains("over 64 inputs of a node")
    );
    let long: Vec<i64> = (0..100).collect();
    assert!(
        refused(&model([3, 4, 4], vec![with_ints(node("Relu", &["x"], "y"), "axes", &long)], vec![]))
            .contains("over 16 numbers")
    );
    let reshape = vec![node("Reshape", &["x", "shape"], "y")];
    assert!(
        refused(&model([3, 4, 4], reshape, vec![ints("shape", &long)]))
            .contains("a short list of whole numbers is wanted")
    );
}

/// Shapes that double would be long soon.
#[test]
fn shapes_do_not_grow() {
    let mut nodes = vec![node("Shape", &["x"], "s0")];
    for i in 0..60 {
        let from = format!("s{i}");
        nodes.push(node("Concat", &[&from, &from], &format!("s{}", i + 1)));
    }
    assert!(refused(&model([3, 4, 4], nodes, vec![])).contains("a shape of over 16 axes"));
}

/// Sums of sums: their description does not nest.
#[test]
fn sums_may_be_as_deep_as_they_like() {
    let mut nodes = Vec::new();
    let mut value = "x".to_owned();
    for i in 0..200 {
        let (relu, sum) = (format!("r{i}"), format!("s{i}"));
        nodes.push(node("Relu", &[&value], &relu));
        nodes.push(node("Add", &[&relu, "x"], &sum));
        value = sum;
    }
    nodes.push(node("GlobalAveragePool", &[&value], "mean"));
    nodes.push(node("Flatten", &["mean"], "y"));
    let network = imported(&model([3, 4, 4], nodes, vec![])).unwrap().network;
    assert_eq!(network.spec().layers.len(), 401);
    // relu(x) + x is 2 x for x of ones, 3 x after the next, and so on.
    let outputs = network.forward(&Array4::ones((1, 4, 4, 3))).unwrap();
    assert!(outputs.iter().all(|y| *y == 201.0), "{outputs}");
}

#[test]
fn weights_outside_of_the_folder_are_refused() {
    let fixture = std::fs::read(fixture("onnx/views.dynamo.onnx")).unwrap();
    let name = b"views.dynamo.onnx.data";
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("xx.dynamo.onnx.data"), b"secret").unwrap();
    for location in [
        &b"../xx.dynamo.onnx.data"[..],
        b"/iews.dynamo.onnx.data",
        b"a/../dynamo.onnx.data.",
        b"./././././././././././",
    ] {
        assert_eq!(location.len(), name.len());
        let mut model = fixture.clone();
        while let Some(at) = model.windows(name.len()).position(|bytes| bytes == name) {
            model[at..at + name.len()].copy_from_slice(location);
        }
        let path = inside.join("model.onnx");
        std::fs::write(&path, &model).unwrap();
        let error = import(&path, &ImportOptions::default()).unwrap_err().to_string();
        assert!(error.contains("which is not beside the model"), "{error}");
    }
}

/// Text from the file comes out escaped.
#[test]
fn names_do_not_move_the_cursor() {
    let message = refused(&model([3, 4, 4], vec![node("Evil\x1b[2J", &["x"], "y")], vec![]));
    assert!(message.contains("\\u{1b}[2J") && !message.contains('\x1b'), "{message}");
    assert!(imported(&model([3, 4, 4], vec![], vec![])).is_err());
    assert!(is_handled(&model([3, 4, 4], vec![], vec![]).encode_to_vec()));
}
