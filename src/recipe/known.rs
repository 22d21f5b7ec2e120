//! Networks that are known by their weights, and how photos become their input.

use crate::data::Preprocess;
use crate::image::{ChannelOrder, Normalize};
use crate::network::Network;
use crate::nn::Shape;

/// A published network.
struct Known {
    /// Values of all weights; a network with batch norms folded into its convolutions has fewer.
    weights: usize,
    /// The L2 norm of the first convolution's filters, batch norm folded in.
    first: f64,
    normalize: Normalize,
}

/// How far a norm may be off, as exporters round otherwise.
const TOLERANCE: f64 = 1e-3;

const KNOWN: [Known; 1] = [
    // EfficientNet-Lite0 as Google trained it for TensorFlow (tensorflow/tpu, models/official/efficientnet/lite), in PyTorch's
    // conversion too.
    Known {
        weights: 4_631_000,
        first: 69.8310,
        normalize: Normalize::Fixed { mean: [127.0; 3], deviation: [128.0; 3] },
    },
];

/// How photos become the input of a network of another program, whose file does not tell: by `chosen`, if there is such; as it is
/// known of a network with these weights; as its own graph [takes levels](crate::onnx::Imported::takes). Of the rest it is taken that
/// they are fitted as ImageNet's are.
///
/// `None` for a network that takes no square photos, or if none of the three says it.
pub fn foreign_preprocess(
    network: &Network,
    takes: Option<Normalize>,
    chosen: Option<Normalize>,
) -> Option<Preprocess> {
    let Shape::Image { height, width: side, channels } = network.input() else { return None };
    let order = ChannelOrder::of_channels(channels)?;
    if height != side {
        return None;
    }
    let normalize = chosen.or_else(|| known(network)).or(takes)?;
    Some(Preprocess::imagenet(side, normalize).channel_order(order))
}

/// The normalization of a published network.
fn known(network: &Network) -> Option<Normalize> {
    let weights = network.weights().map(|(param, _)| param.len()).sum::<usize>();
    let (_, first) = network.arrays().next()?;
    let norm = first.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
    let known = KNOWN
        .iter()
        .find(|known| known.weights == weights && (norm / known.first - 1.0).abs() < TOLERANCE)?;
    Some(known.normalize)
}
