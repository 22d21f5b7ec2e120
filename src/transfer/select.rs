//! How strongly weights are held, chosen by cross-validation.

use ndarray::{Array2, Axis, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::regression::{Linear, Standardized, mean_loss};
use crate::math::Isa;
use crate::optim::Lbfgs;
use crate::train::Flow;

/// A head that is fitted, and what was found out on the way.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub layer: Linear,
    /// The logits of each photo in its first view: by a head that was fitted without it, if there were enough photos.
    pub logits: Array2<f32>,
    pub held_out: bool,
}

/// What is tried, from the strongest: a half or a third from one to the next.
const CANDIDATES: [f64; 10] = [0.3, 0.1, 0.03, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4];

/// Where there are too few examples to try.
const UNTRIED: f64 = 0.01;

/// Parts that photos are held out by, and the fewest photos for each.
const FOLDS: usize = 5;

/// A head of cross-validation need not be at its minimum to tell how good it will be.
const ROUGH: Lbfgs = Lbfgs { history: 10, max_iterations: 60, tolerance: 3e-4 };
const FINE: Lbfgs = Lbfgs { history: 10, max_iterations: 300, tolerance: 1e-5 };

/// Fits a head to the features of photos, where a photo of each class counts as much as `class_weights` say. Of the candidates that one
/// is taken whose heads have the lowest loss on the first view of photos that they were not fitted to. `None` if `watch`, which is asked
/// now and then, says to stop.
///
/// `features` are (views x photos, features), view after view, and `labels` those of the photos. The loss is a mean over all rows, so that
/// L2 holds as strongly with any number of views.
pub(crate) fn fit(
    features: Array2<f32>,
    labels: &[usize],
    classes: usize,
    class_weights: Option<&[f32]>,
    seed: u64,
    isa: Isa,
    watch: &mut dyn FnMut() -> Flow,
) -> Option<Fitted> {
    let of_rows = labels.repeat(features.nrows().checked_div(labels.len()).unwrap_or(0));
    let problem = Standardized::new(features, &of_rows, classes, isa);
    let weights: Vec<f32> =
        of_rows.iter().map(|&label| class_weights.map_or(1.0, |weights| weights[label])).collect();
    let (mut w, l2, held_out) = if labels.len() < 2 * FOLDS {
        (problem.zeros(), UNTRIED, None)
    } else {
        let Chosen { l2, held_out, mean } = choose(&problem, labels, classes, &weights, seed, watch)?;
        (mean, l2, Some(held_out))
    };
    problem.fit(&mut w, &weights, l2, &FINE);
    let is_held_out = held_out.is_some();
    let logits = held_out.unwrap_or_else(|| problem.logits(&w).slice_move(s![..labels.len(), ..]));
    Some(Fitted { layer: problem.layer(&w), logits, held_out: is_held_out })
}

/// What cross-validation chose.
struct Chosen {
    l2: f64,
    /// The logits of each photo's first view by a head that was fitted without the photo.
    held_out: Array2<f32>,
    /// The mean of the heads.
    mean: Vec<f64>,
}

/// Tries the candidates. `labels` are those of the photos, `weights` those of all rows.
fn choose(
    problem: &Standardized<'_>,
    labels: &[usize],
    classes: usize,
    weights: &[f32],
    seed: u64,
    watch: &mut dyn FnMut() -> Flow,
) -> Option<Chosen> {
    let folds = folds(labels, classes, seed);
    let fold_weights: Vec<Vec<f32>> = (0..FOLDS)
        .map(|fold| {
            // All views of a photo are held out together: another view of it would give it away.
            let of_rows = weights.iter().zip(folds.iter().cycle());
            of_rows.map(|(a, of)| if *of == fold { 0.0 } else { *a }).collect()
        })
        .collect();
    let mut heads = vec![problem.zeros(); FOLDS];
    let mut best: Option<(f64, Chosen)> = None;
    for l2 in CANDIDATES {
        let mut held_out = Array2::zeros((labels.len(), classes));
        for (fold, head) in heads.iter_mut().enumerate() {
            if watch() == Flow::Stop {
                return None;
            }
            // From the head that was held more strongly: it is near.
            problem.fit(head, &fold_weights[fold], l2, &ROUGH);
            let logits = problem.logits(head);
            // The first rows are the first view's.
            let rows = held_out.axis_iter_mut(Axis(0)).zip(logits.rows()).zip(&folds);
            rows.filter(|(_, of)| **of == fold).for_each(|((mut row, logits), _)| row.assign(&logits));
        }
        let loss = mean_loss(held_out.view(), labels, &weights[..labels.len()]);
        match &best {
            // Held even less they learn the examples by heart.
            Some((least, _)) if loss.is_nan() || loss > *least => break,
            _ => best = Some((loss, Chosen { l2, held_out, mean: mean(&heads) })),
        }
    }
    best.map(|(_, chosen)| chosen)
}

/// The part of each photo, with as many of each class in every part as can be.
fn folds(labels: &[usize], classes: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut folds, mut next) = (vec![0; labels.len()], 0);
    for class in 0..classes {
        let mut members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        members.shuffle(&mut rng);
        for member in members {
            folds[member] = next % FOLDS;
            next += 1;
        }
    }
    folds
}

fn mean(heads: &[Vec<f64>]) -> Vec<f64> {
    let mut mean = vec![0.0; heads[0].len()];
    for head in heads {
        mean.iter_mut().zip(head).for_each(|(mean, w)| *mean += w / heads.len() as f64);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fold_has_its_share_of_each_class() {
        let labels: Vec<usize> = (0..103).map(|i| usize::from(i % 4 == 0)).collect();
        let folds = folds(&labels, 2, 3);
        for class in 0..2 {
            let counts: Vec<_> = (0..FOLDS)
                .map(|fold| labels.iter().zip(&folds).filter(|(l, f)| **l == class && **f == fold).count())
                .collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
    }

    /// Many features that say nothing: without a hold they fit any labels.
    #[test]
    fn noise_is_held_more_strongly_than_signal() {
        let noise = |i: usize, c: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64((i * 1000 + c) as u64);
            rand::Rng::random_range(&mut rng, -1.0f32..1.0)
        };
        let labels: Vec<usize> = (0..80).map(|i| i % 2).collect();
        let features = |signal: f32| {
            Array2::from_shape_fn((80, 60), |(i, c)| {
                noise(i, c) + if c < 20 { signal * labels[i] as f32 } else { 0.0 }
            })
        };
        let chosen = |signal| {
            let problem = Standardized::new(features(signal), &labels, 2, Isa::best());
            choose(&problem, &labels, 2, &[1.0; 80], 1, &mut || Flow::Continue).unwrap()
        };
        let (none, strong) = (chosen(0.0), chosen(0.7));
        assert!(none.l2 > strong.l2, "{} {}", none.l2, strong.l2);
        let right = |Chosen { held_out, .. }: &Chosen| {
            let rows = held_out.rows().into_iter().zip(&labels);
            rows.filter(|(row, label)| (row[1] > row[0]) == (**label == 1)).count()
        };
        assert!(right(&none) < 56 && right(&strong) > 72, "{} {}", right(&none), right(&strong));
        let fitted = || fit(features(0.7), &labels, 2, None, 1, Isa::best(), &mut || Flow::Continue).unwrap();
        // The same seed gives the same bits.
        assert_eq!(fitted().layer, fitted().layer);
    }

    /// Labels that features say nothing of are guessed right of photos that a head was fitted to, in whichever view.
    #[test]
    fn no_view_of_a_photo_gives_it_away_to_the_others() {
        let noise = Array2::from_shape_fn((80, 120), |(photo, feature)| {
            let mut rng = ChaCha8Rng::seed_from_u64((photo * 1000 + feature) as u64);
            rand::Rng::random_range(&mut rng, -1.0f32..1.0)
        });
        let labels: Vec<usize> = (0..80).map(|photo| photo % 2).collect();
        let fitted = |views: usize| {
            let features = ndarray::concatenate(Axis(0), &vec![noise.view(); views]).unwrap();
            let weights = Some(&[1.0, 1.5][..]);
            fit(features, &labels, 2, weights, 1, Isa::best(), &mut || Flow::Continue).unwrap()
        };
        let (one, three) = (fitted(1), fitted(3));
        // Views that are alike change nothing: neither who is held out nor how strongly weights are held.
        let difference = |a: &Array2<f32>, b: &Array2<f32>| {
            assert_eq!(a.dim(), b.dim());
            (a - b).iter().fold(0.0f32, |most, d| most.max(d.abs()))
        };
        assert!(one.held_out && three.held_out);
        let logits = difference(&one.logits, &three.logits);
        let kernel = difference(&one.layer.kernel, &three.layer.kernel);
        assert!(logits < 0.01 && kernel < 0.001, "{logits} {kernel}");
        let rows = three.logits.rows().into_iter().zip(&labels);
        let right = rows.filter(|(row, label)| (row[1] > row[0]) == (**label == 1)).count();
        assert!(right < 56, "{right}");
    }
}
