//! Squeeze-and-excitation: layers that weigh channels.

use super::{Dense, GlobalAvgPool, LayerSpec, Multiply, NamedLayer, Relu, Sigmoid};

/// Squeeze-and-excitation (Hu et al. 2018): `y = x gate(w2 activation(w1 mean(x) + b1) + b2)`, one factor for each channel from the
/// means of all. A builder of layers rather than one: see
/// [`NetworkBuilder::add_squeeze_excite`](crate::network::NetworkBuilder::add_squeeze_excite).
///
/// MobileNet v3 has [`Relu`] and [`HardSigmoid`](super::HardSigmoid), EfficientNet [`Silu`](super::Silu) and [`Sigmoid`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SqueezeExcite {
    /// Channels of x.
    pub channels: usize,
    /// Channels in between, usually a fourth or a sixteenth.
    pub squeezed: usize,
    /// The activation in between; default [`Relu`].
    pub activation: LayerSpec,
    /// What makes factors; default [`Sigmoid`].
    pub gate: LayerSpec,
}

impl SqueezeExcite {
    /// Of `channels` channels through `squeezed`, with a ReLU and a sigmoid.
    pub fn new(channels: usize, squeezed: usize) -> Self {
        Self { channels, squeezed, activation: Relu.into(), gate: Sigmoid.into() }
    }

    /// Sets the activation in between.
    pub fn activation(mut self, activation: impl Into<LayerSpec>) -> Self {
        self.activation = activation.into();
        self
    }

    /// Sets what makes factors.
    pub fn gate(mut self, gate: impl Into<LayerSpec>) -> Self {
        self.gate = gate.into();
        self
    }

    /// Its layers, of which the last is `name`, behind the layer `x`.
    pub(crate) fn layers(self, name: &str, x: &str) -> [NamedLayer; 6] {
        let part = |part: &str, layer: LayerSpec| NamedLayer::new(format!("{name}/{part}"), layer);
        let gate = part("gate", self.gate);
        let product = NamedLayer::new(name, Multiply).from([x, &gate.name]);
        [
            part("means", GlobalAvgPool.into()).from([x]),
            part("squeeze", Dense::new(self.squeezed).into()),
            part("activation", self.activation),
            part("excite", Dense::new(self.channels).into()),
            gate,
            product,
        ]
    }
}
