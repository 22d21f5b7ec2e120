//! What a conversion will write, and writing it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::copies::{self, Copies};
use super::error::{BadPhoto, ConvertError};
use super::layout::PassedOver;
use super::options::ConvertOptions;
use super::part::Part;
use super::photos::{FoundFile, Photo};
use super::split::Split;
use super::target::Target;
use crate::data::{ClassNames, Photos};
use crate::files::{HeldFolder, create_folder};
use crate::record::{ImageSchema, ShardWriter};

/// Bytes of photos in memory while they are written: enough to read in parallel.
const CHUNK_BYTES: u64 = 32 << 20;

/// A conversion that has read every photo and knows where each goes.
#[derive(Debug)]
pub struct ConvertPlan {
    pub(super) target: Option<Target>,
    pub(super) options: ConvertOptions,
    pub(super) classes: ClassNames,
    pub(super) split: Split,
    pub(super) bad: Vec<BadPhoto>,
    pub(super) passed_over: Vec<PassedOver>,
}

/// A photo of a [`ConvertPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedPhoto<'a> {
    /// Its class, from 0.
    pub class: usize,
    /// Its path within the class folder, with `/` between folders: the record's `image/filename`. Bytes that are not
    /// UTF-8 are replaced by U+FFFD.
    pub name: &'a str,
    /// Where it is.
    pub path: &'a Path,
}

/// What was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConvertReport {
    /// The classes, in the order of their labels.
    pub classes: ClassNames,
    /// Training records of each class.
    pub train: Vec<usize>,
    /// Evaluation records of each class.
    pub eval: Vec<usize>,
    /// Test records of each class: none, unless the photos were split so.
    pub test: Vec<usize>,
    /// The shards, training first.
    pub shards: Vec<PathBuf>,
    /// Files left out, sorted by path.
    pub bad: Vec<BadPhoto>,
    /// Folders that were taken for no part of the data set.
    pub passed_over: Vec<PassedOver>,
    /// As [`ConvertPlan::copies`] tells.
    pub copies: Vec<Copies>,
    /// Photos all of whose pixels are of one color, such as 16-bit samples under 256 become: nothing is to be learned from them.
    pub uniform: Vec<PathBuf>,
    /// JPEG files that lack their end marker, and nothing else. They are used.
    pub without_end: Vec<PathBuf>,
}

impl ConvertPlan {
    /// The classes, in the order of their labels.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// The photos to train on, in the order of their records, which is shuffled over the classes.
    pub fn train(&self) -> impl ExactSizeIterator<Item = PlannedPhoto<'_>> {
        self.part(Part::Train)
    }

    /// The photos to evaluate on, in the order of their records.
    pub fn eval(&self) -> impl ExactSizeIterator<Item = PlannedPhoto<'_>> {
        self.part(Part::Eval)
    }

    /// The photos of a part, in the order of their records.
    pub fn part(&self, part: Part) -> impl ExactSizeIterator<Item = PlannedPhoto<'_>> {
        self.split.part(part).iter().map(PlannedPhoto::of)
    }

    /// The photos of a part, as a data set that reads them where they are; `None` if the part has none.
    pub fn photos(&self, part: Part) -> Option<Photos> {
        let photos: Vec<_> = self.part(part).map(|photo| (photo.path.to_path_buf(), photo.class)).collect();
        (!photos.is_empty()).then(|| Photos::new(photos, self.classes.names().to_vec()))
    }

    /// Files left out, sorted by path.
    pub fn bad(&self) -> &[BadPhoto] {
        &self.bad
    }

    /// Folders that were taken for no part of the data set.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Photos that are there more than once, sorted by path: the same file, or at another size or quality. They count as any; of
    /// photos that were not split before, copies are all in one part.
    pub fn copies(&self) -> Vec<Copies> {
        copies::found(self.parts())
    }

    /// The photos of which this is true, sorted.
    fn paths_of(&self, is: fn(&Photo) -> bool) -> Vec<PathBuf> {
        let photos = self.parts().flat_map(|(_, photos)| photos);
        let mut paths: Vec<_> =
            photos.filter(|photo| is(photo)).map(|photo| photo.file.path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    fn parts(&self) -> impl Iterator<Item = (Part, &[Photo])> {
        Part::ALL.into_iter().map(|part| (part, self.split.part(part)))
    }

    /// Writes the shards and `labels.txt`; creates their folder where it is missing.
    ///
    /// Records hold every feature of [`ImageSchema`]: the file's bytes as they are, labels from 1. All shards are on the
    /// disk before the first takes its name, and `labels.txt` comes last. A conversion killed before that leaves nothing,
    /// or a folder without `labels.txt` that [`is_unfinished`](super::is_unfinished), which a conversion started again completes without
    /// [`overwrite`](ConvertOptions::overwrite).
    ///
    /// The folder is [held](HeldFolder) meanwhile: of two conversions into one folder the second is refused.
    ///
    /// `progress` is told how many photos are done, from several threads, and may break off.
    ///
    /// # Errors
    /// [`ConvertError::InPlace`]; [`ConvertError::Interrupted`] if `progress` breaks off; a folder that another holds; a photo that is not as it was when it
    /// was checked; a folder or file that can't be written. The folder is as it was then, unless files could not take their names.
    pub fn write(
        self,
        progress: impl Fn(usize) -> ControlFlow<()> + Sync,
    ) -> Result<ConvertReport, ConvertError> {
        let target = self.target.as_ref().ok_or(ConvertError::InPlace)?;
        let folder = &target.folder;
        create_folder(folder)?;
        // Declared before the shards, so that their hidden files are gone before another may write here.
        let held = HeldFolder::claim(folder)?.without_trace();
        target.check()?;
        let done = AtomicUsize::new(0);
        let progress = || go_on(progress(done.fetch_add(1, Ordering::Relaxed) + 1));
        let mut parts = Vec::new();
        for part in Part::ALL {
            let photos = self.split.part(part);
            if photos.is_empty() {
                continue;
            }
            let mut shards =
                ShardWriter::create(folder, part.prefix(), self.options.shards, self.options.compression)?;
            self.write_part(photos, &mut shards, &progress)?;
            parts.push(shards.into_synced()?);
        }
        held.check()?;
        let shards = target.replace(parts, &self.classes)?;
        Ok(ConvertReport { shards, ..self.into_report() })
    }

    /// What would be written, without shards.
    pub fn into_report(self) -> ConvertReport {
        let copies = self.copies();
        let [uniform, without_end] =
            [|photo: &Photo| photo.look.uniform, |photo: &Photo| photo.lacks_its_end]
                .map(|is| self.paths_of(is));
        let Self { classes, split, bad, passed_over, .. } = self;
        let [train, eval, test] = Part::ALL.map(|part| of_each(split.part(part), &classes));
        let shards = Vec::new();
        ConvertReport { classes, train, eval, test, shards, bad, passed_over, copies, uniform, without_end }
    }

    /// Writes photos in order; they are read in parallel, a chunk at a time.
    fn write_part(
        &self,
        photos: &[Photo],
        shards: &mut ShardWriter,
        progress: &(impl Fn() -> Result<(), ConvertError> + Sync),
    ) -> Result<(), ConvertError> {
        let schema = ImageSchema::default();
        let payload = |photo: &Photo| {
            let example = photo.example(&self.classes.names()[photo.file.class])?;
            progress()?;
            Ok(example.encode(&schema))
        };
        let mut rest = photos;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_len(rest));
            let payloads: Vec<Result<_, ConvertError>> = chunk.par_iter().map(payload).collect();
            for payload in payloads {
                shards.write(&payload?)?;
            }
            rest = after;
        }
        Ok(())
    }
}

pub(super) fn go_on(flow: ControlFlow<()>) -> Result<(), ConvertError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ConvertError::Interrupted),
    }
}

/// How many photos make a chunk of at most [`CHUNK_BYTES`]; one at least.
fn chunk_len(photos: &[Photo]) -> usize {
    let mut bytes = 0;
    let fits = |photo: &&Photo| {
        bytes += photo.bytes;
        bytes <= CHUNK_BYTES
    };
    photos.iter().take_while(fits).count().max(1)
}

/// Photos of each class.
fn of_each(photos: &[Photo], classes: &ClassNames) -> Vec<usize> {
    let mut counts = vec![0; classes.len()];
    photos.iter().for_each(|photo| counts[photo.file.class] += 1);
    counts
}

impl<'a> PlannedPhoto<'a> {
    fn of(photo: &'a Photo) -> Self {
        let FoundFile { class, name, path, .. } = &photo.file;
        PlannedPhoto { class: *class, name, path }
    }
}
