//! TFRecord files: TensorFlow's own, damaged ones, and those the crate writes.

mod compressed;
mod conformance;
mod corruption;
mod examples;
mod oracle;
mod pixels;
mod random_access;
mod recovery;
mod round_trip;
mod shard_names;
mod support;
mod wire;
