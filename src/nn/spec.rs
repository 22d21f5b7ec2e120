//! Every kind of layer as plain data: what a network is built from, and what its file holds.

use floret_math::simd::Isa;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{
    Add, AvgPool2d, BatchNorm, ChannelShuffle, ChannelSlice, Clip, Concat, Conv2d, Custom, CustomLayer,
    Dense, Dropout, Flatten, Gelu, GlobalAvgPool, GlobalMaxPool, HardSigmoid, HardSwish, LayerNorm,
    LayerScale, LeakyRelu, MaxPool2d, Multiply, Relu, Relu6, Residual, Shape, ShapeError, Sigmoid, Silu,
    StochasticDepth,
};

/// A layer with its name, under which its weights are saved, and what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedLayer {
    /// Unique within its network.
    pub name: String,
    /// The layers whose outputs it takes, by their names; `input` is the network's input. Empty: the layer before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Whether training leaves it as it is: no weight changes, batch norm uses its moving averages and leaves them, dropout and
    /// stochastic depth drop nothing. Where no layer before it trains either, training keeps nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// What the optimizer's learning rate is multiplied by for its weights; default 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub learning_rate: f32,
    /// What it is.
    #[serde(flatten)]
    pub layer: LayerSpec,
}

impl NamedLayer {
    /// A layer under this name that takes the output of the layer before.
    pub fn new(name: impl Into<String>, layer: impl Into<LayerSpec>) -> Self {
        Self { name: name.into(), from: Vec::new(), frozen: false, learning_rate: 1.0, layer: layer.into() }
    }

    /// Takes the outputs of the layers of these names instead.
    pub fn from<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.from = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether training leaves it as it is.
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.frozen = frozen;
        self
    }

    /// Sets what the optimizer's learning rate is multiplied by for its weights.
    pub fn learning_rate(mut self, factor: f32) -> Self {
        self.learning_rate = factor;
        self
    }
}

fn one() -> f32 {
    1.0
}

fn is_one(factor: &f32) -> bool {
    *factor == 1.0
}

impl<L: CustomLayer> From<L> for LayerSpec {
    fn from(layer: L) -> Self {
        LayerSpec::Custom(layer.into())
    }
}

macro_rules! layer_specs {
    (
        of one input { $($variant:ident => $kind:literal,)+ }
        of several inputs { $($join:ident => $join_kind:literal,)+ }
    ) => {
        /// One layer of a network, described by its hyper-parameters.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "layer", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum LayerSpec {
            $(#[doc = concat!("See [`", stringify!($variant), "`].")] $variant($variant),)+
            $(#[doc = concat!("See [`", stringify!($join), "`].")] $join($join),)+
            /// See [`Residual`].
            Residual(Residual),
            /// A layer of the program's own: see [`CustomLayer`].
            Custom(Custom),
        }

        impl LayerSpec {
            /// The kind in lower case, such as `conv2d`: the stem of the layer's name where it was given none.
            pub fn kind(&self) -> &str {
                match self {
                    $(LayerSpec::$variant(_) => $kind,)+
                    $(LayerSpec::$join(_) => $join_kind,)+
                    LayerSpec::Residual(_) => "residual",
                    LayerSpec::Custom(custom) => custom.kind(),
                }
            }

            /// Builds the layer for inputs of these shapes, with kernels of instruction set `isa`.
            ///
            /// # Errors
            /// Inputs that do not fit; a residual block, which is several layers.
            pub(crate) fn build(&self, inputs: &[Shape], isa: Isa) -> Result<Built, ShapeError> {
                let one = || match *inputs {
                    [input] => Ok(input),
                    _ => Err(ShapeError::of_inputs(1, inputs.len())),
                };
                match self {
                    $(LayerSpec::$variant(layer) => layer.build(one()?, isa),)+
                    $(LayerSpec::$join(join) => join.build(inputs).map(Built::Join),)+
                    LayerSpec::Residual(_) => Err(ShapeError::new("a residual block is several layers")),
                    LayerSpec::Custom(custom) => custom.build(one()?),
                }
            }

            /// What the layer is for an input of this shape while it is frozen, and in inference, if that is another than in training.
            pub(crate) fn frozen(&self, input: Shape, isa: Isa) -> Option<Built> {
                match self {
                    LayerSpec::BatchNorm(norm) => Some(norm.build_frozen(input, isa)),
                    LayerSpec::Dropout(_) | LayerSpec::StochasticDepth(_) => Some(Built::Reshape(input)),
                    _ => None,
                }
            }
        }

        $(impl From<$variant> for LayerSpec {
            fn from(layer: $variant) -> Self { LayerSpec::$variant(layer) }
        })+

        $(impl From<$join> for LayerSpec {
            fn from(layer: $join) -> Self { LayerSpec::$join(layer) }
        })+

        impl From<Residual> for LayerSpec {
            fn from(block: Residual) -> Self { LayerSpec::Residual(block) }
        }
    };
}

layer_specs! {
    of one input {
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
    }
    of several inputs {
        Add => "add",
        Multiply => "multiply",
        Concat => "concat",
    }
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
            (Add.into(), json!({ "layer": "add" })),
            (Multiply.into(), json!({ "layer": "multiply" })),
            (Concat.into(), json!({ "layer": "concat" })),
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
