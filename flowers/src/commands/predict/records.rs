//! Photos of records whose labels, if they have any, are not asked for.

use std::path::Path;

use floret::data::Picture;
use floret::record::{FeatureValue, ImageExample, ImageSchema, RecordError, RecordReader, visit_features};

use crate::Result;
use crate::survey::Survey;
use crate::ui;

/// How many records are looked at to find out how they are to be read.
const LOOKED_AT: usize = 100;
/// The features that say what a photo is called, the plainest first, in lower case.
const NAMES: [&str; 8] =
    ["id", "image_id", "image_name", "image/filename", "filename", "file_name", "image/source_id", "name"];

/// The records of a file.
pub struct Records {
    reader: RecordReader<std::fs::File>,
    schema: ImageSchema,
    next: usize,
}

/// A photo and what it is called: by its record, or else by its number there.
pub struct Photo {
    pub name: String,
    pub picture: std::result::Result<Picture, String>,
}

impl Records {
    /// Opens the file, and finds out which feature holds the photos.
    pub fn open(path: &Path) -> Result<Self> {
        let mut survey = Survey::default();
        // What is wrong with a record is told when its turn comes.
        for record in RecordReader::open(path)?.flatten().take(LOOKED_AT) {
            let _ = survey.add(&record.payload);
        }
        let Some((encoded, pixels)) = survey.image() else {
            return Err(format!(
                "{}: no feature holds an image file or pixels in each record; `flowers inspect` shows what there is",
                ui::path(path)
            )
            .into());
        };
        let schema = ImageSchema { encoded, pixels, ..ImageSchema::default() };
        Ok(Self { reader: RecordReader::open(path)?, schema, next: 0 })
    }
}

impl Iterator for Records {
    type Item = std::result::Result<Photo, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.reader.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        let number = self.next;
        self.next += 1;
        let name = name(&record.payload).unwrap_or_else(|| number.to_string());
        let example = ImageExample::parse_unlabeled(&record.payload, &self.schema);
        let picture =
            example.map(|example| example.pixels.map_or(Picture::File(example.encoded), Picture::from));
        Some(Ok(Photo { name, picture: picture.map_err(|error| error.to_string()) }))
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
