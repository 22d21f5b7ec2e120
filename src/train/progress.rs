//! Where training is, to the step.

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::pace::Pace;
use crate::data::{Fingerprint, Loader};
use crate::metrics::Evaluation;
use crate::network::StepReport;
use crate::optim::ReduceOnPlateau;

/// The state of the loop: position, sums of the epoch under way, and what earlier epochs gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The epoch under way, from 0.
    pub epoch: u64,
    /// The batch of it that comes next: batches done, and those of which every record was skipped.
    pub batch: usize,
    /// Steps made in all.
    pub step: u64,
    /// The epochs done, first to last.
    pub history: Vec<EpochRecord>,
    /// The best epoch so far; one whose loss is not finite is never it.
    pub best: Option<Best>,
    sums: Sums,
    #[serde(default)]
    data: Data,
    plateau: Option<ReduceOnPlateau>,
    plateau_factor: f32,
    /// Of training under a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pace: Option<Pace>,
    /// Whether that has come to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    out_of_time: bool,
    /// Whether the first epoch was an opening.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    opened: bool,
}

/// What one epoch gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochRecord {
    /// Its number, from 0.
    pub epoch: u64,
    /// Steps made by its end, in all.
    pub step: u64,
    /// Mean loss of its examples, each before its batch's update.
    #[serde(with = "any_float")]
    pub train_loss: f64,
    /// Share of its examples classified right, each before its batch's update.
    pub train_accuracy: f64,
    /// Loss and accuracy on the evaluation data, if there are any and they were evaluated on after this epoch.
    pub eval: Option<Score>,
    /// The learning rate of its last step.
    pub learning_rate: f32,
    /// Whether it is the best so far.
    pub best: bool,
}

/// Loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy.
    #[serde(with = "any_float")]
    pub loss: f64,
    /// Share of examples classified right.
    pub accuracy: f64,
}

/// The best epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, from 0.
    pub epoch: u64,
    /// Its score on the evaluation data, or without any on the training data.
    pub score: Score,
}

/// Sums over the batches done of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sums {
    loss: f64,
    correct: u64,
    examples: u64,
    learning_rate: f32,
}

/// The data trained and evaluated on, once training has begun.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Data {
    train: Option<Fingerprint>,
    eval: Option<Fingerprint>,
}

/// JSON has neither infinities nor NaN, which the loss of a network that diverged may be: they are saved by name.
mod any_float {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.serialize_str(&value.to_string())
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Float {
            Number(f64),
            Name(String),
        }
        match Float::deserialize(deserializer)? {
            Float::Number(value) => Ok(value),
            Float::Name(name) => name.parse().map_err(de::Error::custom),
        }
    }
}

impl Progress {
    pub(super) fn new(plateau: Option<ReduceOnPlateau>) -> Self {
        Self {
            epoch: 0,
            batch: 0,
            step: 0,
            history: Vec::new(),
            best: None,
            sums: Sums::default(),
            data: Data::default(),
            plateau,
            plateau_factor: 1.0,
            pace: None,
            out_of_time: false,
            opened: false,
        }
    }

    /// Of training under a [budget](super::TrainOptions::budget), how many epochs it will probably have, once it has begun.
    pub fn expected_epochs(&self) -> Option<u64> {
        let left = self.pace.as_ref()?.left;
        Some(if self.out_of_time { self.epoch } else { self.epoch + left })
    }

    /// Seconds that training under a budget has taken, in all its runs, up to the last step or evaluation.
    pub fn seconds(&self) -> f64 {
        self.pace.as_ref().map_or(0.0, |pace| pace.spent)
    }

    /// The share of training that is done after `part` of the epoch under way: under a budget by its schedule, else of
    /// `epochs` epochs.
    pub fn share_done(&self, part: f64, epochs: u64) -> f64 {
        match &self.pace {
            Some(pace) => pace.after(part),
            // No steps are made in an opening, which is the first epoch.
            None if self.opened => ((self.epoch as f64 - 1.0 + part) / (epochs as f64 - 1.0)).clamp(0.0, 1.0),
            None => (self.epoch as f64 + part) / epochs as f64,
        }
    }

    /// Whether nothing was done yet.
    pub(super) fn is_at_beginning(&self) -> bool {
        self.epoch == 0 && self.batch == 0 && self.step == 0
    }

    /// Whether the last epoch could have been the best: it was evaluated, or there is nothing to evaluate on.
    pub(super) fn is_judged(&self) -> bool {
        self.history.last().is_some_and(|epoch| epoch.eval.is_some() || self.data.eval.is_none())
    }

    /// What a run could never have counted, if a file tells of it.
    pub(crate) fn defect(&self) -> Option<String> {
        self.pace.as_ref().and_then(Pace::defect)
    }

    /// Whether training under a budget has come to its end.
    pub fn is_finished(&self) -> bool {
        self.out_of_time
    }

    /// Mean loss and accuracy over the batches done of the epoch under way, if any is.
    pub fn running(&self) -> Option<Score> {
        let Sums { loss, correct, examples, .. } = self.sums;
        let n = examples as f64;
        (examples > 0).then(|| Score { loss: loss / n, accuracy: correct as f64 / n })
    }

    /// Epochs done since the best one; all that are done, if none was good enough to be one.
    pub fn epochs_since_best(&self) -> u64 {
        self.best.map_or(self.epoch, |best| self.epoch.saturating_sub(best.epoch).saturating_sub(1))
    }

    /// Remembers the data that training begins with, and later fails if they are others: another evaluation, or none, would
    /// be held against scores that it has nothing to do with. [`Trainer::run`](super::Trainer::run) calls it.
    ///
    /// Before the first evaluation its data may still change. Where there were none before, the best epoch is the best by
    /// its training loss, which is then forgotten.
    ///
    /// # Errors
    /// [`TrainError::OtherData`], which names the first shard that differs.
    pub fn check_data(&mut self, train: &Loader, eval: Option<&Loader>) -> Result<(), TrainError> {
        let other = |part| move |difference| TrainError::OtherData { part, difference };
        let now = train.fingerprint();
        let known = self.data.train.get_or_insert_with(|| now.clone());
        known.difference(&now).map_or(Ok(()), |difference| Err(other("training")(difference)))?;

        let now = eval.map(Loader::fingerprint);
        if self.history.iter().any(|epoch| epoch.eval.is_some()) {
            let difference = match (&self.data.eval, &now) {
                (Some(known), Some(now)) => known.difference(now),
                _ => now.is_none().then(|| "there are none".to_owned()),
            };
            return difference.map_or(Ok(()), |difference| Err(other("evaluation")(difference)));
        }
        if now.is_some() && self.best.take().is_some() {
            self.plateau = self.plateau.take().map(ReduceOnPlateau::starting_anew);
        }
        self.data.eval = now;
        Ok(())
    }

    pub(super) fn plateau_factor(&self) -> f32 {
        self.plateau_factor
    }

    /// Counts a step, after which the epoch goes on at batch `next_batch`, `spent` seconds after training began.
    pub(super) fn add_step(&mut self, report: &StepReport, next_batch: usize, spent: f64) {
        if let Some(pace) = &mut self.pace {
            pace.spent = spent;
        }
        self.step += 1;
        self.batch = next_batch;
        self.sums.loss += report.mean_loss * report.examples as f64;
        self.sums.correct += report.correct as u64;
        self.sums.examples += report.examples as u64;
        self.sums.learning_rate = report.learning_rate;
    }

    /// Closes the epoch under way, `spent` seconds after training began, and moves to the beginning of the next. Under a
    /// budget that one has the pace `next`, or the time is up.
    ///
    /// An [`Opening`](super::Opening) makes no steps: `opening` is its score of training.
    ///
    /// An epoch without evaluation, of training that has data to evaluate on, is never the best.
    pub(super) fn end_epoch(
        &mut self,
        opening: Option<Score>,
        evaluation: Option<Evaluation>,
        next: Option<Pace>,
        spent: f64,
    ) -> EpochRecord {
        self.opened |= opening.is_some();
        let train = opening.or(self.running()).unwrap_or(Score { loss: f64::NAN, accuracy: 0.0 });
        let eval = evaluation.map(|e| Score { loss: e.loss, accuracy: e.accuracy() });
        let score = eval.unwrap_or(train);
        let better = |best: &Best| match eval {
            Some(eval) if eval.accuracy != best.score.accuracy => eval.accuracy > best.score.accuracy,
            _ => score.loss < best.score.loss,
        };
        let judged = eval.is_some() || self.data.eval.is_none();
        let best = judged && score.loss.is_finite() && self.best.as_ref().is_none_or(better);
        if best {
            self.best = Some(Best { epoch: self.epoch, score });
        }
        if let (Some(plateau), true) = (&mut self.plateau, judged) {
            self.plateau_factor = plateau.observe(score.loss);
        }
        let record = EpochRecord {
            epoch: self.epoch,
            step: self.step,
            train_loss: train.loss,
            train_accuracy: train.accuracy,
            eval,
            learning_rate: self.sums.learning_rate,
            best,
        };
        if let Some(pace) = &mut self.pace {
            self.out_of_time = next.is_none();
            *pace = Pace { spent, ..next.unwrap_or_else(|| pace.clone()) };
        }
        self.history.push(record.clone());
        (self.epoch, self.batch, self.sums) = (self.epoch + 1, 0, Sums::default());
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One example, classified right or not.
    fn evaluation(loss: f64, right: bool) -> Evaluation {
        let mut evaluation = Evaluation::new(2);
        let scores = ndarray::array![[0.0, if right { 1.0 } else { -1.0 }]];
        evaluation.add(loss, scores.view(), &[1]);
        evaluation
    }

    #[test]
    fn the_training_loss_is_per_example() {
        let mut progress = Progress::new(None);
        for (examples, mean_loss) in [(4, 2.0), (1, 7.0)] {
            // As of a loss that is summed over the batch.
            let loss = mean_loss * examples as f64;
            let (correct, step, learning_rate, gradient_norm) = (1, 1, 0.1, None);
            let report =
                StepReport { loss, mean_loss, examples, correct, step, learning_rate, gradient_norm };
            progress.add_step(&report, 1, 0.0);
        }
        assert_eq!(progress.running(), Some(Score { loss: 3.0, accuracy: 0.4 }));
        assert_eq!(progress.end_epoch(None, None, None, 0.0).train_loss, 3.0);
    }

    #[test]
    fn an_epoch_whose_loss_is_not_finite_is_never_the_best() {
        let mut progress = Progress::new(None);
        for (loss, right, best) in [
            (f64::NAN, true, false),
            (f64::INFINITY, true, false),
            (2.0, false, true),
            (f64::NAN, true, false),
            (f64::NEG_INFINITY, false, false),
            (1.0, false, true),
            (3.0, true, true),
            (1.0, false, false),
        ] {
            let since = progress.epochs_since_best();
            assert_eq!(
                progress.end_epoch(None, Some(evaluation(loss, right)), None, 0.0).best,
                best,
                "{loss} {right}"
            );
            assert_eq!(progress.epochs_since_best(), if best { 0 } else { since + 1 });
        }
        assert_eq!(progress.best.map(|best| best.epoch), Some(6));
    }
}
