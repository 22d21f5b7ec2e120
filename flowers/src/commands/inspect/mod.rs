//! `inspect`: what is in shards, and what is wrong with them.

mod schema;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use floret::files::FileError;
use floret::image::{ImageHeader, read_header};
use floret::recipe::Keys;
use floret::record::{
    ExampleError, FeatureSummary, FeatureView, ImageExample, ImageSchema, ReaderOptions, RecordError,
    RecordReader, find_shards, visit_features,
};
use rayon::prelude::*;

use crate::args::{Flags, OfKeys};
use crate::survey::Survey;
use crate::ui::{self, Progress, Unit, Watched, say};
use crate::{Result, messages};

/// Verify TFRecord files record by record, and show what they hold.
///
/// Checks both CRCs of every record, every example and the header of every image. Defects, of each file the first 50, are named as they
/// are found, with file, record and byte offset; then come counts, sizes and a histogram of the classes. The exit code is 1 if there was
/// any defect.
///
/// Which features hold the photos and their labels is found out by what is in them, and the flags that `train`, `eval` and
/// `bench` need to read such records are shown.
#[derive(clap::Args)]
pub struct Args {
    /// TFRecord files, shard prefixes such as data/train, or globs; /dev/stdin for a pipe
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    keys: Flags<OfKeys>,
    /// Write labels.txt beside the files, where it is missing and the records name the class of each label
    #[arg(long)]
    write_labels: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let files = find_shards(&args.files)?;
    let bytes = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
    let progress = Progress::new("inspecting", bytes, Unit::Bytes);
    let schema = (args.keys.keys() != Keys::default()).then(|| args.keys.keys().schema());
    let report = |file: &PathBuf| Report::of(file, schema.clone(), &progress);
    let reports: Vec<Report> = files.par_iter().map(report).collect();
    drop(progress);

    let mut all = Report::default();
    let defective = reports.iter().filter(|report| report.defects > 0).count();
    for (file, report) in files.iter().zip(reports) {
        say!("{}: {}", ui::path(file), report.summary());
        all.add(report);
    }
    all.number_names();
    all.print();
    // Beside a pipe there is nothing.
    let folder = files[0].parent().filter(|_| !may_be_pipe(&files[0]));
    let schema = schema::Schema { folder, survey: &all.survey, given: schema.as_ref() };
    schema.print(&all.classes, args.write_labels)?;
    match all.defects {
        0 if all.more_unread == 0 => Ok(()),
        0 => Err(format!("{} can't be read as photos", ui::count(all.more_unread, "record")).into()),
        n => {
            Err(format!("{} in {defective} of {}", ui::count(n, "defect"), ui::count(files.len(), "file"))
                .into())
        }
    }
}

/// What was found in one file, or in all.
#[derive(Default)]
struct Report {
    records: usize,
    bytes: u64,
    defects: usize,
    /// Records of which nothing told how they are to be read, until it is told.
    unread: Vec<Vec<u8>>,
    /// How many more of them there were.
    more_unread: usize,
    classes: BTreeMap<(i64, Option<String>), u64>,
    formats: BTreeMap<String, u64>,
    sides: Option<Sides>,
    /// The features of the first record.
    features: Vec<String>,
    survey: Survey,
    /// How records are read: as is asked for, or as the first one seems to be made.
    schema: Option<ImageSchema>,
}

/// How many defects of a file are named.
const SHOWN_DEFECTS: usize = 50;
/// How many records of a file are kept until it is known how to read them.
const MAX_UNREAD: usize = 64;
/// How many features of the first record are shown.
const SHOWN_FEATURES: usize = 50;
/// How much of each one's name.
const SHOWN_CHARS: usize = 100;

/// Smallest and largest width and height.
#[derive(Clone, Copy)]
struct Sides {
    width: (usize, usize),
    height: (usize, usize),
}

impl Sides {
    fn join(self, other: Sides) -> Sides {
        let join = |a: (usize, usize), b: (usize, usize)| (a.0.min(b.0), a.1.max(b.1));
        Sides { width: join(self.width, other.width), height: join(self.height, other.height) }
    }
}

/// Opens a regular file, or the pipe that a shell gives a command for one under one of [`PIPES`]' names, and whether it is
/// a pipe. That may have no end, so nothing is searched for in it.
fn open(path: &Path) -> std::result::Result<(File, bool), FileError> {
    let failed = |error| FileError::new(path, "open", error);
    let regular = fs::metadata(path).map_err(failed)?.is_file();
    if !regular && !may_be_pipe(path) {
        let reason = "not a regular file; a pipe can be read as /dev/stdin";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    Ok((File::open(path).map_err(failed)?, !regular))
}

/// Where a shell's pipes are: `zcat x.gz | flowers inspect /dev/stdin`, `flowers inspect <(zcat x.gz)`.
const PIPES: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

fn may_be_pipe(path: &Path) -> bool {
    PIPES.iter().any(|pipes| path.starts_with(pipes))
}

impl Report {
    /// Reads a file, and prints its defects as they are found.
    fn of(file: &Path, schema: Option<ImageSchema>, progress: &Progress) -> Self {
        let mut report = Report { schema, ..Report::default() };
        let mut told = 0;
        let mut tell = |defect: String| {
            told += 1;
            match told {
                ..=SHOWN_DEFECTS => progress.above(|| say!("defect: {}", ui::escaped(&defect))),
                _ if told == SHOWN_DEFECTS + 1 => {
                    progress.above(|| {
                        say!(
                            "{}: the defects beyond the first {SHOWN_DEFECTS} are counted below",
                            ui::path(file)
                        )
                    });
                }
                _ => {}
            }
        };
        if let Err(error) = report.read(file, progress, &mut tell) {
            report.defects += 1;
            tell(messages::message(&error));
        }
        report
    }

    /// Reads to the end, or to the first defect that the file can't be read beyond.
    fn read(
        &mut self,
        path: &Path,
        progress: &Progress,
        tell: &mut impl FnMut(String),
    ) -> std::result::Result<(), RecordError> {
        let (file, is_stream) = open(path)?;
        let options = ReaderOptions { search: !is_stream, ..ReaderOptions::default() };
        let mut reader = RecordReader::new(Watched { file, progress }, path, &options)?;
        let mut payload = Vec::new();
        loop {
            let defects = match reader.read_into(&mut payload) {
                Ok(None) => return Ok(()),
                Ok(Some(position)) => {
                    let at = reader.location(position);
                    self.records += 1;
                    self.bytes += payload.len() as u64;
                    self.example(&payload).into_iter().map(|fault| format!("{at}: {fault}")).collect()
                }
                Err(error) if error.is_recoverable() => vec![messages::message(&error)],
                Err(error) => return Err(error),
            };
            self.defects += defects.len();
            defects.into_iter().for_each(&mut *tell);
        }
    }

    /// Counts an example, or keeps it until its keys are known; what is wrong with those that were counted.
    fn example(&mut self, payload: &[u8]) -> Vec<String> {
        if let Err(error) = self.survey.add(payload) {
            return vec![error.to_string()];
        }
        if self.features.is_empty() {
            self.features = features(payload).unwrap_or_default();
        }
        if self.schema.is_none() {
            self.schema = self.survey.reading().ok().map(|reading| reading.keys().schema());
        }
        if self.schema.is_none() {
            // What they lack is told once, at the end.
            match self.unread.len() {
                ..MAX_UNREAD => self.unread.push(payload.to_vec()),
                _ => self.more_unread += 1,
            }
            return Vec::new();
        }
        let unread = std::mem::take(&mut self.unread);
        unread
            .iter()
            .map(Vec::as_slice)
            .chain([payload])
            .flat_map(|payload| self.read_example(payload))
            .collect()
    }

    /// Counts an example whose keys are known; what is wrong with it.
    fn read_example(&mut self, payload: &[u8]) -> Vec<String> {
        let schema = self.schema.as_ref().expect("it is known how records are read");
        let mut parsed = ImageExample::parse(payload, schema);
        if let Err(ExampleError::TextLabel { text, .. }) = &parsed {
            // Numbered once all are known.
            let schema = ImageSchema { label_names: (vec![text.clone()], 0), ..schema.clone() };
            let class_text = Some(text.clone());
            parsed =
                ImageExample::parse(payload, &schema).map(|example| ImageExample { class_text, ..example });
        }
        let example = match parsed {
            Ok(example) => example,
            Err(error) => return vec![error.to_string()],
        };
        *self.classes.entry((example.label, example.class_text.clone())).or_default() += 1;
        if let Some(pixels) = &example.pixels {
            *self.formats.entry(format!("pixels, {}", ui::count(pixels.channels, "channel"))).or_default() +=
                1;
            self.sized(pixels.width, pixels.height);
            return Vec::new();
        }
        match read_header(&example.encoded) {
            Ok(header) => self.image(&example, header),
            Err(error) => vec![error.to_string()],
        }
    }

    fn image(&mut self, example: &ImageExample, header: ImageHeader) -> Vec<String> {
        let ImageHeader { format, width, height, color, .. } = header;
        *self.formats.entry(format!("{format} {color}")).or_default() += 1;
        self.sized(width, height);
        [("height", example.height, height), ("width", example.width, width)]
            .into_iter()
            .filter_map(|(what, said, is)| Some((what, said.filter(|said| *said != is as i64)?, is)))
            .map(|(what, said, is)| format!("the record says a {what} of {said}, the image has {is}"))
            .collect()
    }

    fn sized(&mut self, width: usize, height: usize) {
        let sides = Sides { width: (width, width), height: (height, height) };
        self.sides = Some(self.sides.map_or(sides, |all| all.join(sides)));
    }

    fn add(&mut self, other: Report) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.defects += other.defects;
        self.more_unread += other.more_unread + other.unread.len();
        other.classes.into_iter().for_each(|(class, n)| *self.classes.entry(class).or_default() += n);
        other.formats.into_iter().for_each(|(format, n)| *self.formats.entry(format).or_default() += n);
        self.sides = match (self.sides, other.sides) {
            (Some(a), Some(b)) => Some(a.join(b)),
            (a, b) => a.or(b),
        };
        if self.features.is_empty() {
            self.features = other.features;
        }
        self.survey.join(other.survey);
    }

    /// Gives classes that are told by name their labels, from 1 in the order of the names.
    fn number_names(&mut self) {
        if self.survey.reading().is_ok_and(|reading| !reading.names.is_empty()) {
            let classes = std::mem::take(&mut self.classes).into_iter();
            self.classes =
                (1..).zip(classes).map(|(label, ((_, name), count))| ((label, name), count)).collect();
        }
    }

    fn summary(&self) -> String {
        let (records, defects) = (ui::count(self.records, "record"), ui::count(self.defects, "defect"));
        format!("{records}, {} bytes of data, {defects}", self.bytes)
    }

    fn print(&self) {
        say!("\nin all: {}", self.summary());
        for (format, count) in &self.formats {
            say!("  {format}: {count}");
        }
        if let Some(Sides { width, height }) = self.sides {
            say!("  {} to {} pixels wide, {} to {} high", width.0, width.1, height.0, height.1);
        }
        if !self.classes.is_empty() {
            say!("\nlabel  records  class");
        }
        for ((label, text), count) in &self.classes {
            say!("{label:5}  {count:7}  {}", ui::escaped(text.as_deref().unwrap_or("-")));
        }
        if !self.features.is_empty() {
            say!("\nfeatures of the first record:");
            self.features.iter().for_each(|feature| say!("  {}", ui::escaped(feature)));
        }
    }
}

/// The features of a record, a line each, the first of many.
fn features(payload: &[u8]) -> std::result::Result<Vec<String>, ExampleError> {
    let (mut lines, mut more) = (BTreeMap::new(), 0);
    visit_features(payload, |FeatureView { key, kind, values, bytes, .. }| {
        let key: String = key.chars().take(SHOWN_CHARS).collect();
        if lines.len() < SHOWN_FEATURES || lines.contains_key(&key) {
            let summary = FeatureSummary { key: key.clone(), kind, values, bytes };
            lines.insert(key, summary.to_string());
        } else {
            more += 1;
        }
    })?;
    let lines = lines.into_values();
    Ok(lines.chain((more > 0).then(|| format!("and {more} more"))).collect())
}
