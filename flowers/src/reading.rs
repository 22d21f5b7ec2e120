//! How records are read where no flag says it: as what is in the first of them tells.

use std::path::Path;

use floret::recipe::{Choices, DataFolder, Keys};
use floret::record::{ImageExample, ImageSchema, RecordReader};

use crate::survey::Survey;
use crate::ui::{self, say};
use crate::{Result, messages};

/// How many records are looked at, of the first shard and of the last.
const LOOKED_AT: usize = 100;

/// Chooses the features of a split's records where none was chosen and the usual ones are not there, and the first label with them.
pub fn complete(choices: &mut Choices, data: &DataFolder, split: &str) -> Result<()> {
    if choices.keys() != Keys::default() {
        return Ok(());
    }
    let Some(shards) = data.shards(split).map_err(messages::recipe)? else { return Ok(()) };
    let mut survey = Survey::default();
    let (mut usual, mut seen) = (false, 0);
    for file in shards.files.first().into_iter().chain(shards.files.get(1..).and_then(<[_]>::last)) {
        // What is wrong with a file is told where it is read.
        let Ok(reader) = RecordReader::open(file) else { continue };
        for record in reader.flatten().take(LOOKED_AT) {
            seen += 1;
            usual |= ImageExample::parse(&record.payload, &ImageSchema::default())
                .is_ok_and(|example| is_file(&example));
            let _ = survey.add(&record.payload);
        }
    }
    let Ok(reading) = survey.reading_among(data.classes.names()) else { return Ok(()) };
    if usual || seen == 0 {
        return Ok(());
    }
    let keys = reading.keys();
    let (first, _) = reading.first_label(Some(data.classes.len()));
    let mut flags = Vec::new();
    let mut flag =
        |name: &str, value: String| flags.push(format!("--{name} {}", ui::shell(Path::new(&value))));
    keys.image_key.iter().for_each(|key| flag("image-key", key.clone()));
    keys.label_key.iter().for_each(|key| flag("label-key", key.clone()));
    reading.pixels.iter().for_each(|pixels| flag("pixels", pixels.to_string()));
    if choices.label_offset.is_none() && first != floret::recipe::FIRST_LABEL {
        flag("label-offset", first.to_string());
        choices.label_offset = Some(first);
    }
    (choices.image_key, choices.label_key, choices.pixels) = (keys.image_key, keys.label_key, reading.pixels);
    if !flags.is_empty() {
        say!("the records are read as they are: {}", flags.join(" "));
    }
    Ok(())
}

fn is_file(example: &ImageExample) -> bool {
    floret::image::read_header(&example.encoded).is_ok()
}
