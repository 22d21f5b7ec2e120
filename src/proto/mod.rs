//! Protocol buffers: the messages of the formats floret reads and writes, and their encoding.
//!
//! `proto/NAME.proto` declares the package `NAME`, and `NAME.rs` here is generated from it. To add or change a message,
//! edit the `.proto` file and run `FLORET_REGENERATE=1 cargo test -p floret-proto-check` (no `protoc` is needed); declare
//! a new file's module below. Without the variable the same test checks that the committed code is what the `.proto`
//! files give.
//!
//! Records know only [`wire`]: a message from anywhere is looked at field by field.
#![allow(clippy::enum_variant_names, reason = "the messages name their fields so")]

#[cfg(feature = "tensorboard")]
#[rustfmt::skip]
pub mod events;
// What `record::example` writes is compared with.
#[cfg(test)]
#[rustfmt::skip]
pub mod example;
#[cfg(feature = "tensorboard")]
#[rustfmt::skip]
pub mod graph;
#[cfg(feature = "tensorboard")]
#[rustfmt::skip]
pub mod hparams;
#[cfg(feature = "onnx")]
#[rustfmt::skip]
pub mod onnx;
#[cfg(any(feature = "tensorboard", feature = "tensorflow"))]
#[rustfmt::skip]
pub mod tensor;
#[cfg(feature = "tensorflow")]
#[rustfmt::skip]
pub mod tensor_bundle;
#[cfg(feature = "tensorflow")]
#[rustfmt::skip]
pub mod trackable_object_graph;
pub mod wire;
