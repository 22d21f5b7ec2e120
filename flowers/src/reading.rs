//! How records are read where no flag says it: as what is in the first of them tells.

use std::io::Read;

use floret::recipe::{Choices, DataFolder, FIRST_LABEL, Keys};
use floret::record::{ImageExample, ImageSchema, RecordError, RecordReader};

use crate::survey::Survey;
use crate::ui::say;
use crate::{Result, messages};

/// How many records of a file are looked at.
const LOOKED_AT: usize = 100;

/// The payloads of a file's first records, without damaged ones. Where an error comes, nothing follows.
pub fn first_records<R: Read>(
    reader: RecordReader<R>,
) -> impl Iterator<Item = std::result::Result<Vec<u8>, RecordError>> {
    let records = reader.take(LOOKED_AT).map(|record| record.map(|record| record.payload));
    records.filter(|record| !record.as_ref().is_err_and(RecordError::is_recoverable))
}

/// Chooses the features of a split's records where none was chosen and the usual ones are not there, and the first label with them.
pub fn complete(choices: &mut Choices, data: &DataFolder, split: &str) -> Result<()> {
    if choices.keys() != Keys::default() {
        return Ok(());
    }
    let Some(shards) = data.shards(split).map_err(messages::recipe)? else { return Ok(()) };
    let (mut survey, usual) = (Survey::default(), ImageSchema::default());
    for file in shards.files.first().into_iter().chain(shards.files.get(1..).and_then(<[_]>::last)) {
        // What is wrong with a file or a record is told where it is read.
        let Ok(reader) = RecordReader::open(file) else { continue };
        for payload in first_records(reader).flatten() {
            if ImageExample::parse(&payload, &usual).is_ok_and(|example| is_file(&example)) {
                return Ok(());
            }
            let _ = survey.add(&payload);
        }
    }
    let Ok(reading) = survey.reading_among(data.classes.names()) else { return Ok(()) };
    let first = match choices.label_offset {
        Some(_) => FIRST_LABEL,
        None => reading.first_label(Some(data.classes.len())).0,
    };
    if first != FIRST_LABEL {
        choices.label_offset = Some(first);
    }
    let flags = reading.flags(first);
    let Keys { image_key, label_key, .. } = reading.keys();
    (choices.image_key, choices.label_key, choices.pixels) = (image_key, label_key, reading.pixels);
    if !flags.is_empty() {
        say!("no flag says how the records are to be read; from what is in them: {}", flags.join(" "));
    }
    Ok(())
}

fn is_file(example: &ImageExample) -> bool {
    floret::image::read_header(&example.encoded).is_ok()
}
