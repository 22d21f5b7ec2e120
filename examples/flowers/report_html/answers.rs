//! What the network says of each example, and those worth a look.

use std::cmp::Ordering;

use floret::batch::{Batch, Loader};
use floret::loss::softmax;
use floret::metrics::Evaluation;
use floret::network::Network;
use ndarray::{ArrayView1, ArrayView2};

use crate::Result;
use crate::evaluation::evaluate_each;

/// What the network says of one example.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its record, of [`Batch::records`].
    pub record: usize,
    pub label: usize,
    /// The most probable classes, at most three.
    pub top: Vec<(usize, f32)>,
    /// The probability of its own class.
    pub own: f32,
}

/// An evaluation, and the examples worth a look.
#[derive(Debug, Clone)]
pub struct Answers {
    pub evaluation: Evaluation,
    /// Taken for another class, the most confident first.
    pub mistakes: Vec<Answer>,
    /// Of which the two most probable classes are the closest, the closest first.
    pub uncertain: Vec<Answer>,
}

/// How many of each are kept.
const KEPT: usize = 18;

/// Classes told of each example.
const TOLD: usize = 3;

impl Answers {
    /// Evaluates over every example of `data`, each once.
    pub fn gather(network: &mut Network, data: &Loader) -> Result<Self> {
        let mut mistakes = Ranking::new(|answer| answer.top[0].1);
        let mut uncertain =
            Ranking::new(|answer| answer.top.get(1).map_or(-1.0, |(_, p)| p - answer.top[0].1));
        let evaluation = evaluate_each(network, data, |batch, logits| {
            for answer in answers(batch, logits) {
                if answer.top[0].0 != answer.label {
                    mistakes.add(answer.clone());
                }
                uncertain.add(answer);
            }
        })?;
        Ok(Self { evaluation, mistakes: mistakes.into_best(), uncertain: uncertain.into_best() })
    }
}

/// The answers to a batch, without those that are no finite numbers.
fn answers(batch: &Batch, logits: ArrayView2<f32>) -> Vec<Answer> {
    let mut probabilities = logits.to_owned();
    softmax(probabilities.view_mut());
    let rows = probabilities.rows().into_iter().zip(batch.labels.iter().zip(&batch.records));
    let finite = rows.filter(|(row, _)| !row.is_empty() && row.iter().all(|p| p.is_finite()));
    finite
        .map(|(row, (&label, &record))| Answer { record, label, top: most_probable(row), own: row[label] })
        .collect()
}

/// The most probable classes, the first of equals first, as the evaluation counts.
fn most_probable(probabilities: ArrayView1<f32>) -> Vec<(usize, f32)> {
    let mut ranked: Vec<_> = probabilities.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(TOLD);
    ranked
}

/// Keeps the answers of the highest score, of equals those that came first.
struct Ranking<F> {
    score: F,
    kept: Vec<Answer>,
}

impl<F: Fn(&Answer) -> f32> Ranking<F> {
    fn new(score: F) -> Self {
        Self { score, kept: Vec::new() }
    }

    fn add(&mut self, answer: Answer) {
        self.kept.push(answer);
        // Sorted now and then, so that few are held and few are moved.
        if self.kept.len() >= 8 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let descending = |a: &Answer, b: &Answer| -> Ordering { (self.score)(b).total_cmp(&(self.score)(a)) };
        self.kept.sort_by(descending);
        self.kept.truncate(KEPT);
    }

    fn into_best(mut self) -> Vec<Answer> {
        self.cut();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;

    #[test]
    fn answers_are_ranked() {
        let logits = array![[0.0, 2.0, 1.0, -1.0], [3.0, 0.0, 0.0, 0.0], [f32::NAN, 0.0, 0.0, 0.0]];
        let batch = Batch {
            images: Array4::zeros((3, 1, 1, 3)),
            labels: vec![2, 0, 0],
            mixed: None,
            records: vec![7, 8, 9],
        };
        let answers = answers(&batch, logits.view());
        assert_eq!(answers.len(), 2);
        let classes: Vec<_> = answers[0].top.iter().map(|(class, _)| *class).collect();
        assert_eq!((answers[0].record, answers[0].label, classes), (7, 2, vec![1, 2, 0]));
        assert_eq!(answers[0].own, answers[0].top[1].1);

        let mut ranking = Ranking::new(|answer: &Answer| answer.own);
        for record in 0..1000 {
            ranking.add(Answer { record, own: (record * 37 % 1000) as f32, ..answers[0].clone() });
        }
        let own: Vec<_> = ranking.into_best().iter().map(|answer| answer.own).collect();
        let wanted: Vec<_> = (1000 - KEPT..1000).rev().map(|own| own as f32).collect();
        assert_eq!(own, wanted);
    }
}
