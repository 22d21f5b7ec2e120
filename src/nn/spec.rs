//! Every kind of layer as plain data: what a network is built from, and what its file holds.

use floret_math::simd::Isa;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{
    AvgPool2d, BatchNorm, ChannelShuffle, ChannelSlice, Clip, Conv2d, Custom, CustomLayer, Dense, Dropout,
    Flatten, Gelu, GlobalAvgPool, GlobalMaxPool, HardSigmoid, HardSwish, LayerNorm, LayerScale, LeakyRelu,
    MaxPool2d, Relu, Relu6, Residual, Shape, ShapeError, Sigmoid, Silu, StochasticDepth,
};

/// A layer with its name, under which its weights are saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedLayer {
    /// Unique within its network.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub layer: LayerSpec,
}

impl NamedLayer {
    /// A layer under this name.
    pub fn new(name: impl Into<String>, layer: impl Into<LayerSpec>) -> Self {
        Self { name: name.into(), layer: layer.into() }
    }
}

impl<L: CustomLayer> From<L> for LayerSpec {
    fn from(layer: L) -> Self {
        LayerSpec::Custom(layer.into())
    }
}

macro_rules! layer_specs {
    ($($variant:ident => $kind:literal,)+) => {
        /// One layer of a network, described by its hyper-parameters.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "layer", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum LayerSpec {
            $(#[doc = concat!("See [`", stringify!($variant), "`].")] $variant($variant),)+
            /// A layer of the program's own: see [`CustomLayer`].
            Custom(Custom),
        }

        impl LayerSpec {
            /// The kind in lower case, such as `conv2d`: the stem of the layer's name where it was given none.
            pub fn kind(&self) -> &str {
                match self {
                    $(LayerSpec::$variant(_) => $kind,)+
                    LayerSpec::Custom(custom) => custom.kind(),
                }
            }

            /// Builds the layer for inputs of shape `input`, with kernels of instruction set `isa`.
            pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
                match self {
                    $(LayerSpec::$variant(layer) => layer.build(input, isa),)+
                    LayerSpec::Custom(custom) => custom.build(input),
                }
            }

            /// The shape of the output for an input of shape `input`.
            #[cfg(any(feature = "onnx", feature = "tensorboard"))]
            pub(crate) fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
                // Every processor has this one, and shapes are the same with each.
                Ok(match self.build(input, Isa::Portable)? {
                    Built::Layer(layer) => layer.output(),
                    Built::Reshape(shape) => shape,
                })
            }
        }

        $(impl From<$variant> for LayerSpec {
            fn from(layer: $variant) -> Self { LayerSpec::$variant(layer) }
        })+
    };
}

layer_specs! {
    Conv2d => "conv2d",
    Dense => "dense",
    MaxPool2d => "max_pool2d",
    AvgPool2d => "avg_pool2d",
    GlobalAvgPool => "global_avg_pool",
    GlobalMaxPool => "global_max_pool",
    BatchNorm => "batch_norm",
    LayerNorm => "layer_norm",
    LayerScale => "layer_scale",
    Relu => "relu",
    LeakyRelu => "leaky_relu",
    Relu6 => "relu6",
    Clip => "clip",
    Sigmoid => "sigmoid",
    HardSigmoid => "hard_sigmoid",
    Silu => "silu",
    HardSwish => "hard_swish",
    Gelu => "gelu",
    Dropout => "dropout",
    StochasticDepth => "stochastic_depth",
    ChannelShuffle => "channel_shuffle",
    ChannelSlice => "channel_slice",
    Flatten => "flatten",
    Residual => "residual",
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::nn::{Init, Padding};

    /// The form that model files have had from the first on, of each kind of layer.
    #[test]
    fn layers_keep_their_form_in_files() {
        let constant = json!({ "constant": 0.0 });
        let truncated = json!({ "truncated_normal": { "stddev": 0.5 } });
        let files: Vec<(LayerSpec, Value)> = vec![
            (
                Conv2d::new(8, (3, 5))
                    .stride((2, 1))
                    .kernel_init(Init::TruncatedNormal { stddev: 0.5 })
                    .into(),
                json!({ "layer": "conv2d", "filters": 8, "kernel": [3, 5], "stride": [2, 1], "dilation": [1, 1],
                        "padding": "same", "kernel_init": truncated, "bias_init": constant }),
            ),
            (
                Conv2d::depthwise(4, 3).kernel_init(Init::HeNormal).no_bias().into(),
                json!({ "layer": "conv2d", "filters": 4, "kernel": [3, 3], "stride": [1, 1], "dilation": [1, 1],
                        "padding": "same", "groups": 4, "kernel_init": "he_normal", "bias_init": null }),
            ),
            (
                Dense::new(4).kernel_init(Init::HeNormal).no_bias().into(),
                json!({ "layer": "dense", "units": 4, "kernel_init": "he_normal", "bias_init": null }),
            ),
            (
                MaxPool2d::new((2, 3)).padding(Padding::Valid).into(),
                json!({ "layer": "max_pool2d", "size": [2, 3], "stride": [2, 3], "padding": "valid" }),
            ),
            (
                AvgPool2d::new(2).stride((1, 2)).padding(Padding::uniform(1)).into(),
                json!({ "layer": "avg_pool2d", "size": [2, 2], "stride": [1, 2],
                        "padding": { "explicit": { "top": 1, "bottom": 1, "left": 1, "right": 1 } } }),
            ),
            (
                AvgPool2d::new(2).count_padding(true).into(),
                json!({ "layer": "avg_pool2d", "size": [2, 2], "stride": [2, 2], "padding": "same",
                        "count_padding": true }),
            ),
            (GlobalMaxPool.into(), json!({ "layer": "global_max_pool" })),
            (LayerNorm::new().epsilon(0.25).into(), json!({ "layer": "layer_norm", "epsilon": 0.25 })),
            (LayerScale::new(0.5).into(), json!({ "layer": "layer_scale", "initial": 0.5 })),
            (StochasticDepth::new(0.25).into(), json!({ "layer": "stochastic_depth", "rate": 0.25 })),
            (ChannelShuffle::new(2).into(), json!({ "layer": "channel_shuffle", "groups": 2 })),
            (ChannelSlice::new(1, 3).into(), json!({ "layer": "channel_slice", "start": 1, "len": 3 })),
            (GlobalAvgPool.into(), json!({ "layer": "global_avg_pool" })),
            (
                BatchNorm::new().momentum(0.5).epsilon(0.25).into(),
                json!({ "layer": "batch_norm", "momentum": 0.5, "epsilon": 0.25 }),
            ),
            (Relu.into(), json!({ "layer": "relu" })),
            (LeakyRelu::new(0.25).into(), json!({ "layer": "leaky_relu", "slope": 0.25 })),
            (Relu6.into(), json!({ "layer": "relu6" })),
            (Clip::new(-1.0, 2.0).into(), json!({ "layer": "clip", "min": -1.0, "max": 2.0 })),
            (Sigmoid.into(), json!({ "layer": "sigmoid" })),
            (HardSigmoid.into(), json!({ "layer": "hard_sigmoid" })),
            (Silu.into(), json!({ "layer": "silu" })),
            (HardSwish.into(), json!({ "layer": "hard_swish" })),
            (Gelu::new().approximate().into(), json!({ "layer": "gelu", "approximate": true })),
            (Dropout::new(0.5).into(), json!({ "layer": "dropout", "rate": 0.5 })),
            (Flatten.into(), json!({ "layer": "flatten" })),
            (
                Residual::new().body(Relu).shortcut(Flatten).into(),
                json!({ "layer": "residual", "body": [{ "layer": "relu" }], "shortcut": [{ "layer": "flatten" }] }),
            ),
        ];
        for (layer, mut file) in files {
            file["name"] = json!("any");
            let layer = NamedLayer::new("any", layer);
            assert_eq!(serde_json::to_value(&layer).unwrap(), file);
            assert_eq!(serde_json::from_value::<NamedLayer>(file).unwrap(), layer);
        }
    }
}
