//! The numbers that suit a network trained before, whose head is new and fitted: docs/recipes.md has the experiments.

use super::{Augmentation, Recipe, Regularization, Rule};

/// The most epochs, the head's among them: with 22 the network knew the training photos by heart, and answered worse than with 13.
pub(super) const MOST_EPOCHS: usize = 14;

/// Photos in a step.
pub(super) const BATCH_SIZE: usize = 16;

/// With fewer photos the head alone is trained: the whole network would learn them by heart.
pub(super) const FEWEST_PHOTOS: usize = 400;

/// The most views of each training photo that a head is fitted to.
pub(super) const MOST_VIEWS: usize = 3;

/// The most photos to train on whose head is fitted to all views where no time was chosen: 600 features take under ten seconds on
/// two slow cores. With more photos views give less.
pub(super) const MOST_IN_VIEWS: usize = 200;

/// The share of the weights that the first layers hold which stay as they are. They see edges and textures, which are the same in
/// other photos, and take most of the time and memory of training: in EfficientNet-Lite0 half of the blocks, in ResNet-18 two stages of four.
pub(super) const FROZEN: f64 = 0.08;

/// How training photos are changed.
pub(super) const AUGMENTATION: Augmentation = Augmentation::Standard;

pub(super) const REGULARIZATION: Regularization = Regularization {
    dropout: 0.0,
    label_smoothing: 0.1,
    weight_decay: 1e-4,
    mix: None,
    average: Some(0.998),
    test_time_flip: true,
};

/// The highest learning rate.
pub(super) fn learning_rate(recipe: Recipe, rule: Rule, batch_size: usize) -> f32 {
    match rule {
        Rule::Sgd | Rule::Momentum => {
            0.003 * batch_size as f32 / BATCH_SIZE as f32 / recipe.gradient_scale(batch_size)
        }
        Rule::Adam | Rule::Adamw => 0.0001,
    }
}
