//! No subcommand: the whole job on pictures drawn here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use floret::batch::ClassNames;
use floret::image::Fit;
use floret::record::{Compression, ImageExample, ImageSchema, ShardWriter, find_shards};

use super::train::{self, Augmentation, Recipe, Rule, Settings};
use crate::Result;
use crate::data::{self, DataFolder};
use crate::demo::{self, DemoPhoto};
use crate::ui;

#[derive(clap::Args)]
pub struct Args {
    /// Where the demo's data and its trained network go
    #[arg(long, value_name = "DIR", default_value = "flowers-demo")]
    folder: PathBuf,
    /// Source of the demo's pictures and of its network
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_parser = data::positive, value_name = "N")]
    threads: Option<usize>,
}

/// Pictures drawn, a fifth of them for evaluation.
const PICTURES: usize = 1000;
const EVAL_PICTURES: usize = PICTURES / 5;

/// Shards of each split.
const SHARDS: u32 = 2;

pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    data::use_threads(args.threads)?;
    let data_path = args.folder.join(format!("data-seed-{}", args.seed));
    let run_path = args.folder.join("run");

    println!("== 1. Data");
    if data_path.join("labels.txt").is_file() {
        println!("found the pictures of an earlier run in {}", data_path.display());
    } else {
        let drawn = Instant::now();
        let photos = demo::encoded(args.seed, PICTURES);
        write_shards(&photos, &data_path)?;
        println!(
            "drew {PICTURES} pictures of flowers and wrote them as TFRecords to {} in {}",
            data_path.display(),
            ui::duration(drawn.elapsed().as_secs_f64())
        );
    }
    for shard in find_shards(&[data_path.join("train"), data_path.join("eval")])? {
        println!("  {}", shard.display());
    }

    println!("\n== 2. Training");
    let data = DataFolder::open(&data_path)?;
    train::train(&data, &settings(args.seed), None, &run_path)?;

    let model = run_path.join("model.safetensors");
    println!("== 3. What next (the whole took {})", ui::duration(started.elapsed().as_secs_f64()));
    println!("the model             {}", model.display());
    println!("the training state    {}", run_path.join("training.safetensors").display());
    println!("the data              {}", data_path.display());
    let (flowers, photos) = ("cargo run --release --example flowers --", "PHOTOS_DIR");
    println!("\nWith photos of your own, in {photos} with one sub-folder a class:");
    println!("  {flowers} convert {photos} data");
    println!("  {flowers} train --data data --out run");
    println!("  {flowers} predict --model run/model.safetensors PHOTO...");
    println!("or ask this network about any picture:");
    println!("  {flowers} predict --model {} PHOTO...", model.display());
    Ok(())
}

/// What learns the drawn flowers well within a minute on two cores.
fn settings(seed: u64) -> Settings {
    Settings {
        image_size: 48,
        batch_size: 32,
        epochs: 12,
        optimizer: Rule::Momentum,
        learning_rate: 0.02,
        fit: Fit::Resize,
        augment: Augmentation::Light,
        recipe: Recipe::Default,
        seed,
    }
}

fn write_shards(photos: &[DemoPhoto], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let classes: Vec<String> = demo::class_names().map(String::from).collect();
    let (eval, train) = photos.split_at(EVAL_PICTURES);
    for (prefix, photos) in [("train", train), ("eval", eval)] {
        let mut shards = ShardWriter::create(folder, prefix, SHARDS, Compression::Plain)?;
        for photo in photos {
            shards.write(&example(photo, &classes).encode(&ImageSchema::default()))?;
        }
        shards.finish()?;
    }
    // Last: its presence says that the shards are whole.
    Ok(ClassNames::new(classes).write(folder.join("labels.txt"))?)
}

fn example(photo: &DemoPhoto, classes: &[String]) -> ImageExample {
    ImageExample {
        encoded: photo.jpeg.clone(),
        label: photo.class as i64 + 1,
        class_text: Some(classes[photo.class].clone()),
        filename: Some(photo.filename.clone()),
        height: Some(photo.height.into()),
        width: Some(photo.width.into()),
        format: Some("JPEG".into()),
        colorspace: Some("RGB".into()),
        channels: Some(3),
    }
}
