//! The image module against TensorFlow's values, naive oracles, and damaged files.
mod augment;
mod claims;
mod damage;
mod decode;
mod fit;
mod formats;
mod standardize;
mod support;
