//! A training step, whole and in its parts.

use std::borrow::Cow;
use std::mem;

use ndarray::{Array2, ArrayView2, ArrayView4};

use super::{Network, NetworkError, values};
use crate::loss::{Reduction, Targets};
use crate::metrics::predicted;
use crate::nn::Input;
use crate::nn::graph::mix;
use crate::optim::Optimizer;

/// What a training step did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The loss of the batch before the update, as the network's [`Loss`](crate::loss::Loss) reduces it.
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

/// Memory of the steps, reused from one to the next.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The outputs of the last forward pass of training.
    outputs: Vec<f32>,
    /// Room for the gradient of the loss with respect to them.
    gradient: Vec<f32>,
    /// Whether the gradients of the weights await their update.
    ready: bool,
}

impl Buffers {
    /// No gradients await their update any more.
    pub fn forget(&mut self) {
        self.ready = false;
    }
}

/// A forward pass of training that awaits its backward pass; from [`Network::forward_train`].
#[derive(Debug)]
#[must_use = "a forward pass alone moves batch norm's averages and nothing else"]
pub struct TrainingPass<'n, 'i> {
    network: &'n mut Network,
    images: Cow<'i, [f32]>,
    examples: usize,
}

impl Network {
    /// One step of training on a batch: forward, loss, backward, update.
    ///
    /// The same in parts, for a loop of one's own (a loss, a change of the gradients, several optimizers):
    ///
    /// ```
    /// # use floret::{network::Network, nn::{Dense, Flatten}, optim::Sgd};
    /// # let mut network = Network::builder((2, 2, 3)).add(Flatten).add(Dense::new(2)).build()?;
    /// # let (images, labels, mut optimizer) = (ndarray::Array4::ones((4, 2, 2, 3)), [0, 1, 1, 0], Sgd::new(0.1));
    /// let mut pass = network.forward_train(&images)?;
    /// let (loss, gradient) = pass.loss_and_gradient(&labels)?;
    /// pass.backward(gradient)?;
    /// network.update(&mut optimizer)?;
    /// # assert!(loss > 0.0);
    /// # Ok::<(), floret::Error>(())
    /// ```
    ///
    /// Once the first step has been made, a step on as many images allocates no memory, if they lie in row-major order.
    ///
    /// # Errors
    /// Images or targets of the wrong shape, labels out of range, and a loss or gradient that is NaN or infinite; in each
    /// case weights, moving averages and the optimizer are as they were.
    pub fn train_step<'i, 't>(
        &mut self,
        images: impl Into<ArrayView4<'i, f32>>,
        targets: impl Into<Targets<'t>>,
        optimizer: &mut dyn Optimizer,
    ) -> Result<StepReport, NetworkError> {
        let (targets, learning_rate) = (targets.into(), optimizer.learning_rate());
        let at_rate = |error: NetworkError| error.at(learning_rate);

        let mut pass = self.forward_train(images)?;
        let (loss, gradient) = pass.loss_and_gradient(targets).map_err(at_rate)?;
        let (examples, correct) = (pass.examples, count_correct(pass.outputs(), targets));
        pass.backward(gradient).map_err(at_rate)?;
        let gradient_norm = self.update(optimizer)?;

        let mean_loss = match self.spec.loss.reduction() {
            Reduction::Mean => loss,
            Reduction::Sum => loss / examples as f64,
        };
        Ok(StepReport { loss, mean_loss, examples, correct, step: self.steps, learning_rate, gradient_norm })
    }

    /// Forward pass of training: dropout drops, batch norm uses the batch and moves its averages.
    ///
    /// # Errors
    /// Images of another size than the network's input, or none; a network of which every weight is frozen.
    pub fn forward_train<'i>(
        &mut self,
        images: impl Into<ArrayView4<'i, f32>>,
    ) -> Result<TrainingPass<'_, 'i>, NetworkError> {
        let images = images.into();
        let examples = self.check_images(&images)?;
        if !self.layers.trains() && self.spec.layers.iter().any(|layer| layer.frozen) {
            return Err(NetworkError::Frozen);
        }
        let images = values(images);
        let outputs = self.layers.forward(&images, mix(self.seed, self.steps));
        self.buffers.outputs.clear();
        self.buffers.outputs.extend_from_slice(outputs);
        self.buffers.ready = false;
        Ok(TrainingPass { network: self, images, examples })
    }

    /// Moves the weights against the [gradients](Self::gradients) of the last backward pass. Returns the gradients' L2 norm
    /// if the optimizer clips.
    ///
    /// # Errors
    /// No backward pass succeeded since the last update.
    pub fn update(&mut self, optimizer: &mut dyn Optimizer) -> Result<Option<f64>, NetworkError> {
        if !mem::take(&mut self.buffers.ready) {
            return Err(NetworkError::WithoutBackward);
        }
        self.steps += 1;
        Ok(self.layers.update(optimizer))
    }
}

impl TrainingPass<'_, '_> {
    /// The outputs (logits) of each image: (examples, outputs).
    pub fn outputs(&self) -> ArrayView2<'_, f32> {
        let outputs = &self.network.buffers.outputs;
        ArrayView2::from_shape(self.shape(), outputs).expect("every example has as many outputs")
    }

    /// The network's loss of the batch, and its gradient with respect to the outputs.
    ///
    /// # Errors
    /// Targets that do not fit the outputs; a loss that is NaN or infinite. The moving averages are then as they were before the
    /// forward pass.
    pub fn loss_and_gradient<'t>(
        &mut self,
        targets: impl Into<Targets<'t>>,
    ) -> Result<(f64, Array2<f32>), NetworkError> {
        let mut gradient = mem::take(&mut self.network.buffers.gradient);
        gradient.resize(self.network.buffers.outputs.len(), 0.0);
        let mut gradient = Array2::from_shape_vec(self.shape(), gradient).expect("a value for each output");
        let loss = self.network.spec.loss.evaluate(self.outputs(), targets.into(), Some(gradient.view_mut()));
        let loss = loss.inspect_err(|_| self.network.layers.undo_forward_pass())?;
        if !loss.is_finite() {
            self.network.layers.undo_forward_pass();
            let network = &mut *self.network;
            let layer = network.layers.first_not_finite(&self.images, mix(network.seed, network.steps));
            let step = network.steps + 1;
            return Err(NetworkError::NotFinite { loss, step, learning_rate: None, layer });
        }
        Ok((loss, gradient))
    }

    /// Backward pass: from the gradient of a loss with respect to the outputs, the [gradient](Network::gradients) of every
    /// weight. The network keeps the memory of `gradient` for the next step.
    ///
    /// # Errors
    /// A gradient of another shape than the outputs'; a weight's gradient that is NaN or infinite. The moving averages are then
    /// as they were before the forward pass.
    pub fn backward(self, gradient: Array2<f32>) -> Result<(), NetworkError> {
        let (want, got) = (self.shape(), gradient.dim());
        let network = self.network;
        if want != got {
            network.layers.undo_forward_pass();
            return Err(NetworkError::GradientShape { want, got });
        }
        let dy = gradient.as_standard_layout();
        network.layers.backward(Input::Given(&self.images), dy.as_slice().expect("in standard layout"))?;
        drop(dy);
        (network.buffers.gradient, _) = gradient.into_raw_vec_and_offset();
        if let Some(parameter) = network.layers.non_finite_gradient() {
            let (parameter, step) = (parameter.name.clone(), network.steps + 1);
            network.layers.undo_forward_pass();
            return Err(NetworkError::GradientNotFinite { parameter, step, learning_rate: None });
        }
        network.buffers.ready = true;
        Ok(())
    }

    /// (examples, outputs).
    fn shape(&self) -> (usize, usize) {
        (self.examples, self.network.outputs())
    }
}

impl NetworkError {
    /// The same error of a step, with its learning rate.
    fn at(mut self, rate: f32) -> Self {
        if let NetworkError::NotFinite { learning_rate, .. }
        | NetworkError::GradientNotFinite { learning_rate, .. } = &mut self
        {
            *learning_rate = Some(rate);
        }
        self
    }
}

fn count_correct(outputs: ArrayView2<'_, f32>, targets: Targets<'_>) -> usize {
    let correct = outputs.rows().into_iter().enumerate().filter(|(i, row)| {
        let wanted = match targets {
            Targets::Classes(labels) => Some(labels[*i]),
            Targets::Values(values) => predicted(values.row(*i)),
        };
        wanted.is_some() && predicted(*row) == wanted
    });
    correct.count()
}
