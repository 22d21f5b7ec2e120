//! Networks as [ONNX](https://onnx.ai) files: written for other programs, and read from them.
//!
//! [`export`] writes a network for inference, by operators of opset 17. [`import`] reads a graph made of the operators of the
//! table, of opset 9 and newer, as both of PyTorch's exporters, tf2onnx and floret write them. Weights stay as they are,
//! to the bit; only those that take in a rescaling of the input change. Outputs differ by rounding alone: each program sums in
//! an order of its own.
//!
//! | layer | written as | also read from |
//! | --- | --- | --- |
//! | [`Conv2d`](crate::nn::Conv2d), grouped too | `Conv` | an `Add` behind it as its bias, a `Pad` with zeros before it as its padding; `MatMul` of an image NHWC |
//! | [`Dense`](crate::nn::Dense) | `Gemm` | `MatMul`, with an `Add` as its bias; a 1x1 `Conv` of means over all pixels |
//! | [`MaxPool2d`](crate::nn::MaxPool2d) | `MaxPool` | a `Pad` with zeros before it, where no value is negative |
//! | [`AvgPool2d`](crate::nn::AvgPool2d) | `AveragePool` | a `Pad` before it as padding that counts |
//! | [`GlobalAvgPool`](crate::nn::GlobalAvgPool), [`GlobalMaxPool`](crate::nn::GlobalMaxPool) | `GlobalAveragePool`, `GlobalMaxPool`, and a `Flatten` behind them | `ReduceMean`, `ReduceMax` over height and width |
//! | [`BatchNorm`](crate::nn::BatchNorm) | `BatchNormalization` | `Add`, `Sub` of a constant for each channel, with `Mul`, `Div` around them |
//! | [`LayerScale`](crate::nn::LayerScale) | `Mul` | `Mul`, `Div` by a constant for each channel, `Neg` |
//! | [`LayerNorm`](crate::nn::LayerNorm) | `LayerNormalization` between two `Transpose` | the same of `ReduceMean`, `Sub`, `Pow` or `Mul`, `Add`, `Sqrt`, `Div` |
//! | [`Relu`](crate::nn::Relu), [`LeakyRelu`](crate::nn::LeakyRelu), [`Sigmoid`](crate::nn::Sigmoid) | `Relu`, `LeakyRelu`, `Sigmoid` | |
//! | [`Relu6`](crate::nn::Relu6), [`Clip`](crate::nn::Clip) | `Clip` | `Min` and `Max` with a number |
//! | [`HardSigmoid`](crate::nn::HardSigmoid), [`HardSwish`](crate::nn::HardSwish), [`Silu`](crate::nn::Silu), [`Gelu`](crate::nn::Gelu) | `HardSigmoid`, `HardSwish`, `Sigmoid` and `Mul`, a form with `Erf` or `Sigmoid` | `Gelu`; any nodes that compute the same, number by number, of one value |
//! | [`ChannelShuffle`](crate::nn::ChannelShuffle) | `Reshape`, `Transpose`, `Reshape` | |
//! | [`ChannelSlice`](crate::nn::ChannelSlice) | `Slice` | `Split` |
//! | [`Add`](crate::nn::Add) | `Add`, `Sum` | `Sub` of two values |
//! | [`Multiply`](crate::nn::Multiply) | `Mul`, a `Reshape` of a vector's factors before it | the factors first |
//! | [`Concat`](crate::nn::Concat) | `Concat` | |
//! | [`Dropout`](crate::nn::Dropout), [`StochasticDepth`](crate::nn::StochasticDepth) | nothing: inference drops nothing | `Dropout`, `Identity`: nothing |
//! | [`Flatten`](crate::nn::Flatten) | `Transpose` to NHWC, `Flatten` | `Reshape` to (batch, values), `Squeeze` |
//! | [`Residual`](crate::nn::Residual) | its body, its shortcut, `Add` | |
//! | [`test_time_flip`](crate::network::NetworkBuilder::test_time_flip) | `Slice` by columns backwards and `Concat` before the layers, `Reshape` to (2, batch, outputs) and `ReduceMean` behind them | |
//! | the softmax of [`predict`](crate::network::Network::predict) | `Softmax` at the end | `LogSoftmax` |
//!
//! # What a graph is read as
//!
//! Nodes that the outputs do not need are left out. Operators that are not read are then found all at once, before anything else
//! fails ([`ImportError::Operators`]). Nodes whose inputs are all constants are computed: shapes, and weights that an exporter
//! rearranged; all of them together may take the memory of the file and 16 MiB.
//!
//! A rescaling of the network's own input by constants (`Sub`, `Div`, `Mul`, `Add`) goes into the first convolution: factors
//! always (`w (s x) = (w s) x`), shifts where the convolution does not pad, as zeros around the image are not shifted. Else it is
//! a batch norm of these constants before it, which in training normalizes by its batches as every batch norm does.
//!
//! # Layout
//!
//! floret's images are NHWC and its filters HWIO, ONNX's NCHW and OIHW. Filters are transposed on the way. A graph written with
//! [`Layout::Nhwc`] (the default) takes images as floret does and begins with one `Transpose`. floret flattens an image in the
//! order height, width, channels: a written graph transposes before `Flatten`, so that the kernels of dense layers are floret's
//! own; of a graph that flattens NCHW images, as PyTorch's do, the rows of the next kernel are put into floret's order.
//!
//! # Padding
//!
//! TensorFlow's SAME is written as the numbers it comes to for the network's image size, the odd zero at the end. Numbers that
//! are read become [`Padding::Same`](crate::nn::Padding::Same) or `Valid` where they come to the same, else
//! `Explicit`.
//!
//! # Inputs
//!
//! Files of other programs do not say how photos become inputs. [`Preprocess`](crate::data::Preprocess) does, and
//! [`recipe::foreign_preprocess`](crate::recipe::foreign_preprocess) knows it of some networks. A network that sees photos
//! normalized otherwise than those that it was trained on answers worse.
//!
//! # Metadata
//!
//! Beside the graph a file holds, as JSON, `floret.classes` (the class names by output), `floret.preprocess` (how photos become
//! inputs) and `floret.loss`.

mod error;
mod export;
mod import;

pub use error::{ExportError, ImportError, OnnxError};
pub use export::{ExportOptions, Layout, Output, encode, export};
pub use import::{ImportOptions, Imported, decode, import};

/// Keys of a file's metadata.
mod metadata {
    pub const CLASSES: &str = "floret.classes";
    pub const PREPROCESS: &str = "floret.preprocess";
    pub const LOSS: &str = "floret.loss";
}

/// The name that floret gives as the program that wrote a file.
const PRODUCER: &str = "floret";
