//! `predict`: what a trained network sees in photos.

mod records;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use floret::data::Picture;
use floret::files::write_atomically;
use floret::image::{DecodeOptions, ImageError, PhotoError, read_photo};
use floret::{Classifier, ClassifyError, Prediction};
use rayon::prelude::*;
use serde::Serialize;

use self::records::{Photo, Records};
use crate::files::is_of_records;
use crate::folder::Folder;
use crate::heat_map::heat_map;
use crate::ui::{self, Progress, Unit, note, say};
use crate::{Result, args};

/// Classify photos: the most probable classes of each, with probabilities.
///
/// A folder has every photo in it classified, and other files passed over with a note; folders in it are not looked into. A file of
/// TFRecords (.tfrecord, .tfrec, ...) has the photo of each record classified, image file or pixels, under the name that the record gives
/// it; it needs no label.
#[derive(clap::Args)]
pub struct Args {
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Photos, folders of photos, or files of records
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// How many classes to show for each photo
    #[arg(long, value_parser = args::positive, value_name = "N", default_value = "3")]
    top: usize,
    /// Most pixels that a photo may have; decoding one takes up to fifteen bytes for each
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N", default_value_t = DecodeOptions::default().max_pixels)]
    max_pixels: u64,
    /// Print a line of JSON for each photo: its file, the most probable class, and the probability of every class, or what is
    /// wrong with it
    #[arg(long)]
    json: bool,
    /// Print a table, comma-separated: a line for each photo with its name (without folders, or as its record has it), its class and the
    /// class's probability. What can't be read is left out, and said
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Draw what the answer rests on, as a PNG file: the photo, and beside it a map of where covering it costs the answer most
    /// (occlusion sensitivity). For one photo
    #[arg(long, value_name = "PNG")]
    explain: Option<PathBuf>,
}

/// Photos whose answers are printed at a time.
const BATCH: usize = 64;

pub fn run(args: &Args) -> Result<()> {
    let options = DecodeOptions { max_pixels: args.max_pixels, ..DecodeOptions::default() };
    let classifier = Classifier::load(&args.model)?.decode_options(options);
    let (shards, photos): (Vec<&PathBuf>, Vec<_>) =
        args.photos.iter().partition(|path| path.is_file() && is_of_records(path));
    let mut files = Vec::new();
    for path in photos {
        list(path, &mut files)?;
    }
    if args.explain.is_some() && files.len() != 1 {
        let photos = ui::count(files.len(), "photo");
        return Err(
            format!("--explain draws one picture, but {photos} are to be classified: name one").into()
        );
    }
    let form = match (args.json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text { top: args.top },
    };
    if args.csv {
        say!("id,class,probability");
    }
    let mut predictor = Predictor { classifier, form, photos: 0, bad: 0 };
    if !files.is_empty() {
        let progress = Progress::new("classifying", files.len() as u64, Unit::Photos);
        files.chunks(BATCH).for_each(|files| predictor.predict(files, &progress));
    }
    if !shards.is_empty() {
        let bytes = shards.iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).sum();
        let progress = Progress::new("classifying records", bytes, Unit::Bytes);
        shards.into_iter().try_for_each(|path| predictor.predict_records(path, &progress))?;
    }
    match (predictor.bad, predictor.photos) {
        (0, 0) => {
            return Err(format!(
                "none of the {} is a photo (JPEG, PNG, WebP, GIF, BMP, TIFF)",
                ui::count(files.len(), "file")
            )
            .into());
        }
        (0, _) => {}
        (bad, photos) => {
            return Err(
                format!("{bad} of {} could not be read; see above", ui::count(photos, "photo")).into()
            );
        }
    }
    match (&args.explain, &files[..]) {
        (Some(picture), [file]) => explain(&predictor.classifier, &file.path, picture),
        _ => Ok(()),
    }
}

/// Draws what the answer for a photo rests on.
fn explain(classifier: &Classifier, photo: &Path, picture: &Path) -> Result<()> {
    let encoded = read_photo(photo)?;
    let explanation = classifier.explain(&encoded)?;
    let file = heat_map(&encoded, classifier, &explanation.map)?;
    write_atomically(picture, |to| to.write_all(&file))?;
    let class = ui::escaped(explanation.prediction.best().0).into_owned();
    note!("wrote {}: where the photo speaks for {class}", ui::path(picture));
    Ok(())
}

/// A file to classify.
struct PhotoFile {
    path: PathBuf,
    /// Whether it was named, and not just found in a folder: then it must be a photo.
    named: bool,
}

impl AsRef<Path> for PhotoFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
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

/// How answers are printed.
enum Form {
    /// The most probable classes.
    Text { top: usize },
    /// Everything, for other programs.
    Json,
    /// A table.
    Csv,
}

/// A line of JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Answer { file: &'a str, class: &'a str, probability: f32, probabilities: &'a Prediction },
    Fault { file: &'a str, error: String },
}

impl Line<'_> {
    fn print(&self) {
        say!("{}", ui::json_line(self));
    }
}

struct Predictor {
    classifier: Classifier,
    form: Form,
    /// Photos so far, without the files of folders that are none.
    photos: usize,
    /// Those that could not be read.
    bad: usize,
}

impl Predictor {
    /// Prints a line for each file.
    fn predict(&mut self, files: &[PhotoFile], progress: &Progress) {
        let answers = self.classifier.classify_files(files);
        progress.above(|| {
            for (PhotoFile { path, named }, answer) in files.iter().zip(answers) {
                match answer {
                    Err(error @ ClassifyError::Photo(PhotoError::Image(ImageError::NotAnImage { .. })))
                        if !named =>
                    {
                        note!("note: passed over {}: {error}", ui::path(path));
                    }
                    answer => self.answer(&path.to_string_lossy(), path.file_name(), answer),
                }
            }
        });
        progress.add(files.len() as u64);
    }

    /// Prints a line for each record of a file.
    fn predict_records(&mut self, path: &Path, progress: &Progress) -> Result<()> {
        let mut records = Records::open(path, progress)?;
        loop {
            let photos: Vec<Photo> = records.by_ref().take(BATCH).collect();
            if photos.is_empty() {
                return Ok(());
            }
            let classify = |Photo { name, picture }| {
                let answer = match picture {
                    Ok(Picture::File(bytes)) => self.classifier.classify(&bytes),
                    Ok(Picture::Levels(levels)) => self.classifier.classify_image(levels.view()),
                    Err(error) => return (name, Err(error)),
                };
                (name, answer.map_err(|error| error.to_string()))
            };
            let answers: Vec<_> = photos.into_par_iter().map(classify).collect();
            progress.above(|| {
                for (name, answer) in answers {
                    self.answer(&name, Some(OsStr::new(&name)), answer);
                }
            });
        }
    }

    /// Prints what the photo `file`, called `name` without its folder, shows, or what is wrong with it.
    fn answer(
        &mut self,
        file: &str,
        name: Option<&OsStr>,
        answer: std::result::Result<Prediction, impl ToString>,
    ) {
        self.photos += 1;
        match answer {
            Ok(prediction) => self.print(file, name, &prediction),
            Err(error) => {
                self.bad += 1;
                self.fail(file, &error.to_string());
            }
        }
    }

    fn fail(&self, file: &str, error: &str) {
        ui::error!("{}: {error}", ui::escaped(file));
        if let Form::Json = self.form {
            Line::Fault { file, error: error.to_owned() }.print();
        }
    }

    fn print(&self, file: &str, name: Option<&OsStr>, prediction: &Prediction) {
        match self.form {
            Form::Json => {
                let (class, probability) = prediction.best();
                Line::Answer { file, class, probability, probabilities: prediction }.print();
            }
            Form::Text { top } => {
                let answers = prediction.top(top).into_iter().map(|(class, probability)| {
                    format!("{} {}", ui::escaped(class), ui::percent(Some(f64::from(probability))))
                });
                say!("{}: {}", ui::escaped(file), answers.collect::<Vec<_>>().join(", "));
            }
            Form::Csv => {
                let (class, probability) = prediction.best();
                let name = ui::escaped(&name.unwrap_or_default().to_string_lossy()).into_owned();
                let mut csv = csv::Writer::from_writer(Vec::new());
                let written = csv.write_record([&*name, class, &format!("{probability:.6}")]);
                let line =
                    written.ok().and_then(|()| csv.into_inner().ok()).expect("memory takes every byte");
                say!("{}", String::from_utf8_lossy(&line).trim_end());
            }
        }
    }
}
