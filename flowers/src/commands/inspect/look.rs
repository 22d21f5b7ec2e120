//! The first look at the files to inspect: how the records of each are to be read.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use floret::files::FileError;
use floret::record::{ImageSchema, ReaderOptions, RecordReader};
use rayon::prelude::*;

use crate::reading::first_records;
use crate::survey::{Lacking, Reading, Survey};

/// How much of a pipe is looked at: it can't be read again, so that this is kept.
const HEAD_BYTES: u64 = 16 << 20;
/// How many files are looked at before what was found in them is put together: of each, records are kept.
const FILES_AT_ONCE: usize = 16;

/// How the records of a file are read.
pub enum Form {
    Labeled(ImageSchema),
    /// Nothing tells the labels.
    Unlabeled(ImageSchema),
    /// Nothing tells the photos.
    Unknown,
}

/// A file or a pipe, open at its start.
pub struct Input {
    /// What was read already.
    head: Cursor<Vec<u8>>,
    rest: File,
    is_regular: bool,
}

/// What was found by the first look.
pub struct Found {
    /// For each file how it is read, and what can't be opened again.
    pub files: Vec<(Form, Option<Input>)>,
    /// How all files together are read.
    pub schema: Result<ImageSchema, Lacking>,
}

/// Looks at the first records of each file.
pub fn look(files: &[PathBuf]) -> Found {
    let (mut all, mut seen) = (Survey::default(), Vec::new());
    for files in files.chunks(FILES_AT_ONCE) {
        let looks: Vec<_> = files.par_iter().map(|file| look_at(file)).collect();
        for (survey, input) in looks {
            seen.push((survey.reading(), input));
            all.join(survey);
        }
    }
    let joint = all.reading();
    let files = seen.into_iter().map(|(own, input)| (form(own, joint.as_ref().ok()), input)).collect();
    Found { files, schema: joint.map(|reading| reading.schema()) }
}

/// What the first records of a file hold. What is wrong with it is told where it is read.
fn look_at(path: &Path) -> (Survey, Option<Input>) {
    let mut survey = Survey::default();
    let Ok(mut input) = Input::open(path) else { return (survey, None) };
    let options = input.options();
    let mut add = |payload: Vec<u8>| survey.add(&payload).unwrap_or_default();
    if !may_be_pipe(path) {
        if let Ok(reader) = RecordReader::new(input, path, &options) {
            first_records(reader).flatten().for_each(&mut add);
        }
        return (survey, None);
    }
    let _ = input.rest.by_ref().take(HEAD_BYTES).read_to_end(input.head.get_mut());
    if let Ok(reader) = RecordReader::new(&input.head.get_ref()[..], path, &options) {
        first_records(reader).flatten().for_each(&mut add);
    }
    (survey, Some(input))
}

/// How a file is read: as its own records tell or, where what they lack can be found in others, as all
/// together do.
fn form(own: Result<Reading, Lacking>, joint: Option<&Reading>) -> Form {
    match (own, joint) {
        (Ok(reading), _) => Form::Labeled(reading.schema()),
        (Err(lacking), Some(joint)) if may_be_found(&lacking, joint) => Form::Labeled(joint.schema()),
        (Err(Lacking::Label { image, pixels, .. }), _) => {
            Form::Unlabeled(ImageSchema { encoded: image, pixels, ..ImageSchema::default() })
        }
        _ => Form::Unknown,
    }
}

fn may_be_found(lacking: &Lacking, joint: &Reading) -> bool {
    match lacking {
        Lacking::Records => true,
        // Pixels without contrast look like nothing.
        Lacking::Image => joint.pixels.is_some(),
        // One record, or as many names as records.
        Lacking::Label { text, .. } => text.as_ref() == Some(&joint.label),
    }
}

impl Input {
    /// Opens a regular file, or the pipe that a shell gives a command for one under one of [`PIPES`]' names.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let failed = |error| FileError::new(path, "open", error);
        let is_regular = fs::metadata(path).map_err(failed)?.is_file();
        if !is_regular && !may_be_pipe(path) {
            let reason = "not a regular file; a pipe can be read as /dev/stdin";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        Ok(Self { head: Cursor::default(), rest: File::open(path).map_err(failed)?, is_regular })
    }

    /// How records are read from it. A pipe may have no end, so nothing is searched for in it.
    pub fn options(&self) -> ReaderOptions {
        ReaderOptions { search: self.is_regular, ..ReaderOptions::default() }
    }
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.head.read(bytes)? {
            0 => self.rest.read(bytes),
            read => Ok(read),
        }
    }
}

/// Where a shell's pipes are: `zcat x.gz | flowers inspect /dev/stdin`, `flowers inspect <(zcat x.gz)`.
const PIPES: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

pub fn may_be_pipe(path: &Path) -> bool {
    PIPES.iter().any(|pipes| path.starts_with(pipes))
}
