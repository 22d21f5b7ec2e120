//! TensorBoard's event files: their bytes, what a training logs, and what failures cost.

mod reading;
mod training;
mod writer;
