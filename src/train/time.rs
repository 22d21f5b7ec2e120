//! The one model of time: what training takes by its parts.
//!
//! A [plan](crate::recipe::Plan) guesses the parts before training, the trainer measures them while it goes, and whoever looks on
//! asks what is left.

use super::{Progress, TrainOptions};

/// Seconds that the parts of training take on this machine, with this network and these data.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// The steps of an epoch, for each pixel of a training image.
    pub steps: f64,
    /// What an epoch takes besides its steps and its evaluation, such as saving.
    pub overhead: f64,
    /// An evaluation.
    pub evaluation: f64,
}

/// Time of the network's pass over a photo in an evaluation, in that of training on it: a third of the multiplications, and no gradients
/// to store.
const INFERENCE: f64 = 0.3;

impl Estimate {
    /// Seconds of an evaluation before one was measured: of `share` times as many photos as an epoch trains on, which are looked at in
    /// `passes` passes, where the epoch's steps take `steps` seconds for each of a photo's `pixels`.
    pub fn unmeasured_evaluation(steps: f64, pixels: f64, share: f64, passes: f64) -> f64 {
        steps * pixels * share * passes * INFERENCE
    }

    /// Of these parts, in the order of the fields.
    pub const fn new(steps: f64, overhead: f64, evaluation: f64) -> Self {
        Self { steps, overhead, evaluation }
    }

    /// Seconds that `epochs` epochs take on images of `pixels` pixels, on the average, with so many evaluations.
    ///
    /// `epochs (steps pixels + overhead) + evaluations evaluation`
    pub fn seconds(&self, epochs: f64, pixels: f64, evaluations: f64) -> f64 {
        epochs * (self.steps * pixels + self.overhead) + evaluations * self.evaluation
    }

    /// Epochs that fit into so many seconds, on images of `pixels` pixels on the average: the inverse of
    /// [`seconds`](Self::seconds) where each epoch has an evaluation until there are `evaluations`.
    pub fn epochs(&self, seconds: f64, pixels: f64, evaluations: f64) -> f64 {
        let each = self.seconds(1.0, pixels, 1.0);
        let few = seconds / each;
        if few <= evaluations {
            few
        } else {
            (seconds - evaluations * self.evaluation) / self.seconds(1.0, pixels, 0.0)
        }
    }

    /// Seconds from where training is to its end: the rest of the epoch under way, whose evaluation is taken to be due, and the
    /// epochs after it. `batches` is the number in an epoch, and `side` that of the loader's images.
    pub fn left(&self, progress: &Progress, options: &TrainOptions, batches: usize, side: usize) -> f64 {
        let epochs = progress.expected_epochs().unwrap_or(options.epochs);
        let after = epochs.saturating_sub(progress.epoch + 1) as f64;
        let pixels = options.mean_pixels(progress.share_done(1.0, options.epochs), side);
        let evaluations = 1.0 + after / options.evaluate_every as f64;
        self.epoch_left(progress, options, batches, side)
            + self.overhead
            + self.seconds(after, pixels, evaluations)
    }

    /// Seconds to the last step of the epoch under way.
    pub fn epoch_left(
        &self,
        progress: &Progress,
        options: &TrainOptions,
        batches: usize,
        side: usize,
    ) -> f64 {
        let side = options.image_size(progress.share_done(0.0, options.epochs)).unwrap_or(side);
        let part = batches.saturating_sub(progress.batch) as f64 / batches.max(1) as f64;
        part * self.steps * (side * side) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Stage;

    fn at(epoch: u64, batch: usize) -> Progress {
        let mut progress = Progress::new(None);
        (progress.epoch, progress.batch) = (epoch, batch);
        progress
    }

    const ESTIMATE: Estimate = Estimate { steps: 0.5, overhead: 3.0, evaluation: 10.0 };

    #[test]
    fn epochs_and_seconds_are_each_others_inverse() {
        for (epochs, evaluations) in [(0.5, 0.5), (12.0, 12.0), (40.0, 12.0)] {
            let seconds = ESTIMATE.seconds(epochs, 64.0, evaluations);
            assert!((ESTIMATE.epochs(seconds, 64.0, 12.0) - epochs).abs() < 1e-9, "{epochs}");
        }
        assert_eq!(ESTIMATE.seconds(2.0, 64.0, 1.0), 2.0 * (32.0 + 3.0) + 10.0);
    }

    #[test]
    fn epochs_on_larger_images_take_longer() {
        let steps = Estimate { overhead: 0.0, evaluation: 0.0, ..ESTIMATE };
        let left = |epoch, batch, sizes: &[usize], epochs| {
            let parts = sizes.len() as f64;
            let stages = sizes.iter().enumerate();
            let stages = stages.map(|(n, &image_size)| Stage { from: n as f64 / parts, image_size });
            let options = TrainOptions { stages: stages.collect(), ..TrainOptions::new(epochs, 0.1) };
            steps.left(&at(epoch, batch), &options, 4, 64) / 0.5
        };
        assert_eq!(left(0, 4, &[64], 10), 9.0 * 4096.0);
        assert_eq!(left(9, 4, &[64], 10), 0.0);
        assert_eq!(left(9, 1, &[64], 10), 0.75 * 4096.0);
        // Two more at the size of now, three of four times its pixels, three of nine times.
        let of_nine = |epoch| (left(epoch, 4, &[10, 20, 30], 9) / 100.0).round();
        assert_eq!([0, 7, 3].map(of_nine), [2.0 + 3.0 * 4.0 + 3.0 * 9.0, 9.0, 2.0 * 4.0 + 3.0 * 9.0]);
    }

    #[test]
    fn evaluations_that_are_due_are_counted() {
        let options = TrainOptions { evaluate_every: 2, ..TrainOptions::new(5, 0.1) };
        // Five epochs; an evaluation now, and two more in the four to come.
        assert_eq!(ESTIMATE.left(&at(0, 0), &options, 4, 8), 5.0 * 35.0 + 3.0 * 10.0);
    }
}
