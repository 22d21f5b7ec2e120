//! Networks that are known by their weights, and how photos become their input.

use crate::data::Preprocess;
use crate::image::Normalize;
use crate::network::Network;

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
        weights: WEIGHTS,
        first: FIRST,
        normalize: Normalize::Fixed { mean: [127.0; 3], deviation: [128.0; 3] },
    },
];

const WEIGHTS: usize = 0;
const FIRST: f64 = 0.0;

/// How photos become the input of this network, of side `side`, if it is known.
pub(super) fn known_preprocess(network: &Network, side: usize) -> Option<Preprocess> {
    let weights = network.gradients().map(|(param, _)| param.len()).sum::<usize>();
    let (_, first) = network.arrays().next()?;
    let norm = first.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
    if std::env::var_os("FLORET_PRINT_KNOWN").is_some() { eprintln!("{weights} {norm}"); }
    let known = KNOWN.iter().find(|known| {
        known.weights == weights && (norm / known.first - 1.0).abs() < TOLERANCE
    })?;
    Some(Preprocess::imagenet(side, known.normalize))
}
