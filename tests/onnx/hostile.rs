//! Damaged and hostile files end in an error or a network, never in a panic, and take little memory.

use floret::network::Network;
use floret::nn::{
    BatchNorm, ChannelShuffle, ChannelSlice, Concat, Conv2d, Dense, Flatten, Gelu, GlobalAvgPool,
    GlobalMaxPool, HardSigmoid, LayerNorm, LayerScale, MaxPool2d, Multiply, Relu, Relu6, Residual,
};
use floret::onnx::{ExportOptions, ImportOptions, decode, encode, import};
use ndarray::Array4;
use prost::Message;

use super::graphs::{floats, imported, ints, model, node, number, refused, with_int, with_ints};
use crate::common::fixture;
use crate::common::proto::onnx::{ModelProto, NodeProto, TensorProto};

/// Files of some two thousand bytes with most kinds of nodes.
fn files() -> [Vec<u8>; 2] {
    let residual = Residual::new().body(Conv2d::new(1, 3)).body(BatchNorm::new());
    let builder =
        Network::builder((4, 4, 3)).add(Conv2d::new(1, 2)).add(Relu).add(MaxPool2d::new(2)).add(residual);
    let old = builder.add(Flatten).add(Dense::new(2)).test_time_flip(true);
    let builder = Network::builder((2, 2, 2)).add_named("x", Conv2d::depthwise(2, 1)).add(GlobalAvgPool);
    let builder = builder.add(Dense::new(2)).add_named("g", HardSigmoid).add_from("m", Multiply, ["x", "g"]);
    let builder = builder.add_named("s", ChannelSlice::new(1, 1)).add(Gelu::new()).add_named("c", Relu6);
    let builder = builder.add_from("all", Concat, ["c", "m", "s"]).add(ChannelShuffle::new(2));
    let new = builder.add(LayerNorm::new()).add(LayerScale::new(1.0)).add(GlobalMaxPool);
    [old, new].map(|builder| encode(&builder.build().unwrap(), None, &ExportOptions::default()).unwrap())
}

fn is_handled(bytes: &[u8]) -> bool {
    match decode(bytes, &ImportOptions::default()) {
        Ok(imported) => !imported.network.summary().is_empty(),
        Err(error) => !error.to_string().is_empty(),
    }
}

#[test]
fn every_cut_is_an_error() {
    for file in files() {
        assert!(decode(&file, &ImportOptions::default()).is_ok());
        for len in 0..file.len() {
            // The metadata come last: without them it may be whole.
            assert!(is_handled(&file[..len]), "{len} bytes");
        }
        let message = decode(&file[..file.len() / 2], &ImportOptions::default()).unwrap_err().to_string();
        assert!(message.contains("it is no whole ONNX model"), "{message}");
    }
}

#[test]
fn every_changed_byte_is_handled() {
    for mut file in files() {
        for at in 0..file.len() {
            for flip in [0x01, 0x08, 0x80, 0xFF] {
                file[at] ^= flip;
                assert!(is_handled(&file), "byte {at} ^ {flip}");
                file[at] ^= flip;
            }
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
    assert!(message.contains("take far more memory than the file"), "{message}");
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
            .contains("has the shape [100]; a list of up to 16 whole numbers is wanted")
    );
}

/// Shapes that double would be long soon.
#[test]
fn shapes_do_not_grow() {
    let mut nodes = vec![node("Shape", &["x"], "s0")];
    for i in 0..60 {
        let from = format!("s{i}");
        nodes.push(with_int(node("Concat", &[&from, &from], &format!("s{}", i + 1)), "axis", 0));
    }
    nodes.push(node("Reshape", &["x", "s60"], "y"));
    let message = refused(&model([3, 4, 4], nodes, vec![]));
    assert!(
        message.contains("the constants computed of others take far more memory than the file"),
        "{message}"
    );
}

/// Constants that are computed are bounded by the file, whatever their sizes and however many there are.
#[test]
fn constants_do_not_grow() {
    let message = |nodes: Vec<NodeProto>, constants: Vec<TensorProto>| {
        let used = [
            node("Add", &["x", "c"], "h"),
            node("GlobalAveragePool", &["h"], "m"),
            node("Flatten", &["m"], "y"),
        ];
        refused(&model([3, 4, 4], nodes.into_iter().chain(used).collect(), constants))
    };
    let cases = [
        (node("ConstantOfShape", &["n"], "c"), vec![ints("n", &[1 << 40, 1 << 40])]),
        (node("ConstantOfShape", &["n"], "c"), vec![ints("n", &[0, i64::MAX, i64::MAX])]),
        (node("ConstantOfShape", &["n"], "c"), vec![ints("n", &[1 << 30])]),
        (node("Expand", &["one", "n"], "c"), vec![floats("one", &[1]), ints("n", &[1 << 20, 1 << 20])]),
        (
            node("Range", &["a", "b", "one"], "c"),
            vec![ints("a", &[i64::MIN]), ints("b", &[i64::MAX]), ints("one", &[1])],
        ),
        (node("Add", &["a", "b"], "c"), vec![floats("a", &[3000, 1]), floats("b", &[1, 3000])]),
        (node("Gather", &["a", "i"], "c"), vec![floats("a", &[1, 1000]), ints("i", &[0; 1000])]),
    ];
    for (node, constants) in cases {
        let message = message(vec![node.clone()], constants);
        assert!(message.contains("far more memory than the file"), "{node:?}: {message}");
    }
    // Doubled thirty times.
    let mut nodes = Vec::new();
    for i in 0..30 {
        let (from, to) = (format!("c{i}"), if i == 29 { "c".into() } else { format!("c{}", i + 1) });
        nodes.push(with_int(node("Concat", &[&from, &from], &to), "axis", 0));
    }
    assert!(message(nodes, vec![floats("c0", &[64])]).contains("far more memory than the file"));
}

/// Sizes, axes and places that no array has.
#[test]
fn constants_that_do_not_fit_are_refused() {
    let list = |name: &str| ints(name, &[1, 2]);
    let mut failed = Vec::new();
    let cases = [
        (node("Concat", &["m", "m"], "c"), "`axis`"),
        (with_int(node("Concat", &["m", "row"], "c"), "axis", 0), "do not fit"),
        (with_int(node("Concat", &["m", "three"], "c"), "axis", 0), "it joins arrays of 2 axes and of 1"),
        (with_int(node("Concat", &["three", "two"], "c"), "axis", 0), "joins floats and whole numbers"),
        (with_int(node("Gather", &["m", "two"], "c"), "axis", 0), "an index is beyond the array"),
        (with_int(node("Gather", &["m", "row"], "c"), "axis", 0), "are not whole numbers"),
        (node("Slice", &["m", "two", "one"], "c"), "its bounds are not as many as its axes"),
        (node("Slice", &["m", "one", "one", "nine"], "c"), "none is `axis` 9"),
        (node("Slice", &["m", "one", "one", "one", "zero"], "c"), "by steps of 0"),
        (node("Reshape", &["m", "nine"], "c"), "is not one of shape"),
        (node("Reshape", &["m", "open"], "c"), "a size below 0"),
        (node("Reshape", &["m"], "c"), "it has 1 input and lacks the new shape"),
        (node("Expand", &["m", "nine"], "c"), "do not fit each other"),
        (node("Add", &["m", "three"], "c"), "do not fit each other"),
        (node("Add", &["m", "two"], "c"), "a float and a whole number"),
        (node("Div", &["two", "zeros"], "c"), "overflows"),
        (node("Mul", &["large", "two"], "c"), "overflows"),
        (node("Sqrt", &["two"], "c"), "of floats alone"),
        (with_ints(node("Transpose", &["m"], "c"), "perm", &[0, 0]), "is no order of the 2 axes"),
        (with_int(node("Cast", &["m"], "c"), "to", 8), "and to no other type"),
        (node("Squeeze", &["m", "nine"], "c"), "none is `axis` 9"),
        (node("Unsqueeze", &["m", "nine"], "c"), "none is `axis` 9"),
        (node("ConstantOfShape", &["negative"], "c"), "a size below 0"),
        (node("Constant", &[], "c"), "its value is no array of numbers"),
        (node("Range", &["zeros", "two", "two"], "c"), "not single numbers"),
    ];
    for (first, wanted) in cases {
        let nodes = vec![first.clone(), node("Add", &["x", "c"], "h"), node("Flatten", &["h"], "y")];
        let constants = vec![
            floats("m", &[2, 2]),
            floats("row", &[1, 3]),
            floats("three", &[3]),
            list("two"),
            ints("one", &[1]),
            ints("nine", &[9]),
            ints("zero", &[0]),
            ints("zeros", &[0, 0]),
            ints("open", &[-1, -1]),
            ints("negative", &[-4]),
            ints("large", &[1, i64::MAX]),
        ];
        failed.extend(unlike(wanted, &first, &model([3, 4, 4], nodes, constants)));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What is wrong where the model is not refused with these words because of its node `first`.
fn unlike(wanted: &str, first: &NodeProto, model: &ModelProto) -> Option<String> {
    let message = imported(model).map_or_else(|error| error.to_string(), |_| "nothing".into());
    let (op, input) = (&first.op_type, &first.input);
    (!message.contains(wanted)).then(|| format!("{op} {input:?}: {message}\nwanted: {wanted}\n"))
}

/// The same, of values of images.
#[test]
fn views_that_do_not_fit_are_refused() {
    let mut failed = Vec::new();
    let split = |sizes: &str, outputs: &[&str]| NodeProto {
        output: outputs.iter().map(|&name| name.into()).collect(),
        ..with_int(node("Split", &["x", sizes], ""), "axis", 1)
    };
    let cases = [
        (split("two", &["h"]), "its parts [1, 2] are not the 3 values in 1 outputs"),
        (split("negative", &["h", "g"]), "are not the 3 values"),
        (NodeProto { attribute: vec![], ..split("two", &["h", "g"]) }, "it parts the images of a batch"),
        (node("Slice", &["x", "one", "two", "axis0"], "h"), "its bounds are not as many"),
        (node("Slice", &["x", "one", "nine", "axis0"], "h"), "slices of channels by steps of 1 are read"),
        (node("Slice", &["x", "one", "nine", "nine"], "h"), "its `axes` hold 9"),
        (node("Slice", &["x", "nine", "one", "one"], "h"), "slices of channels by steps of 1 are read"),
        (
            node("Slice", &["x", "one", "nine", "axis2"], "h"),
            "some of the channels can be taken, and of no other axis",
        ),
        (
            node("Reshape", &["x", "two"], "h"),
            "vectors of images, axes of size 1, and groups of channels are read",
        ),
        (node("Reshape", &["x", "open"], "h"), "are read, the batch first"),
        (node("Reshape", &["x", "shuffled"], "h"), "are read, the batch first"),
        (node("Squeeze", &["x", "one"], "h"), "or hold the channels"),
        (node("Unsqueeze", &["x", "axis0"], "h"), "none behind the batch"),
        (node("Gather", &["x", "one"], "h"), "the only one of an axis can be picked"),
        (node("Tanh", &["x"], "h"), "as part of an activation or a layer norm"),
        (node("Div", &["x", "r"], "h"), "read in layer norms alone"),
        (node("Mul", &["x", "column"], "h"), "not a value for each of 3 channels"),
        (with_int(node("Concat", &["x", "r"], "h"), "axis", 2), "joining channels, or vectors, is read"),
        (with_int(node("Concat", &["x", "r"], "h"), "axis", 9), "and 4 axes come"),
        (node("Pad", &["x", "eight"], "h"), "zeros around height and width are read"),
        (node("Clip", &["x", "two"], "h"), "it holds INT64, and FLOAT is read"),
        (node("Max", &["x", "r"], "h"), "depends on the images"),
    ];
    for (first, wanted) in cases {
        let nodes = vec![node("Relu", &["x"], "r"), first.clone(), node("Flatten", &["h"], "y")];
        let constants = vec![
            ints("two", &[1, 2]),
            ints("one", &[1]),
            ints("nine", &[9]),
            ints("negative", &[-1, 4]),
            ints("axis0", &[0]),
            ints("axis2", &[2]),
            ints("open", &[-1, -1, 4]),
            ints("shuffled", &[-1, 4, 3, 4]),
            ints("eight", &[1, 0, 0, 0, 0, 0, 0, 0]),
            floats("column", &[4, 1]),
        ];
        failed.extend(unlike(wanted, &first, &model([3, 4, 4], nodes, constants)));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Thousands of bounds on bounds, each of which might be the end of an activation.
#[test]
fn activations_are_looked_for_in_a_moment() {
    let names: Vec<String> = (0..8000).map(|i| format!("v{i}")).chain(["h".into()]).collect();
    let clip = |(index, output): (usize, &String)| {
        let input = if index == 0 { "x" } else { &names[index - 1] };
        node("Clip", &[input, "0", "6"], output)
    };
    let nodes = names.iter().enumerate().map(clip).chain([node("Mul", &["h", "h"], "y")]).collect();
    let begun = std::time::Instant::now();
    refused(&model([3, 4, 4], nodes, vec![number("0", 0.0), number("6", 6.0)]));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

/// Nodes that take what comes of them are no order to compute in.
#[test]
fn circles_end() {
    let nodes = vec![
        node("Sigmoid", &["b"], "a"),
        node("Tanh", &["a"], "b"),
        node("Mul", &["a", "b"], "h"),
        node("Flatten", &["h"], "y"),
    ];
    assert!(
        refused(&model([3, 4, 4], nodes, vec![])).contains("it takes `b`, which no node before it gives")
    );
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
