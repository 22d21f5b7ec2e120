//! `predict`: what a trained network sees in photos.

use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, load_model};
use floret::image::{self, DecodeOptions, ImageError, PhotoError};
use floret::network::Network;
use ndarray::{Array2, Array3, Array4, ArrayView1, Axis};
use rayon::prelude::*;

use crate::folder::Folder;
use crate::ui::{self, Progress, Unit, note, say};
use crate::{Result, args, messages, report};

/// Classify photos: the most probable classes of each, with probabilities.
///
/// Of a folder every JPEG and PNG file is classified, and other files are passed over with a note; folders in it are not
/// looked into.
#[derive(clap::Args)]
pub struct Args {
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Photos, or folders of photos
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// How many classes to show for each photo
    #[arg(long, value_parser = args::positive, value_name = "N", default_value = "3")]
    top: usize,
}

/// Photos decoded and classified at a time.
const BATCH: usize = 64;

pub fn run(args: &Args) -> Result<()> {
    let (network, info) = load_model(&args.model)?;
    let mut files = Vec::new();
    for path in &args.photos {
        list(path, &mut files)?;
    }
    let progress = Progress::new("classifying", files.len() as u64, Unit::Photos);
    let mut predictor = Predictor { network, info, top: args.top, progress, bad: 0, passed_over: 0 };
    for files in files.chunks(BATCH) {
        predictor.predict(files)?;
    }
    match (predictor.bad, files.len() - predictor.passed_over) {
        (0, 0) => {
            Err(format!("none of the {} is a JPEG or PNG image", ui::count(files.len(), "file")).into())
        }
        (0, _) => Ok(()),
        (bad, photos) => {
            Err(format!("{bad} of {} could not be read; see above", ui::count(photos, "photo")).into())
        }
    }
}

/// A file to classify.
struct PhotoFile {
    path: PathBuf,
    /// Whether it was named, and not just found in a folder: then it must be a photo.
    named: bool,
}

/// `path` itself, or the files of the folder `path`.
fn list(path: &Path, files: &mut Vec<PhotoFile>) -> Result<()> {
    if !path.is_dir() {
        files.push(PhotoFile { path: path.into(), named: true });
        return Ok(());
    }
    let inside = Folder::list(path)?;
    if inside.files.is_empty() {
        let hint = match &inside.folders[..] {
            [] => String::new(),
            folders => format!(" itself, but folders: name those instead: {}", joined(folders)),
        };
        return Err(format!("the folder {} holds no photos{hint}", ui::path(path)).into());
    }
    if !inside.folders.is_empty() {
        note!("note: not looked into the folders {}", joined(&inside.folders));
    }
    if !inside.others.is_empty() {
        note!("note: passed over {}, which are no regular files", joined(&inside.others));
    }
    files.extend(inside.files.into_iter().map(|path| PhotoFile { path, named: false }));
    Ok(())
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| ui::path(path)).collect::<Vec<_>>().join(", ")
}

struct Predictor {
    network: Network,
    info: ModelInfo,
    top: usize,
    progress: Progress,
    /// Photos that could not be read.
    bad: usize,
    /// Files of folders that are no images.
    passed_over: usize,
}

impl Predictor {
    /// Prints a line for each file.
    fn predict(&mut self, files: &[PhotoFile]) -> Result<()> {
        let inputs: Vec<_> = files.par_iter().map(|file| self.input(&file.path)).collect();
        let probabilities = self.probabilities(&inputs)?;
        let mut rows = probabilities.iter().flat_map(|p| p.rows());
        let (mut bad, mut passed_over) = (0, 0);
        self.progress.above(|| {
            for (PhotoFile { path, named }, input) in files.iter().zip(&inputs) {
                let path = ui::path(path);
                match input {
                    Ok(_) => {
                        let row = rows.next().expect("a row for each photo that was read");
                        say!("{path}: {}", self.answers(row));
                    }
                    Err(fault @ PhotoError::Image(ImageError::NotAnImage { .. })) if !named => {
                        note!("note: passed over {path}: {}", messages::photo(fault));
                        passed_over += 1;
                    }
                    Err(fault) => {
                        note!("error: {path}: {}", messages::photo(fault));
                        bad += 1;
                    }
                }
            }
        });
        (self.bad, self.passed_over) = (self.bad + bad, self.passed_over + passed_over);
        self.progress.add(files.len() as u64);
        Ok(())
    }

    /// The most probable classes of a photo.
    fn answers(&self, probabilities: ArrayView1<f32>) -> String {
        let mut ranked: Vec<_> = probabilities.iter().zip(&self.info.classes).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(a.0));
        let answers = ranked.iter().take(self.top).map(|(probability, class)| {
            format!("{} {}", ui::escaped(class), report::percent(Some(f64::from(**probability))))
        });
        answers.collect::<Vec<_>>().join(", ")
    }

    fn input(&self, path: &Path) -> std::result::Result<Array3<f32>, PhotoError> {
        Ok(self.info.preprocess.input(&image::read_photo(path)?, &DecodeOptions::default())?)
    }

    /// A row for each input that was read; `None` if there is none.
    fn probabilities(
        &mut self,
        inputs: &[std::result::Result<Array3<f32>, PhotoError>],
    ) -> Result<Option<Array2<f32>>> {
        let good: Vec<_> =
            inputs.iter().filter_map(|input| input.as_ref().ok()).map(|image| image.view()).collect();
        if good.is_empty() {
            return Ok(None);
        }
        let images: Array4<f32> = ndarray::stack(Axis(0), &good)?;
        Ok(Some(self.network.predict(images.view())?))
    }
}
