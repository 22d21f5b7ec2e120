//! `bench`: how fast this machine trains, or reads photos, as JSON lines.

mod layers;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use floret::data::{LoaderOptions, Preprocess};
use floret::image::Fit;
use floret::models;
use floret::network::{Network, NetworkBuilder};
use floret::nn::Shape;
use floret::optim::Sgd;
use floret::recipe::{DataFolder, require_memory};
use ndarray::Array4;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::args::{self, Flags, OfPipeline, Threads};
use crate::commands::import;
use crate::files::{TRAIN, is_onnx_name};
use crate::ui::{quietly, say};
use crate::{Result, data, messages};

/// Measure a training step and a forward pass of a network on random data, or the input pipeline.
///
/// Prints JSON: one line for the step (median of --steps, after two to warm up), one line an epoch for the pipeline. With --layers
/// a table follows: the time of each layer in each pass, and its share of the multiply-adds that this machine can do.
#[derive(clap::Args)]
pub struct Args {
    /// Which network
    #[arg(long, value_enum, default_value = "reference")]
    network: Model,
    /// A network of a file instead: a model, or an ONNX graph
    #[arg(long, value_name = "FILE", conflicts_with_all = ["network", "pipeline"])]
    model: Option<PathBuf>,
    /// Side of the square image, in pixels [default: 64, or the model's]
    #[arg(long, value_parser = args::image_size, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Photos in a step
    #[arg(long, value_parser = args::positive, value_name = "N", default_value = "64")]
    batch_size: usize,
    /// Steps to measure
    #[arg(long, value_parser = args::positive, value_name = "N", default_value = "8")]
    steps: usize,
    /// Show where the time goes, layer by layer
    #[arg(long, conflicts_with = "pipeline")]
    layers: bool,
    #[command(flatten)]
    threads: Threads,
    /// Measure the input pipeline instead: photos a second from the train shards of --data
    #[arg(long, requires = "data")]
    pipeline: bool,
    /// Folder with train-* and labels.txt
    #[arg(long, value_name = "DIR", requires = "pipeline")]
    data: Option<PathBuf>,
    /// How a photo becomes a square
    #[arg(long, value_name = "crop|resize|resize-crop", default_value = "crop", requires = "pipeline")]
    fit: Fit,
    #[command(flatten)]
    records: Flags<OfPipeline>,
    /// Keep decoded photos in memory after the first epoch
    #[arg(long, requires = "pipeline")]
    cache: bool,
    /// Train the network on the batches as they come
    #[arg(long, requires = "pipeline")]
    train: bool,
    /// Epochs to read
    #[arg(long, value_parser = args::positive, value_name = "N", default_value = "3", requires = "pipeline")]
    epochs: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Model {
    /// Five 5x5 convolutions and four dense layers
    Reference,
    /// Six 3x3 convolutions and a dense layer
    Vgg,
    /// Residual, with batch norm: what `flowers train` trains on small images
    Small,
    /// The same with one stage more, for larger ones
    Large,
}

const PEER: &str = concat!("floret ", env!("CARGO_PKG_VERSION"));

pub fn run(args: &Args) -> Result<()> {
    args.threads.apply()?;
    match &args.data {
        Some(folder) => {
            let choices = &args.records.choices;
            // What is printed is JSON.
            let data = quietly(|| data::open(folder, choices.label_offset, choices.max_pixels))?;
            pipeline(args, &data)
        }
        None => step(args),
    }
}

/// The side of the images of a network that is not of a file, if none is asked for.
const IMAGE_SIZE: usize = 64;

fn step(args: &Args) -> Result<()> {
    let batch = args.batch_size;
    let mut network = match &args.model {
        Some(file) => {
            let network = read(file, args.image_size)?;
            let builder = NetworkBuilder::from_spec(network.spec().clone());
            require_memory(&builder, batch, side(&network)).map_err(messages::recipe)?;
            network
        }
        None => {
            let builder = network(args, 5);
            require_memory(&builder, batch, args.image_size.unwrap_or(IMAGE_SIZE))
                .map_err(messages::recipe)?;
            builder.build()?
        }
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let shape = network.input();
    let Shape::Image { height, width, channels } = shape else {
        return Err(format!("the network takes {shape}, and images are wanted").into());
    };
    let images =
        Array4::from_shape_simple_fn((batch, height, width, channels), || rng.random_range(-1.7f32..1.7));
    let labels: Vec<usize> = (0..batch).map(|i| i % network.outputs()).collect();
    // So small that weights which are not made for such images stay finite.
    let mut optimizer = Sgd::new(if args.model.is_some() { 1e-12 } else { 5e-4 });
    let train_ms = median_ms(args.steps, || {
        network.train_step(images.view(), &labels, &mut optimizer)?;
        Ok(())
    })?;
    let peak_mb = peak_megabytes();
    let forward_ms = median_ms(args.steps, || {
        network.forward(images.view())?;
        Ok(())
    })?;
    let line = json!({
        "peer": PEER, "size": height, "batch": batch, "threads": rayon::current_num_threads(),
        "train_ms": hundredths(train_ms), "train_img_s": hundredths(batch as f64 / train_ms * 1e3),
        "forward_ms": hundredths(forward_ms), "peak_mb": peak_mb,
    });
    say!("{line}");
    if args.layers {
        layers::show(&mut network, &images, args.steps)?;
    }
    Ok(())
}

/// The network of a model file or an ONNX graph.
fn read(file: &Path, image_size: Option<usize>) -> Result<Network> {
    let mut network = match is_onnx_name(file) {
        true => import::onnx::read(file, image_size)?.network,
        false => Network::load(file)?,
    };
    if let (Some(size), Shape::Image { channels, .. }) = (image_size, network.input()) {
        network.set_input((size, size, channels))?;
    }
    Ok(network)
}

/// The height of the images that a network takes.
fn side(network: &Network) -> usize {
    match network.input() {
        Shape::Image { height, .. } => height,
        _ => 1,
    }
}

fn network(args: &Args, classes: usize) -> NetworkBuilder {
    let image_size = args.image_size.unwrap_or(IMAGE_SIZE);
    match args.network {
        Model::Reference => models::seed(image_size, classes, 0.0),
        Model::Vgg => models::vgg(image_size, classes),
        Model::Small => models::residual_small(image_size, classes, 0.0),
        Model::Large => models::residual_large(image_size, classes, 0.0),
    }
}

fn pipeline(args: &Args, data: &DataFolder) -> Result<()> {
    let image_size = args.image_size.unwrap_or(IMAGE_SIZE);
    let preprocess = Preprocess::new(image_size).fit(args.fit);
    let mut options = LoaderOptions::new(preprocess, data.classes.len());
    args.records.choices.read_records(&mut options);
    options.batch_size = args.batch_size;
    options.cache_bytes = if args.cache { u64::MAX } else { 0 };
    let loader = data::loader(data, TRAIN, options)?;
    let mut trained = None;
    if args.train {
        let builder = network(args, data.classes.len());
        let batch_size = args.batch_size.min(loader.len());
        require_memory(&builder, batch_size, image_size).map_err(messages::recipe)?;
        trained = Some((builder.build()?, Sgd::new(5e-4)));
    }
    for epoch in 0..args.epochs {
        let (started, mut images) = (Instant::now(), 0);
        for batch in loader.epoch(epoch as u64) {
            let batch = batch?;
            images += batch.labels.len();
            if let Some((network, optimizer)) = &mut trained {
                network.train_step(batch.images.view(), &batch.labels, optimizer)?;
            }
        }
        let img_s = images as f64 / started.elapsed().as_secs_f64();
        let line = json!({
            "peer": PEER, "fit": args.fit.to_string(), "size": image_size, "cache": args.cache, "train": args.train,
            "epoch": epoch, "images": images, "img_s": img_s.round(),
        });
        say!("{line}");
    }
    Ok(())
}

fn median_ms(steps: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    work()?;
    let mut times = Vec::with_capacity(steps);
    for _ in 0..steps {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[(steps - 1) / 2] + times[steps / 2]) / 2.0)
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The most memory this process has held, where the system tells (Linux).
fn peak_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
