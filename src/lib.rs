//! floret trains convolutional image classifiers on the CPU.
//!
//! ```text
//! bytes -> records -> examples -> images -> batches -> network -> loss -> gradients -> optimizer
//!                                                         \-> checkpoint
//! ```
//!
//! The modules below stand in the order of that line, and a module uses only what stands above it.
#![deny(unsafe_code, missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod atomic_file;
pub mod proto;
pub mod record;

pub mod image;

pub mod batch;

pub mod loss;
pub mod math;
pub mod metrics;
pub mod nn;
pub mod optim;

pub mod network;

pub mod models;
pub mod train;

pub mod checkpoint;
