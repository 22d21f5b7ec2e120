//! floret trains convolutional image classifiers on the CPU, from TensorFlow's TFRecord files or folders of photos.
//!
//! ```text
//! bytes -> records -> examples -> images -> batches -> network -> loss -> gradients -> optimizer
//!                                                         \-> logs, checkpoint, exported model, classifier
//! ```
//!
//! ```
//! use floret::network::Network;
//! use floret::nn::{Conv2d, Dense, Flatten, MaxPool2d, Relu};
//! use floret::optim::Sgd;
//! use ndarray::Array4;
//!
//! let mut network = Network::builder((32, 32, 3))
//!     .add(Conv2d::new(8, 5))
//!     .add(Relu)
//!     .add(MaxPool2d::new(2))
//!     .add(Flatten)
//!     .add(Dense::new(5))
//!     .seed(1)
//!     .build()?;
//! let mut optimizer = Sgd::new(0.01).momentum(0.9);
//!
//! // A batch of four images, NHWC, with the class of each; `data::Loader` reads such from shards.
//! let images = Array4::from_shape_fn((4, 32, 32, 3), |(n, y, x, c)| ((n * y + x * c) % 7) as f32 - 3.0);
//! let first = network.train_step(images.view(), &[0, 1, 2, 3], &mut optimizer)?;
//! let second = network.train_step(images.view(), &[0, 1, 2, 3], &mut optimizer)?;
//! assert!(second.loss < first.loss);
//! # Ok::<(), floret::Error>(())
//! ```
//!
//! # Where is ...?
//!
//! | what | where |
//! | --- | --- |
//! | files that appear whole or not at all; a folder for one process | [`files`] |
//! | TFRecord files: reading, writing, indexing | [`record`] |
//! | photos: decoding, resizing, augmentation | [`image`] |
//! | the input pipeline; a folder of photos to shards; arrays and data sets of your own | [`data`] |
//! | the matrix product; instruction sets | [`math`] |
//! | the convolution | the crate `floret-math`, which is not public |
//! | the layers; how to add one | [`nn`] |
//! | losses, optimizers and schedules | [`loss`], [`optim`] |
//! | accuracy, confusions, precision and recall | [`metrics`] |
//! | `train_step`, `predict`, `evaluate`, `summary` | [`network::Network`] |
//! | networks ready to train | [`models`] |
//! | the loop over epochs | [`train`] |
//! | TensorBoard's event files; pictures of a batch, filters, confusions | [`log`] |
//! | model and training files; their arrays for other programs | [`checkpoint`] |
//! | TensorFlow checkpoints | [`checkpoint::tensorflow`] |
//! | ONNX files: for other programs, and from them | [`onnx`] |
//! | a photo's bytes to labeled probabilities, on any thread | [`Classifier`] |
//! | which part of a photo an answer rests on | [`explain`] |
//! | how to train what: from a folder, arrays and a budget of time to a trained network | [`fit()`], [`fit_sets`], [`recipe`] |
//! | the program | the crate `flowers` |
//!
//! The modules below stand in the order of the flow, and a module uses only what stands above it (`error` aside);
//! `tests/layering.rs` holds that.
//!
//! # Features
//!
//! All are on by default; a program that only needs a [`Classifier`] can do without them (`default-features = false`).
//! Without `onnx`, `tensorboard` and `tensorflow` no dependency is left that compiles protocol buffers; photos in WebP, GIF and TIFF are
//! read with the features of these names.
//!
//! | feature | what |
//! | --- | --- |
//! | `onnx` | [`onnx`]: ONNX files |
//! | `tensorboard` | [`log`]: TensorBoard's event files |
//! | `tensorflow` | [`checkpoint::tensorflow`]: TensorFlow checkpoints |
//!
//! `openblas`, which is off by default, adds the system's OpenBLAS as a backend of the matrix product.
//!
//! # Determinism
//!
//! The same seed, data and build give bit-identical weights, whatever the number of threads: sums run in an order that
//! depends on sizes alone. Another instruction set may round otherwise.
#![deny(unsafe_code, missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

mod error;

pub mod files;

mod proto;
pub mod record;

pub mod image;

pub mod math;

pub mod loss;
pub mod metrics;
pub mod optim;

pub mod data;

pub mod nn;

pub mod network;

pub mod models;
pub mod train;
mod transfer;

#[cfg(feature = "tensorboard")]
pub mod log;

pub mod checkpoint;
#[cfg(feature = "onnx")]
pub mod onnx;

pub mod explain;

mod classifier;

pub mod recipe;

pub use classifier::{Classifier, ClassifyError, Explanation, Prediction};
pub use error::{Error, Result};
pub use recipe::{fit, fit_from, fit_sets};

/// The Rust code of README.md is compiled as part of the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
