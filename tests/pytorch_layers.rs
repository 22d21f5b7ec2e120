//! Layers give PyTorch's values, forward and backward, on every instruction set.
//!
//! The fixtures (`tests/fixtures/make_pytorch_fixtures.py`) were computed in float64 from float32 inputs, so an error is
//! floret's own: each value is a sum of at most a few hundred float32 products, whose rounding stays under 1e-5 of the largest
//! value.

use std::collections::BTreeMap;

use crate::common::{Fixtures, assert_close, instruction_sets};
use floret::network::Network;
use floret::nn::{
    Add, AvgPool2d, BatchNorm, ChannelShuffle, ChannelSlice, Clip, Conv2d, Gelu, GlobalAvgPool,
    GlobalMaxPool, HardSigmoid, HardSwish, Init, Input, LayerNorm, LayerScale, LayerSpec, LeakyRelu,
    NamedLayer, Padding, Relu, Relu6, Sequential, Shape, Sigmoid, Silu, SqueezeExcite,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-5;

/// Of convolutions, which may run as Winograd's filtering: what `tests/accuracy.rs` holds each pass to.
const CONVOLUTION: f64 = 2e-5;

fn number(value: &Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}

fn float(value: &Value) -> f32 {
    value.as_f64().expect("a number") as f32
}

fn pair(value: &Value) -> (usize, usize) {
    (number(&value[0]), number(&value[1]))
}

fn padding(value: &Value) -> Padding {
    let (y, x) = pair(value);
    Padding::Explicit { top: y, bottom: y, left: x, right: x }
}

fn has_bias(case: &Value) -> bool {
    case["parameters"].as_array().expect("a list").iter().any(|name| name == "bias")
}

/// The layers of a case.
fn layers(case: &Value) -> Vec<NamedLayer> {
    let activation = |name: &str| layer(case[name].as_str().expect("an activation"), case);
    match case["kind"].as_str().expect("a kind") {
        "squeeze_excite" => {
            let block = SqueezeExcite::new(9, number(&case["squeezed"]))
                .activation(activation("activation"))
                .gate(activation("gate"));
            let network = Network::builder((4, 3, 9))
                .add_named("scale", LayerScale::new(1.0))
                .add_squeeze_excite("y", block)
                .add(GlobalAvgPool);
            let mut layers = network.build().expect("the layers fit").spec().layers.clone();
            layers.pop();
            layers
        }
        "frozen_norm" => {
            let conv = Conv2d::new(8, 3).groups(number(&case["groups"]));
            let bias = case["parameters"].as_array().expect("a list").iter().any(|name| name == "conv/bias");
            vec![
                NamedLayer::new("scale", LayerScale::new(1.0)),
                NamedLayer::new("conv", if bias { conv } else { conv.no_bias() }),
                NamedLayer::new("norm", BatchNorm::new().epsilon(1e-3)).frozen(true),
                NamedLayer::new("sum", Add).from(["norm", "scale"]),
                NamedLayer::new("activation", activation("activation")),
            ]
        }
        kind => vec![NamedLayer::new("layer", layer(kind, case))],
    }
}

/// The layer of a case of this kind.
fn layer(kind: &str, case: &Value) -> LayerSpec {
    match kind {
        "grouped_conv" => {
            let conv = Conv2d::new(number(&case["filters"]), pair(&case["kernel"]))
                .groups(number(&case["groups"]))
                .stride(pair(&case["stride"]))
                .dilation(pair(&case["dilation"]))
                .padding(padding(&case["padding"]));
            if has_bias(case) { conv.bias_init(Init::HeNormal) } else { conv.no_bias() }.into()
        }
        "relu" => Relu.into(),
        "leaky_relu" => LeakyRelu::new(float(&case["slope"])).into(),
        "relu6" => Relu6.into(),
        "clip" => Clip::new(float(&case["min"]), float(&case["max"])).into(),
        "sigmoid" => Sigmoid.into(),
        "hard_sigmoid" | "hardsigmoid" => HardSigmoid.into(),
        "silu" => Silu.into(),
        "hard_swish" => HardSwish.into(),
        "gelu" if case["approximate"] == true => Gelu::new().approximate().into(),
        "gelu" => Gelu::new().into(),
        "layer_norm" => LayerNorm::new().epsilon(float(&case["epsilon"])).into(),
        "layer_scale" => LayerScale::new(1.0).into(),
        "global_max_pool" => GlobalMaxPool.into(),
        "global_avg_pool" => GlobalAvgPool.into(),
        "avg_pool" => AvgPool2d::new(pair(&case["size"]))
            .stride(pair(&case["stride"]))
            .padding(padding(&case["padding"]))
            .count_padding(case["count_padding"] == true)
            .into(),
        "channel_shuffle" => ChannelShuffle::new(number(&case["groups"])).into(),
        "channel_slice" => ChannelSlice::new(number(&case["start"]), number(&case["len"])).into(),
        other => panic!("unexpected kind {other}"),
    }
}

/// Output, inference, and the gradients of the input and of each parameter.
fn check(fixtures: &Fixtures, case: &Value) {
    let key = case["key"].as_str().expect("a key");
    let given = |name: &str| fixtures.f32(&format!("{key}/{name}"));
    let want = |name: &str| fixtures.f64(&format!("{key}/{name}"));
    let parameters = case["parameters"].as_array().expect("a list").iter();
    let parameters: Vec<&str> = parameters.map(|name| name.as_str().expect("a name")).collect();
    let convolution = ["grouped_conv", "frozen_norm"].contains(&case["kind"].as_str().expect("a kind"));
    let tolerance = if convolution { CONVOLUTION } else { TOLERANCE };
    let (x, dy) = (given("x"), given("dy"));
    let input = match *x.shape() {
        [_, height, width, channels] => Shape::from((height, width, channels)),
        [_, len] => Shape::Vector(len),
        ref other => panic!("unexpected shape {other:?}"),
    };
    let (x, dy) = (x.as_slice().expect("contiguous"), dy.as_slice().expect("contiguous"));
    let named = layers(case);
    let frozen = named.iter().any(|layer| layer.frozen);
    for isa in instruction_sets() {
        let what = |name: &str| format!("{key}/{name} {isa:?}");
        let mut layers = Sequential::with_isa(input, &named, 0, isa).expect("the layer fits");
        let full = |name: &str| if name.contains('/') { name.into() } else { format!("layer/{name}") };
        let of_norm = ["gamma", "beta", "moving_mean", "moving_variance"].map(|name| format!("norm/{name}"));
        let of_norm = of_norm.iter().filter(|_| frozen).map(String::as_str);
        for name in parameters.iter().copied().chain(of_norm) {
            let value = given(name);
            layers.set_array(&full(name), value.as_slice().expect("contiguous")).unwrap();
        }
        assert_close(&what("y"), layers.forward(x, 0), want("y"), tolerance);
        let mut dx = x.to_vec();
        if frozen {
            layers.backward(Input::Given(x), dy).expect("forward was run");
        } else {
            layers.backward(Input::Activation(&mut dx), dy).expect("forward was run");
            assert_close(&what("dx"), &dx, want("dx"), tolerance);
        }
        let names: Vec<_> = layers.gradients().map(|(param, _)| param.name.clone()).collect();
        let wanted: Vec<_> = parameters.iter().map(|name| full(name)).collect();
        assert_eq!(names, wanted, "{key}");
        for (name, (param, gradient)) in parameters.iter().zip(layers.gradients()) {
            let want = want(&format!("d{name}"));
            assert_eq!(param.shape, want.shape(), "{key}/{name}");
            assert_close(&what(&format!("d{name}")), &gradient, want, tolerance);
        }
        // Behind the network's own input no dx is computed, and the gradients of parameters are the same.
        let gradients: Vec<f32> = layers.gradients().flat_map(|(_, g)| g.to_owned()).collect();
        layers.forward(x, 0);
        layers.backward(Input::Given(x), dy).expect("forward was run");
        assert_eq!(gradients, layers.gradients().flat_map(|(_, g)| g.to_owned()).collect::<Vec<f32>>());
        let mut y = vec![f32::NAN; dy.len()];
        layers.infer(x, &mut y);
        assert_close(&what("y of inference"), &y, want("y"), tolerance);
    }
}

#[test]
fn every_case() {
    let fixtures = Fixtures::load("pytorch_layers");
    let mut kinds = BTreeMap::new();
    for case in &fixtures.cases {
        check(&fixtures, case);
        *kinds.entry(case["kind"].as_str().expect("a kind")).or_insert(0) += 1;
    }
    let (several, once) =
        (kinds.iter().filter(|(_, n)| **n > 1), kinds.values().filter(|n| **n == 1).count());
    let several: Vec<_> = several.map(|(kind, n)| (*kind, *n)).collect();
    let want = [
        ("avg_pool", 4),
        ("channel_shuffle", 2),
        ("channel_slice", 2),
        ("frozen_norm", 3),
        ("gelu", 2),
        ("grouped_conv", 12),
        ("layer_norm", 3),
        ("layer_scale", 2),
        ("squeeze_excite", 2),
    ];
    assert_eq!((several.as_slice(), once), (&want[..], 10));
}
