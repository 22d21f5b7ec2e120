//! The last layer of a classifier, and the network before it.

use super::{Network, NetworkBuilder, NetworkError, NetworkSpec};
use crate::loss::{Loss, SoftmaxCrossEntropy};
use crate::nn::{Dense, GlobalAvgPool, Init, LayerSpec, NamedLayer};

/// The names of a head that was replaced by a convolution's.
const HEAD: &str = "head";
const MEANS: &str = "head_means";

impl Network {
    /// The same network with a new last layer for so many classes, whose weights are 0; and that layer's name.
    ///
    /// The last layer is the last [`Dense`], which keeps its name, or the last [`Conv2d`](crate::nn::Conv2d) where the network ends
    /// in one (as SqueezeNet does): then [`GlobalAvgPool`] and a [`Dense`] take its place, `head_means` and `head`. What stood behind
    /// it goes. The loss becomes softmax cross-entropy.
    ///
    /// ```
    /// # use floret::{network::Network, nn::{Conv2d, Dense, GlobalAvgPool}};
    /// # let network = Network::builder((8, 8, 3)).add(Conv2d::new(4, 3)).add(GlobalAvgPool).add(Dense::new(1000)).build()?;
    /// let (mut network, head) = network.with_head(5)?;
    /// assert_eq!((network.outputs(), head.as_str()), (5, "dense_1"));
    /// // Only the new layer is to train.
    /// network.freeze(|name| name != head)?;
    /// # Ok::<(), floret::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NetworkError::NoHead`]: a network without a layer of either kind, or in which other layers take its outputs.
    pub fn with_head(&self, classes: usize) -> Result<(Self, String), NetworkError> {
        let mut spec = self.spec().clone();
        let last = spec
            .layers
            .iter()
            .rposition(|layer| matches!(layer.layer, LayerSpec::Dense(_) | LayerSpec::Conv2d(_)))
            .ok_or(NetworkError::NoHead)?;
        let values = match &spec.layers[last].layer {
            LayerSpec::Dense(dense) => dense.units,
            LayerSpec::Conv2d(conv) => conv.filters,
            _ => 0,
        };
        // Each layer behind it takes the one before.
        let is_chain = spec.layers[last..]
            .windows(2)
            .all(|pair| pair[1].from.is_empty() || pair[1].from == [pair[0].name.as_str()]);
        if !is_chain || values != self.outputs() {
            return Err(NetworkError::NoHead);
        }
        let replaced = spec.layers[last].clone();
        spec.layers.truncate(last);
        let kernel = Init::Constant(0.0);
        let head = Dense::new(classes).kernel_init(kernel);
        let name = match replaced.layer {
            LayerSpec::Dense(_) => {
                spec.layers.push(NamedLayer { layer: head.into(), ..replaced });
                spec.layers[last].name.clone()
            }
            _ => {
                let means = free_name(&spec, MEANS);
                spec.layers.push(NamedLayer::new(means, GlobalAvgPool).from(replaced.from));
                let name = free_name(&spec, HEAD);
                spec.layers.push(NamedLayer::new(name.clone(), head));
                name
            }
        };
        spec.loss = Loss::SoftmaxCrossEntropy(SoftmaxCrossEntropy::default());
        let network = self.rebuilt(spec, Some(&name))?;
        Ok((network, name))
    }

    /// The network without its last layer, if that is a [`Dense`]: its outputs are what that takes, the features of an image.
    ///
    /// # Errors
    /// [`NetworkError::NoHead`]: a network that ends in another layer.
    pub fn body(&self) -> Result<Self, NetworkError> {
        let mut spec = self.spec().clone();
        let Some(NamedLayer { layer: LayerSpec::Dense(_), from, .. }) = spec.layers.pop() else {
            return Err(NetworkError::NoHead);
        };
        if !from.is_empty() && spec.layers.last().map(|layer| &layer.name) != from.first() {
            return Err(NetworkError::NoHead);
        }
        spec.loss = Loss::SoftmaxCrossEntropy(SoftmaxCrossEntropy::default());
        self.rebuilt(spec, None)
    }

    /// A network of these layers, with the arrays that this one has of them, but for those of the layer `new`.
    fn rebuilt(&self, spec: NetworkSpec, new: Option<&str>) -> Result<Self, NetworkError> {
        let mut network =
            NetworkBuilder::from_spec(spec).seed(self.seed()).isa(self.isa()).build_zeros().map_err(
                |error| match error {
                    NetworkError::Shape(_) => NetworkError::NoHead,
                    error => error,
                },
            )?;
        let known: std::collections::HashMap<_, _> = self
            .arrays()
            .map(|(param, values)| ((param.name.clone(), param.shape.clone()), values))
            .collect();
        let is_new = |name: &str| {
            new.is_some_and(|new| name.strip_prefix(new).is_some_and(|rest| rest.starts_with('/')))
        };
        let wanted: Vec<_> = network
            .arrays()
            .filter(|(param, _)| !is_new(&param.name))
            .map(|(param, _)| (param.name.clone(), param.shape.clone()))
            .collect();
        for place in wanted {
            if let Some(values) = known.get(&place) {
                network.set_array(&place.0, values.view())?;
            }
        }
        Ok(network)
    }
}

/// This name, or the first with a number behind it that no layer has.
fn free_name(spec: &NetworkSpec, name: &str) -> String {
    let taken = |name: &str| spec.layers.iter().any(|layer| layer.name == name);
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).expect("names do not end")
}
