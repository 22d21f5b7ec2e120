//! The numbers that suit the photos there are: batch size, learning rate, image sizes. docs/recipes.md has the experiments.

use super::{Architecture, Recipe, Rule};
use crate::train::Stage;

/// Photos in a step, where there are enough of them.
pub(super) const BATCH_SIZE: usize = 64;
/// Steps that an epoch has at least, if that takes no batches under [`LEAST_BATCH`].
const LEAST_STEPS: usize = 8;
/// Batch norm needs some photos to take a mean of.
const LEAST_BATCH: usize = 8;

/// The minutes that training takes if neither minutes nor epochs are chosen.
pub const MINUTES: f64 = 5.0;
/// The most epochs in any time: more would add little.
pub(super) const MOST_EPOCHS: usize = 300;
/// The side in evaluation of training for a number of epochs, whose result must not depend on the machine's speed.
pub const IMAGE_SIZE: usize = 96;
/// The least side: four times halved it is a single pixel.
pub(super) const LEAST_SIDE: usize = 16;

/// The batch size that suits so many photos: the largest power of two, from 8 to 64, that leaves an epoch eight steps.
pub fn batch_size(photos: usize) -> usize {
    (1 << (photos / LEAST_STEPS).max(1).ilog2()).clamp(LEAST_BATCH, BATCH_SIZE)
}

/// Whether the last batch of an epoch is left out: batch norm's mean of so few photos says little, and an epoch of so many steps
/// does not miss them.
pub(super) fn leaves_tiny_batch(photos: usize, batch_size: usize) -> bool {
    photos > LEAST_STEPS * batch_size && (1..LEAST_BATCH).contains(&(photos % batch_size))
}

/// The learning rate that suits batches of this size, if there are so many photos.
pub fn learning_rate(
    recipe: Recipe,
    rule: Rule,
    network: Architecture,
    batch_size: usize,
    photos: usize,
) -> f32 {
    let rate = match network {
        Architecture::Reference => 0.02,
        // A step's noise grows as its batch shrinks (Goyal et al. 2017).
        Architecture::Small | Architecture::Large => 0.05 * batch_size.min(photos) as f32 / BATCH_SIZE as f32,
    };
    match (rule, recipe) {
        // The script's own.
        (Rule::Sgd, Recipe::Script) => 0.0005,
        (Rule::Sgd | Rule::Momentum, _) => rate / recipe.gradient_scale(batch_size),
        // These divide by the gradients' size themselves.
        (Rule::Adam | Rule::Adamw, _) => 0.0005,
    }
}

/// Sides of the training images, each for an equal part of training, where evaluation is at `image_size`.
pub fn train_sizes(image_size: usize) -> Vec<usize> {
    let side = |share: f64| {
        ((image_size as f64 * share / 8.0).round() as usize * 8).clamp(image_size.min(24), image_size)
    };
    let mut sizes: Vec<usize> = SHARES.map(side).into();
    sizes.dedup();
    sizes
}

/// Sides of training images as shares of the side in evaluation. Crops make things look larger in training, so that the last
/// is smaller too.
const SHARES: [f64; 3] = [4.0 / 7.0, 5.0 / 7.0, 6.0 / 7.0];

/// The stages of training on images of these sides.
pub(super) fn stages(sizes: &[usize]) -> Vec<Stage> {
    let parts = sizes.len() as f64;
    let stage = |(part, &image_size): (usize, &usize)| Stage { from: part as f64 / parts, image_size };
    sizes.iter().enumerate().map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_grow_by_stages_and_stay_under_those_of_evaluation() {
        assert_eq!(train_sizes(112), [64, 80, 96]);
        assert_eq!(train_sizes(96), [56, 72, 80]);
        assert_eq!(train_sizes(32), [24]);
        let begins: Vec<_> =
            stages(&[64, 80, 96]).iter().map(|stage| (stage.from, stage.image_size)).collect();
        assert_eq!(begins, [(0.0, 64), (1.0 / 3.0, 80), (2.0 / 3.0, 96)]);
    }

    #[test]
    fn few_photos_make_small_batches() {
        assert_eq!([1, 48, 64, 130, 300, 512, 5000].map(batch_size), [8, 8, 8, 16, 32, 64, 64]);
        assert!(leaves_tiny_batch(2434, 64) && !leaves_tiny_batch(2432, 64) && !leaves_tiny_batch(2440, 64));
        assert!(!leaves_tiny_batch(65, 64));
    }

    #[test]
    fn the_learning_rate_is_that_of_the_mean_loss_whatever_the_script_adds_up() {
        use Architecture::{Reference, Small};
        let rate = |recipe, rule, network| learning_rate(recipe, rule, network, 32, 1000);
        assert_eq!(rate(Recipe::Script, Rule::Sgd, Reference), 0.0005);
        for network in [Small, Reference] {
            let mean = rate(Recipe::Default, Rule::Momentum, network);
            assert_eq!(rate(Recipe::Script, Rule::Momentum, network), mean / 32.0);
            assert_eq!(rate(Recipe::Default, Rule::Adam, network), 0.0005);
        }
        assert_eq!(rate(Recipe::Default, Rule::Sgd, Small), 0.025);
        // A batch has no more photos than there are.
        assert_eq!(learning_rate(Recipe::Default, Rule::Momentum, Small, 1024, 32), 0.025);
    }
}
