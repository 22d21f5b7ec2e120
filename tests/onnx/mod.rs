//! ONNX files: what is written, what comes back, what others wrote, and what nobody should have.

mod exports;
mod foreign;
mod forms;
mod graphs;
mod hostile;
mod mirror;
mod networks;
mod round_trip;
mod structure;
mod unsupported;
