//! Protocol buffer messages of the formats floret reads and writes.
//!
//! `proto/NAME.proto` declares the package `NAME`, and `NAME.rs` here is generated from it. To add or change
//! a message, edit the `.proto` file and run `FLORET_REGENERATE=1 cargo test -p floret-proto-check` (no `protoc` is
//! needed); declare a new file's module below. Without the variable the same test checks that the committed
//! code is what the `.proto` files give.

#[allow(missing_docs)]
#[rustfmt::skip]
pub mod events;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod example;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod graph;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod hparams;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod onnx;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod tensor;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod tensor_bundle;
#[allow(missing_docs)]
#[rustfmt::skip]
pub mod trackable_object_graph;

pub(crate) mod wire;
