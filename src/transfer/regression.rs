//! Softmax regression: the last layer of a classifier, fitted to the minimum of its loss.

use floret_math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue};
use floret_math::window::{Padding, Window};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;

use crate::math::{Isa, par_gemm};
use crate::optim::{Lbfgs, Minimum};

/// Features of examples, each brought to mean 0 and a deviation of about 1, with the examples' classes: what softmax regression is
/// fitted to.
///
/// With the features x (examples, features), the classes t and a weight a for each example it minimizes over w and b
///
/// ```text
/// z = (x - mean) / deviation, deviation^2 = (variance + k (mean of all variances)) / (1 + k)
/// sum a cross_entropy(softmax(z w + b), t) / sum a + l2 sum w^2
/// ```
///
/// which has one minimum (Bishop 2006, section 4.3.4). The more features there are for each example, the more l2 has to hold. Where k is
/// 0, a feature that hardly varies among few examples gets huge values on other photos; [`SHARED`] is k.
#[derive(Debug)]
pub(super) struct Standardized<'a> {
    z: Array2<f32>,
    mean: Array1<f32>,
    deviation: Array1<f32>,
    labels: &'a [usize],
    classes: usize,
    /// The products of features and weights: a 1x1 convolution of an image that has a pixel for each example.
    plan: ConvPlan,
    isa: Isa,
}

/// A layer `y = x kernel + bias`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear {
    /// (features, classes).
    pub kernel: Array2<f32>,
    pub bias: Array1<f32>,
}

/// A product with so few rows reads its second factor as it lies; with more it is copied first. So few classes are faster in parts:
/// loss and gradient of 2,434 examples of 1280 features and 5 classes take 1.7 ms (AVX-512, two threads).
const AT_ONCE: usize = 4;
const FEW_CLASSES: usize = 16;

/// How many times as much as its own variance the mean of all counts in the deviation of a feature. The cross-validated losses of heads
/// for 50 to 2,434 photos are much lower than with 0, and hardly differ from 3 to 10 (docs/recipes.md).
const SHARED: f64 = 3.0;

/// Deviations under this are taken for none: the feature is the same everywhere, and stays without weight.
const LEAST_DEVIATION: f64 = 1e-6;

impl<'a> Standardized<'a> {
    /// Takes the features of all examples, and the class of each.
    pub fn new(mut features: Array2<f32>, labels: &'a [usize], classes: usize, isa: Isa) -> Self {
        let examples = features.nrows().max(1) as f64;
        // In f64, a row at a time: columns lie far apart.
        let mut sums = Array1::<f64>::zeros(features.ncols());
        for row in features.rows() {
            Zip::from(&mut sums).and(row).for_each(|sum, x| *sum += f64::from(*x));
        }
        let mean = sums.mapv(|sum| (sum / examples) as f32);
        let mut squares = Array1::<f64>::zeros(features.ncols());
        for row in features.rows() {
            Zip::from(&mut squares)
                .and(row)
                .and(&mean)
                .for_each(|sum, x, mean| *sum += f64::from(x - mean).powi(2));
        }
        let variance = squares / examples;
        let shared = SHARED * variance.mean().unwrap_or(0.0);
        let deviation = variance.mapv(|variance| {
            let varies = variance.sqrt() > LEAST_DEVIATION;
            if varies { ((variance + shared) / (1.0 + SHARED)).sqrt() as f32 } else { f32::INFINITY }
        });
        features.axis_iter_mut(Axis(0)).into_par_iter().for_each(|row| {
            Zip::from(row)
                .and(&mean)
                .and(&deviation)
                .for_each(|x, mean, deviation| *x = (*x - mean) / deviation);
        });
        let pixels = (features.nrows(), 1);
        let window = Window::new(pixels, (1, 1), (1, 1), (1, 1), Padding::Valid).expect("there are examples");
        let shape = ConvShape { window, cin: features.ncols(), cout: classes };
        let plan = ConvPlan::new(isa, shape, Epilogue::Bias, ConvAlgorithm::Im2col);
        Self { z: features, mean, deviation, labels, classes, plan, isa }
    }

    pub fn examples(&self) -> usize {
        self.z.nrows()
    }

    /// Weights and biases, as [`fit`](Self::fit) moves them: kernel, then bias.
    pub fn zeros(&self) -> Vec<f64> {
        vec![0.0; (self.z.ncols() + 1) * self.classes]
    }

    /// Moves `w` to the minimum, where each example has the weight `weights` of it.
    pub fn fit(&self, w: &mut [f64], weights: &[f32], l2: f64, optimizer: &Lbfgs) -> Minimum {
        let (examples, classes) = (self.examples(), self.classes);
        let total: f64 = weights.iter().map(|a| f64::from(*a)).sum();
        let mut logits = Array2::zeros((examples, classes));
        let mut floats = vec![0.0; w.len()];
        let mut of_kernel = Array2::zeros((classes, self.z.ncols()));
        let mut scratch = vec![0.0; self.plan.forward_scratch(examples)];
        let z = self.z.as_slice().expect("in standard layout");
        optimizer.minimize(w, |w, gradient| {
            floats.iter_mut().zip(w).for_each(|(to, w)| *to = *w as f32);
            let (kernel, bias) = floats.split_at(w.len() - classes);
            let of_logits = logits.as_slice_mut().expect("in standard layout");
            self.plan.forward(z, kernel, bias, of_logits, &mut [], &mut scratch);
            let loss = losses(&mut logits, self.labels, weights) / total;
            self.products(logits.view(), of_kernel.view_mut());
            let (kernel, _) = w.split_at(w.len() - classes);
            let (to_kernel, to_bias) = gradient.split_at_mut(kernel.len());
            for ((g, d), w) in to_kernel.iter_mut().zip(of_kernel.t()).zip(kernel) {
                *g = f64::from(*d) / total + 2.0 * l2 * w;
            }
            for (g, column) in to_bias.iter_mut().zip(logits.columns()) {
                *g = column.iter().map(|d| f64::from(*d)).sum::<f64>() / total;
            }
            loss + l2 * kernel.iter().map(|w| w * w).sum::<f64>()
        })
    }

    /// `to = gradients^T z`, (classes, features).
    fn products(&self, gradients: ArrayView2<f32>, mut to: ArrayViewMut2<f32>) {
        let some = if self.classes <= FEW_CLASSES { AT_ONCE } else { self.classes };
        for (to, gradients) in
            to.axis_chunks_iter_mut(Axis(0), some).zip(gradients.axis_chunks_iter(Axis(1), some))
        {
            par_gemm(self.isa, 1.0, gradients.t(), self.z.view(), 0.0, to);
        }
    }

    /// The logits of all examples.
    pub fn logits(&self, w: &[f64]) -> Array2<f32> {
        let Linear { kernel, bias } = self.split(w);
        let mut logits = Array2::zeros((self.examples(), self.classes));
        let mut scratch = vec![0.0; self.plan.forward_scratch(self.examples())];
        let [z, kernel] = [&self.z, &kernel].map(|values| values.as_slice().expect("in standard layout"));
        let (bias, to) =
            (bias.as_slice().expect("one vector"), logits.as_slice_mut().expect("in standard layout"));
        self.plan.forward(z, kernel, bias, to, &mut [], &mut scratch);
        logits
    }

    fn split(&self, w: &[f64]) -> Linear {
        let (kernel, bias) = w.split_at(w.len() - self.classes);
        let kernel = kernel.iter().map(|w| *w as f32).collect();
        let kernel = Array2::from_shape_vec((self.z.ncols(), self.classes), kernel);
        Linear {
            kernel: kernel.expect("a weight for each feature and class"),
            bias: bias.iter().map(|b| *b as f32).collect(),
        }
    }

    /// The layer that takes features as they are: `((x - mean) / deviation) w + b`.
    pub fn layer(&self, w: &[f64]) -> Linear {
        let Linear { mut kernel, bias } = self.split(w);
        let mut shift = bias.mapv(f64::from);
        for (mut row, (mean, deviation)) in
            kernel.rows_mut().into_iter().zip(self.mean.iter().zip(&self.deviation))
        {
            row /= *deviation;
            Zip::from(&mut shift).and(row).for_each(|shift, w| *shift -= f64::from(*mean) * f64::from(*w));
        }
        Linear { kernel, bias: shift.mapv(|b| b as f32) }
    }
}

/// The sum of weight times cross-entropy; the logits become its gradient with respect to them, `weight (softmax - target)`.
fn losses(logits: &mut Array2<f32>, labels: &[usize], weights: &[f32]) -> f64 {
    let rows = logits.axis_iter_mut(Axis(0)).zip(labels.iter().zip(weights));
    let of_row = |(mut row, (&label, &weight)): (ndarray::ArrayViewMut1<f32>, (&usize, &f32))| {
        let greatest = row.fold(f32::NEG_INFINITY, |greatest, logit| greatest.max(*logit));
        let own = row[label] - greatest;
        row.mapv_inplace(|logit| (logit - greatest).exp());
        let sum = row.sum();
        row.mapv_inplace(|e| weight * e / sum);
        row[label] -= weight;
        f64::from(weight) * (f64::from(sum).ln() - f64::from(own))
    };
    rows.map(of_row).sum()
}

/// The mean cross-entropy of these examples.
pub(super) fn mean_loss(logits: ArrayView2<f32>, labels: &[usize], weights: &[f32]) -> f64 {
    let total: f64 = weights.iter().map(|a| f64::from(*a)).sum();
    losses(&mut logits.to_owned(), labels, weights) / total
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// Features of three classes about centers of their own, far from mean 0 and deviation 1.
    fn examples() -> (Array2<f32>, Vec<usize>) {
        let labels: Vec<usize> = (0..60).map(|i| i % 3).collect();
        let noise = |i: usize, c: usize| ((i * 7919 + c * 104_729) % 1000) as f32 / 500.0 - 1.0;
        let features = Array2::from_shape_fn((60, 4), |(i, c)| match c {
            3 => 5.0,
            _ => 100.0 + 30.0 * (f32::from(u8::from(labels[i] == c)) + 1.5 * noise(i, c)),
        });
        (features, labels)
    }

    #[test]
    fn the_gradient_is_that_of_the_loss_and_the_layer_takes_features_as_they_are() {
        let (features, labels) = examples();
        let weights: Vec<f32> =
            (0..60).map(|i| if i % 4 == 0 { 0.0 } else { 1.0 + i as f32 / 60.0 }).collect();
        let problem = Standardized::new(features.clone(), &labels, 3, Isa::best());
        let mut w = problem.zeros();
        let optimizer = Lbfgs { tolerance: 1e-6, ..Lbfgs::default() };
        let l2 = 0.01;
        let minimum = problem.fit(&mut w, &weights, l2, &optimizer);
        assert!(minimum.converged, "{minimum:?}");

        // In f64, by the formula.
        let loss = |layer: &Linear, w: &[f64]| {
            let total: f64 = weights.iter().map(|a| f64::from(*a)).sum();
            let kernel = w.len() - 3;
            let mut sum = 0.0;
            for ((x, &t), &a) in features.rows().into_iter().zip(&labels).zip(&weights) {
                let logits: Vec<f64> = (0..3)
                    .map(|k| {
                        let products =
                            x.iter().zip(layer.kernel.column(k)).map(|(x, w)| f64::from(*x) * f64::from(*w));
                        products.sum::<f64>() + f64::from(layer.bias[k])
                    })
                    .collect();
                sum += f64::from(a) * (logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[t]);
            }
            sum / total + l2 * w[..kernel].iter().map(|w| w * w).sum::<f64>()
        };
        let least = loss(&problem.layer(&w), &w);
        assert!((least - minimum.value).abs() < 1e-4, "{least} {}", minimum.value);
        // No step in any direction leads down.
        for i in 0..w.len() {
            for step in [-0.05, 0.05] {
                let mut other = w.clone();
                other[i] += step;
                assert!(loss(&problem.layer(&other), &other) > least - 1e-6, "weight {i}");
            }
        }
        // A feature that is the same everywhere has no weight.
        assert!(problem.layer(&w).kernel.row(3).iter().all(|w| *w == 0.0));
    }
}
