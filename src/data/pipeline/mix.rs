//! Two training examples as one: mixup and cutmix.

use ndarray::{Array2, Array4, Axis, s};
use ndarray_rand::rand_distr::{Beta, Distribution};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::data::LoaderOptionsError;

/// How many of the examples of a batch are mixed with another one of it, and how. Images and targets are mixed alike, so the
/// network learns to answer between the classes, and rarely sees the same image twice.
///
/// With the standardized images x, y (a mixture is not standardized again) and their targets t, u (1 for the class, else 0):
///
/// - mixup (Zhang et al. 2018): `x' = l x + (1 - l) y`, `t' = l t + (1 - l) u`, l drawn from Beta(a, a);
/// - cutmix (Yun et al. 2019): a rectangle of y in the place of x's, anywhere, its area a uniform share of the image's;
///   l is the share of x that is left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Share of the examples that mixup is done to.
    pub mixup: f32,
    /// Share of the examples that cutmix is done to.
    pub cutmix: f32,
    /// The a of mixup's Beta(a, a), over 0: towards 0 one of the two images shows alone, at 1 all l are as likely.
    pub alpha: f32,
}

impl Mix {
    /// So large a share of mixup and of cutmix, a = 0.4.
    pub fn new(mixup: f32, cutmix: f32) -> Self {
        Self { mixup, cutmix, alpha: 0.4 }
    }

    /// Fails if these settings make no sense.
    pub(super) fn check(&self) -> Result<(), LoaderOptionsError> {
        let Self { mixup, cutmix, alpha } = *self;
        let share = |share: f32| (0.0..=1.0).contains(&share);
        if !share(mixup) || !share(cutmix) || !share(mixup + cutmix) {
            return Err(LoaderOptionsError::MixShares { mixup, cutmix });
        }
        if alpha > 0.0 && alpha.is_finite() { Ok(()) } else { Err(LoaderOptionsError::MixAlpha(alpha)) }
    }

    /// Mixes a batch (NHWC), and returns its targets (examples, classes).
    ///
    /// Examples are mixed with those of a random order of the batch, as they were before.
    pub(super) fn apply(
        &self,
        images: &mut Array4<f32>,
        labels: &[usize],
        classes: usize,
        rng: &mut ChaCha8Rng,
    ) -> Array2<f32> {
        let blend = Beta::new(self.alpha, self.alpha).expect("alpha is checked when the loader is opened");
        let (before, mut others) = (images.clone(), (0..labels.len()).collect::<Vec<_>>());
        others.shuffle(rng);
        let mut targets = Array2::zeros((labels.len(), classes));
        for (example, (&label, &other)) in labels.iter().zip(&others).enumerate() {
            let mut image = images.index_axis_mut(Axis(0), example);
            let (from, draw) = (before.index_axis(Axis(0), other), rng.random::<f32>());
            let kept = if draw < self.mixup {
                let kept = blend.sample(rng);
                image.zip_mut_with(&from, |x, y| *x = kept * *x + (1.0 - kept) * y);
                kept
            } else if draw < self.mixup + self.cutmix {
                let (height, width, _) = image.dim();
                let side = (1.0 - rng.random::<f32>()).sqrt();
                let (rows, columns) = (part(height, side, rng), part(width, side, rng));
                let area = (rows.len() * columns.len()) as f32 / (height * width) as f32;
                let place = s![rows, columns, ..];
                image.slice_mut(place).assign(&from.slice(place));
                1.0 - area
            } else {
                1.0
            };
            targets[[example, label]] += kept;
            targets[[example, labels[other]]] += 1.0 - kept;
        }
        targets
    }
}

/// A random stretch of `share` of `len` pixels.
fn part(len: usize, share: f32, rng: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let part = ((len as f32 * share).round() as usize).min(len);
    let start = rng.random_range(0..=len - part);
    start..start + part
}
