//! `predict`: what a trained network sees in photos.

use std::fs;
use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, load_model};
use floret::image::DecodeOptions;
use floret::network::Network;
use ndarray::{Array4, Axis};
use rayon::prelude::*;

use crate::data;
use crate::{Result, report};

/// Classify photos: the most probable classes of each, with probabilities.
#[derive(clap::Args)]
pub struct Args {
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Photos, or folders of photos
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// How many classes to show for each photo
    #[arg(long, value_parser = data::positive, value_name = "N", default_value = "3")]
    top: usize,
}

/// Photos decoded and classified at a time.
const BATCH: usize = 64;

pub fn run(args: &Args) -> Result<()> {
    let (mut network, info) = load_model(&args.model)?;
    let mut photos = Vec::new();
    for path in &args.photos {
        list(path, &mut photos)?;
    }
    let mut bad = 0;
    for photos in photos.chunks(BATCH) {
        bad += predict(&mut network, &info, photos, args.top)?;
    }
    match bad {
        0 => Ok(()),
        bad => Err(format!("{bad} of {} photos could not be read; see above", photos.len()).into()),
    }
}

/// `path` itself, or the files of the folder `path` (hidden ones and sub-folders aside), by name.
fn list(path: &Path, photos: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        photos.push(path.into());
        return Ok(());
    }
    let failed = |error| format!("cannot read the folder {}: {error}", path.display());
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            inside.push(entry.path());
        }
    }
    if inside.is_empty() {
        return Err(format!("the folder {} holds no photos", path.display()).into());
    }
    inside.sort();
    photos.append(&mut inside);
    Ok(())
}

/// Prints a line for each photo; returns how many could not be read.
fn predict(network: &mut Network, info: &ModelInfo, photos: &[PathBuf], top: usize) -> Result<usize> {
    let options = DecodeOptions::default();
    let inputs: Vec<_> = photos
        .par_iter()
        .map(|path| {
            let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let input = info.preprocess.input(&bytes, &options);
            input.map_err(|error| format!("{}: {error}", path.display()))
        })
        .collect();
    let good: Vec<_> =
        inputs.iter().filter_map(|input| input.as_ref().ok()).map(|image| image.view()).collect();
    let probabilities = match good.is_empty() {
        true => None,
        false => {
            let images: Array4<f32> = ndarray::stack(Axis(0), &good)?;
            Some(network.predict(images.view())?)
        }
    };
    let mut rows = probabilities.iter().flat_map(|p| p.rows());
    for (path, input) in photos.iter().zip(&inputs) {
        match input {
            Err(message) => eprintln!("error: {message}"),
            Ok(_) => {
                let row = rows.next().expect("a row for each photo that was read");
                let mut ranked: Vec<_> = row.iter().zip(&info.classes).collect();
                ranked.sort_by(|a, b| b.0.total_cmp(a.0));
                let answers = ranked.iter().take(top).map(|(probability, class)| {
                    format!("{class} {}", report::percent(Some(f64::from(**probability))))
                });
                println!("{}: {}", path.display(), answers.collect::<Vec<_>>().join(", "));
            }
        }
    }
    Ok(photos.len() - good.len())
}
