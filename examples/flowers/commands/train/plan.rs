//! What fits into the time there is: the image size and about how many epochs, by how fast this machine is.

use std::time::Instant;

use ndarray::Array4;

use super::census::Census;
use super::recipe::Architecture;
use super::{Begin, Settings};
use crate::Result;
use crate::ui::{self, say};

/// Sides of images in evaluation that a budget chooses among.
const SIZES: [usize; 9] = [48, 64, 80, 96, 112, 128, 144, 176, 208];

/// The photos seen in training, and the epochs, that larger images are worth the time from: with less, smaller images and more
/// epochs gain more (docs/recipes.md).
const ENOUGH_VIEWS: f64 = 150_000.0;
const ENOUGH_EPOCHS: f64 = 12.0;

/// Evaluations under a budget, about: with test-time flips on larger images each costs as much as a fifth of an epoch.
const EVALUATIONS: f64 = 12.0;

/// What the time goes into besides steps, as a share of theirs: decoding and changing photos, waiting for them.
const PIPELINE: f64 = 0.15;
/// What inference costs for a pixel, as a share of what training does.
const INFERENCE: f64 = 0.3;
/// Seconds to decode a photo in the first epoch on one thread.
const DECODE: f64 = 0.002;

/// Steps that are timed; the fastest counts, since the first ones make room for themselves.
const STEPS: usize = 4;

/// How long things take on this machine, with these photos.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    classes: usize,
    /// Photos to train on, and to evaluate on.
    train: usize,
    eval: usize,
    /// Seconds of a training step for each pixel of its images.
    step: f64,
    /// Seconds to decode all photos once.
    decoding: f64,
}

impl Plan {
    /// Measures some steps on images of noise. It takes a second or two.
    pub fn measure(settings: &Settings, begin: &Begin, census: &Census) -> Result<Self> {
        // The largest images take most of the time.
        let size = settings.train_sizes.iter().copied().max().unwrap_or(settings.image_size);
        let classes = census.classes.len();
        let mut network = match begin {
            Begin::New => settings.network(classes, census.photos())?,
            Begin::Model(start) => start.network(settings, census.photos())?,
            Begin::Saved(saved) => saved.network.clone(),
        };
        network.set_input((size, size, 3))?;
        // Any values do, as long as they are neither equal nor tiny.
        let noise = |(n, y, x, c)| ((n * 7919 + y * 3571 + x * 1913 + c * 541) % 1024) as f32 / 512.0 - 1.0;
        let images = Array4::from_shape_fn((settings.batch_size, size, size, 3), noise);
        let labels: Vec<usize> = (0..settings.batch_size).map(|n| n % classes).collect();
        let (mut optimizer, mut fastest) = (settings.optimizer(), f64::INFINITY);
        // A rate of 0 leaves the weights as they are: nothing can go wrong with them.
        optimizer.set_learning_rate(0.0);
        for _ in 0..STEPS {
            let begun = Instant::now();
            network.train_step(images.view(), &labels, optimizer.as_mut())?;
            fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
        let step = fastest / (settings.batch_size * size * size) as f64;
        let (train, eval) = (census.photos(), census.eval);
        let decoding = (train + eval) as f64 * DECODE / rayon::current_num_threads() as f64;
        Ok(Self { classes, train, eval, step, decoding })
    }

    /// Chooses the image size for a training of so many seconds; the network too, unless it is `given`.
    pub fn choose(&self, settings: &mut Settings, given: Option<Architecture>, seconds: f64) {
        let enough = ENOUGH_EPOCHS.max(ENOUGH_VIEWS / self.train as f64).min(settings.epochs as f64);
        for size in SIZES {
            let mut larger = settings.clone();
            larger.set_network(given.unwrap_or(Architecture::for_size(size)), size);
            let worth_it =
                || self.epochs(&larger, seconds) >= enough && larger.fits_memory(self.classes, self.train);
            if size == SIZES[0] || worth_it() {
                *settings = larger;
            }
        }
    }

    /// Seconds from the end of training to the end of the run: the best network's evaluation, and the report, which asks it
    /// about the training photos too.
    pub fn conclusion(&self, settings: &Settings) -> f64 {
        0.5 + self.inference(settings, self.train + self.eval) + self.decoding
    }

    /// About how many epochs fit into so many seconds.
    pub fn epochs(&self, settings: &Settings, seconds: f64) -> f64 {
        let sizes = &settings.train_sizes;
        let pixels = sizes.iter().map(|&size| (size * size) as f64).sum::<f64>() / sizes.len() as f64;
        let epoch = self.train as f64 * pixels * self.step * (1.0 + PIPELINE);
        let evaluations = EVALUATIONS * self.inference(settings, self.eval);
        ((seconds - self.decoding - evaluations) / epoch).max(0.0)
    }

    /// Seconds to ask the network about so many photos.
    fn inference(&self, settings: &Settings, photos: usize) -> f64 {
        let passes = if settings.regularization.test_time_flip { 2.0 } else { 1.0 };
        photos as f64 * (settings.image_size * settings.image_size) as f64 * self.step * INFERENCE * passes
    }
}

/// How often to evaluate where there are about so many epochs.
pub fn evaluate_every(epochs: f64) -> usize {
    (epochs / EVALUATIONS).round().max(1.0) as usize
}

/// Says what will be done in the time.
pub fn tell(settings: &Settings, minutes: f64, epochs: f64) {
    let sizes: Vec<String> = settings.train_sizes.iter().map(usize::to_string).collect();
    say!(
        "{} on this machine: about {} on images of {} pixels, evaluated at {}",
        ui::duration(60.0 * minutes),
        ui::count(epochs as usize, "epoch"),
        sizes.join(", then "),
        settings.image_size
    );
}
