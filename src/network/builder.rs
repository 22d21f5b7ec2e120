//! A network put together layer by layer, every shape checked at once.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Network, NetworkError};
use crate::loss::Loss;
use crate::nn::graph::Graph;
use crate::nn::nodes::INPUT;
use crate::nn::{ConvAlgorithm, LayerSpec, NamedLayer, Param, Sequential, Shape, ShapeError, SqueezeExcite};
use floret_math::simd::Isa;

/// A network as plain data: enough to build it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkSpec {
    /// Shape of one input image.
    pub input: Shape,
    /// The layers, first to last.
    pub layers: Vec<NamedLayer>,
    /// What training makes small.
    pub loss: Loss,
    /// Whether inference answers with the mean outputs of an image and its mirror image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_time_flip: bool,
}

impl NetworkSpec {
    /// Every array of such a network, its weights, then moving averages; and how many values the weights have.
    ///
    /// # Errors
    /// The first layer that does not fit its input; no layer that computes anything.
    pub(crate) fn params(&self) -> Result<(Vec<Param>, usize), NetworkError> {
        let graph = Graph::build(&self.layers, self.input, Isa::try_best()?)?;
        let weights = graph.params().iter().map(Param::len).sum();
        Ok((graph.params().iter().chain(graph.state()).cloned().collect(), weights))
    }
}

/// Builds a [`Network`]: add the layers in order, then [`build`](Self::build).
#[derive(Debug, Clone)]
pub struct NetworkBuilder {
    spec: NetworkSpec,
    seed: u64,
    isa: Option<Isa>,
}

impl NetworkBuilder {
    pub(super) fn new(input: Shape) -> Self {
        let (layers, loss) = (Vec::new(), Loss::default());
        Self { spec: NetworkSpec { input, layers, loss, test_time_flip: false }, seed: 0, isa: None }
    }

    /// Builds from a description, such as one read from a file.
    pub fn from_spec(spec: NetworkSpec) -> Self {
        Self { spec, seed: 0, isa: None }
    }

    /// Sets the shape of the input anew: that of a ready network for images of one channel, say.
    pub fn input(mut self, input: impl Into<Shape>) -> Self {
        self.spec.input = input.into();
        self
    }

    /// Adds a layer, named by its kind and number: `conv2d_1`, `conv2d_2`, `dense_1`, ...
    #[allow(
        clippy::should_implement_trait,
        reason = "layers are added to a network; no one adds two networks"
    )]
    pub fn add(self, layer: impl Into<LayerSpec>) -> Self {
        let layer = layer.into();
        let of_its_kind = self.spec.layers.iter().filter(|l| l.layer.kind() == layer.kind()).count();
        let name = format!("{}_{}", layer.kind(), of_its_kind + 1);
        self.add_named(name, layer)
    }

    /// Adds a layer under a name of its own.
    pub fn add_named(mut self, name: impl Into<String>, layer: impl Into<LayerSpec>) -> Self {
        self.spec.layers.push(NamedLayer::new(name, layer));
        self
    }

    /// Adds a layer under a name of its own that takes the outputs of the layers of the names `from`; `input` is the network's input.
    ///
    /// [`Add`](crate::nn::Add), [`Multiply`](crate::nn::Multiply) and [`Concat`](crate::nn::Concat) take several: with them ways
    /// through the network part and meet.
    pub fn add_from<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        layer: impl Into<LayerSpec>,
        from: impl IntoIterator<Item = S>,
    ) -> Self {
        self.spec.layers.push(NamedLayer::new(name, layer).from(from));
        self
    }

    /// Adds squeeze-and-excitation behind the last layer so far, which must be an image: the layers `name/means`, `name/squeeze`,
    /// `name/activation`, `name/excite` and `name/gate`, and under `name` their product with the image.
    ///
    /// ```
    /// # use floret::{network::Network, nn::{Conv2d, Dense, GlobalAvgPool, Silu, SqueezeExcite}};
    /// let network = Network::builder((32, 32, 3))
    ///     .add(Conv2d::new(64, 3))
    ///     .add_squeeze_excite("weighed", SqueezeExcite::new(64, 16).activation(Silu))
    ///     .add(GlobalAvgPool)
    ///     .add(Dense::new(5))
    ///     .build()?;
    /// # Ok::<(), floret::Error>(())
    /// ```
    pub fn add_squeeze_excite(mut self, name: impl AsRef<str>, block: SqueezeExcite) -> Self {
        let last = self.spec.layers.last().map_or(INPUT, |layer| layer.name.as_str()).to_owned();
        self.spec.layers.extend(block.layers(name.as_ref(), &last));
        self
    }

    /// Sets the loss; default softmax cross-entropy, mean over the batch.
    pub fn loss(mut self, loss: impl Into<Loss>) -> Self {
        self.spec.loss = loss.into();
        self
    }

    /// Has inference answer with the mean outputs (logits) of an image and its mirror image, as He et al. 2016 test with ten
    /// crops: a little more accurate, and twice the work. Default no.
    pub fn test_time_flip(mut self, flip: bool) -> Self {
        self.spec.test_time_flip = flip;
        self
    }

    /// Sets the seed of the initial weights and of dropout; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the instruction set of the kernels; default [`Isa::best`]. It is not saved with the network. For measurements and
    /// tests: with another one sums are rounded otherwise.
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Sets how the convolutions added so far are computed (not those within residual blocks); default
    /// [`ConvAlgorithm::Auto`]. For measurements.
    pub fn conv_algorithm(mut self, algorithm: ConvAlgorithm) -> Self {
        for NamedLayer { layer, .. } in &mut self.spec.layers {
            if let LayerSpec::Conv2d(conv) = layer {
                conv.algorithm = algorithm;
            }
        }
        self
    }

    /// About how many bytes a training step on batches of `batch` images takes: weights and gradients, the images, what is
    /// kept from the forward to the backward pass, and room to work in. Found without allocating any of it.
    ///
    /// Not counted are the optimizer's arrays, each as large as the weights, an [average](crate::train::TrainOptions::average) of
    /// the weights, which is a second network, and what the program keeps beside.
    /// `batch` counts up to 2^20.
    ///
    /// # Errors
    /// The first layer that does not fit its input; no layer that computes anything; as [`build`](Self::build) where kernels
    /// can't be chosen as asked for.
    pub fn training_memory(&self, batch: usize) -> Result<u64, NetworkError> {
        let graph = Graph::build(&self.spec.layers, self.spec.input, self.chosen_isa()?)?;
        let batch = batch.min(1 << 20);
        let values = |params: &[Param]| params.iter().map(|param| param.len() as u64).sum::<u64>();
        let memory = graph.memory(batch);
        let trained = graph.segments().iter().map(|segment| segment.range.len() as u64).sum::<u64>();
        // Weights and those gradients that are computed; moving averages, and what they were before the step.
        let arrays = values(graph.params()) + trained + 2 * values(graph.state());
        let passes = (batch * graph.input().len() + memory.saved_floats + memory.train_scratch) as u64;
        Ok(size_of::<f32>() as u64 * (arrays + passes) + memory.saved_bytes as u64)
    }

    /// Checks every shape, draws the initial weights.
    ///
    /// # Errors
    /// The first layer that does not fit its input, by name with both shapes; two layers of one name; outputs that are
    /// not a vector; a loss that does not fit them; an [instruction set](Self::isa) that this processor does not have; an
    /// environment variable, `FLORET_ISA` or `FLORET_CONV`, that names nothing or what this processor does not have.
    pub fn build(self) -> Result<Network, NetworkError> {
        let seed = self.seed;
        self.build_with(|input, layers, isa| Sequential::with_isa(input, layers, seed, isa))
    }

    /// [`build`](Self::build) with every weight 0, for weights that are known.
    pub(crate) fn build_zeros(self) -> Result<Network, NetworkError> {
        self.build_with(Sequential::zeros)
    }

    fn build_with(
        self,
        layers: impl FnOnce(Shape, &[NamedLayer], Isa) -> Result<Sequential, ShapeError>,
    ) -> Result<Network, NetworkError> {
        self.check_names()?;
        let isa = self.chosen_isa()?;
        let layers = layers(self.spec.input, &self.spec.layers, isa)?;
        let Shape::Vector(outputs) = layers.output() else {
            return Err(ShapeError::new(format!(
                "the network ends in an image of {}, but its output must be a vector: end it with Flatten or GlobalAvgPool and Dense",
                layers.output()
            ))
            .into());
        };
        self.spec.loss.check(outputs)?;
        Ok(Network { seed: self.seed, steps: 0, spec: self.spec, layers, buffers: Default::default() })
    }

    /// The instruction set asked for, or the best one.
    fn chosen_isa(&self) -> Result<Isa, NetworkError> {
        ConvAlgorithm::try_asked_for()?;
        Ok(match self.isa {
            Some(isa) => isa.check()?,
            None => Isa::try_best()?,
        })
    }

    fn check_names(&self) -> Result<(), ShapeError> {
        let mut names = HashMap::new();
        for (index, NamedLayer { name, .. }) in self.spec.layers.iter().enumerate() {
            if name.is_empty() {
                return Err(ShapeError::new(format!("layer {index} has an empty name")));
            }
            if let Some(first) = names.insert(name, index) {
                return Err(ShapeError::new(format!(
                    "layers {first} and {index} are both named `{}`",
                    name.escape_debug()
                )));
            }
        }
        Ok(())
    }
}
