//! The messages of floret's files, which are no part of its interface.
#![allow(clippy::enum_variant_names, reason = "the messages name their fields so")]

#[path = "../../src/proto/events.rs"]
#[rustfmt::skip]
pub mod events;
#[path = "../../src/proto/example.rs"]
#[rustfmt::skip]
pub mod example;
#[path = "../../src/proto/graph.rs"]
#[rustfmt::skip]
pub mod graph;
#[path = "../../src/proto/hparams.rs"]
#[rustfmt::skip]
pub mod hparams;
#[path = "../../src/proto/onnx.rs"]
#[rustfmt::skip]
pub mod onnx;
#[path = "../../src/proto/tensor.rs"]
#[rustfmt::skip]
pub mod tensor;
