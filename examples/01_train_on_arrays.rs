//! Trains a small network on images that are already in memory.

use floret::network::Network;
use floret::nn::{Conv2d, Dense, Flatten, Init, MaxPool2d, Relu};
use floret::optim::Sgd;
use ndarray::Array4;

pub fn main() -> floret::Result<()> {
    // 32 images of 16x16 pixels in RGB: horizontal stripes are class 0, vertical ones class 1.
    let labels: Vec<usize> = (0..32).map(|image| image % 2).collect();
    let images = Array4::from_shape_fn((32, 16, 16, 3), |(image, y, x, _)| {
        let along = if labels[image] == 0 { y } else { x };
        if (along + image / 2) % 4 < 2 { 1.0 } else { -1.0 }
    });

    let mut network = Network::builder((16, 16, 3))
        .add(Conv2d::new(8, 3).kernel_init(Init::HeNormal))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(2))
        .seed(1)
        .build()?;
    let mut optimizer = Sgd::new(0.05).momentum(0.9);
    for _ in 0..20 {
        let report = network.train_step(&images, &labels, &mut optimizer)?;
        println!("step {}: loss {:.3}, {} of 32 right", report.step, report.loss, report.correct);
    }

    let probabilities = network.predict(&images)?;
    let right = probabilities.rows().into_iter().zip(&labels).filter(|(row, label)| row[**label] > 0.5);
    assert_eq!(right.count(), 32);
    Ok(())
}
