//! A training loop of one's own: a schedule, an own change of the gradient, evaluation after each epoch.

use floret::data::Batch;
use floret::network::{Network, NetworkError};
use floret::nn::{Dense, Flatten, Init, Relu};
use floret::optim::{AdamW, Optimizer, Schedule};
use ndarray::Array4;

const EPOCHS: u64 = 5;
const BATCHES: u64 = 4;

/// Sixteen images whose class is their brightest channel.
fn batch(seed: usize) -> (Array4<f32>, Vec<usize>) {
    let labels: Vec<usize> = (0..16).map(|image| (image * 7 + seed) % 3).collect();
    let images = Array4::from_shape_fn((16, 8, 8, 3), |(image, y, x, channel)| {
        let noise = ((image * 31 + y * 17 + x * 13 + channel * 7 + seed * 3) % 11) as f32 / 11.0;
        noise + if channel == labels[image] { 0.5 } else { -0.5 }
    });
    (images, labels)
}

pub fn main() -> floret::Result<()> {
    let mut network = Network::builder((8, 8, 3))
        .add(Flatten)
        .add(Dense::new(16).kernel_init(Init::HeNormal))
        .add(Relu)
        .add(Dense::new(3).kernel_init(Init::HeNormal))
        .build()?;
    let rate = 0.01;
    let mut optimizer = AdamW::new(rate).weight_decay(0.01);
    let schedule = Schedule::cosine(EPOCHS * BATCHES, 2);
    for epoch in 0..EPOCHS {
        let mut losses = 0.0;
        for index in 0..BATCHES {
            let (images, labels) = batch(index as usize);
            optimizer.set_learning_rate(rate * schedule.factor(network.steps()));
            // The parts of `train_step`, each with its guards against values that are not finite.
            let mut pass = network.forward_train(&images)?;
            let (loss, mut gradient) = pass.loss_and_gradient(&labels)?;
            gradient.mapv_inplace(|value| value.clamp(-0.05, 0.05));
            pass.backward(gradient)?;
            network.update(&mut optimizer)?;
            losses += loss;
        }
        let (images, labels) = batch(100);
        let held_out = Batch::new(images, labels);
        let evaluation = network.evaluate([Ok::<_, NetworkError>(held_out)])?;
        let (loss, accuracy) = (losses / BATCHES as f64, evaluation.accuracy());
        println!("epoch {epoch}: loss {loss:.3}, {:.0} % right on other images", 100.0 * accuracy);
    }
    Ok(())
}
