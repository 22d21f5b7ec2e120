//! No subcommand: the whole job on pictures drawn here.

use std::path::{Path, PathBuf};
use std::time::Instant;

use floret::checkpoint::{SavedTraining, load_training};
use floret::data::ClassNames;
use floret::files::create_folder;
use floret::recipe::{
    Architecture, Augmentation, Census, Choices, Conflict, FIRST_LABEL, Regularization, Settings, Training,
};
use floret::record::{Compression, ImageExample, ImageSchema, ShardWriter, find_shards};

use super::train::{self, Logging, Saving};
use crate::Result;
use crate::args::Threads;
use crate::demo::{self, DemoPhoto};
use crate::files::{EVAL, LABELS, MODEL, REPORT, TRAIN, TRAINING};
use crate::ui::{self, say};

#[derive(clap::Args)]
pub struct Args {
    /// Where the demo's data and its trained network go
    #[arg(long, value_name = "DIR", default_value = "flowers-demo")]
    folder: PathBuf,
    /// Source of the demo's pictures and of its network
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
}

/// Pictures drawn, a fifth of them for evaluation.
const PICTURES: usize = 1000;
const EVAL_PICTURES: usize = PICTURES / 5;

/// Shards of each split.
const SHARDS: u32 = 2;

pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    args.threads.apply()?;
    ui::outlive_reader();
    let data_path = args.folder.join(format!("data-seed-{}", args.seed));
    let run_path = args.folder.join(format!("run-seed-{}", args.seed));

    say!("== 1. Data");
    if data_path.join(LABELS).is_file() {
        say!("found the pictures of an earlier run in {}", data_path.display());
    } else {
        let drawn = Instant::now();
        let photos = demo::encoded(args.seed, PICTURES);
        write_shards(&photos, &data_path)?;
        say!(
            "drew {PICTURES} pictures of flowers and wrote them as TFRecords to {} in {}",
            data_path.display(),
            ui::duration(drawn.elapsed().as_secs_f64())
        );
    }
    for shard in find_shards(&[data_path.join(TRAIN), data_path.join(EVAL)])? {
        say!("  {}", shard.display());
    }

    say!("\n== 2. Training");
    let run = train::claim(&run_path)?;
    let settings = settings(args.seed)?;
    let saved = earlier(&run_path, &settings)?;
    let training = Training::new(&data_path).settings(settings);
    let training = saved.into_iter().fold(training, Training::resume);
    train::train(training, run, Saving::default(), &Logging::default())?;

    let model = run_path.join(MODEL);
    say!("== 3. What next (the whole took {})", ui::duration(started.elapsed().as_secs_f64()));
    say!("the model             {}", model.display());
    say!("the training state    {}", run_path.join(TRAINING).display());
    say!("the report            {}", run_path.join(REPORT).display());
    say!("the data              {}", data_path.display());
    let (flowers, photos) = ("cargo run --release --example flowers --", "PHOTOS_DIR");
    say!("\nWith photos of your own, in {photos} with one sub-folder a class:");
    say!("  {flowers} convert {photos} data");
    say!("  {flowers} train --data data --out run");
    say!("  {flowers} predict --model run/model.safetensors PHOTO...");
    say!("or ask this network about any picture:");
    say!("  {flowers} predict --model {} PHOTO...", ui::shell(&model));
    Ok(())
}

/// The state of an earlier demo to go on from. One that came to its end is trained again: the network will be the same.
fn earlier(run: &Path, settings: &Settings) -> Result<Option<SavedTraining>> {
    let path = run.join(TRAINING);
    if !path.exists() {
        return Ok(None);
    }
    let saved = load_training(&path)?;
    if saved.settings != serde_json::to_value(settings)? {
        return Err(format!(
            "{} holds a run that is no longer the demo's: move it away, or choose another folder (--folder)",
            run.display()
        )
        .into());
    }
    let unfinished = saved.progress.step > 0 && saved.progress.epoch < settings.epochs as u64;
    Ok(unfinished.then_some(saved))
}

/// What learns the drawn flowers well within a minute on two cores.
fn settings(seed: u64) -> std::result::Result<Settings, Conflict> {
    let choices = Choices {
        epochs: Some(12),
        image_size: Some(48),
        network: Some(Architecture::Reference),
        batch_size: Some(32),
        augment: Some(Augmentation::Light),
        seed: Some(seed),
        dropout: Some(Regularization::SCRIPT.dropout),
        label_smoothing: Some(0.0),
        mixup: Some(0.0),
        cutmix: Some(0.0),
        average: Some(0.0),
        test_time_flip: Some(false),
        ..Choices::default()
    };
    let classes = demo::class_names().count();
    let photos = ((PICTURES - EVAL_PICTURES) / classes) as u64;
    Settings::new(&choices, &Census::new(vec![photos; classes]))
}

fn write_shards(photos: &[DemoPhoto], folder: &Path) -> Result<()> {
    create_folder(folder)?;
    let classes: Vec<String> = demo::class_names().map(String::from).collect();
    let (eval, train) = photos.split_at(EVAL_PICTURES);
    for (prefix, photos) in [(TRAIN, train), (EVAL, eval)] {
        let mut shards = ShardWriter::create(folder, prefix, SHARDS, Compression::Plain)?;
        for photo in photos {
            shards.write(&example(photo, &classes).encode(&ImageSchema::default()))?;
        }
        shards.finish()?;
    }
    // Last: its presence says that the shards are whole.
    Ok(ClassNames::new(classes).write(folder.join(LABELS))?)
}

fn example(photo: &DemoPhoto, classes: &[String]) -> ImageExample {
    ImageExample {
        encoded: photo.jpeg.clone(),
        label: photo.class as i64 + FIRST_LABEL,
        class_text: Some(classes[photo.class].clone()),
        filename: Some(photo.filename.clone()),
        height: Some(photo.height.into()),
        width: Some(photo.width.into()),
        format: Some("JPEG".into()),
        colorspace: Some("RGB".into()),
        channels: Some(3),
        pixels: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Other ones would keep a demo from going on where an earlier one was.
    #[test]
    fn the_settings_are_those_of_earlier_demos() {
        let settings = settings(7).unwrap();
        let wanted = json!({
            "network": "reference", "image_size": 48, "train_sizes": [48], "batch_size": 32, "drop_last": false, "epochs": 12,
            "evaluate_every": 1, "optimizer": "momentum", "learning_rate": 0.02f32, "fit": "resize", "augment": "light",
            "dropout": 0.5, "label_smoothing": 0.0, "weight_decay": 5e-4f32, "mix": null, "average": null,
            "test_time_flip": false, "recipe": "default", "seed": 7, "label_offset": 1, "skip_bad": false,
        });
        assert_eq!(serde_json::to_value(settings).unwrap(), wanted);
    }
}
