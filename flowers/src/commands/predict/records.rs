//! Photos of records whose labels, if they have any, are not asked for.

use std::fs::File;
use std::path::Path;

use floret::data::Picture;
use floret::files::FileError;
use floret::record::{
    FeatureValue, ImageExample, ImageSchema, ReaderOptions, Record, RecordReader, visit_features,
};

use crate::Result;
use crate::reading::first_records;
use crate::survey::Survey;
use crate::ui::{self, Progress, Watched};

/// The features that say what a photo is called, the plainest first, in lower case.
const NAMES: [&str; 8] =
    ["id", "image_id", "image_name", "image/filename", "filename", "file_name", "image/source_id", "name"];

/// The records of a file.
pub struct Records<'a> {
    reader: RecordReader<Watched<'a, File>>,
    path: &'a Path,
    schema: ImageSchema,
}

/// A photo and what it is called: by its record, or else by its number; by its file where the record is damaged.
pub struct Photo {
    pub name: String,
    pub picture: std::result::Result<Picture, String>,
}

impl<'a> Records<'a> {
    /// Opens the file, and finds out which feature holds the photos.
    pub fn open(path: &'a Path, progress: &'a Progress) -> Result<Self> {
        let (mut survey, mut fault) = (Survey::default(), None);
        for record in first_records(RecordReader::open(path)?) {
            match record {
                // What is wrong with a record is told when its turn comes.
                Ok(payload) => survey.add(&payload).unwrap_or_default(),
                Err(error) => fault = Some(error),
            }
        }
        let Some((encoded, pixels)) = survey.image() else {
            let none = || {
                let path = ui::path(path);
                format!(
                    "{path}: no feature holds an image file or pixels in each record; `flowers inspect` shows \
                     what there is"
                )
                .into()
            };
            return Err(fault.map_or_else(none, Into::into));
        };
        let schema = ImageSchema { encoded, pixels, ..ImageSchema::default() };
        let file = File::open(path).map_err(|error| FileError::new(path, "open", error))?;
        let reader = RecordReader::new(Watched { file, progress }, path, &ReaderOptions::default())?;
        Ok(Self { reader, path, schema })
    }
}

impl Iterator for Records<'_> {
    type Item = Photo;

    fn next(&mut self) -> Option<Photo> {
        let Record { position, payload } = match self.reader.next()? {
            Ok(record) => record,
            Err(error) => {
                let name = self.path.to_string_lossy().into_owned();
                return Some(Photo { name, picture: Err(error.to_string()) });
            }
        };
        let name = name(&payload).unwrap_or_else(|| position.record.to_string());
        let picture = ImageExample::parse_unlabeled(&payload, &self.schema)
            .map(|example| example.pixels.map_or(Picture::File(example.encoded), Picture::from))
            .map_err(|error| error.to_string());
        Some(Photo { name, picture })
    }
}

/// What a record calls its photo.
fn name(payload: &[u8]) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    visit_features(payload, |feature| {
        let Some(rank) = NAMES.iter().position(|name| *name == feature.key.to_lowercase()) else { return };
        let text = match feature.single {
            Some(FeatureValue::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(FeatureValue::Int64(number)) => number.to_string(),
            _ => return,
        };
        if best.as_ref().is_none_or(|(before, _)| rank < *before) {
            best = Some((rank, text));
        }
    })
    .ok()?;
    best.map(|(_, name)| name)
}
