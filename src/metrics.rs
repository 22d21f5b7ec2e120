//! How good a classifier is: exact counts over all examples of an evaluation.

use std::collections::BTreeMap;

use ndarray::{ArrayView1, ArrayView2};

use crate::loss::{Loss, LossError, SoftmaxCrossEntropy, Targets};

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Examples evaluated, each once.
    pub examples: u64,
    /// Mean loss over the examples, without class weights or smoothing.
    pub loss: f64,
    /// Examples by true and predicted class. Those whose scores are not all finite have no
    /// predicted class: they stand in [`Self::unpredicted`].
    pub confusion: Confusion,
    /// Examples by true class whose scores are not all finite. They are never counted right, nor among the top k.
    pub unpredicted: Vec<u64>,
    /// Examples whose class was among the `k` most probable, with `k` = [`Self::TOP_K`] or the number of classes.
    pub in_top_k: u64,
}

/// Precision and recall of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
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

/// How many examples of each class were taken for each: the confusion matrix.
///
/// Only counts over 0 are kept, so it takes some 40 bytes for each pair of classes that occurs, at most one an example,
/// however many classes there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confusion {
    counts: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    fn add(&mut self, label: usize, predicted: usize) {
        *self.counts.entry((label, predicted)).or_default() += 1;
    }

    /// Examples of the class `label` that were taken for the class `predicted`.
    pub fn get(&self, label: usize, predicted: usize) -> u64 {
        self.counts.get(&(label, predicted)).copied().unwrap_or(0)
    }

    /// Every count over 0 under its (true class, predicted class), in that order.
    pub fn iter(&self) -> impl Iterator<Item = ((usize, usize), u64)> {
        self.counts.iter().map(|(classes, count)| (*classes, *count))
    }

    /// All examples that have a predicted class.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl Evaluation {
    /// How many of the most probable classes count for [`Self::in_top_k`].
    pub const TOP_K: usize = 3;

    pub(crate) fn new(classes: usize) -> Self {
        Self {
            examples: 0,
            loss: 0.0,
            confusion: Confusion::default(),
            unpredicted: vec![0; classes],
            in_top_k: 0,
        }
    }

    /// Counts a batch by its logits (examples, classes). The loss is cross-entropy, whatever smoothing or weights training uses, so that
    /// runs compare.
    pub(crate) fn add_logits(&mut self, logits: ArrayView2<f32>, labels: &[usize]) -> Result<(), LossError> {
        let summed = Loss::from(SoftmaxCrossEntropy::default().sum());
        self.add(summed.evaluate(logits, Targets::from(labels), None)?, logits, labels);
        Ok(())
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
            self.confusion.add(label, class);
            let better = scores.iter().filter(|&&s| s > scores[label]).count();
            self.in_top_k += u64::from(better < Self::TOP_K);
        }
    }

    /// Share of examples whose most probable class is their own; 0 over no examples.
    pub fn accuracy(&self) -> f64 {
        let right: u64 =
            self.confusion.iter().filter(|((label, class), _)| label == class).map(|(_, n)| n).sum();
        right as f64 / self.examples.max(1) as f64
    }

    /// The standard error of the accuracy: how far it is, typically, from that over all photos there are, of which these are a sample
    /// that chose nothing; `sqrt(p (1 - p) / n)` of `n` examples, with `p` by Laplace's rule, so that few that are all right leave doubt, too.
    pub fn standard_error(&self) -> f64 {
        let n = self.examples.max(1) as f64;
        let p = (self.accuracy() * n + 1.0) / (n + 2.0);
        (p * (1.0 - p) / n).sqrt()
    }

    /// Share of examples whose class is among the [`Self::TOP_K`] most probable.
    pub fn top_k_accuracy(&self) -> f64 {
        self.in_top_k as f64 / self.examples.max(1) as f64
    }

    /// Precision and recall of each class.
    pub fn per_class(&self) -> Vec<ClassMetrics> {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let mut totals: Vec<(u64, u64)> = self.unpredicted.iter().map(|examples| (*examples, 0)).collect();
        for ((label, class), count) in self.confusion.iter() {
            totals[label].0 += count;
            totals[class].1 += count;
        }
        totals
            .into_iter()
            .enumerate()
            .map(|(class, (examples, predicted))| {
                let right = self.confusion.get(class, class);
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

/// Brings classes with their scores into order: the largest score first, of equals the first class.
pub(crate) fn rank(scores: &mut [(usize, f32)]) {
    scores.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
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
        let counts: Vec<_> = evaluation.confusion.iter().collect();
        assert_eq!(counts, [((1, 0), 1), ((1, 1), 1), ((2, 2), 1), ((3, 0), 1)]);
        assert_eq!((evaluation.confusion.get(3, 0), evaluation.confusion.get(0, 3)), (1, 0));
        assert_eq!(evaluation.per_class()[0].recall, None);
        assert_eq!(evaluation.per_class()[3].precision, None);
        assert!((one.f1().unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    /// A matrix of all pairs would be 34 GB.
    #[test]
    fn many_classes_take_no_matrix_of_all_pairs() {
        let classes = 1 << 16;
        let mut evaluation = Evaluation::new(classes);
        let mut scores = ndarray::Array2::zeros((2, classes));
        (scores[[0, classes - 1]], scores[[1, 7]]) = (1.0, 1.0);
        evaluation.add(2.0, scores.view(), &[classes - 1, 0]);
        assert_eq!((evaluation.accuracy(), evaluation.confusion.total()), (0.5, 2));
        assert_eq!(evaluation.per_class()[classes - 1].recall, Some(1.0));
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
        assert_eq!((evaluation.confusion.total(), &evaluation.unpredicted[..]), (1, &[2, 0, 1][..]));
        let classes = evaluation.per_class();
        assert_eq!((classes[0].examples, classes[0].recall), (2, Some(0.0)));
        assert_eq!((classes[2].examples, classes[2].recall, classes[2].precision), (2, Some(0.5), Some(1.0)));
    }
}
