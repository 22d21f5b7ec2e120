//! Images to batches.

use ndarray::Array4;

/// A batch of training or evaluation examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Standardized images, NHWC.
    pub images: Array4<f32>,
    /// Class of each image, from 0.
    pub labels: Vec<usize>,
}
