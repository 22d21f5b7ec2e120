//! The numbers that suit a network trained before, whose head is new and fitted: docs/recipes.md has the experiments.

use super::{Augmentation, Regularization, Rule};

/// The most epochs, the head's among them.
pub(super) const MOST_EPOCHS: usize = 31;

/// Photos in a step.
pub(super) const BATCH_SIZE: usize = 32;

/// With fewer photos the head alone is trained: the whole network would learn them by heart.
pub(super) const FEWEST_PHOTOS: usize = 400;

/// What the head's learning rate is multiplied by.
pub(super) const HEAD_RATE: f32 = 1.0;

/// How training photos are changed.
pub(super) const AUGMENTATION: Augmentation = Augmentation::Standard;

pub(super) const REGULARIZATION: Regularization = Regularization {
    dropout: 0.0,
    label_smoothing: 0.1,
    weight_decay: 1e-4,
    mix: None,
    average: Some(0.99),
    test_time_flip: true,
};

/// The highest learning rate.
pub(super) fn learning_rate(rule: Rule, batch_size: usize) -> f32 {
    match rule {
        Rule::Sgd | Rule::Momentum => 0.002 * batch_size as f32 / BATCH_SIZE as f32,
        Rule::Adam | Rule::Adamw => 0.0001,
    }
}

/// Side of the training images, where evaluation is at `image_size`.
pub(super) fn train_size(image_size: usize) -> usize {
    let side = image_size as f64 * 6.0 / 7.0;
    ((side / 32.0).round() as usize * 32).clamp(32.min(image_size), image_size)
}
