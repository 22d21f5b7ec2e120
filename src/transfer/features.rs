//! What a network makes of photos before its last layer.

use ndarray::Array2;

/// The features of photos, with their classes and records.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Features {
    /// (photos, features), row after row.
    pub values: Vec<f32>,
    /// Classes, from 0.
    pub labels: Vec<usize>,
    /// Their places in the shards.
    pub records: Vec<usize>,
}

impl Features {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// (photos, features).
    pub fn into_array(self, features: usize) -> Array2<f32> {
        let photos = self.labels.len();
        Array2::from_shape_vec((photos, features), self.values).expect("as many features for each photo")
    }

    pub fn append(&mut self, mut other: Self) {
        self.values.append(&mut other.values);
        self.labels.append(&mut other.labels);
        self.records.append(&mut other.records);
    }
}
