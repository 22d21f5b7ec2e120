//! TensorBoard's event files: their bytes, what a training logs, and what failures cost.

#[path = "../common/mod.rs"]
mod common;
mod reading;
mod training;
mod writer;
