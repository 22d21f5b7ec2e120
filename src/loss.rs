//! What training makes small: value and gradient side by side.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Zip};
use serde::{Deserialize, Serialize};

/// What a network's outputs should have been.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Targets<'a> {
    /// The class of each example, from 0.
    Classes(&'a [usize]),
    /// For each example (row) a value of each output: a distribution over classes, or a regression's values.
    Values(ArrayView2<'a, f32>),
}

impl<'a> From<&'a [usize]> for Targets<'a> {
    fn from(classes: &'a [usize]) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a> From<&'a Vec<usize>> for Targets<'a> {
    fn from(classes: &'a Vec<usize>) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Targets<'a> {
    fn from(classes: &'a [usize; N]) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a> From<ArrayView2<'a, f32>> for Targets<'a> {
    fn from(values: ArrayView2<'a, f32>) -> Self {
        Targets::Values(values)
    }
}

/// Targets that do not fit the network's outputs, or a loss that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A label is not a class of the network.
    #[error(
        "label {label} of example {example} is out of range: the network has {classes} outputs, so labels run from 0 to {}; are the labels 1-based? Shift them by one",
        classes - 1
    )]
    LabelOutOfRange {
        /// Which example of the batch, from 0.
        example: usize,
        /// Its label.
        label: usize,
        /// The network's outputs.
        classes: usize,
    },
    /// Another number of targets than of outputs.
    #[error("the network gives {outputs:?} (examples, outputs), but the targets are {targets:?}")]
    Shape {
        /// Shape of the network's outputs.
        outputs: (usize, usize),
        /// Shape of the targets.
        targets: (usize, usize),
    },
    /// Mean squared error of class labels.
    #[error("mean squared error needs target values, not class labels: one-hot encode them (`one_hot`)")]
    NeedsValues,
    /// Class weights that are not one positive number a class.
    #[error("class weights must be {classes} finite numbers of at least 0, got {weights:?}")]
    ClassWeights {
        /// The network's outputs.
        classes: usize,
        /// The weights given.
        weights: Vec<f32>,
    },
    /// Smoothing outside [0, 1).
    #[error("label smoothing must be at least 0 and under 1, got {0}")]
    Smoothing(f32),
}

/// Whether the losses of a batch's examples are averaged or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Sum over the examples divided by their number.
    #[default]
    Mean,
    /// Sum over the examples: the step then grows with the batch.
    Sum,
}

/// A loss over a batch of outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "loss", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// See [`SoftmaxCrossEntropy`].
    SoftmaxCrossEntropy(SoftmaxCrossEntropy),
    /// `mean over outputs of (y - t)^2`, reduced over the examples; Keras `mean_squared_error`.
    MeanSquaredError {
        /// How examples are combined.
        reduction: Reduction,
    },
}

impl Default for Loss {
    fn default() -> Self {
        Loss::SoftmaxCrossEntropy(SoftmaxCrossEntropy::default())
    }
}

impl From<SoftmaxCrossEntropy> for Loss {
    fn from(loss: SoftmaxCrossEntropy) -> Self {
        Loss::SoftmaxCrossEntropy(loss)
    }
}

/// `-sum over c of t[c] log softmax(z)[c]` of logits z (not of probabilities: the softmax is part of the loss).
///
/// t is 1 for the example's class and 0 elsewhere, or the given distribution; with label smoothing s it is
/// `(1 - s) t + s / C`. A class weight multiplies the losses of its examples, whose weight is `sum over c of t[c] weight[c]` (t
/// before smoothing) where t is a distribution; the mean still divides by their number, as Keras does. Gradient:
/// `softmax(z) sum(t) - t`. TensorFlow's `softmax_cross_entropy_with_logits`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SoftmaxCrossEntropy {
    /// How examples are combined.
    pub reduction: Reduction,
    /// Share of each target spread evenly over all classes (Szegedy et al. 2016).
    #[serde(default)]
    pub label_smoothing: f32,
    /// A factor for the losses of each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
}

impl SoftmaxCrossEntropy {
    /// Sum over the examples of a batch instead of their mean.
    pub fn sum(mut self) -> Self {
        self.reduction = Reduction::Sum;
        self
    }

    /// Sets the label smoothing.
    pub fn label_smoothing(mut self, smoothing: f32) -> Self {
        self.label_smoothing = smoothing;
        self
    }

    /// Sets a weight for each class.
    pub fn class_weights(mut self, weights: Vec<f32>) -> Self {
        self.class_weights = Some(weights);
        self
    }

    fn evaluate(
        &self,
        logits: ArrayView2<f32>,
        targets: Targets<'_>,
        mut gradient: Option<ArrayViewMut2<f32>>,
    ) -> f64 {
        let (examples, classes) = logits.dim();
        let scale = match self.reduction {
            Reduction::Mean => 1.0 / examples as f64,
            Reduction::Sum => 1.0,
        };
        let smooth = f64::from(self.label_smoothing) / classes as f64;
        let mut loss = 0.0;
        for (i, z) in logits.rows().into_iter().enumerate() {
            let target = |c: usize| {
                let t = match targets {
                    Targets::Classes(labels) => f64::from(u8::from(labels[i] == c)),
                    Targets::Values(values) => f64::from(values[[i, c]]),
                };
                (1.0 - f64::from(self.label_smoothing)) * t + smooth
            };
            let weight = scale * self.example_weight(i, targets);
            let log_sum = log_sum_exp(z);
            let mut mass = 0.0;
            for (c, &z) in z.iter().enumerate() {
                loss += weight * target(c) * (log_sum - f64::from(z));
                mass += target(c);
            }
            if let Some(gradient) = &mut gradient {
                for (c, (d, &z)) in gradient.row_mut(i).iter_mut().zip(z).enumerate() {
                    *d = (weight * ((f64::from(z) - log_sum).exp() * mass - target(c))) as f32;
                }
            }
        }
        loss
    }

    /// The weight of an example's class; of a distribution, the mean of the classes' weights under it.
    fn example_weight(&self, example: usize, targets: Targets<'_>) -> f64 {
        let Some(weights) = &self.class_weights else { return 1.0 };
        match targets {
            Targets::Classes(labels) => f64::from(weights[labels[example]]),
            Targets::Values(values) => {
                values.row(example).iter().zip(weights).map(|(t, w)| f64::from(*t) * f64::from(*w)).sum()
            }
        }
    }
}

/// `log(sum of exp(z))` without overflow.
fn log_sum_exp(z: ArrayView1<f32>) -> f64 {
    // `f32::max` drops a NaN; the sum below brings it back.
    let largest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = if largest.is_finite() { f64::from(largest) } else { 0.0 };
    largest + z.iter().map(|&z| (f64::from(z) - largest).exp()).sum::<f64>().ln()
}

/// Turns each row of logits into probabilities, `exp(z[c]) / sum of exp(z)`.
pub fn softmax(mut logits: ArrayViewMut2<f32>) {
    for mut row in logits.rows_mut() {
        let log_sum = log_sum_exp(row.view());
        row.mapv_inplace(|z| (f64::from(z) - log_sum).exp() as f32);
    }
}

/// One row a label: 1 at the label's column, 0 elsewhere; TensorFlow's `tf.one_hot` for labels from 0.
///
/// # Errors
/// A label that is not under `classes`: TensorFlow would give a row of zeros, which trains towards nothing.
pub fn one_hot(labels: &[usize], classes: usize) -> Result<ndarray::Array2<f32>, LossError> {
    check_labels(labels, classes)?;
    let mut rows = ndarray::Array2::zeros((labels.len(), classes));
    for (mut row, &label) in rows.rows_mut().into_iter().zip(labels) {
        row[label] = 1.0;
    }
    Ok(rows)
}

fn check_labels(labels: &[usize], classes: usize) -> Result<(), LossError> {
    match labels.iter().position(|&label| label >= classes) {
        Some(example) => Err(LossError::LabelOutOfRange { example, label: labels[example], classes }),
        None => Ok(()),
    }
}

impl Loss {
    /// How examples are combined.
    pub fn reduction(&self) -> Reduction {
        match self {
            Loss::SoftmaxCrossEntropy(loss) => loss.reduction,
            Loss::MeanSquaredError { reduction } => *reduction,
        }
    }

    /// The loss of a batch, and its gradient with respect to `outputs` where one is asked for (overwritten).
    ///
    /// # Errors
    /// Targets of another shape, a label that is not a class, class weights of another number.
    pub fn evaluate(
        &self,
        outputs: ArrayView2<f32>,
        targets: Targets<'_>,
        gradient: Option<ArrayViewMut2<f32>>,
    ) -> Result<f64, LossError> {
        let (examples, classes) = outputs.dim();
        self.check_targets((examples, classes), targets)?;
        self.check(classes)?;
        match (self, targets) {
            (Loss::SoftmaxCrossEntropy(loss), targets) => Ok(loss.evaluate(outputs, targets, gradient)),
            (Loss::MeanSquaredError { .. }, Targets::Classes(_)) => Err(LossError::NeedsValues),
            (Loss::MeanSquaredError { reduction }, Targets::Values(values)) => {
                let scale = match reduction {
                    Reduction::Mean => 1.0 / (examples * classes) as f64,
                    Reduction::Sum => 1.0 / classes as f64,
                };
                let mut loss = 0.0;
                Zip::from(outputs)
                    .and(values)
                    .for_each(|&y, &t| loss += scale * (f64::from(y) - f64::from(t)).powi(2));
                if let Some(gradient) = gradient {
                    // loss = scale sum of (y - t)^2
                    Zip::from(gradient).and(outputs).and(values).for_each(|d, &y, &t| {
                        *d = (2.0 * scale * (f64::from(y) - f64::from(t))) as f32;
                    });
                }
                Ok(loss)
            }
        }
    }

    /// Whether targets fit outputs of the shape (examples, outputs).
    pub(crate) fn check_targets(
        &self,
        outputs: (usize, usize),
        targets: Targets<'_>,
    ) -> Result<(), LossError> {
        let shape = match targets {
            Targets::Classes(labels) => (labels.len(), outputs.1),
            Targets::Values(values) => values.dim(),
        };
        if shape != outputs {
            return Err(LossError::Shape { outputs, targets: shape });
        }
        match (self, targets) {
            (Loss::MeanSquaredError { .. }, Targets::Classes(_)) => Err(LossError::NeedsValues),
            (_, Targets::Classes(labels)) => check_labels(labels, outputs.1),
            (_, Targets::Values(_)) => Ok(()),
        }
    }

    /// Whether the loss fits a network of `classes` outputs.
    pub(crate) fn check(&self, classes: usize) -> Result<(), LossError> {
        let Loss::SoftmaxCrossEntropy(loss) = self else { return Ok(()) };
        if !(0.0..1.0).contains(&loss.label_smoothing) {
            return Err(LossError::Smoothing(loss.label_smoothing));
        }
        match &loss.class_weights {
            Some(w) if w.len() != classes || w.iter().any(|w| !w.is_finite() || *w < 0.0) => {
                Err(LossError::ClassWeights { classes, weights: w.clone() })
            }
            _ => Ok(()),
        }
    }
}
