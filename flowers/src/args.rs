//! Arguments that several subcommands have, and how numbers are read.

use floret::data::{LoaderOptions, OnBadRecord};
use floret::record::ImageSchema;
use serde::{Deserialize, Serialize};

use crate::Result;

// No doc comments on these structs: clap would take them for the help of the subcommand that they are part of.

#[derive(clap::Args)]
pub struct Threads {
    /// Threads to compute with [default: one a core]
    #[arg(long, value_parser = positive, value_name = "N")]
    threads: Option<usize>,
}

impl Threads {
    /// Sets the number of threads of everything that follows; without the flag it is rayon's choice, one a core.
    pub fn apply(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        Ok(())
    }
}

#[derive(clap::Args)]
pub struct Records {
    #[command(flatten)]
    pub keys: Keys,
    /// The label of the first class in the records: 1 as `flowers convert` writes them, 0 in data that counts from 0
    /// [default: 1]
    #[arg(long, value_parser = label, value_name = "N")]
    pub label_offset: Option<i64>,
    /// Leave out and count records that are damaged, have no usable photo or a label of no class
    #[arg(long)]
    pub skip_bad: bool,
}

/// The features of records that others made; `inspect` finds them. Saved with a run's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Keys {
    /// The feature that holds a record's photo, such as `image` in TensorFlow Datasets' records [default: image/encoded]
    #[arg(long, value_name = "KEY")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_key: Option<String>,
    /// The feature that holds its label, such as `label` [default: image/class/label]
    #[arg(long, value_name = "KEY")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_key: Option<String>,
}

impl Keys {
    /// The names of all features, where the others are as their makers have them.
    pub fn schema(&self) -> ImageSchema {
        let tfds = ImageSchema::tfds();
        let mut schema = match &self.image_key {
            Some(key) if *key == tfds.encoded => tfds,
            _ => ImageSchema::default(),
        };
        schema.label = self.label_key.clone().unwrap_or(ImageSchema::default().label);
        if let Some(key) = &self.image_key {
            schema.encoded.clone_from(key);
        }
        schema
    }
}

/// What the first class's label is unless a flag says otherwise: labels count from 1 in TensorFlow's image data sets and
/// in `convert`'s. It is not guessed from `labels.txt`, whose `background` line others leave out; a wrong one is an error
/// that names the flag.
pub const FIRST_LABEL: i64 = 1;

/// Sets how `options` read records.
pub fn read_records(options: &mut LoaderOptions, keys: &Keys, label_offset: Option<i64>, skip_bad: bool) {
    options.schema = keys.schema();
    options.label_offset = label_offset.unwrap_or(FIRST_LABEL);
    options.on_bad_record = if skip_bad { OnBadRecord::Skip } else { OnBadRecord::Error };
}

/// A label in a record.
pub fn label(text: &str) -> std::result::Result<i64, String> {
    in_range(text, 0, 1 << 20).map(|label| label as i64)
}

/// An image side: the reference network halves it five times, so under 32 little would be left.
pub fn image_size(text: &str) -> std::result::Result<usize, String> {
    in_range(text, 32, 1024)
}

/// A time: from a second to a week.
pub fn minutes(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (1.0 / 60.0..=7.0 * 24.0 * 60.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.02 to 10080 is wanted".into()),
    }
}

/// A count of at least one.
pub fn positive(text: &str) -> std::result::Result<usize, String> {
    in_range(text, 1, 1 << 20)
}

fn in_range(text: &str, least: usize, most: usize) -> std::result::Result<usize, String> {
    let value: usize = text.parse().map_err(|_| "a whole number is wanted".to_string())?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("a number from {least} to {most} is wanted"))
    }
}

/// A number over 0.
pub fn positive_float(text: &str) -> std::result::Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number over 0 is wanted".into()),
    }
}

/// The same for shares that are multiplied with.
pub fn share(text: &str) -> std::result::Result<f32, String> {
    Ok(fraction(text)? as f32)
}

/// A number of at least 0.
pub fn not_negative(text: &str) -> std::result::Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number of at least 0 is wanted".into()),
    }
}

/// A number from 0 to under 1.
pub fn fraction(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to under 1 is wanted".into()),
    }
}
