//! The photos that the report shows, and how many there are.

use std::path::Path;

use floret::data::convert::Copies;
use floret::data::{Example, Loader, LoaderOptions, Picture as Photo};
use floret::image::{Augment, DecodeOptions, read_photo};
use floret::recipe::Answer;
use ndarray::Array3;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::picture::{self, PHOTO_SIDE, Picture};
use crate::copies;
use crate::ui::{self, warning};

/// An example and what the network says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub answer: Answer,
    /// `None` if it can't be read any more.
    pub picture: Option<Picture>,
    pub filename: Option<String>,
}

/// Looks up the photos of `answers`, all at once in the order of the shards.
pub fn shown(answers: &[Answer], data: &Loader) -> Vec<Shown> {
    let mut records: Vec<_> = answers.iter().map(|answer| answer.record).collect();
    records.sort_unstable();
    records.dedup();
    let examples: Vec<_> = data.each_example(&records).map(|example| example.ok()).collect();
    let show = |answer: &Answer| {
        let place = records.binary_search(&answer.record).expect("every answer's record was looked up");
        let example = examples[place].as_ref();
        Shown {
            answer: answer.clone(),
            picture: example.and_then(|example| thumbnail(&example.picture, data)),
            filename: example.and_then(|example| example.filename.clone()),
        }
    };
    answers.par_iter().map(show).collect()
}

/// A photo of `data`, small.
pub fn thumbnail(photo: &Photo, data: &Loader) -> Option<Picture> {
    let shrink_to = Some((PHOTO_SIDE, PHOTO_SIDE));
    let levels = photo.levels(&DecodeOptions { shrink_to, ..data.options().decode });
    picture::photo(&*levels.ok()?)
}

/// Groups of copies whose pictures are shown.
pub const ON_PAGE: usize = 24;

/// The copies listed in the first of `folders` that has a list, the worst first: those of several classes, then those on both sides
/// of the split; with a picture of the first, where one of the files is where it was. A list that can't be read costs a warning.
pub fn copies(folders: [&Path; 2], classes: &[String], data: &Loader) -> Vec<(Copies, Option<Picture>)> {
    let listed = folders.into_iter().find_map(|folder| copies::load(folder, classes).transpose());
    let mut groups = listed.unwrap_or(Ok(Vec::new())).unwrap_or_else(|error| {
        warning!("{}; the report shows no copies", ui::escaped(&error.to_string()));
        Vec::new()
    });
    groups.sort_by_key(|copies| (!copies.disagree(), !copies.leak()));
    let picture = |copies: &Copies| {
        let file = copies.photos.iter().find_map(|copy| read_photo(&copy.path).ok())?;
        thumbnail(&Photo::File(file), data)
    };
    let shown = |(place, copies): (usize, Copies)| {
        let picture = if place < ON_PAGE { picture(&copies) } else { None };
        (copies, picture)
    };
    groups.into_par_iter().enumerate().map(shown).collect()
}

/// A training photo as the network may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Augmented {
    pub class: Option<usize>,
    /// As it is without change.
    pub fitted: Picture,
    pub versions: Vec<Picture>,
}

/// Photos whose versions are shown, and versions of each.
const AUGMENTED: usize = 3;
const VERSIONS: usize = 7;

/// Versions of some photos of `data` as `options` would augment them.
pub fn augmented(data: &Loader, options: &LoaderOptions) -> Vec<Augmented> {
    let Some(augment) = &options.augment else { return Vec::new() };
    // Far apart: shards may hold one class after another.
    let place = |number| (2 * number + 1) * data.len() / (2 * AUGMENTED);
    let records: Vec<usize> = (0..AUGMENTED.min(data.len())).map(place).collect();
    let examples = data.each_example(&records).zip(&records);
    examples
        .filter_map(|(example, record)| versions(data, *record, &example.ok()?, augment, options))
        .collect()
}

fn versions(
    data: &Loader,
    record: usize,
    example: &Example,
    augment: &Augment,
    options: &LoaderOptions,
) -> Option<Augmented> {
    let size = options.preprocess.image_size;
    let fitted = |size| options.preprocess.fit_picture(&example.picture, size, &options.decode).ok();
    let source = fitted(options.source_size)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ record as u64);
    let version = |_| {
        let levels: Array3<f32> = augment.apply(&source, (size, size), &mut rng).ok()?;
        // `as` cuts to 0..=255.
        picture::photo(&levels.mapv(|level| level.round() as u8))
    };
    let versions = (0..VERSIONS).filter_map(version).collect();
    let class = data.class(record, example.label);
    Some(Augmented { class, fitted: picture::photo(&fitted(size)?)?, versions })
}
