//! Layers, a loss and their weights as one thing that trains.

mod builder;
mod freeze;
mod head;
mod step;
mod summary;

use std::borrow::Cow;

pub use builder::{NetworkBuilder, NetworkSpec};
use ndarray::{Array2, ArrayView2, ArrayView4, ArrayViewD};
use rayon::prelude::*;
pub use step::{StepReport, TrainingPass};

use crate::data::Batch;
use crate::loss::{Loss, LossError, softmax};
use crate::math::{EnvError, Isa, Unavailable};
use crate::metrics::Evaluation;
use crate::nn::{BackwardError, LayerTime, Param, Sequential, Shape, ShapeError};

/// What can go wrong with a network and its data.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Layers that do not fit each other.
    #[error("building the network: {0}")]
    Shape(ShapeError),
    /// An instruction set that this processor does not have.
    #[error("building the network: {0}")]
    Unavailable(Unavailable),
    /// An environment variable about how to compute that can't be followed.
    #[error(transparent)]
    Environment(#[from] EnvError),
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
    /// A backward pass that does not fit its forward pass.
    #[error(transparent)]
    Backward(#[from] BackwardError),
    /// A gradient of the loss of another shape than the outputs.
    #[error("the outputs are {want:?} (examples, outputs), but the gradient of the loss is {got:?}")]
    GradientShape {
        /// Shape of the outputs.
        want: (usize, usize),
        /// Shape of the gradient.
        got: (usize, usize),
    },
    /// Training of a network of which every weight is frozen.
    #[error("every layer that has weights is frozen: there is nothing to train")]
    Frozen,
    /// A network whose last layer can't be told from the rest.
    #[error(
        "the network does not end in a dense layer or a convolution that nothing else takes: its last layer can't be replaced"
    )]
    NoHead,
    /// An update without gradients.
    #[error("an update needs a backward pass before it, and each serves once")]
    WithoutBackward,
    /// A loss that is NaN or infinite.
    #[error(
        "the loss became {loss} at step {step}{}: weights are as before the step; lower the learning rate, or clip gradients",
        in_brackets(&[rate(*learning_rate), layer.as_ref().map(|layer| format!("first in the outputs of `{layer}`"))])
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The step, from 1.
        step: u64,
        /// The optimizer's learning rate, where it is known: to [`Network::train_step`].
        learning_rate: Option<f32>,
        /// The first layer whose outputs are not all finite, if it is not the loss itself that is too large a number.
        layer: Option<String>,
    },
    /// A gradient with NaN or infinite values, under a loss that is finite.
    #[error(
        "the gradient of `{parameter}` is not finite at step {step}{}: weights are as before the step; lower the learning rate, or look for extreme values in the data",
        in_brackets(&[rate(*learning_rate)])
    )]
    GradientNotFinite {
        /// The first such parameter, in the order of the layers.
        parameter: String,
        /// The step, from 1.
        step: u64,
        /// The optimizer's learning rate, where it is known: to [`Network::train_step`].
        learning_rate: Option<f32>,
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

impl From<ShapeError> for NetworkError {
    fn from(error: ShapeError) -> Self {
        NetworkError::Shape(error)
    }
}

impl From<Unavailable> for NetworkError {
    fn from(error: Unavailable) -> Self {
        NetworkError::Unavailable(error)
    }
}

/// The learning rate in words.
fn rate(rate: Option<f32>) -> Option<String> {
    rate.map(|rate| format!("learning rate {rate}"))
}

/// ` (a, b)` of those that are known, or nothing.
fn in_brackets(details: &[Option<String>]) -> String {
    let known: Vec<&str> = details.iter().flatten().map(String::as_str).collect();
    if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) }
}

/// A convolutional network: its layers, loss and weights.
///
/// Images go in as NHWC arrays of normalized values, labels as classes from 0.
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
    buffers: step::Buffers,
}

impl Clone for Network {
    /// A network with the same weights and moving averages, at the same step. What is left of a forward or backward pass, such
    /// as gradients, is not copied.
    fn clone(&self) -> Self {
        let zeros =
            NetworkBuilder::from_spec(self.spec.clone()).seed(self.seed).isa(self.isa()).build_zeros();
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

    /// The instruction set that its kernels use.
    pub fn isa(&self) -> Isa {
        self.layers.graph().isa()
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
        let values = values(images);
        let mut outputs = self.infer(&values);
        if self.spec.test_time_flip {
            outputs += &self.infer(&mirrored(&values, images.dim()));
            outputs *= 0.5;
        }
        Ok(outputs)
    }

    fn infer(&self, images: &[f32]) -> Array2<f32> {
        let mut outputs = Array2::zeros((images.len() / self.input().len(), self.outputs()));
        self.layers.infer(images, outputs.as_slice_mut().expect("in standard layout"));
        outputs
    }

    /// Where the time goes: of each layer, the median times of `passes` passes of inference, forward and backward over `images`. The
    /// moving averages move, and gradients are overwritten; weights stay.
    ///
    /// # Errors
    /// Images of another size than the network's input, or none.
    pub fn layer_times<'i>(
        &mut self,
        images: impl Into<ArrayView4<'i, f32>>,
        passes: usize,
    ) -> Result<Vec<LayerTime>, NetworkError> {
        let images = images.into();
        self.check_images(&images)?;
        self.buffers.forget();
        Ok(self.layers.layer_times(&values(images), passes))
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
        for batch in batches {
            let batch = batch?;
            let outputs = self.forward(batch.images.view())?;
            evaluation.add_logits(outputs.view(), &batch.labels).map_err(NetworkError::from)?;
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

    /// Every weight by its name, in the order of the optimizer's values: those of frozen layers too.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Param, ArrayViewD<'_, f32>)> {
        self.layers.weights()
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

/// The mirror images of images (batch, height, width, channels).
fn mirrored(images: &[f32], (_, height, width, channels): (usize, usize, usize, usize)) -> Vec<f32> {
    let mut mirrored = vec![0.0; images.len()];
    let (image, row) = (height * width * channels, width * channels);
    mirrored.par_chunks_exact_mut(image).zip(images.par_chunks_exact(image)).for_each(|(to, from)| {
        for (to, from) in to.chunks_exact_mut(row).zip(from.chunks_exact(row)) {
            match channels {
                // Written out, so that a pixel is moved without a loop.
                3 => {
                    let pixels = from.as_chunks::<3>().0.iter().rev();
                    to.as_chunks_mut::<3>().0.iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
                }
                _ => {
                    let pixels = from.chunks_exact(channels).rev();
                    to.chunks_exact_mut(channels).zip(pixels).for_each(|(to, from)| to.copy_from_slice(from));
                }
            }
        }
    });
    mirrored
}

/// The images' values in row-major order; copied only if they lie otherwise.
fn values(images: ArrayView4<'_, f32>) -> Cow<'_, [f32]> {
    match images.to_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(images.iter().copied().collect()),
    }
}
