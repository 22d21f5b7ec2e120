//! What a network makes of photos before its last layer.

use ndarray::Array2;

/// The features of photos, with their classes and records.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Features {
    /// (photos, features), row after row.
    pub values: Vec<f32>,
    /// Classes, from 0.
    pub labels: Vec<usize>,
    /// Their places in the shards, ascending.
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

    /// Keeps the photos of these records alone.
    fn retain(&mut self, records: &[usize]) {
        if self.records == records {
            return;
        }
        let features = self.values.len() / self.len().max(1);
        let kept: Vec<usize> =
            (0..self.len()).filter(|&photo| records.binary_search(&self.records[photo]).is_ok()).collect();
        self.values =
            kept.iter().flat_map(|photo| &self.values[photo * features..][..features]).copied().collect();
        self.labels = kept.iter().map(|&photo| self.labels[photo]).collect();
        self.records = kept.iter().map(|&photo| self.records[photo]).collect();
    }
}

/// The features of photos in some views each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Views {
    /// (views x photos, features): all photos in the first view, then all in the next.
    pub values: Array2<f32>,
    /// Class and record of each photo.
    pub labels: Vec<usize>,
    pub records: Vec<usize>,
}

impl Views {
    /// Stacks views with so many features. A photo that is missing in one of them, since it could not be read, is left out of all.
    pub fn stack(mut views: Vec<Features>, features: usize) -> Self {
        let in_all = |record: &usize| views.iter().all(|view| view.records.binary_search(record).is_ok());
        let records: Vec<usize> =
            views.first().map_or(&[][..], |view| &view.records).iter().copied().filter(in_all).collect();
        let mut stacked = Features::default();
        for view in &mut views {
            view.retain(&records);
            stacked.append(std::mem::take(view));
        }
        stacked.labels.truncate(records.len());
        let rows = stacked.values.len() / features;
        let values = Array2::from_shape_vec((rows, features), stacked.values);
        Self { values: values.expect("as many features in each view"), labels: stacked.labels, records }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features that name their view and their photo.
    fn view(number: usize, records: &[usize]) -> Features {
        Features {
            values: records.iter().flat_map(|&record| [number as f32, record as f32]).collect(),
            labels: records.iter().map(|record| record % 3).collect(),
            records: records.to_vec(),
        }
    }

    #[test]
    fn views_follow_each_other_with_the_photos_that_all_have() {
        let whole = [0, 1, 4, 7];
        let Views { values, labels, records } = Views::stack(vec![view(0, &whole), view(1, &whole)], 2);
        let wanted =
            [[0.0, 0.0], [0.0, 1.0], [0.0, 4.0], [0.0, 7.0], [1.0, 0.0], [1.0, 1.0], [1.0, 4.0], [1.0, 7.0]];
        assert_eq!(values, ndarray::arr2(&wanted));
        assert_eq!((labels, records), (vec![0, 1, 1, 1], whole.to_vec()));

        let Views { values, labels, records } =
            Views::stack(vec![view(0, &[0, 1, 7]), view(1, &whole), view(2, &[1, 4, 7])], 2);
        let wanted = [[0.0, 1.0], [0.0, 7.0], [1.0, 1.0], [1.0, 7.0], [2.0, 1.0], [2.0, 7.0]];
        assert_eq!(values, ndarray::arr2(&wanted));
        assert_eq!((labels, records), (vec![1, 1], vec![1, 7]));
    }
}
