//! The same layers in other forms: activations and norms taken apart, as Keras' exports have them, constants computed.

use crate::common::proto::onnx::{AttributeProto, AttributeType, NodeProto, TensorProto};
use floret::image::Normalize;
use floret::network::Network;
use floret::nn::{Gelu, HardSigmoid, HardSwish, LayerSpec, Padding, Relu6, Silu};
use ndarray::Array4;

use super::graphs::{floats, imported, ints, model, node, number, with_int, with_ints};

/// Images of 3 channels and 4x4 pixels.
const INPUT: [i64; 3] = [3, 4, 4];

fn transpose(input: &str, output: &str, perm: &[i64]) -> NodeProto {
    with_ints(node("Transpose", &[input], output), "perm", perm)
}

fn with_float(mut node: NodeProto, name: &str, f: f32) -> NodeProto {
    let kind = AttributeType::Float.into();
    node.attribute.push(AttributeProto { name: name.into(), f, r#type: kind, ..Default::default() });
    node
}

/// The network of nodes that make `h` of `x`, and means over all pixels behind them.
fn network(sizes: [i64; 3], mut nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Network {
    nodes.extend([node("GlobalAveragePool", &["h"], "pooled"), node("Flatten", &["pooled"], "y")]);
    imported(&model(sizes, nodes, constants)).unwrap_or_else(|error| panic!("{error}")).network
}

fn kinds(network: &Network) -> Vec<&str> {
    network.spec().layers.iter().map(|layer| layer.layer.kind()).collect()
}

/// Images of any values, the same for the same size.
fn images(height: usize, width: usize, channels: usize) -> Array4<f32> {
    Array4::from_shape_fn((2, height, width, channels), |(n, y, x, c)| {
        ((n * 7 + y * 5 + x * 3 + c * 11) % 13) as f32 / 4.0 - 1.5
    })
}

#[test]
fn activations_are_known_by_what_they_compute() {
    let numbers = || {
        [
            ("0", 0.0),
            ("half", 0.5),
            ("1", 1.0),
            ("2", 2.0),
            ("3", 3.0),
            ("6", 6.0),
            ("sixth", 1.0 / 6.0),
            ("root", std::f32::consts::SQRT_2),
            ("root_of_half", std::f32::consts::FRAC_1_SQRT_2),
            ("cubic", 0.044715),
            ("factor", 0.797_884_6),
        ]
        .map(|(name, value)| number(name, value))
        .to_vec()
    };
    let hard = |rest: &[NodeProto]| [&[node("Add", &["x", "3"], "a")], rest].concat();
    let erf = |rest: &[NodeProto]| {
        let begin =
            [node("Div", &["x", "root"], "a"), node("Erf", &["a"], "b"), node("Add", &["b", "1"], "c")];
        [&begin, rest].concat()
    };
    let tanh = [
        node("Pow", &["x", "3"], "a"),
        node("Mul", &["a", "cubic"], "b"),
        node("Add", &["x", "b"], "c"),
        node("Mul", &["factor", "c"], "d"),
        node("Tanh", &["d"], "e"),
        node("Add", &["1", "e"], "f"),
        node("Mul", &["x", "f"], "g"),
        node("Mul", &["half", "g"], "h"),
    ];
    let silu_by_exponent = vec![
        node("Neg", &["x"], "a"),
        node("Exp", &["a"], "b"),
        node("Add", &["1", "b"], "c"),
        node("Div", &["x", "c"], "h"),
    ];
    let gelu: LayerSpec = Gelu::new().into();
    let cases: [(Vec<NodeProto>, LayerSpec); 12] = [
        (vec![node("Sigmoid", &["x"], "a"), node("Mul", &["a", "x"], "h")], Silu.into()),
        (silu_by_exponent, Silu.into()),
        (hard(&[node("Clip", &["a", "0", "6"], "b"), node("Div", &["b", "6"], "h")]), HardSigmoid.into()),
        (
            hard(&[
                node("Relu", &["a"], "b"),
                node("Min", &["6", "b"], "c"),
                node("Mul", &["c", "sixth"], "h"),
            ]),
            HardSigmoid.into(),
        ),
        (
            hard(&[
                node("Clip", &["a", "0", "6"], "b"),
                node("Mul", &["x", "b"], "c"),
                node("Div", &["c", "6"], "h"),
            ]),
            HardSwish.into(),
        ),
        (
            hard(&[
                node("Clip", &["a", "0", "6"], "b"),
                node("Mul", &["b", "sixth"], "c"),
                node("Mul", &["x", "c"], "h"),
            ]),
            HardSwish.into(),
        ),
        (
            vec![
                with_float(node("HardSigmoid", &["x"], "a"), "alpha", 1.0 / 6.0),
                node("Mul", &["x", "a"], "h"),
            ],
            HardSwish.into(),
        ),
        (erf(&[node("Mul", &["x", "c"], "d"), node("Mul", &["d", "half"], "h")]), gelu.clone()),
        (erf(&[node("Mul", &["x", "half"], "d"), node("Mul", &["c", "d"], "h")]), gelu.clone()),
        (erf(&[node("Div", &["c", "2"], "d"), node("Mul", &["d", "x"], "h")]), gelu),
        (tanh.to_vec(), Gelu::new().approximate().into()),
        (vec![node("Relu", &["x"], "a"), node("Min", &["a", "6"], "h")], Relu6.into()),
    ];
    for (nodes, wanted) in cases {
        let network = network(INPUT, nodes.clone(), numbers());
        let layers: Vec<&LayerSpec> = network.spec().layers.iter().map(|layer| &layer.layer).collect();
        assert!(layers.len() == 2 && *layers[0] == wanted, "{wanted:?} from {nodes:?}: {layers:?}");
    }
}

/// What is no activation of floret's stays in its parts, and computes the same.
#[test]
fn other_curves_stay_in_their_parts() {
    // Keras' hard sigmoid before version 3.
    let keras = network(INPUT, vec![node("HardSigmoid", &["x"], "h")], vec![]);
    assert_eq!(kinds(&keras), ["batch_norm", "clip", "global_avg_pool"]);
    let outputs = keras.forward(Array4::from_elem((1, 4, 4, 3), 1.0).view()).unwrap();
    assert!(outputs.iter().all(|y| (y - 0.7).abs() < 1e-6), "{outputs}");
    // 3 x - x, and x times itself.
    let constants = || vec![number("3", 3.0)];
    let nodes =
        vec![node("Mul", &["x", "3"], "a"), node("Sub", &["a", "x"], "b"), node("Mul", &["b", "b"], "h")];
    let outputs =
        network(INPUT, nodes, constants()).forward(Array4::from_elem((1, 4, 4, 3), 2.0).view()).unwrap();
    assert!(outputs.iter().all(|y| *y == 16.0), "{outputs}");
    // 3 - x
    let nodes = vec![node("Sub", &["3", "x"], "h")];
    let outputs =
        network(INPUT, nodes, constants()).forward(Array4::from_elem((1, 4, 4, 3), 5.0).view()).unwrap();
    assert!(outputs.iter().all(|y| *y == -2.0), "{outputs}");
}

#[test]
fn a_layer_norm_taken_apart_is_one() {
    let mean = |x: &str, y: &str| with_ints(node("ReduceMean", &[x], y), "axes", &[-1]);
    let begin =
        || vec![transpose("x", "nhwc", &[0, 2, 3, 1]), mean("nhwc", "m"), node("Sub", &["nhwc", "m"], "d")];
    let end = || {
        vec![
            node("Mul", &["n", "gamma"], "scaled"),
            node("Add", &["scaled", "beta"], "shifted"),
            transpose("shifted", "h", &[0, 3, 1, 2]),
        ]
    };
    let deviation = || vec![mean("s", "v"), node("Add", &["v", "eps"], "e"), node("Sqrt", &["e"], "r")];
    let constants =
        || vec![floats("gamma", &[3]), floats("beta", &[3]), number("eps", 0.5), number("2", 2.0)];
    let whole = [
        transpose("x", "nhwc", &[0, 2, 3, 1]),
        with_float(node("LayerNormalization", &["nhwc", "gamma", "beta"], "shifted"), "epsilon", 0.5),
        transpose("shifted", "h", &[0, 3, 1, 2]),
    ];
    let whole = network(INPUT, whole.to_vec(), constants());
    let divided = [
        begin(),
        vec![node("Pow", &["d", "2"], "s")],
        deviation(),
        vec![node("Div", &["d", "r"], "n")],
        end(),
    ];
    let inverse = vec![node("Reciprocal", &["r"], "i"), node("Mul", &["i", "d"], "n")];
    let multiplied = [begin(), vec![node("Mul", &["d", "d"], "s")], deviation(), inverse, end()];
    for nodes in [divided.concat(), multiplied.concat()] {
        let network = network(INPUT, nodes, constants());
        assert_eq!(kinds(&network), ["layer_norm", "global_avg_pool"]);
        let images = images(4, 4, 3);
        assert_eq!(network.forward(images.view()).unwrap(), whole.forward(images.view()).unwrap());
    }
}

/// A network of one convolution with what a graph does to its input before, and one without.
fn rescaled(before: Vec<NodeProto>, pads: &[i64]) -> (Network, Network) {
    let conv = |nodes: Vec<NodeProto>, from: &str| {
        let rest = vec![
            transpose(from, "nchw", &[0, 3, 1, 2]),
            with_ints(node("Conv", &["nchw", "k", "b"], "h"), "pads", pads),
        ];
        let constants = vec![
            number("scale", 0.25),
            number("one", 1.0),
            floats("mean", &[3]),
            floats("deviation", &[1, 1, 3]),
            floats("k", &[2, 3, 3, 3]),
            floats("b", &[2]),
        ];
        network([4, 4, 3], [nodes, rest].concat(), constants)
    };
    (conv(before, "r"), conv(vec![], "x"))
}

#[test]
fn a_leading_rescaling_goes_into_the_first_convolution_where_that_is_exact() {
    let (no_padding, padding) = ([0; 4], [1; 4]);
    let scale = || vec![node("Mul", &["x", "scale"], "r")];
    let both = || vec![node("Mul", &["x", "scale"], "s"), node("Sub", &["s", "one"], "r")];
    let by_channel = || vec![node("Sub", &["x", "mean"], "s"), node("Div", &["s", "scale"], "r")];
    let value = |x: f32, _: usize| x * 0.25;
    let of_both = |x: f32, _: usize| x * 0.25 - 1.0;
    let of_channels = |x: f32, channel: usize| (x - channel as f32) / 0.25;
    type Value = fn(f32, usize) -> f32;
    let cases: [(Vec<NodeProto>, Value, &[i64], &[&str]); 6] = [
        (scale(), value, &no_padding, &["conv2d"]),
        (scale(), value, &padding, &["conv2d"]),
        (both(), of_both, &no_padding, &["conv2d"]),
        (both(), of_both, &padding, &["batch_norm", "conv2d"]),
        (by_channel(), of_channels, &no_padding, &["conv2d"]),
        (by_channel(), of_channels, &padding, &["batch_norm", "conv2d"]),
    ];
    for (nodes, value, pads, wanted) in cases {
        let (rescaled, plain) = rescaled(nodes, pads);
        assert_eq!(kinds(&rescaled), [wanted, &["global_avg_pool"]].concat());
        let images = images(4, 4, 3);
        let inputs = Array4::from_shape_fn(images.dim(), |at| value(images[at], at.3));
        let (got, want) = (rescaled.forward(images.view()).unwrap(), plain.forward(inputs.view()).unwrap());
        let largest = want.iter().fold(0.0f32, |most, y| most.max(y.abs()));
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{got} {want}");
    }
}

/// As Keras' EfficientNet, whose first nodes bring levels to the values that it was trained on.
#[test]
fn a_graph_that_rescales_levels_says_so() {
    let takes = |factor: f32, pads: &[i64]| {
        let nodes = vec![
            node("Mul", &["x", "scale"], "s"),
            node("Sub", &["s", "one"], "r"),
            transpose("r", "nchw", &[0, 3, 1, 2]),
            with_ints(node("Conv", &["nchw", "k"], "h"), "pads", pads),
            node("GlobalAveragePool", &["h"], "pooled"),
            node("Flatten", &["pooled"], "y"),
        ];
        let constants = vec![number("scale", factor), number("one", 1.0), floats("k", &[2, 3, 3, 3])];
        imported(&model([4, 4, 3], nodes, constants)).unwrap().takes
    };
    // The shift stays a layer where there is padding.
    for pads in [[0; 4], [1; 4]] {
        assert_eq!(
            [1.0 / 255.0, 1.0 / 127.5].map(|factor| takes(factor, &pads)),
            [Some(Normalize::LEVELS); 2]
        );
        assert_eq!([2.0, 4.0].map(|factor| takes(factor, &pads)), [Some(Normalize::SHARES); 2], "{pads:?}");
        assert_eq!([1.0, 0.5, 20.0].map(|factor| takes(factor, &pads)), [None; 3], "{pads:?}");
    }
}

/// As Keras' tutorials begin: a rescaling that no convolution takes up, of one factor or one for each channel.
#[test]
fn a_rescaling_on_its_own_says_so_too() {
    let one = || number("scale", 1.0 / 255.0);
    let each = TensorProto { dims: vec![1, 3, 1, 1], raw_data: one().raw_data.repeat(3), ..one() };
    for scale in [one(), each] {
        let nodes = vec![
            transpose("x", "nchw", &[0, 3, 1, 2]),
            node("Mul", &["nchw", "scale"], "s"),
            node("GlobalAveragePool", &["s"], "pooled"),
            node("Flatten", &["pooled"], "y"),
        ];
        let imported = imported(&model([4, 4, 3], nodes, vec![scale])).unwrap();
        assert_eq!(imported.takes, Some(Normalize::LEVELS));
    }
}

/// As Keras' ResNet: zeros around the image, in its own layout, before a convolution and behind a rectifier before a pool.
#[test]
fn zeros_of_a_pad_go_to_the_convolution_or_pool_behind_them() {
    let around = || ints("around", &[0, 1, 1, 0, 0, 1, 1, 0]);
    let pads = |nodes: Vec<NodeProto>| {
        let network = network([4, 4, 3], nodes, vec![around(), floats("k", &[3, 3, 3, 3])]);
        let images = images(4, 4, 3);
        (network.forward(images.view()).unwrap(), network)
    };
    let nchw = |from: &str| transpose(from, "c", &[0, 3, 1, 2]);
    let conv = |pads: &[i64]| with_ints(node("Conv", &["c", "k"], "h"), "pads", pads);
    let (padded, network) = pads(vec![node("Pad", &["x", "around"], "p"), nchw("p"), conv(&[0; 4])]);
    let LayerSpec::Conv2d(conv2d) = &network.spec().layers[0].layer else { panic!("{network:?}") };
    assert_eq!(conv2d.padding, Padding::Same);
    assert_eq!(padded, pads(vec![nchw("x"), conv(&[1; 4])]).0);

    let pool = |op: &str, pads: &[i64]| {
        let pool = with_ints(node(op, &["c"], "h"), "kernel_shape", &[3, 3]);
        with_ints(with_int(pool, "count_include_pad", 1), "pads", pads)
    };
    for op in ["MaxPool", "AveragePool"] {
        let padded = pads(vec![
            node("Relu", &["x"], "r"),
            node("Pad", &["r", "around"], "p"),
            nchw("p"),
            pool(op, &[0; 4]),
        ]);
        let own = pads(vec![node("Relu", &["x"], "r"), nchw("r"), pool(op, &[1; 4])]);
        assert_eq!(padded.0, own.0, "{op}");
    }
}

/// As Keras' EfficientNet: a mean NHWC, reshaped to an image of one pixel, convolutions of it, and the product in the other layout.
#[test]
fn an_excitation_of_an_image_of_one_pixel_is_of_dense_layers() {
    let nodes = vec![
        transpose("x", "c", &[0, 3, 1, 2]),
        node("Conv", &["c", "k"], "map"),
        transpose("map", "nhwc", &[0, 2, 3, 1]),
        with_int(with_ints(node("ReduceMean", &["nhwc"], "mean"), "axes", &[1, 2]), "keepdims", 0),
        node("Reshape", &["mean", "pixel"], "one"),
        transpose("one", "one_c", &[0, 3, 1, 2]),
        node("Conv", &["one_c", "down", "down_bias"], "few"),
        node("Relu", &["few"], "rectified"),
        node("Conv", &["rectified", "up"], "all"),
        node("Sigmoid", &["all"], "gate"),
        transpose("gate", "gate_nhwc", &[0, 2, 3, 1]),
        node("Mul", &["nhwc", "gate_nhwc"], "scaled"),
        transpose("scaled", "h", &[0, 3, 1, 2]),
    ];
    let constants = vec![
        floats("k", &[6, 3, 1, 1]),
        ints("pixel", &[-1, 1, 1, 6]),
        floats("down", &[2, 6, 1, 1]),
        floats("down_bias", &[2]),
        floats("up", &[6, 2, 1, 1]),
    ];
    let network = network([4, 4, 3], nodes, constants);
    let wanted =
        ["conv2d", "global_avg_pool", "dense", "relu", "dense", "sigmoid", "multiply", "global_avg_pool"];
    assert_eq!(kinds(&network), wanted);
}

/// Sizes of shapes, kernels put together of parts, a kernel divided: all that depends on no image.
#[test]
fn constants_are_computed() {
    let nodes = vec![
        node("Concat", &["half", "half"], "twice"),
        node("Sqrt", &["four"], "two"),
        node("Mul", &["twice", "two"], "doubled"),
        node("Transpose", &["doubled"], "turned"),
        node("Unsqueeze", &["turned", "axes"], "flat"),
        node("Reshape", &["flat", "hwio"], "rows"),
        transpose("rows", "kernel", &[3, 2, 0, 1]),
        node("Conv", &["x", "kernel"], "map"),
        // (batch, 2, 16) by the shape of the image.
        node("Shape", &["x"], "shape"),
        node("Gather", &["shape", "zero"], "batch"),
        node("Gather", &["shape", "two_index"], "height"),
        node("Mul", &["height", "height"], "pixels"),
        node("Div", &["pixels", "sixteen"], "one"),
        node("Mul", &["batch", "one"], "batch_again"),
        node("Unsqueeze", &["batch_again", "axes"], "batch_list"),
        node("Unsqueeze", &["pixels", "axes"], "pixels_list"),
        node("Mul", &["pixels_list", "kernels"], "values"),
        node("Concat", &["batch_list", "values"], "to"),
        node("Reshape", &["map", "to"], "y"),
    ];
    let nodes = nodes
        .into_iter()
        .map(|node| if node.op_type == "Concat" { with_int(node, "axis", 0) } else { node })
        .chain([node("Gemm", &["y", "w"], "z")])
        .collect();
    let scalar = |name: &str, value: i64| TensorProto { dims: vec![], ..ints(name, &[value]) };
    let constants = vec![
        floats("half", &[1, 3]),
        number("four", 4.0),
        ints("axes", &[0]),
        ints("hwio", &[1, 1, 3, -1]),
        scalar("zero", 0),
        scalar("two_index", 2),
        scalar("sixteen", 16),
        ints("kernels", &[2]),
        floats("w", &[32, 1]),
    ];
    let mut model = model(INPUT, nodes, constants);
    model.graph.as_mut().unwrap().output[0].name = "z".into();
    let network = imported(&model).unwrap_or_else(|error| panic!("{error}")).network;
    assert_eq!(kinds(&network), ["conv2d", "flatten", "dense"]);
    // Rows of the kernel are input channels: 0, 1 and 2, twice.
    let kernel: Vec<f32> = network.array("conv2d_1/kernel").unwrap().iter().copied().collect();
    assert_eq!(kernel, [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]);
}

#[test]
fn parts_of_channels_are_slices_of_them() {
    let split = NodeProto {
        output: vec!["a".into(), "b".into()],
        ..with_int(node("Split", &["x", "sizes"], ""), "axis", 1)
    };
    let slice = node("Slice", &["b", "from", "to", "axis"], "c");
    let nodes = vec![split, slice, with_int(node("Concat", &["c", "a"], "h"), "axis", 1)];
    let constants =
        vec![ints("sizes", &[1, 2]), ints("from", &[-1]), ints("to", &[i64::MAX]), ints("axis", &[1])];
    let network = network(INPUT, nodes, constants);
    assert_eq!(
        kinds(&network),
        ["channel_slice", "channel_slice", "channel_slice", "concat", "global_avg_pool"]
    );
    let images = Array4::from_shape_fn((1, 4, 4, 3), |(.., channel)| channel as f32);
    assert_eq!(network.forward(images.view()).unwrap().as_slice().unwrap(), [2.0, 0.0]);
}
