//! What graphs are written.

use crate::common::proto::onnx::{GraphProto, ModelProto, NodeProto};
use floret::network::Network;
use floret::nn::{
    AvgPool2d, ChannelShuffle, ChannelSlice, Conv2d, Dense, Dropout, Flatten, Gelu, GlobalAvgPool,
    GlobalMaxPool, HardSigmoid, HardSwish, LayerNorm, LayerScale, LayerSpec, Padding, Relu, Relu6, Residual,
    Sigmoid, Silu, StochasticDepth,
};
use floret::onnx::{ExportOptions, Layout, Output, encode, export};
use ndarray::{ArrayD, IxDyn};
use prost::Message;

fn written(network: &Network, options: &ExportOptions) -> GraphProto {
    let model = ModelProto::decode(&encode(network, None, options).unwrap()[..]).unwrap();
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    model.graph.unwrap()
}

fn ops(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

fn ints<'a>(node: &'a NodeProto, name: &str) -> &'a [i64] {
    &node.attribute.iter().find(|attribute| attribute.name == name).unwrap().ints
}

fn small() -> Network {
    let residual = Residual::new().body(Conv2d::new(2, 3)).shortcut(Conv2d::new(2, 1));
    let builder = Network::builder((5, 6, 3)).add_named("first", Conv2d::new(2, 3).stride(2)).add(Relu);
    let builder = builder.add(AvgPool2d::new(2)).add(Dropout::new(0.5)).add(residual).add(Flatten);
    builder.add_named("last", Dense::new(2)).build().unwrap()
}

#[test]
fn a_graph_holds_each_layer_in_its_order() {
    let graph = written(&small(), &ExportOptions::default());
    let wanted = [
        "Transpose",
        "Conv",
        "Relu",
        "AveragePool",
        "Conv",
        "Conv",
        "Add",
        "Transpose",
        "Flatten",
        "Gemm",
        "Softmax",
    ];
    assert_eq!(ops(&graph), wanted);
    assert_eq!(graph.output.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["probabilities"]);
    let names: Vec<&str> = graph.initializer.iter().map(|array| array.name.as_str()).collect();
    assert!(
        names.contains(&"first/kernel") && names.contains(&"residual_1/shortcut_1_conv2d/bias"),
        "{names:?}"
    );

    let options = ExportOptions { layout: Layout::Nchw, output: Output::Both, preprocessing: true };
    let graph = written(&small(), &options);
    assert_eq!(ops(&graph)[..8], ["Cast", "ReduceMean", "Sub", "Mul", "ReduceMean", "Sqrt", "Max", "Div"]);
    assert_eq!(ops(&graph)[8], "Conv");
    assert_eq!(
        graph.output.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(),
        ["logits", "probabilities"]
    );
}

/// The operators of a layer alone, on images and, where it takes them, on vectors.
#[test]
fn each_kind_of_layer_is_written_as_its_operators() {
    let options = ExportOptions { layout: Layout::Nchw, output: Output::Logits, preprocessing: false };
    let group = |graph: &GraphProto| {
        let attributes = &graph.node[0].attribute;
        attributes.iter().find(|attribute| attribute.name == "group").map(|attribute| attribute.i)
    };
    for (groups, wanted) in [(1, None), (3, Some(3))] {
        let network = Network::builder((4, 5, 6)).add(Conv2d::new(3, 3).groups(groups)).add(GlobalAvgPool);
        assert_eq!(group(&written(&network.build().unwrap(), &options)), wanted);
    }
    let on_images: [(LayerSpec, &[&str]); 15] = [
        (Conv2d::depthwise(6, 3).into(), &["Conv"]),
        (AvgPool2d::new(2).count_padding(true).into(), &["AveragePool"]),
        (GlobalMaxPool.into(), &["GlobalMaxPool", "Flatten"]),
        (LayerNorm::new().into(), &["Transpose", "LayerNormalization", "Transpose"]),
        (LayerScale::new(0.5).into(), &["Mul"]),
        (StochasticDepth::new(0.5).into(), &[]),
        (ChannelShuffle::new(3).into(), &["Reshape", "Transpose", "Reshape"]),
        (ChannelSlice::new(1, 4).into(), &["Slice"]),
        (Relu6.into(), &["Clip"]),
        (Sigmoid.into(), &["Sigmoid"]),
        (HardSigmoid.into(), &["HardSigmoid"]),
        (Silu.into(), &["Sigmoid", "Mul"]),
        (HardSwish.into(), &["HardSwish"]),
        (Gelu::new().into(), &["Mul", "Erf", "Add", "Mul", "Mul"]),
        (Gelu::new().approximate().into(), &["Mul", "Mul", "Add", "Mul", "Sigmoid", "Mul"]),
    ];
    for (layer, wanted) in &on_images {
        // Something to compute, and a vector of classes.
        let builder = Network::builder((4, 5, 6)).add(Conv2d::new(6, 1)).add(layer.clone());
        let (builder, behind): (_, &[&str]) = match layer {
            LayerSpec::GlobalMaxPool(_) => (builder, &[]),
            _ => (builder.add(GlobalAvgPool), &["GlobalAveragePool", "Flatten"]),
        };
        let graph = written(&builder.build().unwrap(), &options);
        assert_eq!(ops(&graph)[1..], [wanted, behind].concat(), "{layer:?}");
    }
    let on_vectors: [(LayerSpec, &[&str]); 4] = [
        (LayerNorm::new().into(), &["LayerNormalization"]),
        (LayerScale::new(0.5).into(), &["Mul"]),
        (ChannelShuffle::new(3).into(), &["Reshape", "Transpose", "Reshape"]),
        (ChannelSlice::new(1, 4).into(), &["Slice"]),
    ];
    for (layer, wanted) in &on_vectors {
        let network = Network::builder((1, 1, 6)).add(Flatten).add(Dense::new(6)).add(layer.clone());
        let graph = written(&network.build().unwrap(), &options);
        assert_eq!(&ops(&graph)[2..], *wanted, "{layer:?}");
    }
}

/// Of TensorFlow's SAME the odd zero goes to the end: 5 rows at a stride of 2 take one above and below, 6 columns one to the
/// right alone.
#[test]
fn same_padding_is_written_as_its_numbers() {
    let graph = written(&small(), &ExportOptions::default());
    assert_eq!(ints(&graph.node[1], "pads"), [1, 0, 1, 1]);
    // 3x3 by windows of 2: a row and a column more.
    assert_eq!(ints(&graph.node[3], "pads"), [0, 0, 1, 1]);
    let padding = Padding::Explicit { top: 2, bottom: 0, left: 1, right: 2 };
    let network = Network::builder((5, 5, 1)).add(Conv2d::new(1, 3).padding(padding)).add(GlobalAvgPool);
    let graph = written(&network.build().unwrap(), &ExportOptions::default());
    assert_eq!(ints(&graph.node[1], "pads"), [2, 1, 0, 2]);
}

#[test]
fn filters_are_written_by_output_channel() {
    let mut network =
        Network::builder((4, 4, 2)).add(Conv2d::new(2, (1, 3))).add(GlobalAvgPool).build().unwrap();
    // Rows, columns, inputs, outputs.
    let kernel = ArrayD::from_shape_vec(IxDyn(&[1, 3, 2, 2]), (0u8..12).map(f32::from).collect()).unwrap();
    network.set_array("conv2d_1/kernel", kernel.view()).unwrap();
    let graph = written(&network, &ExportOptions::default());
    let array = graph.initializer.iter().find(|array| array.name == "conv2d_1/kernel").unwrap();
    assert_eq!(array.dims, [2, 2, 1, 3]);
    let values: Vec<f32> =
        array.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(values, [0.0, 4.0, 8.0, 2.0, 6.0, 10.0, 1.0, 5.0, 9.0, 3.0, 7.0, 11.0]);
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let vectors = Network::builder(floret::nn::Shape::Vector(3)).add(Dense::new(2)).build().unwrap();
    let error = export(&path, &vectors, None, &ExportOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the network can't be exported: its input is a vector, and images are wanted"
    );
    assert!(!path.exists());
    let error = export(folder.path().join("none/model.onnx"), &small(), None, &ExportOptions::default());
    assert!(error.unwrap_err().to_string().starts_with("cannot create "));
}
