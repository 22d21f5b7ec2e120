//! What a network answers to each example, and the answers worth a look: mistakes, doubts, and labels that may be wrong.

use std::cmp::Ordering;
use std::path::Path;

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::head::HELD_OUT;
use crate::data::{Batch, Loader};
use crate::loss::softmax;
use crate::metrics::{Evaluation, rank};
use crate::network::{Network, NetworkError};
use crate::transfer::{Features, held_out};

/// A network's answer to one example.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its record, of [`Batch::records`].
    pub record: usize,
    /// The class that its record tells.
    pub label: usize,
    /// The most probable classes, at most three.
    pub top: Vec<(usize, f32)>,
    /// The probability of its own class.
    pub own: f32,
    /// Cross-entropy, -ln `own`; finite also where `own` is not told from 0.
    pub loss: f32,
}

impl Answer {
    /// Whether it is [confidently](CONFIDENT) taken for another class.
    fn contradicts_label(&self) -> bool {
        let (class, probability) = self.top[0];
        class != self.label && probability >= CONFIDENT
    }
}

/// The least probability of a confident answer: a record whose label is contradicted by one may be labeled wrong.
///
/// A contradicted training label is a strong sign, since the network learnt these labels again and again, or since a head that was fitted
/// to all others contradicts it ([`Answers::held_out`]); on evaluation data it may as well be the network's own mistake.
pub const CONFIDENT: f32 = 0.7;

/// An evaluation, and the examples worth a look.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The evaluation.
    pub evaluation: Evaluation,
    /// Examples taken for another class, the most confident first.
    pub mistakes: Vec<Answer>,
    /// Examples whose two most probable classes are the closest, the closest first.
    pub uncertain: Vec<Answer>,
    /// How many examples contradict their label confidently.
    pub contradicting: u64,
    /// Those of them with the highest loss, the highest first.
    pub contradictions: Vec<Answer>,
}

/// How many mistakes and uncertain ones are kept.
const KEPT: usize = 18;

/// How many contradictions are kept at most: some megabytes.
pub const MOST_CONTRADICTIONS: usize = 10_000;

/// Classes told of each example.
const TOLD: usize = 3;

impl Answers {
    /// Asks the network about each example of `batches`, such as those of [`Loader::epoch`](crate::data::Loader::epoch).
    ///
    /// # Errors
    /// The first batch that is an error; images that the network can't take.
    pub fn gather<E: From<NetworkError>>(
        network: &Network,
        batches: impl IntoIterator<Item = Result<Batch, E>>,
    ) -> Result<Self, E> {
        let mut worth = WorthALook::new();
        let evaluation = network.evaluate_each(batches, |batch, logits| {
            worth.add(answers(&batch.labels, &batch.records, logits));
        })?;
        Ok(worth.answers(evaluation))
    }

    /// What heads that were fitted without them say of the photos to train on, kept in the folder of a run that
    /// [began with a pretrained network](super::Training::keep_features), if it is there and of these photos. It says more of labels
    /// than the answers of a network that was told them.
    pub fn held_out(folder: &Path, photos: &Loader) -> Option<Self> {
        let Features { values, labels, records } = held_out(&folder.join(HELD_OUT), photos)?;
        let classes = photos.options().classes;
        let logits = Array2::from_shape_vec((labels.len(), classes), values).ok()?;
        let mut evaluation = Evaluation::new(classes);
        evaluation.add_logits(logits.view(), &labels).ok()?;
        let mut worth = WorthALook::new();
        let mut of_class = vec![0; classes];
        labels.iter().for_each(|label| of_class[*label] += 1);
        let mut answers = answers(&labels, &records, logits.view());
        // Of the only photo of a class, a head that was fitted without it knows nothing.
        answers.retain(|answer| of_class[answer.label] > 1);
        worth.add(answers);
        Some(worth.answers(evaluation))
    }
}

/// Answers worth a look, as they come.
struct WorthALook {
    mistakes: Ranking<fn(&Answer) -> f32>,
    uncertain: Ranking<fn(&Answer) -> f32>,
    contradictions: Ranking<fn(&Answer) -> f32>,
    contradicting: u64,
}

impl WorthALook {
    fn new() -> Self {
        Self {
            mistakes: Ranking::new(KEPT, |answer| answer.top[0].1),
            uncertain: Ranking::new(KEPT, |answer| {
                answer.top.get(1).map_or(-1.0, |(_, p)| p - answer.top[0].1)
            }),
            contradictions: Ranking::new(MOST_CONTRADICTIONS, |answer| answer.loss),
            contradicting: 0,
        }
    }

    fn add(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            if answer.contradicts_label() {
                self.contradicting += 1;
                self.contradictions.add(answer.clone());
            }
            if answer.top[0].0 != answer.label {
                self.mistakes.add(answer.clone());
            }
            self.uncertain.add(answer);
        }
    }

    fn answers(self, evaluation: Evaluation) -> Answers {
        Answers {
            evaluation,
            mistakes: self.mistakes.into_best(),
            uncertain: self.uncertain.into_best(),
            contradicting: self.contradicting,
            contradictions: self.contradictions.into_best(),
        }
    }
}

/// The answers to a batch, without those that are no finite numbers.
fn answers(labels: &[usize], records: &[usize], logits: ArrayView2<f32>) -> Vec<Answer> {
    let mut probabilities = logits.to_owned();
    softmax(probabilities.view_mut());
    let rows = probabilities.rows().into_iter().zip(logits.rows());
    let examples = rows.zip(labels.iter().zip(records));
    let finite = examples.filter(|((row, _), _)| !row.is_empty() && row.iter().all(|p| p.is_finite()));
    let answer = |((row, logits), (&label, &record)): ((ArrayView1<f32>, ArrayView1<f32>), _)| Answer {
        record,
        label,
        top: most_probable(row),
        own: row[label],
        loss: cross_entropy(logits, label),
    };
    finite.map(answer).collect()
}

/// ln sum exp(logits), less the label's logit.
fn cross_entropy(logits: ArrayView1<f32>, label: usize) -> f32 {
    let greatest = logits.fold(f32::NEG_INFINITY, |greatest, logit| greatest.max(*logit));
    let sum: f32 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
    sum.ln() + (greatest - logits[label])
}

/// The most probable classes, the first of equals first, as the evaluation counts.
fn most_probable(probabilities: ArrayView1<f32>) -> Vec<(usize, f32)> {
    let mut ranked: Vec<_> = probabilities.iter().copied().enumerate().collect();
    rank(&mut ranked);
    ranked.truncate(TOLD);
    ranked
}

/// Keeps the answers of the highest score, of equals those that came first.
struct Ranking<F> {
    keep: usize,
    score: F,
    kept: Vec<Answer>,
}

impl<F: Fn(&Answer) -> f32> Ranking<F> {
    fn new(keep: usize, score: F) -> Self {
        Self { keep, score, kept: Vec::new() }
    }

    fn add(&mut self, answer: Answer) {
        self.kept.push(answer);
        // Sorted now and then, so that few are held and few are moved.
        if self.kept.len() >= 2 * self.keep {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let descending = |a: &Answer, b: &Answer| -> Ordering { (self.score)(b).total_cmp(&(self.score)(a)) };
        self.kept.sort_by(descending);
        self.kept.truncate(self.keep);
    }

    fn into_best(mut self) -> Vec<Answer> {
        self.cut();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn answers_are_ranked() {
        let logits = array![[0.0, 2.0, 1.0, -1.0], [3.0, 0.0, 0.0, 0.0], [f32::NAN, 0.0, 0.0, 0.0]];
        let answers = answers(&[2, 0, 0], &[7, 8, 9], logits.view());
        assert_eq!(answers.len(), 2);
        let classes: Vec<_> = answers[0].top.iter().map(|(class, _)| *class).collect();
        assert_eq!((answers[0].record, answers[0].label, classes), (7, 2, vec![1, 2, 0]));
        assert_eq!(answers[0].own, answers[0].top[1].1);
        // -ln(e^1 / (e^0 + e^2 + e^1 + e^-1)); some roundings of an f32 apart.
        let loss = (1.0 + 2f64.exp() + 1f64.exp() + (-1f64).exp()).ln() - 1.0;
        assert!((f64::from(answers[0].loss) - loss).abs() < 1e-6, "{} {loss}", answers[0].loss);

        let mut ranking = Ranking::new(KEPT, |answer: &Answer| answer.own);
        for record in 0..1000 {
            ranking.add(Answer { record, own: (record * 37 % 1000) as f32, ..answers[0].clone() });
        }
        let own: Vec<_> = ranking.into_best().iter().map(|answer| answer.own).collect();
        let wanted: Vec<_> = (1000 - KEPT..1000).rev().map(|own| own as f32).collect();
        assert_eq!(own, wanted);
    }
    #[test]
    fn a_loss_is_finite_where_the_probability_is_not_told_from_0() {
        assert_eq!(cross_entropy(array![0.0, 1000.0].view(), 0), 1000.0);
        assert_eq!(cross_entropy(array![0.0, 1000.0].view(), 1), 0.0);
    }

    #[test]
    fn only_confident_answers_of_another_class_contradict() {
        let answer = |class, probability, label| Answer {
            record: 0,
            label,
            top: vec![(class, probability)],
            own: 0.1,
            loss: 2.3,
        };
        assert!(answer(1, CONFIDENT, 0).contradicts_label());
        assert!(!answer(1, CONFIDENT.next_down(), 0).contradicts_label());
        assert!(!answer(1, 1.0, 1).contradicts_label());
    }
}
