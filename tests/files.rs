//! Files that floret writes, and those of other programs.

mod checkpoint;
mod common;
#[cfg(feature = "tensorboard")]
mod log;
#[cfg(feature = "onnx")]
mod onnx;
mod saving;
