//! Which part of an image an answer rests on.
//!
//! ```
//! use floret::explain::Occlusion;
//! use floret::models;
//! use ndarray::Array3;
//!
//! let network = models::seed(32, 5, 0.0).build()?;
//! let image = Array3::from_shape_fn((32, 32, 3), |(y, x, _)| ((y * x) % 7) as f32 / 3.0 - 1.0);
//! let map = Occlusion::for_images_of(32).map(&network, image.view(), 0)?;
//! assert_eq!(map.dim(), (32, 32));
//! # Ok::<(), floret::Error>(())
//! ```

use ndarray::{Array2, Array4, ArrayView1, ArrayView3, Axis, s};

use crate::loss::Loss;
use crate::network::{Network, NetworkError};
use crate::nn::Shape;

/// Occlusion sensitivity (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2): a part
/// of the image is covered at a time; where that costs a class the most, the answer rests.
///
/// The paper covers squares with gray. Here the cover fades out as a Gaussian, `m = exp(-d^2 / (2 sigma^2))` at the distance d
/// from its center: `x' = (1 - m) x`, of a standardized image, whose mean is 0. A square's edges are themselves something to
/// see, and the map shows them.
///
/// It asks nothing of the network but its answers, one for each place of the cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occlusion {
    /// Deviation sigma of the cover, in pixels; at least 0.1.
    pub sigma: f32,
    /// Distance of its places, in pixels; at least 1.
    pub stride: usize,
}

/// Covered images that are computed at a time.
const BATCH: usize = 64;

impl Occlusion {
    /// A cover and places of it that suit images of this size: a sixth of the side wide at half of its height, 16 by 16 places.
    /// Much wider ones blur the map, narrower ones cover too little of a flower for the network to miss it.
    pub fn for_images_of(side: usize) -> Self {
        Self { sigma: (side as f32 / 14.0).max(0.5), stride: (side / 16).max(1) }
    }

    /// How much each pixel counts for output `class`: what its log-odds lose when the pixel is covered, the mean over the
    /// places of the cover weighted by m. Below 0 is what speaks against the class.
    ///
    /// `image` is one input of the network, (height, width, channels), standardized. The log-odds are
    /// `z_class - log sum exp z_other` of the logits z, since probabilities near 1 hardly move; under another loss than softmax
    /// cross-entropy, the output itself.
    ///
    /// # Errors
    /// An image of another size than the network's input; no such output; outputs that are not finite.
    pub fn map(
        &self,
        network: &Network,
        image: ArrayView3<f32>,
        class: usize,
    ) -> Result<Array2<f32>, NetworkError> {
        let (height, width, channels) = image.dim();
        let (want, got) = (network.input(), Shape::from((height, width, channels)));
        if want != got {
            return Err(NetworkError::ImageShape { want, got });
        }
        if class >= network.outputs() {
            return Err(NetworkError::NoSuchOutput { class, outputs: network.outputs() });
        }
        let whole = evidence(network, &image.insert_axis(Axis(0)).to_owned(), class)?[0];
        let (rows, columns) = (self.covers(height), self.covers(width));
        let places: Vec<_> =
            (0..rows.nrows()).flat_map(|row| (0..columns.nrows()).map(move |column| (row, column))).collect();
        let cover =
            |(row, column): (usize, usize), (y, x): (usize, usize)| rows[[row, y]] * columns[[column, x]];

        let (mut sums, mut weights) =
            (Array2::<f32>::zeros((height, width)), Array2::<f32>::zeros((height, width)));
        for places in places.chunks(BATCH) {
            let mut covered = Array4::zeros((places.len(), height, width, channels));
            for (place, mut covered) in places.iter().zip(covered.outer_iter_mut()) {
                covered.indexed_iter_mut().for_each(|((y, x, channel), value)| {
                    *value = (1.0 - cover(*place, (y, x))) * image[[y, x, channel]];
                });
            }
            for (place, evidence) in places.iter().zip(evidence(network, &covered, class)?) {
                let lost = whole - evidence;
                for ((at, sum), weight) in sums.indexed_iter_mut().zip(&mut weights) {
                    let cover = cover(*place, at);
                    *sum += cover * lost;
                    *weight += cover;
                }
            }
        }
        // A pixel that no cover reaches counts for nothing.
        Ok(sums / weights.mapv(|weight| weight.max(f32::MIN_POSITIVE)))
    }

    /// The covers of a side of `len` pixels: (places, pixels). A cover of the image is the product of a row's and a column's.
    fn covers(&self, len: usize) -> Array2<f32> {
        let (stride, sigma) = (self.stride.clamp(1, len), self.sigma.max(0.1));
        let places = len.div_ceil(stride);
        Array2::from_shape_fn((places, len), |(place, pixel)| {
            let center = (place as f32 + 0.5) * len as f32 / places as f32;
            let distance = (pixel as f32 + 0.5 - center) / sigma;
            (-0.5 * distance * distance).exp()
        })
    }
}

/// What speaks for output `class` in each image.
fn evidence(network: &Network, images: &Array4<f32>, class: usize) -> Result<Vec<f32>, NetworkError> {
    let outputs = network.forward(images)?;
    if let Some(image) = outputs.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
        return Err(NetworkError::OutputNotFinite { image });
    }
    let softmax = matches!(network.spec().loss, Loss::SoftmaxCrossEntropy(_)) && outputs.ncols() > 1;
    let one = |row: ArrayView1<f32>| if softmax { log_odds(row, class) } else { row[class] };
    Ok(outputs.rows().into_iter().map(one).collect())
}

/// `z_class - log sum exp z_other`
fn log_odds(logits: ArrayView1<f32>, class: usize) -> f32 {
    let others = || logits.slice(s![..class]).into_iter().chain(logits.slice(s![class + 1..]));
    let largest = others().fold(f32::NEG_INFINITY, |most, z| most.max(*z));
    let sum: f32 = others().map(|z| (z - largest).exp()).sum();
    logits[class] - largest - sum.ln()
}
