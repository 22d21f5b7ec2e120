//! Puts together a residual network of one's own, and saves and loads it.

use floret::checkpoint::{ModelInfo, load_model, save_model};
use floret::data::Preprocess;
use floret::network::Network;
use floret::nn::{
    BatchNorm, Conv2d, Dense, Dropout, GlobalAvgPool, Init, MaxPool2d, Padding, Relu, Residual,
};
use ndarray::Array4;

/// A convolution before a batch norm, which needs no bias.
fn conv(filters: usize, stride: usize) -> Conv2d {
    Conv2d::new(filters, 3).stride(stride).kernel_init(Init::HeNormal).no_bias()
}

/// Two convolutions with a way around them, which halve height and width.
fn block(filters: usize) -> Residual {
    Residual::new()
        .body(conv(filters, 2))
        .body(BatchNorm::new())
        .body(Relu)
        .body(conv(filters, 1))
        .body(BatchNorm::new())
        .shortcut(Conv2d::new(filters, 1).stride(2).no_bias())
        .shortcut(BatchNorm::new())
}

pub fn main() -> floret::Result<()> {
    let network = Network::builder((32, 32, 3))
        .add_named("stem", Conv2d::new(8, (5, 3)).padding(Padding::Same))
        .add(Relu)
        .add(MaxPool2d::new((2, 2)))
        .add_named("block_1", block(16))
        .add(Relu)
        .add_named("block_2", block(32))
        .add(Relu)
        .add(GlobalAvgPool)
        .add(Dropout::new(0.2))
        .add_named("logits", Dense::new(3))
        .seed(7)
        .build()?;
    println!("{}", network.summary());

    let path = std::env::temp_dir().join(format!("floret-own-network-{}.safetensors", std::process::id()));
    let classes = ["daisy", "rose", "tulip"].map(String::from).to_vec();
    save_model(&path, &network, &ModelInfo { classes, preprocess: Preprocess::new(32) })?;
    let (loaded, info) = load_model(&path)?;
    std::fs::remove_file(&path).expect("the file was just read");

    let image = Array4::from_shape_fn((1, 32, 32, 3), |(_, y, x, c)| (y * x + c) as f32 / 500.0 - 1.0);
    assert_eq!(loaded.forward(&image)?, network.forward(&image)?);
    println!("saved and loaded: {}", info.classes.join(", "));
    Ok(())
}
