//! What floret has no layer for is named: node, operator, reason. And other forms of what it has.

use crate::common::proto::onnx::{AttributeProto, AttributeType, NodeProto};
use floret::nn::{LayerSpec, Padding};
use floret::onnx::{ImportError, ImportOptions, decode};
use prost::Message;

use super::graphs::{floats, imported, ints, model, node, refused, with_int, with_ints};

/// Images of 3 channels and 4x4 pixels.
const INPUT: [i64; 3] = [3, 4, 4];

fn flat_dense() -> [NodeProto; 2] {
    [node("Flatten", &["h"], "flat"), node("Gemm", &["flat", "w"], "y")]
}

#[test]
fn all_unknown_operators_are_named_at_once_with_those_that_are_known() {
    // Before anything else fails: the second node takes what is not there.
    let nodes = vec![
        node("Einsum", &["x"], "a"),
        node("Relu", &["nowhere"], "b"),
        node("TopK", &["a", "b"], "c"),
        NodeProto { domain: "com.microsoft".into(), ..node("QGemm", &["c"], "d") },
        node("Einsum", &["d"], "y"),
        // Nothing needs it.
        node("Loop", &["d"], "unused"),
    ];
    let error = imported(&model(INPUT, nodes, vec![])).unwrap_err();
    let message = error.to_string();
    let wanted = "the graph holds operators that floret does not read: Einsum (2), TopK (1), com.microsoft.QGemm (1); it reads: Abs, Add,";
    assert!(message.starts_with(wanted) && message.ends_with("Transpose, Unsqueeze"), "{message}");
    let ImportError::Operators { unread, read } = error else { panic!("{message}") };
    assert_eq!(unread[0], ("Einsum".into(), 2));
    assert!(read.contains(&"Conv") && read.is_sorted());
}

#[test]
fn what_a_layer_does_not_do_is_named() {
    let conv = |inputs: &[&str]| node("Conv", inputs, "h");
    let cases = [
        (
            with_int(conv(&["x", "k"]), "group", 3),
            "its weights are for 9 channels (3 groups of 3), and 3 come",
        ),
        (with_int(conv(&["x", "k"]), "group", 0), "its `group` is 0"),
        (conv(&["x", "narrow"]), "its weights are for 2 channels (1 groups of 2), and 3 come"),
        (conv(&["x", "none"]), "it takes `none`, which no node before it gives"),
        (conv(&["x"]), "it has 1 input and lacks the weights: the file is damaged"),
        (
            conv(&["k", "k"]),
            "the first input (`k`) is a constant; a value that depends on the images is wanted there",
        ),
        (
            with_ints(conv(&["x", "k"]), "pads", &[5, 0, 0, 0]),
            "does not fit an image of 4x4, or lies in the padding altogether",
        ),
        (with_ints(conv(&["x", "k"]), "pads", &[-1, 0, 0, 0]), "its `pads` is [-1, 0, 0, 0]"),
        (with_ints(conv(&["x", "k"]), "strides", &[0, 1]), "its `strides` is [0, 1]"),
        (
            with_ints(with_ints(node("MaxPool", &["x"], "h"), "kernel_shape", &[2, 2]), "dilations", &[2, 1]),
            "its window has gaps (`dilations`), which are read of convolutions alone",
        ),
        (
            with_ints(node("ReduceMean", &["x"], "h"), "axes", &[1]),
            "means and maxima over height and width together are read",
        ),
        (
            node("Add", &["x", "wide"], "h"),
            "its constant of shape [3, 4, 1] is not a value for each of 3 channels of (batch, channels, height, width), nor one for all",
        ),
        (
            with_ints(node("Transpose", &["x"], "h"), "perm", &[0, 0, 1, 2]),
            "its `perm` [0, 0, 1, 2] is no order of the 4 axes (batch, channels, height, width)",
        ),
        (with_int(node("Softmax", &["x"], "h"), "axis", 1), "a softmax over the outputs of each image"),
        (NodeProto { output: vec![], ..node("Relu", &["x"], "h") }, "it gives nothing"),
        (node("Relu", &["x"], "x"), "its output `x` is there already"),
        (node("Relu", &["h"], "h"), "it takes `h`, which no node before it gives"),
    ];
    let constants = || {
        vec![
            floats("k", &[2, 3, 3, 3]),
            floats("narrow", &[2, 2, 3, 3]),
            floats("wide", &[3, 4, 1]),
            floats("w", &[8, 2]),
        ]
    };
    for (first, wanted) in cases {
        let nodes = [first].into_iter().chain(flat_dense()).collect();
        let message = refused(&model(INPUT, nodes, constants()));
        assert!(message.contains(wanted), "{message}\nwanted: {wanted}");
    }
}

/// What a constant adds is a layer of its own then.
#[test]
fn a_value_may_be_taken_with_and_without_its_bias() {
    let nodes = vec![
        node("Conv", &["x", "k"], "h"),
        node("Add", &["h", "b"], "biased"),
        node("Add", &["h", "biased"], "sum"),
        node("GlobalAveragePool", &["sum"], "mean"),
        node("Flatten", &["mean"], "y"),
    ];
    let constants = vec![floats("k", &[2, 3, 1, 1]), floats("b", &[2, 1, 1])];
    let network = imported(&model(INPUT, nodes, constants)).unwrap().network;
    // Kernels (0, 1, 2) and (3, 4, 5), biases 0 and 1.
    let outputs = network.forward(ndarray::Array4::ones((1, 4, 4, 3)).view()).unwrap();
    assert_eq!(outputs.as_slice().unwrap(), [6.0, 25.0]);
}

/// Numbers are SAME or VALID where they come to the same; PyTorch's `padding=1` at a stride of 2 is neither on an even size.
#[test]
fn padding_is_same_or_valid_where_it_can_be() {
    let padding = |pads: &[i64], strides: &[i64]| {
        let conv = with_ints(with_ints(node("Conv", &["x", "k"], "h"), "pads", pads), "strides", strides);
        let mean = [node("GlobalAveragePool", &["h"], "mean"), node("Flatten", &["mean"], "y")];
        let nodes = [conv].into_iter().chain(mean).collect();
        let network = imported(&model(INPUT, nodes, vec![floats("k", &[2, 3, 3, 3])])).unwrap().network;
        let LayerSpec::Conv2d(conv) = &network.spec().layers[0].layer else {
            panic!("a convolution is first")
        };
        conv.padding
    };
    assert_eq!(padding(&[1, 1, 1, 1], &[1, 1]), Padding::Same);
    assert_eq!(padding(&[0, 0, 1, 1], &[2, 2]), Padding::Same);
    assert_eq!(padding(&[0, 0, 0, 0], &[1, 1]), Padding::Valid);
    assert_eq!(padding(&[1, 1, 1, 1], &[2, 2]), Padding::Explicit { top: 1, bottom: 1, left: 1, right: 1 });
}

/// As Keras' exports have it: NHWC, a pad of its own, a bias added, `MatMul`, a reshape.
#[test]
fn other_forms_of_the_same_layers_are_read() {
    let transpose =
        |input, output, perm: &[i64]| with_ints(node("Transpose", &[input], output), "perm", perm);
    let nodes = vec![
        transpose("x", "nchw", &[0, 3, 1, 2]),
        node("Pad", &["nchw", "pads"], "padded"),
        with_ints(node("Conv", &["padded", "k"], "conv"), "strides", &[2, 2]),
        node("Add", &["conv", "conv_bias"], "biased"),
        transpose("biased", "nhwc", &[0, 2, 3, 1]),
        node("Reshape", &["nhwc", "shape"], "flat"),
        node("MatMul", &["flat", "w"], "product"),
        node("Add", &["bias", "product"], "sum"),
        node("Softmax", &["sum"], "y"),
    ];
    let constants = vec![
        ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]),
        floats("k", &[2, 3, 3, 3]),
        floats("conv_bias", &[1, 2, 1, 1]),
        ints("shape", &[-1, 8]),
        floats("w", &[8, 2]),
        floats("bias", &[2]),
    ];
    let network = imported(&model([4, 4, 3], nodes, constants)).unwrap().network;
    let names: Vec<&str> = network.arrays().map(|(param, _)| param.name.as_str()).collect();
    assert_eq!(names, ["conv2d_1/kernel", "conv2d_1/bias", "dense_1/kernel", "dense_1/bias"]);
    // Flattened NHWC: the rows stay as they are.
    assert_eq!(
        network.array("dense_1/kernel").unwrap().iter().copied().collect::<Vec<f32>>(),
        (0..16).map(|v| v as f32).collect::<Vec<f32>>()
    );
    let LayerSpec::Conv2d(conv) = &network.spec().layers[0].layer else { panic!("a convolution is first") };
    assert_eq!(conv.padding, Padding::uniform(1));
}

#[test]
fn sizes_that_are_open_are_asked_for() {
    let mean = || {
        vec![
            node("Relu", &["x"], "h"),
            node("GlobalAveragePool", &["h"], "mean"),
            node("Flatten", &["mean"], "y"),
        ]
    };
    let mut open = model(INPUT, mean(), vec![]);
    let graph = open.graph.as_mut().unwrap();
    let shape = graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().shape.as_mut().unwrap();
    shape.dim[2].value = None;
    shape.dim[3].value = None;
    assert!(
        refused(&open)
            .contains("takes images of any size, and a network of floret takes one size: say which")
    );
    let options = ImportOptions { image_size: Some(9) };
    let network = decode(&open.encode_to_vec(), &options).unwrap().network;
    assert_eq!(network.input(), (9, 9, 3).into());
}

#[test]
fn other_sets_of_operators_and_old_ones_are_refused() {
    let mut old = model(INPUT, vec![], vec![]);
    old.opset_import[0].version = 8;
    assert!(refused(&old).contains("of opset 8, and 9 or newer is read"));
    let custom = NodeProto { domain: "com.example".into(), ..node("Relu", &["x"], "y") };
    let message = refused(&model(INPUT, vec![custom], vec![]));
    assert!(message.contains("does not read: com.example.Relu (1)"), "{message}");
}

#[test]
fn attributes_of_a_wrong_type_are_named() {
    let attribute = AttributeProto {
        name: "alpha".into(),
        s: b"much".into(),
        r#type: AttributeType::String.into(),
        ..Default::default()
    };
    let leaky = NodeProto { attribute: vec![attribute], ..node("LeakyRelu", &["x"], "h") };
    let nodes = [leaky].into_iter().chain(flat_dense()).collect();
    assert!(refused(&model(INPUT, nodes, vec![floats("w", &[48, 2])])).contains("its `alpha` is no number"));
}

/// A batch norm taken apart, as Keras' exports have it behind dense layers; and a normalization at the beginning.
#[test]
fn constants_by_channel_are_batch_norms() {
    let nodes = vec![
        node("Sub", &["x", "mean"], "centered"),
        node("Div", &["centered", "deviation"], "normalized"),
        node("GlobalAveragePool", &["normalized"], "mean_pixel"),
        node("Flatten", &["mean_pixel"], "flat"),
        node("Mul", &["flat", "scale"], "scaled"),
        node("Add", &["scaled", "shift"], "y"),
    ];
    let constants = vec![
        floats("mean", &[3, 1, 1]),
        floats("deviation", &[1, 3, 1, 1]),
        floats("scale", &[3]),
        floats("shift", &[1, 3]),
    ];
    let network = imported(&model(INPUT, nodes, constants)).unwrap().network;
    let kinds: Vec<&str> = network.spec().layers.iter().map(|layer| layer.layer.kind()).collect();
    assert_eq!(kinds, ["batch_norm", "global_avg_pool", "batch_norm"]);
    // Channels c of 5 everywhere: ((5 - c) / c) c + c; c is 0, 1, 2, and 1 / 0 times 0 is no number.
    let outputs = network.forward(ndarray::Array4::from_elem((1, 4, 4, 3), 5.0).view()).unwrap();
    assert!(outputs[[0, 0]].is_nan());
    assert_eq!((outputs[[0, 1]], outputs[[0, 2]]), (5.0, 5.0));
}
