//! Residual blocks (He et al. 2016): layers with a way around them.

use serde::{Deserialize, Serialize};

use super::LayerSpec;

/// `y = body(x) + shortcut(x)`; without a shortcut `y = body(x) + x`.
///
/// The shortcut makes the shapes agree where the body changes them: a 1x1 convolution of the same stride, usually with
/// a batch norm. The activation after the sum is a layer of its own. It is a short way to write these layers and an
/// [`Add`](super::Add) behind them: their names are the block's with `/body_1_conv2d` and so on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Residual {
    /// The layers of the block.
    pub body: Vec<LayerSpec>,
    /// The layers of the way around it; empty for the identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerSpec>,
}

impl Residual {
    /// An empty block with the identity around it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer to the body.
    pub fn body(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.body.push(layer.into());
        self
    }

    /// Adds a layer to the shortcut.
    pub fn shortcut(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.shortcut.push(layer.into());
        self
    }

    /// What the names of the body's layers begin with.
    pub(crate) const BODY: &str = "body";
    /// What those of the shortcut begin with.
    pub(crate) const SHORTCUT: &str = "shortcut";

    /// The name of the layer of this index in a part: `body_1_conv2d`, `body_2_relu`, ...
    pub(crate) fn part_name(part: &str, index: usize, layer: &LayerSpec) -> String {
        format!("{part}_{}_{}", index + 1, layer.kind())
    }
}
