//! Layers, a loss and their weights as one thing that trains.

mod builder;
mod summary;

use std::borrow::Cow;

pub use builder::{NetworkBuilder, NetworkSpec};
use ndarray::{Array2, ArrayView2, ArrayView4, ArrayViewD, Axis, s};

use crate::data::Batch;
use crate::loss::{Loss, LossError, Reduction, Targets, softmax};
use crate::metrics::{Evaluation, predicted};
use crate::nn::chain::mix;
use crate::nn::{BackwardError, Input, Param, Sequential, Shape, ShapeError};
use crate::optim::Optimizer;

/// What can go wrong with a network and its data.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Layers that do not fit each other.
    #[error("building the network: {0}")]
    Shape(#[from] ShapeError),
    /// Images of another size than it can take.
    #[error("setting the network's input: {0}")]
    Input(ShapeError),
    /// Targets that do not fit the outputs.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// Images of another size than the network's input.
    #[error(
        "the network takes images of {want} (height x width x channels), but the batch holds images of {got}"
    )]
    ImageShape {
        /// The network's input.
        want: Shape,
        /// What came.
        got: Shape,
    },
    /// A batch without images.
    #[error("the batch is empty: there is nothing to compute")]
    EmptyBatch,
    /// A backward pass without its forward pass, or from another batch's gradient.
    #[error(transparent)]
    Backward(#[from] BackwardError),
    /// A loss that is NaN or infinite.
    #[error(
        "the loss became {loss} at step {step} (learning rate {learning_rate}{}): weights are as before the step; lower the learning rate, or clip gradients",
        .layer.as_ref().map(|layer| format!(", first in the outputs of `{layer}`")).unwrap_or_default()
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The step, from 1.
        step: u64,
        /// The optimizer's learning rate.
        learning_rate: f32,
        /// The first layer whose outputs are not all finite, if it is not the loss itself that is too large a number.
        layer: Option<String>,
    },
    /// A gradient with NaN or infinite values, under a loss that is finite.
    #[error(
        "the gradient of `{parameter}` is not finite at step {step} (learning rate {learning_rate}): weights are as before the step; lower the learning rate, or look for extreme values in the data"
    )]
    GradientNotFinite {
        /// The first such parameter, in the order of the layers.
        parameter: String,
        /// The step, from 1.
        step: u64,
        /// The optimizer's learning rate.
        learning_rate: f32,
    },
    /// Outputs that are NaN or infinite, which say nothing of an image.
    #[error(
        "the outputs for image {image} of the batch are not finite: the network diverged in training, or the image holds values that are not finite"
    )]
    OutputNotFinite {
        /// The first such image of the batch, from 0.
        image: usize,
    },
    /// No output of this number.
    #[error("output {class} is asked for, but the network has {outputs}, counted from 0")]
    NoSuchOutput {
        /// The output asked for.
        class: usize,
        /// How many there are.
        outputs: usize,
    },
    /// No array of this name.
    #[error("the network has no array named `{name}`; it has {}", .known.join(", "))]
    UnknownArray {
        /// The name asked for.
        name: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// An array of another shape.
    #[error("`{name}` has the shape {want:?} in the network, but {got:?} was given")]
    ArrayShape {
        /// The array.
        name: String,
        /// Its shape.
        want: Vec<usize>,
        /// What came.
        got: Vec<usize>,
    },
}

/// What a training step did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The loss of the batch before the update, as the network's [`Loss`] reduces it.
    pub loss: f64,
    /// The same per example, whether the network's loss is a mean or a sum over the batch.
    pub mean_loss: f64,
    /// Examples in the batch.
    pub examples: usize,
    /// Examples whose largest output was their class's, before the update.
    pub correct: usize,
    /// Number of this step, from 1.
    pub step: u64,
    /// The learning rate it was made with.
    pub learning_rate: f32,
    /// L2 norm of the gradients, if the optimizer clips.
    pub gradient_norm: Option<f64>,
}

/// A convolutional network: its layers, loss and weights.
///
/// Images go in as NHWC arrays of standardized values, labels as classes from 0.
///
/// One network serves any number of threads at once: [`forward`](Self::forward), [`predict`](Self::predict) and
/// [`evaluate`](Self::evaluate) take `&self`. Each thread has room to work in of its own, kept for the next call, and none waits
/// for another.
#[derive(Debug)]
pub struct Network {
    spec: NetworkSpec,
    layers: Sequential,
    seed: u64,
    steps: u64,
}

impl Clone for Network {
    /// A network with the same weights and moving averages, at the same step. What is left of a forward or backward pass, such
    /// as gradients, is not copied.
    fn clone(&self) -> Self {
        let zeros = NetworkBuilder::from_spec(self.spec.clone()).seed(self.seed).build_zeros();
        let mut copy = zeros.expect("the same layers were built before");
        copy.move_towards(self, 1.0);
        copy
    }
}

impl Network {
    /// Starts a network for images of `input`, usually `(height, width, 3)`.
    pub fn builder(input: impl Into<Shape>) -> NetworkBuilder {
        NetworkBuilder::new(input.into())
    }

    /// One step of training on a batch: forward, loss, backward, update.
    ///
    /// # Errors
    /// Images or targets of the wrong shape, labels out of range, and a loss or gradient that is NaN or infinite; in each
    /// case weights, moving averages and the optimizer are as they were.
    pub fn train_step<'t>(
        &mut self,
        images: ArrayView4<f32>,
        targets: impl Into<Targets<'t>>,
        optimizer: &mut dyn Optimizer,
    ) -> Result<StepReport, NetworkError> {
        let (targets, learning_rate, step) = (targets.into(), optimizer.learning_rate(), self.steps + 1);
        let batch = self.check_images(&images)?;
        self.spec.loss.check_targets((batch, self.outputs()), targets)?;
        let images = values(&images);

        let outputs = self.layers.forward_pass(&images, mix(self.seed, self.steps));
        let outputs = rows(outputs, batch);
        let (loss, gradient) = self.loss_and_gradient(&outputs, targets)?;
        if !loss.is_finite() {
            self.layers.undo_forward_pass();
            let layer = self.layers.first_not_finite(batch);
            return Err(NetworkError::NotFinite { loss, step, learning_rate, layer });
        }
        self.layers.backward_pass(Input::Given(&images), gradient.as_slice().expect("in standard layout"));
        if let Some(parameter) = self.layers.non_finite_gradient() {
            let parameter = parameter.name.clone();
            self.layers.undo_forward_pass();
            return Err(NetworkError::GradientNotFinite { parameter, step, learning_rate });
        }
        let gradient_norm = self.update(optimizer);

        let correct = count_correct(&outputs, targets);
        let mean_loss = match self.spec.loss.reduction() {
            Reduction::Mean => loss,
            Reduction::Sum => loss / batch as f64,
        };
        Ok(StepReport { loss, mean_loss, examples: batch, correct, step, learning_rate, gradient_norm })
    }

    /// Forward pass of training: dropout drops, batch norm uses the batch and moves its averages. Returns the outputs (examples, outputs) and
    /// keeps what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// Images of another size than the network's input, or none.
    pub fn forward_train(&mut self, images: ArrayView4<f32>) -> Result<Array2<f32>, NetworkError> {
        let batch = self.check_images(&images)?;
        Ok(rows(self.layers.forward(&values(&images), mix(self.seed, self.steps)), batch))
    }

    /// The loss of a batch of outputs and its gradient with respect to them.
    ///
    /// # Errors
    /// Targets that do not fit the outputs.
    pub fn loss_and_gradient<'t>(
        &self,
        outputs: &Array2<f32>,
        targets: impl Into<Targets<'t>>,
    ) -> Result<(f64, Array2<f32>), NetworkError> {
        let mut gradient = Array2::zeros(outputs.dim());
        let loss = self.spec.loss.evaluate(outputs.view(), targets.into(), Some(gradient.view_mut()))?;
        Ok((loss, gradient))
    }

    /// Backward pass: from the gradient of the loss with respect to the outputs, that of every weight.
    ///
    /// # Errors
    /// No forward pass in training mode came before, or its outputs had another shape.
    pub fn backward(&mut self, gradient: ArrayView2<f32>) -> Result<(), NetworkError> {
        Ok(self
            .layers
            .backward_weights(&gradient.as_standard_layout().into_owned().into_raw_vec_and_offset().0)?)
    }

    /// Moves the weights against the gradients of the last backward pass. Returns the gradients' norm if the optimizer
    /// clips.
    pub fn update(&mut self, optimizer: &mut dyn Optimizer) -> Option<f64> {
        self.steps += 1;
        self.layers.update(optimizer)
    }

    /// Forward pass of inference: the outputs (logits) of each image, (examples, outputs).
    ///
    /// Of up to four images filters are used in a form that the first such call prepares; more images may round otherwise.
    /// With [test-time flips](NetworkBuilder::test_time_flip) they are the means of an image's and its mirror image's.
    ///
    /// # Errors
    /// Images of another size than the network's input, or none.
    pub fn forward<'i>(&self, images: impl Into<ArrayView4<'i, f32>>) -> Result<Array2<f32>, NetworkError> {
        let images = images.into();
        self.check_images(&images)?;
        let mut outputs = self.infer(images);
        if self.spec.test_time_flip {
            outputs += &self.infer(images.slice(s![.., .., ..;-1, ..]));
            outputs *= 0.5;
        }
        Ok(outputs)
    }

    fn infer(&self, images: ArrayView4<f32>) -> Array2<f32> {
        let mut outputs = Array2::zeros((images.len_of(Axis(0)), self.outputs()));
        self.layers.infer(&values(&images), outputs.as_slice_mut().expect("in standard layout"));
        outputs
    }

    /// What the network says of each image: probabilities of the classes under a softmax loss, else the outputs.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); and outputs that are NaN or infinite.
    pub fn predict<'i>(&self, images: impl Into<ArrayView4<'i, f32>>) -> Result<Array2<f32>, NetworkError> {
        let mut outputs = self.forward(images)?;
        if let Some(image) = outputs.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(NetworkError::OutputNotFinite { image });
        }
        if let Loss::SoftmaxCrossEntropy(_) = self.spec.loss {
            softmax(outputs.view_mut());
        }
        Ok(outputs)
    }

    /// Evaluates over every example of `batches`, each once: loss, accuracy, confusion matrix.
    ///
    /// The loss is the mean cross-entropy, whatever smoothing or weights training uses, so that runs compare.
    ///
    /// # Errors
    /// The first error of `batches`, or a batch that does not fit the network.
    pub fn evaluate<E: From<NetworkError>>(
        &self,
        batches: impl IntoIterator<Item = Result<Batch, E>>,
    ) -> Result<Evaluation, E> {
        self.evaluate_each(batches, |_, _| {})
    }

    /// [`evaluate`](Self::evaluate), with a look at each batch and its outputs (logits; examples, outputs).
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_each<E: From<NetworkError>>(
        &self,
        batches: impl IntoIterator<Item = Result<Batch, E>>,
        mut look: impl FnMut(&Batch, ArrayView2<f32>),
    ) -> Result<Evaluation, E> {
        let mut evaluation = Evaluation::new(self.outputs());
        let summed = Loss::from(crate::loss::SoftmaxCrossEntropy::default().sum());
        for batch in batches {
            let batch = batch?;
            let outputs = self.forward(batch.images.view())?;
            let loss = summed
                .evaluate(outputs.view(), Targets::from(&batch.labels), None)
                .map_err(NetworkError::from)?;
            evaluation.add(loss, outputs.view(), &batch.labels);
            look(&batch, outputs.view());
        }
        Ok(evaluation)
    }

    /// Takes images of another size from now on; every weight stays. Training on small images and answering on larger ones
    /// is both quick and accurate (Touvron et al. 2019).
    ///
    /// # Errors
    /// Layers that can't work on images of this size, or whose weights depend on it, as those of a dense layer behind
    /// [`Flatten`](crate::nn::Flatten). The network is then as it was.
    pub fn set_input(&mut self, input: impl Into<Shape>) -> Result<(), NetworkError> {
        let input = input.into();
        if input != self.input() {
            self.layers.set_input(input, &self.spec.layers).map_err(NetworkError::Input)?;
            self.spec.input = input;
        }
        Ok(())
    }

    /// Moves every weight and moving average a part of the way to those of `other`, a network of the same layers:
    /// `a = a + share (b - a)`.
    pub(crate) fn move_towards(&mut self, other: &Self, share: f32) {
        self.layers.move_towards(&other.layers, share);
        self.steps = other.steps;
    }

    /// How the network is made.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Shape of one input image.
    pub fn input(&self) -> Shape {
        self.layers.input()
    }

    /// Number of outputs: the classes of a classifier.
    pub fn outputs(&self) -> usize {
        self.layers.output().len()
    }

    /// Training steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The seed its weights and its dropout were drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Every array by its name (`conv2d_1/kernel`): weights, then moving averages.
    pub fn arrays(&self) -> impl Iterator<Item = (&Param, ArrayViewD<'_, f32>)> {
        self.layers.arrays()
    }

    /// The array of this name.
    ///
    /// # Errors
    /// The network has none; the error lists those it has.
    pub fn array(&self, name: &str) -> Result<ArrayViewD<'_, f32>, NetworkError> {
        self.arrays()
            .find(|(param, _)| param.name == name)
            .map(|(_, view)| view)
            .ok_or_else(|| self.unknown(name))
    }

    /// The gradient of each weight, from the last backward pass.
    pub fn gradients(&self) -> impl Iterator<Item = (&Param, ArrayViewD<'_, f32>)> {
        self.layers.gradients()
    }

    /// Replaces the array of this name.
    ///
    /// # Errors
    /// No such array, or one of another shape.
    pub fn set_array(&mut self, name: &str, values: ArrayViewD<'_, f32>) -> Result<(), NetworkError> {
        let Some((param, array)) = self.layers.array_mut(name) else { return Err(self.unknown(name)) };
        if param.shape != values.shape() {
            let (want, got) = (param.shape.clone(), values.shape().to_vec());
            return Err(NetworkError::ArrayShape { name: name.into(), want, got });
        }
        match values.as_slice() {
            Some(values) => array.copy_from_slice(values),
            None => array.iter_mut().zip(values).for_each(|(a, v)| *a = *v),
        }
        Ok(())
    }

    /// Every array, to change: its values in row-major order.
    pub(crate) fn arrays_mut(&mut self) -> impl Iterator<Item = (&Param, &mut [f32])> {
        self.layers.arrays_mut()
    }

    /// Takes up training where another run left it: the number of steps made and the seed of its randomness.
    pub fn resume_at(&mut self, steps: u64, seed: u64) {
        (self.steps, self.seed) = (steps, seed);
    }

    fn unknown(&self, name: &str) -> NetworkError {
        let known = self.arrays().map(|(param, _)| param.name.clone()).collect();
        NetworkError::UnknownArray { name: name.into(), known }
    }

    fn check_images(&self, images: &ArrayView4<f32>) -> Result<usize, NetworkError> {
        let (batch, height, width, channels) = images.dim();
        let (want, got) = (self.input(), Shape::from((height, width, channels)));
        if want != got {
            return Err(NetworkError::ImageShape { want, got });
        }
        if batch == 0 {
            return Err(NetworkError::EmptyBatch);
        }
        Ok(batch)
    }
}

/// The images' values in row-major order; copied only if they lie otherwise.
fn values<'a>(images: &'a ArrayView4<'a, f32>) -> Cow<'a, [f32]> {
    match images.as_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(images.iter().copied().collect()),
    }
}

/// A batch of outputs, one row an example.
fn rows(outputs: &[f32], examples: usize) -> Array2<f32> {
    let columns = outputs.len() / examples;
    Array2::from_shape_vec((examples, columns), outputs.to_vec()).expect("every example has as many outputs")
}

fn count_correct(outputs: &Array2<f32>, targets: Targets<'_>) -> usize {
    let correct = outputs.rows().into_iter().enumerate().filter(|(i, row)| {
        let wanted = match targets {
            Targets::Classes(labels) => Some(labels[*i]),
            Targets::Values(values) => predicted(values.row(*i)),
        };
        wanted.is_some() && predicted(*row) == wanted
    });
    correct.count()
}
