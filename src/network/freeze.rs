//! Layers that training leaves as they are, and layers with learning rates of their own.

use super::{Network, NetworkError};
use crate::nn::NamedLayer;

impl Network {
    /// Freezes the layers of the names that `frozen` is true for; all others train. See [`NamedLayer::frozen`].
    ///
    /// ```
    /// # use floret::{network::Network, nn::{Conv2d, Dense, GlobalAvgPool}};
    /// # let mut network = Network::builder((8, 8, 3)).add(Conv2d::new(4, 3)).add(GlobalAvgPool).add(Dense::new(2)).build()?;
    /// // Only the last layer is to train.
    /// network.freeze(|name| name != "dense_1")?;
    /// # assert!(network.summary().contains("frozen"));
    /// # Ok::<(), floret::Error>(())
    /// ```
    ///
    /// A residual block is one layer here. The weights stay, and gradients of a backward pass before are forgotten.
    ///
    /// # Errors
    /// None for a network that was built; layers of one's own may refuse to be built again.
    pub fn freeze(&mut self, mut frozen: impl FnMut(&str) -> bool) -> Result<(), NetworkError> {
        self.change_layers(|layer| layer.frozen = frozen(&layer.name))
    }

    /// Has each layer train at the optimizer's learning rate times `factor` of its name. See [`NamedLayer::learning_rate`].
    ///
    /// # Errors
    /// A factor that is negative or no number; as [`freeze`](Self::freeze). Nothing has changed then.
    pub fn scale_learning_rates(&mut self, mut factor: impl FnMut(&str) -> f32) -> Result<(), NetworkError> {
        self.change_layers(|layer| layer.learning_rate = factor(&layer.name))
    }

    fn change_layers(&mut self, change: impl FnMut(&mut NamedLayer)) -> Result<(), NetworkError> {
        let mut layers = self.spec.layers.clone();
        layers.iter_mut().for_each(change);
        self.layers.set_input(self.input(), &layers)?;
        self.spec.layers = layers;
        self.buffers.forget();
        Ok(())
    }
}
