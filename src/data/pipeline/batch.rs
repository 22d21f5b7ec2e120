//! What the pipeline gives, and training takes.

use ndarray::{Array2, Array4};

use crate::loss::Targets;

/// A batch of training or evaluation examples.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// Standardized images, NHWC.
    pub images: Array4<f32>,
    /// Class of each image, from 0.
    pub labels: Vec<usize>,
    /// Of examples that were [mixed](super::Mix), how much each is of each class: (examples, classes). `labels` and `records`
    /// then tell which they were before.
    pub mixed: Option<Array2<f32>>,
    /// Record that each image came from, counted over all shards from 0: see [`Loader::examples`](super::Loader::examples). Empty in batches made
    /// otherwise.
    pub records: Vec<usize>,
}

impl Batch {
    /// Images with the class of each, of no records.
    pub fn new(images: Array4<f32>, labels: Vec<usize>) -> Self {
        Self { images, labels, mixed: None, records: Vec::new() }
    }
}

impl<'a> From<&'a Batch> for Targets<'a> {
    /// The classes of a batch; of one that was mixed, how much each example is of each.
    fn from(batch: &'a Batch) -> Self {
        batch.mixed.as_ref().map_or(Targets::Classes(&batch.labels), |mixed| Targets::Values(mixed.view()))
    }
}
