//! Files that floret writes, and those of other programs.

mod checkpoint;
mod common;
mod log;
mod onnx;
mod saving;
