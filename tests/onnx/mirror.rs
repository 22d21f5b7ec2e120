//! Test-time flips: the graph that is written, and that nothing else done to mirror images passes for one.

use crate::common::proto::onnx::{ModelProto, NodeProto, TensorProto};
use floret::network::Network;
use floret::nn::{Conv2d, Dense, Flatten, Relu};
use floret::onnx::{ExportOptions, ImportOptions, Layout, Output, decode, encode};
use prost::Message;

use super::graphs::{imported, node, refused, with_int};

fn network() -> Network {
    let builder = Network::builder((4, 5, 3)).add_named("conv", Conv2d::new(2, 3)).add(Relu).add(Flatten);
    builder.add_named("logits", Dense::new(3)).test_time_flip(true).build().unwrap()
}

fn written(layout: Layout, output: Output) -> ModelProto {
    let options = ExportOptions { layout, output, preprocessing: false };
    ModelProto::decode(&encode(&network(), None, &options).unwrap()[..]).unwrap()
}

#[test]
fn mirror_images_go_through_the_layers_behind_the_images() {
    let ops = |layout| -> Vec<String> {
        let nodes = written(layout, Output::Probabilities).graph.unwrap().node;
        nodes.into_iter().map(|node| node.op_type).collect()
    };
    let wanted = [
        "Slice",
        "Concat",
        "Conv",
        "Relu",
        "Transpose",
        "Flatten",
        "Gemm",
        "Reshape",
        "ReduceMean",
        "Softmax",
    ];
    assert_eq!(ops(Layout::Nchw), wanted);
    assert_eq!(ops(Layout::Nhwc)[0], "Transpose");
    assert_eq!(ops(Layout::Nhwc)[1..], wanted);
}

#[test]
fn every_form_comes_back_and_one_without_stays_without() {
    for layout in [Layout::Nhwc, Layout::Nchw] {
        for output in [Output::Probabilities, Output::Logits, Output::Both] {
            let back = imported(&written(layout, output)).unwrap().network;
            assert!(back.spec().test_time_flip, "{layout:?} {output:?}");
        }
    }
    let network = Network::builder((4, 5, 3)).add(Flatten).add(Dense::new(3)).build().unwrap();
    let bytes = encode(&network, None, &ExportOptions::default()).unwrap();
    assert!(!decode(&bytes, &ImportOptions::default()).unwrap().network.spec().test_time_flip);
}

type Nodes = Vec<NodeProto>;
type Change = fn(&mut Nodes);

/// The node of this operator.
fn of<'a>(nodes: &'a mut Nodes, op: &str) -> &'a mut NodeProto {
    nodes.iter_mut().find(|node| node.op_type == op).unwrap()
}

fn set(constants: &mut [TensorProto], name: &str, value: i64) {
    let constant = constants.iter_mut().find(|constant| constant.name == format!("test_time_flip/{name}"));
    constant.unwrap().raw_data = value.to_le_bytes().to_vec();
}

/// What a graph is told that is written otherwise than floret writes it.
#[track_caller]
fn refused_after(change: impl FnOnce(&mut Nodes, &mut Vec<TensorProto>)) -> String {
    let mut model = written(Layout::Nchw, Output::Logits);
    let graph = model.graph.as_mut().unwrap();
    change(&mut graph.node, &mut graph.initializer);
    refused(&model)
}

#[test]
fn other_slices_are_refused_by_name() {
    for (bound, value) in [
        ("starts", -2),
        ("starts", 4),
        ("ends", -5),
        ("ends", 0),
        ("axes", 2),
        ("axes", 9),
        ("steps", 1),
        ("steps", -2),
    ] {
        let message = refused_after(|_, constants| set(constants, bound, value));
        let wanted = "the node `test_time_flip/mirrored` (Slice): it";
        let is_why = message.contains("reverses some of the columns")
            || message.contains("; slices of channels by steps of 1 are read")
            || message.contains("its `axes` hold 9, and 4 axes come");
        assert!(message.starts_with(wanted) && is_why, "{bound} {value}: {message}");
    }
    // The least end that leaves nothing out: of 5 columns.
    let mut model = written(Layout::Nchw, Output::Logits);
    set(&mut model.graph.as_mut().unwrap().initializer, "ends", -6);
    assert!(imported(&model).unwrap().network.spec().test_time_flip);
}

#[test]
fn whatever_else_is_done_to_mirror_images_is_refused_by_name() {
    let cases: [(&str, Change); 11] = [
        ("(Concat)", |nodes| of(nodes, "Concat").attribute[0].i = 1),
        ("(Concat)", |nodes| of(nodes, "Concat").input.swap(0, 1)),
        ("(Concat)", |nodes| {
            let twice = of(nodes, "Concat").input[0].clone();
            of(nodes, "Concat").input[1] = twice;
        }),
        ("(Conv)", |nodes| {
            let mirrored = of(nodes, "Slice").output[0].clone();
            of(nodes, "Conv").input[0] = mirrored;
        }),
        // Of a map rather than the input.
        ("(Slice)", |nodes| {
            let slice = NodeProto { input: of(nodes, "Slice").input.clone(), ..node("Slice", &[], "late") };
            let at = nodes.iter().position(|node| node.op_type == "Relu").unwrap();
            nodes.insert(at + 1, slice);
            nodes[at + 1].input[0] = nodes[at].output[0].clone();
            nodes[at + 2].input[0] = "late".into();
        }),
        ("(ReduceMean)", |nodes| of(nodes, "ReduceMean").attribute[0].ints = vec![1]),
        ("(ReduceMean)", |nodes| of(nodes, "ReduceMean").attribute[1].i = 1),
        // Layers behind the mean.
        ("(Relu)", |nodes| {
            of(nodes, "ReduceMean").output[0] = "mean".into();
            nodes.push(node("Relu", &["mean"], "logits"));
        }),
        // The mean of probabilities.
        ("(Reshape)", |nodes| {
            let outputs = of(nodes, "Reshape").input[0].clone();
            of(nodes, "Reshape").input[0] = "probabilities".into();
            let at = nodes.iter().position(|node| node.op_type == "Reshape").unwrap();
            nodes.insert(at, with_int(node("Softmax", &[&outputs], "probabilities"), "axis", 1));
        }),
        // Sizes of twice as many images.
        ("(Shape)", |nodes| {
            let outputs = of(nodes, "Gemm").output[0].clone();
            let at = nodes.iter().position(|node| node.op_type == "Reshape").unwrap();
            nodes.insert(at, node("Shape", &[&outputs], "sizes"));
            nodes[at + 1].input[1] = "sizes".into();
        }),
        ("its output `logits` is of mirror images", |nodes| {
            nodes.retain(|node| node.op_type != "ReduceMean");
            of(nodes, "Reshape").output[0] = "logits".into();
        }),
    ];
    for (wanted, change) in cases {
        let message = refused_after(|nodes, _| change(nodes));
        let is_why = message.contains("test-time flip")
            || message.contains("mirror images")
            || message.contains("it takes a softmax")
            || message.contains("it joins");
        assert!(message.contains(wanted) && is_why, "{wanted}: {message}");
    }
    // Other halves than floret's.
    let message = refused_after(|_, constants| {
        let shape = constants.iter_mut().find(|constant| constant.name == "test_time_flip/shape").unwrap();
        shape.raw_data = [-1i64, 2, 3].iter().flat_map(|size| size.to_le_bytes()).collect();
    });
    assert!(message.starts_with("the node `test_time_flip/apart` (Reshape): "), "{message}");
}
