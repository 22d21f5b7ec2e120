//! ONNX files: what is written, what comes back, what PyTorch wrote, and what nobody should have.

#[path = "../common/mod.rs"]
mod common;
mod graphs;
mod hostile;
mod networks;
mod pytorch;
mod round_trip;
mod structure;
mod unsupported;
