//! Networks ready to train.

use crate::network::{Network, NetworkBuilder};
use crate::nn::{BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, Init, MaxPool2d, Relu, Residual};

/// The reference network, from a well-known TensorFlow-1 flower script.
///
/// Five blocks of 5x5 convolution (32, 64, 128, 256, 256 channels, stride 1, SAME), ReLU and 2x2 max-pool; flatten; dense
/// layers of 2048, 256 and 64 with ReLU, dropout before the second; dense to `classes`. Weights truncated normal
/// (stddev 0.05), biases 0.02. `image_size` is the side of the square input, at least 32; `dropout` 0 leaves it out.
///
/// The weights begin as the script's: with a stddev of 0.05 everywhere, whatever a layer's fan-in. Call
/// [`seed_with`] for a variance that fits.
pub fn seed(image_size: usize, classes: usize, dropout: f32) -> NetworkBuilder {
    seed_with(image_size, classes, dropout, Init::TRUNCATED_NORMAL)
}

/// [`seed`] with another initializer of the kernels: He's keeps the variance through the layers, which trains sooner.
pub fn seed_with(image_size: usize, classes: usize, dropout: f32, kernels: Init) -> NetworkBuilder {
    let bias = Init::Constant(0.02);
    let mut builder = Network::builder((image_size, image_size, 3));
    for (block, filters) in [32, 64, 128, 256, 256].into_iter().enumerate() {
        builder = builder
            .add_named(
                format!("conv{}", block + 1),
                Conv2d::new(filters, 5).kernel_init(kernels).bias_init(bias),
            )
            .add(Relu)
            .add(MaxPool2d::new(2));
    }
    builder = builder.add(Flatten);
    for (layer, units) in [2048, 256, 64].into_iter().enumerate() {
        let dense = Dense::new(units).kernel_init(kernels).bias_init(bias);
        builder = builder.add_named(format!("fc{}", layer + 1), dense).add(Relu);
        if layer == 0 && dropout > 0.0 {
            builder = builder.add(Dropout::new(dropout));
        }
    }
    builder.add_named("logits", Dense::new(classes).kernel_init(kernels).bias_init(bias))
}

/// A small network of 3x3 convolutions in the manner of VGG (Simonyan and Zisserman 2015).
///
/// Three groups of two convolutions (64, 128, 256 channels) with ReLU, each group followed by a 2x2 max-pool; the mean over
/// all pixels; dense to `classes`. Kernels begin as He's, biases 0. `image_size` is the side of the square input.
pub fn vgg(image_size: usize, classes: usize) -> NetworkBuilder {
    let mut builder = Network::builder((image_size, image_size, 3));
    for filters in [64, 128, 256] {
        for _ in 0..2 {
            builder = builder.add(Conv2d::new(filters, 3).kernel_init(Init::HeNormal)).add(Relu);
        }
        builder = builder.add(MaxPool2d::new(2));
    }
    builder.add(GlobalAvgPool).add_named("logits", Dense::new(classes).kernel_init(Init::HeNormal))
}

/// A residual network with batch norm for small photos and few cores (He et al. 2016, Ioffe and Szegedy 2015).
///
/// A stem of a 5x5 convolution, ReLU, 2x2 max-pool and batch norm with the first of `widths` channels; for each further width
/// the same with a 3x3 convolution, then a residual block of two 3x3 convolutions, each with ReLU and batch norm; the mean over
/// all pixels; dropout; dense to `classes`. Kernels begin as He's, biases 0.
///
/// The first convolution of each stage is followed by ReLU and pooling at once, which floret computes in one pass, and batch
/// norm comes behind them, where there are a quarter of the values. No weight depends on the image size, so the network can
/// train on [small images first](crate::train::Stage). `image_size` is the side of the square input (under
/// `2^widths.len()` the last stages see a single pixel); `dropout` 0 leaves it out.
pub fn residual(image_size: usize, classes: usize, widths: &[usize], dropout: f32) -> NetworkBuilder {
    let mut builder = Network::builder((image_size, image_size, 3));
    for (stage, &width) in widths.iter().enumerate() {
        let kernel = if stage == 0 { 5 } else { 3 };
        builder = builder
            .add_named(format!("conv{}", stage + 1), Conv2d::new(width, kernel).kernel_init(Init::HeNormal))
            .add(Relu)
            .add(MaxPool2d::new(2))
            .add(BatchNorm::new());
        if stage > 0 {
            let block = (0..2).fold(Residual::new(), |block, _| {
                let conv = Conv2d::new(width, 3).kernel_init(Init::HeNormal);
                block.body(conv).body(Relu).body(BatchNorm::new())
            });
            builder = builder.add_named(format!("block{}", stage + 1), block);
        }
    }
    builder = builder.add(GlobalAvgPool);
    if dropout > 0.0 {
        builder = builder.add(Dropout::new(dropout));
    }
    builder.add_named("logits", Dense::new(classes).kernel_init(Init::HeNormal))
}

/// The [`residual`] network for photos of about 64 pixels and two cores: 32, 64, 128 and 256 channels, 1.9 million weights.
pub fn residual_small(image_size: usize, classes: usize, dropout: f32) -> NetworkBuilder {
    residual(image_size, classes, &[32, 64, 128, 256], dropout)
}

/// The [`residual`] network for photos of about 96 to 144 pixels: one more stage of 256 channels, 3.7 million weights.
pub fn residual_large(image_size: usize, classes: usize, dropout: f32) -> NetworkBuilder {
    residual(image_size, classes, &[32, 64, 128, 256, 256], dropout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(builder: NetworkBuilder) -> usize {
        builder.build().unwrap().gradients().map(|(param, _)| param.len()).sum()
    }

    /// By hand, with k x k x in x out weights and a bias of each convolution, two values a channel of each batch norm.
    #[test]
    fn the_residual_networks_have_the_layers_they_are_said_to_have() {
        let conv = |kernel: usize, from: usize, to: usize| (kernel * kernel * from + 1) * to;
        let stage = |from, to| conv(3, from, to) + 2 * to + 2 * (conv(3, to, to) + 2 * to);
        let stem = conv(5, 3, 32) + 2 * 32;
        let small = stem + stage(32, 64) + stage(64, 128) + stage(128, 256) + (256 + 1) * 5;
        assert_eq!(small, 1_943_173);
        // Of whatever image size.
        assert_eq!([16, 64, 96].map(|size| weights(residual_small(size, 5, 0.2))), [small; 3]);
        assert_eq!(weights(residual_large(128, 5, 0.0)), small + stage(256, 256));
        let layers = |dropout| residual(64, 5, &[8, 16], dropout).build().unwrap().spec().layers.len();
        // Stem of four, stage of five, mean, logits; and dropout.
        assert_eq!([0.0, 0.2].map(layers), [11, 12]);
    }
}
