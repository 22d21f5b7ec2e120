//! Networks and their training: layers and losses against others' values, gradients, the trainer, the classifier.

mod accuracy;
mod batch_norm;
mod classifier;
mod common;
mod custom_layer;
mod determinism;
mod divergence;
mod environment;
mod frozen;
mod gradients;
mod graphs;
mod pretrained;
mod pytorch_layers;
mod tensorflow_layers;
mod tensorflow_network;
mod trainer;
