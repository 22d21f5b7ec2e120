//! How good a classifier is: exact counts over all examples of an evaluation.

use ndarray::{Array2, ArrayView1, ArrayView2};

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Examples evaluated, each once.
    pub examples: u64,
    /// Mean loss over the examples, without class weights or smoothing.
    pub loss: f64,
    /// Examples by true class (row) and predicted class (column). Those whose scores are not all finite have no
    /// predicted class: they stand in [`Self::unpredicted`].
    pub confusion: Array2<u64>,
    /// Examples by true class whose scores are not all finite. They are never counted right, nor among the top k.
    pub unpredicted: Vec<u64>,
    /// Examples whose class was among the `k` most probable, with `k` = [`Self::TOP_K`] or the number of classes.
    pub in_top_k: u64,
}

/// Precision and recall of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassMetrics {
    /// Examples of the class.
    pub examples: u64,
    /// Examples predicted to be of the class.
    pub predicted: u64,
    /// Share of those predicted to be of the class that are; `None` if none was predicted.
    pub precision: Option<f64>,
    /// Share of the class's examples that were found; `None` if there are none.
    pub recall: Option<f64>,
}

impl ClassMetrics {
    /// Harmonic mean of precision and recall; `None` where either is undefined or both are 0.
    pub fn f1(&self) -> Option<f64> {
        let (p, r) = (self.precision?, self.recall?);
        (p + r > 0.0).then(|| 2.0 * p * r / (p + r))
    }
}

impl Evaluation {
    /// How many of the most probable classes count for [`Self::in_top_k`].
    pub const TOP_K: usize = 3;

    pub(crate) fn new(classes: usize) -> Self {
        Self {
            examples: 0,
            loss: 0.0,
            confusion: Array2::zeros((classes, classes)),
            unpredicted: vec![0; classes],
            in_top_k: 0,
        }
    }

    /// Counts a batch: its summed loss, its scores (examples, classes) and its labels.
    pub(crate) fn add(&mut self, summed_loss: f64, scores: ArrayView2<f32>, labels: &[usize]) {
        // `loss` stays a mean, so that an evaluation can be read at any moment.
        let before = self.loss * self.examples as f64;
        self.examples += labels.len() as u64;
        self.loss = (before + summed_loss) / self.examples.max(1) as f64;
        for (scores, &label) in scores.rows().into_iter().zip(labels) {
            let Some(class) = predicted(scores) else {
                self.unpredicted[label] += 1;
                continue;
            };
            self.confusion[[label, class]] += 1;
            let better = scores.iter().filter(|&&s| s > scores[label]).count();
            self.in_top_k += u64::from(better < Self::TOP_K);
        }
    }

    /// Share of examples whose most probable class is their own; 0 over no examples.
    pub fn accuracy(&self) -> f64 {
        self.confusion.diag().sum() as f64 / self.examples.max(1) as f64
    }

    /// Share of examples whose class is among the [`Self::TOP_K`] most probable.
    pub fn top_k_accuracy(&self) -> f64 {
        self.in_top_k as f64 / self.examples.max(1) as f64
    }

    /// Precision and recall of each class.
    pub fn per_class(&self) -> Vec<ClassMetrics> {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        (0..self.confusion.nrows())
            .map(|class| {
                let examples = self.confusion.row(class).sum() + self.unpredicted[class];
                let predicted = self.confusion.column(class).sum();
                let right = self.confusion[[class, class]];
                ClassMetrics {
                    examples,
                    predicted,
                    precision: share(right, predicted),
                    recall: share(right, examples),
                }
            })
            .collect()
    }
}

/// The class with the largest score, the first of equals; `None` if the scores are not all finite.
pub(crate) fn predicted(scores: ArrayView1<f32>) -> Option<usize> {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if !score.is_finite() {
            return None;
        }
        if *score > scores[best] {
            best = class;
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn counts_by_hand() {
        let mut evaluation = Evaluation::new(4);
        let scores = array![[0.1, 0.9, 0.0, 0.2], [0.8, 0.1, 0.05, 0.02], [0.4, 0.3, 0.2, 0.1]];
        evaluation.add(3.0, scores.view(), &[1, 1, 3]);
        evaluation.add(1.0, array![[0.0, 0.0, 1.0, 0.0f32]].view(), &[2]);
        assert_eq!(evaluation.examples, 4);
        assert_eq!(evaluation.loss, 1.0);
        assert_eq!(evaluation.accuracy(), 0.5);
        assert_eq!(evaluation.top_k_accuracy(), 0.75);
        let one = evaluation.per_class()[1];
        assert_eq!((one.examples, one.predicted, one.precision, one.recall), (2, 1, Some(1.0), Some(0.5)));
        assert_eq!(evaluation.per_class()[0].recall, None);
        assert_eq!(evaluation.per_class()[3].precision, None);
        assert!((one.f1().unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_predicted_class_is_the_first_of_the_largest() {
        assert_eq!(predicted(array![1.0, 3.0, 3.0].view()), Some(1));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(predicted(array![bad, -1.0, 0.0].view()), None);
            assert_eq!(predicted(array![0.0, bad].view()), None);
        }
    }

    #[test]
    fn scores_that_are_not_finite_are_never_right() {
        let mut evaluation = Evaluation::new(3);
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let scores = array![[nan, nan, nan], [inf, 0.0, 0.0], [0.0, -inf, 1.0], [0.0, 1.0, 2.0]];
        evaluation.add(f64::NAN, scores.view(), &[0, 0, 2, 2]);
        assert_eq!((evaluation.accuracy(), evaluation.top_k_accuracy()), (0.25, 0.25));
        assert_eq!((evaluation.confusion.sum(), &evaluation.unpredicted[..]), (1, &[2, 0, 1][..]));
        let classes = evaluation.per_class();
        assert_eq!((classes[0].examples, classes[0].recall), (2, Some(0.0)));
        assert_eq!((classes[2].examples, classes[2].recall, classes[2].precision), (2, Some(0.5), Some(1.0)));
    }
}
