//! A layer of one's own: Swish (Ramachandran et al. 2017), in a network that is trained, saved and loaded.

use floret::checkpoint::{ModelInfo, load_model, save_model};
use floret::network::Network;
use floret::nn::{self, Backward, CustomLayer, Dense, Flatten, Forward, Input, Layer, Shape, ShapeError};
use ndarray::Array4;
use serde::{Deserialize, Serialize};

/// `y = x sigmoid(beta x)`: what is saved in the network's file.
#[derive(Debug, Serialize, Deserialize)]
struct Swish {
    beta: f32,
}

impl CustomLayer for Swish {
    const KIND: &'static str = "swish";

    fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError> {
        Ok(Box::new(SwishLayer { shape: input, beta: self.beta }))
    }
}

/// The layer for inputs of one shape: it owns nothing that changes.
#[derive(Debug)]
struct SwishLayer {
    shape: Shape,
    beta: f32,
}

impl Layer for SwishLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _pass: Forward<'_>) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x / (1.0 + (-self.beta * x).exp()));
    }

    fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _pass: Backward<'_>) {
        // y = x s, s = sigmoid(beta x): dx = dy (s + beta x s (1 - s)). x is overwritten by dx.
        let Some(x) = x.gradient() else { return };
        for (x, dy) in x.iter_mut().zip(dy) {
            let s = 1.0 / (1.0 + (-self.beta * *x).exp());
            *x = *dy * (s + self.beta * *x * s * (1.0 - s));
        }
    }
}

pub fn main() -> floret::Result<()> {
    let layers = Network::builder((4, 4, 3)).add(Flatten).add(Dense::new(8)).add(Swish { beta: 1.0 });
    let mut network = layers.add(Dense::new(2)).build()?;
    let images = Array4::from_shape_fn((8, 4, 4, 3), |(n, y, x, _)| ((n + y + x) % 2) as f32);
    network.train_step(&images, &[0, 1, 0, 1, 0, 1, 0, 1], &mut floret::optim::Sgd::new(0.5))?;
    let file = std::env::temp_dir().join("own_layer.safetensors");
    let classes = ["even", "odd"].map(String::from).into();
    save_model(&file, &network, &ModelInfo { classes, preprocess: floret::data::Preprocess::new(4) })?;
    nn::register::<Swish>(); // A program that loads such networks does this once.
    assert_eq!(load_model(&file)?.0.predict(&images)?, network.predict(&images)?);
    Ok(())
}
