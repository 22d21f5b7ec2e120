//! The image module against TensorFlow's values, naive oracles, and damaged files.
mod augment;
#[cfg(any(feature = "tiff", feature = "webp"))]
mod claims;
mod damage;
mod decode;
mod fit;
mod formats;
mod standardize;
mod support;
