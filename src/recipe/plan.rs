//! What fits into the time there is: the image size and about how many epochs, by how fast this machine is.

use std::time::Instant;

use ndarray::Array4;

use super::{Architecture, Census, IMAGE_SIZE, RecipeError, Settings};
use crate::network::Network;
use crate::nn::Shape;
use crate::train::Estimate;

/// Sides of images in evaluation that a budget chooses among.
const SIZES: [usize; 9] = [48, 64, 80, 96, 112, 128, 144, 176, 208];

/// The photos seen in training for each pixel of an image in evaluation, and the epochs, from which larger images are worth the
/// time: with less, smaller images and more epochs gain more (docs/recipes.md).
const ENOUGH_VIEWS: f64 = 16.0;
const ENOUGH_EPOCHS: f64 = 12.0;

/// Evaluations under a budget, about: with test-time flips on larger images each costs as much as a fifth of an epoch.
const EVALUATIONS: f64 = 12.0;

/// What the time goes into besides steps, as a share of theirs: decoding and changing photos, waiting for them.
const PIPELINE: f64 = 0.15;
/// Seconds to decode a photo in the first epoch on one thread.
const DECODE: f64 = 0.002;

/// The share of the time that is held back for a machine that grows slower towards the end.
pub(super) const RESERVE: f64 = 0.01;

/// Steps that are timed, and the seconds after which no further one is begun; the fastest counts, since the first ones make room
/// for themselves.
const STEPS: usize = 4;
const TIMED: f64 = 2.0;

/// How long things take on this machine, with these photos.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    classes: usize,
    /// Photos to train on, to evaluate on, and of the test part.
    train: usize,
    eval: usize,
    test: usize,
    /// Seconds of a training step for each pixel of its images.
    step: f64,
    /// Seconds to decode the photos to train and evaluate on once.
    decoding: f64,
}

impl Plan {
    /// Measures some training steps of `network` on images of noise, of the largest size that is trained on: they take most of
    /// the time. It takes a second or two.
    ///
    /// # Errors
    /// A network that can't take images of this size.
    pub fn measure(settings: &Settings, mut network: Network, census: &Census) -> Result<Self, RecipeError> {
        let size = settings.train_sizes.iter().copied().max().unwrap_or(settings.image_size);
        let classes = census.classes.len();
        let channels = settings.channel_order.channels();
        network.set_input((size, size, channels))?;
        let batch_size = settings.batch_size.min(census.photos()).max(1);
        let images = Array4::from_shape_fn((batch_size, size, size, channels), noise);
        let labels: Vec<usize> = (0..batch_size).map(|n| n % classes).collect();
        let (mut optimizer, mut fastest) = (settings.optimizer(), f64::INFINITY);
        // A rate of 0 leaves the weights as they are: nothing can go wrong with them.
        optimizer.set_learning_rate(0.0);
        let all = Instant::now();
        for step in 0..STEPS {
            if step > 0 && all.elapsed().as_secs_f64() > TIMED {
                break;
            }
            let begun = Instant::now();
            network.train_step(images.view(), &labels, optimizer.as_mut())?;
            fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
        Ok(Self::with(fastest / (batch_size * size * size) as f64, census))
    }

    /// A plan for a machine that takes `step` seconds to train on a pixel.
    fn with(step: f64, census: &Census) -> Self {
        let (train, eval) = (census.photos(), census.eval);
        let decoding = decoding(train + eval);
        Self { classes: census.classes.len(), train, eval, test: census.test, step, decoding }
    }

    /// Chooses the image size for a training of so many seconds; the network too, unless it is `given`.
    pub fn choose(&self, settings: &mut Settings, given: Option<Architecture>, seconds: f64) {
        for size in SIZES {
            let mut larger = settings.clone();
            larger.set_network(given.unwrap_or(Architecture::for_size(size)), size);
            let fit = self.epochs(&larger, seconds).min(settings.epochs as f64);
            let worth_it = fit >= self.enough(settings.epochs, size);
            if size == SIZES[0] || (worth_it && larger.fits_memory(self.classes, self.train)) {
                *settings = larger;
            }
        }
    }

    /// The epochs that images of this side are worth the time from, where there are at most so many. Few photos take the usual size
    /// even if they can't be seen often enough for it, but no larger one.
    fn enough(&self, most: usize, size: usize) -> f64 {
        let epochs = ENOUGH_VIEWS * (size * size) as f64 / self.train as f64;
        let enough = epochs.max(ENOUGH_EPOCHS);
        if size <= IMAGE_SIZE { enough.min(most as f64) } else { enough }
    }

    /// Seconds from the end of training to the end of the run: the best network's evaluation, that on the test part, and if there is
    /// a `report`, its answers to the training photos too.
    pub fn conclusion(&self, settings: &Settings, report: bool) -> f64 {
        let asked = self.eval + self.test + if report { self.train } else { 0 };
        let decoded = decoding(self.test) + if report { self.decoding } else { 0.0 };
        0.5 + self.inference(settings, asked) + decoded
    }

    /// What the parts of training will take, once all photos are decoded.
    pub fn estimate(&self, settings: &Settings) -> Estimate {
        let options = settings.loader_options(self.classes);
        let bytes = 3.0 * (options.source_size * options.source_size * self.train) as f64;
        let uncached = (1.0 - options.cache_bytes as f64 / bytes).max(0.0);
        Estimate {
            steps: self.train as f64 * self.step * (1.0 + PIPELINE),
            overhead: uncached * self.decoding,
            evaluation: self.inference(settings, self.eval),
        }
    }

    /// About how many epochs fit into so many seconds.
    pub fn epochs(&self, settings: &Settings, seconds: f64) -> f64 {
        let seconds = (seconds - self.decoding).max(0.0);
        self.estimate(settings).epochs(seconds, mean_pixels(settings), EVALUATIONS)
    }

    /// About how many seconds so many epochs take.
    pub fn seconds(&self, settings: &Settings, epochs: f64) -> f64 {
        let training =
            self.estimate(settings).seconds(epochs, mean_pixels(settings), epochs.min(EVALUATIONS));
        self.decoding + training
    }

    /// Seconds of an epoch and its evaluation, once all photos are decoded.
    pub(super) fn epoch_seconds(&self, settings: &Settings) -> f64 {
        self.estimate(settings).seconds(1.0, mean_pixels(settings), 1.0)
    }

    /// Seconds to ask the network about so many photos.
    fn inference(&self, settings: &Settings, photos: usize) -> f64 {
        let passes = settings.regularization.passes();
        let pixels = (settings.image_size * settings.image_size) as f64;
        Estimate::unmeasured_evaluation(self.step, pixels, photos as f64, passes)
    }
}

/// About how many seconds a pass over a photo takes, decoding included, where there are so many. Some of noise are asked about.
///
/// # Errors
/// None for a network that takes images.
pub(super) fn pass_seconds(network: &Network, photos: usize) -> Result<f64, RecipeError> {
    let Shape::Image { height, width, channels } = network.input() else { return Ok(0.0) };
    let some = photos.clamp(1, ASKED);
    let images = Array4::from_shape_fn((some, height, width, channels), noise);
    let mut fastest = f64::INFINITY;
    // The first one prepares filters.
    for _ in 0..2 {
        let begun = Instant::now();
        network.forward(&images)?;
        fastest = fastest.min(begun.elapsed().as_secs_f64());
    }
    let passes = if network.spec().test_time_flip { 2.0 } else { 1.0 };
    Ok(fastest / passes / some as f64 + decoding(1))
}

/// Seconds to decode so many photos.
fn decoding(photos: usize) -> f64 {
    photos as f64 * DECODE / rayon::current_num_threads() as f64
}

/// Photos that are asked about.
const ASKED: usize = 32;

/// Values that are neither equal nor tiny.
fn noise((n, y, x, c): (usize, usize, usize, usize)) -> f32 {
    ((n * 7919 + y * 3571 + x * 1913 + c * 541) % 1024) as f32 / 512.0 - 1.0
}

/// Mean pixels of a training image over all stages.
fn mean_pixels(settings: &Settings) -> f64 {
    settings.train_options(1, None).mean_pixels(0.0, settings.image_size)
}

/// How often to evaluate where there are about so many epochs.
pub(super) fn evaluate_every(epochs: f64) -> usize {
    (epochs / EVALUATIONS).round().max(1.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that trains on some 500 photos of 80 pixels a second.
    fn plan(train: usize) -> Plan {
        let step = 1.0 / (500.0 * 80.0 * 80.0);
        Plan { classes: 5, train, eval: train / 5, test: 0, step, decoding: train as f64 * DECODE / 2.0 }
    }

    fn chosen(plan: Plan, given: Option<Architecture>, seconds: f64) -> Settings {
        let mut settings = Settings { epochs: 300, ..Settings::sample() };
        plan.choose(&mut settings, given, seconds);
        settings
    }

    #[test]
    fn more_time_makes_larger_images_and_more_epochs() {
        let plan = plan(2434);
        let (mut size, mut epochs) = (0, 0.0);
        for (minutes, wanted) in [(0.1, 48), (5.0, 80), (15.0, 96), (60.0, 144)] {
            let settings = chosen(plan, None, 60.0 * minutes);
            assert_eq!(settings.image_size, wanted, "{minutes} minutes");
            assert_eq!(settings.network, Architecture::for_size(settings.image_size));
            let fit = plan.epochs(&settings, 60.0 * minutes);
            assert!(settings.image_size > size && fit > epochs, "{minutes} minutes: {fit}");
            (size, epochs) = (settings.image_size, fit);
            let seconds = plan.seconds(&settings, fit);
            assert!((seconds - 60.0 * minutes).abs() < 1e-6, "{seconds}");
        }
        // A faster machine is more time; one that is much slower still trains.
        assert!(chosen(Plan { step: plan.step / 8.0, ..plan }, None, 300.0).image_size > 80);
        assert_eq!(chosen(Plan { step: plan.step * 1e3, ..plan }, None, 300.0).image_size, 48);
        let given = chosen(plan, Some(Architecture::Reference), 300.0);
        assert_eq!((given.network, given.train_sizes.len()), (Architecture::Reference, 1));
    }

    /// Which would be learned by heart.
    #[test]
    fn few_photos_take_no_larger_images_than_usual_however_much_time_there_is() {
        assert_eq!(chosen(plan(48), None, 1e5).image_size, IMAGE_SIZE);
        assert_eq!(chosen(plan(1), None, 1e5).image_size, IMAGE_SIZE);
    }

    #[test]
    fn a_report_and_photos_beyond_the_cache_take_their_time() {
        let (few, many) = (plan(1000), plan(100_000));
        let settings = Settings::sample();
        assert!(few.conclusion(&settings, true) > few.conclusion(&settings, false) + few.decoding);
        let tested = Plan { test: 1000, ..few };
        assert!(tested.conclusion(&settings, false) > few.conclusion(&settings, false) + decoding(1000));
        // At 70 x 70 and three bytes a pixel a cache of 1 GiB holds 73 % of them.
        let decoded = many.estimate(&settings).overhead / many.decoding;
        assert!((decoded - 0.27).abs() < 0.01, "{decoded} {:?}", settings.train_sizes);
    }

    #[test]
    fn evaluations_are_a_dozen_or_one_an_epoch() {
        assert_eq!([0.3, 1.0, 12.0, 30.0, 300.0].map(evaluate_every), [1, 1, 1, 3, 25]);
    }
}
