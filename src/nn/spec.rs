//! Every kind of layer as plain data: what a network is built from, and what its file holds.

use floret_math::simd::Isa;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::{
    AvgPool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, LeakyRelu, MaxPool2d, Relu,
    Residual, Shape, ShapeError,
};

/// A layer with its name, under which its weights are saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedLayer {
    /// Unique within its network.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub layer: LayerSpec,
}

macro_rules! layer_specs {
    ($($variant:ident => $kind:literal,)+) => {
        /// One layer of a network, described by its hyper-parameters.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "layer", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum LayerSpec {
            $(#[doc = concat!("See [`", stringify!($variant), "`].")] $variant($variant),)+
        }

        impl LayerSpec {
            /// The kind in lower case, such as `conv2d`: the stem of the layer's name where it was given none.
            pub fn kind(&self) -> &'static str {
                match self { $(LayerSpec::$variant(_) => $kind,)+ }
            }

            /// Builds the layer for inputs of shape `input`, with kernels of instruction set `isa`.
            pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
                match self { $(LayerSpec::$variant(layer) => layer.build(input, isa),)+ }
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
    BatchNorm => "batch_norm",
    Relu => "relu",
    LeakyRelu => "leaky_relu",
    Dropout => "dropout",
    Flatten => "flatten",
    Residual => "residual",
}
