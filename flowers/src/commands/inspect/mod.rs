//! `inspect`: what is in shards, and what is wrong with them.

mod look;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use floret::image::{ImageHeader, read_header};
use floret::recipe::{FIRST_LABEL, Keys};
use floret::record::{
    ExampleError, FeatureSummary, FeatureView, ImageExample, RecordError, RecordReader, find_shards,
    visit_features,
};
use rayon::prelude::*;

use crate::args::{Flags, OfKeys};
use crate::ui::{self, Progress, Unit, Watched, say};
use crate::{Result, messages};

use self::look::{Form, Found, Input, look, may_be_pipe};
use self::schema::{Classes, Schema};

/// Verify TFRecord files record by record, and show what they hold.
///
/// Checks both CRCs of every record, every example and the header of every image. Defects, of each file the first 50, are named as they
/// are found, with file, record and byte offset; then come counts, sizes and a histogram of the classes. The exit code is 1 if there was
/// any defect.
///
/// Which features hold the photos and their labels is found out by what is in the first records of each file,
/// and the flags that `train`, `eval` and `bench` need to read such records are shown.
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
    let Found { files: looks, schema } = match args.keys.keys() {
        keys if keys == Keys::default() => look(&files),
        keys => {
            let given = |_| (Form::Labeled(keys.schema()), None);
            Found { files: files.iter().map(given).collect(), schema: Ok(keys.schema()) }
        }
    };
    let report = |(file, (form, input)): (&PathBuf, _)| Report::of(file, &form, input, &progress);
    let reports: Vec<Report> = files.par_iter().zip(looks).map(report).collect();
    drop(progress);

    let mut all = Report::default();
    let defective = reports.iter().filter(|report| report.defects > 0).count();
    for (file, report) in files.iter().zip(reports) {
        say!("{}: {}", ui::path(file), report.summary());
        all.add(report);
    }
    let names = all.number_names();
    all.print();
    // Beside a pipe there is nothing.
    let folder = files[0].parent().filter(|_| !may_be_pipe(&files[0]));
    Schema { folder, schema, names }.print(&all.classes, args.write_labels)?;
    if all.unlabeled > 0 {
        let hold = if all.unlabeled == 1 { "holds" } else { "hold" };
        let records = ui::count(all.unlabeled, "record");
        say!("{records} {hold} no label that can be read: `flowers predict` needs none");
    }
    let mut faults = Vec::new();
    if all.defects > 0 {
        let files = ui::count(files.len(), "file");
        faults.push(format!("{} in {defective} of {files}", ui::count(all.defects, "defect")));
    }
    if all.unknown > 0 {
        faults.push(format!("{} can't be read as photos", ui::count(all.unknown, "record")));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join(", ").into()) }
}

/// What was found in one file, or in all.
#[derive(Default)]
struct Report {
    records: usize,
    bytes: u64,
    defects: usize,
    /// Records of which nothing tells the photo.
    unknown: usize,
    /// Those of which nothing tells the label.
    unlabeled: usize,
    classes: Classes,
    /// Records of the classes that a name alone tells.
    named: BTreeMap<String, u64>,
    formats: BTreeMap<String, u64>,
    sides: Option<Sides>,
    /// The features of the first record.
    features: Vec<String>,
}

/// How many defects of a file are named.
const SHOWN_DEFECTS: usize = 50;
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

impl Report {
    /// Reads a file, and prints its defects as they are found.
    fn of(file: &Path, form: &Form, input: Option<Input>, progress: &Progress) -> Self {
        let (mut report, mut told) = (Report::default(), 0);
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
        let input = input.map_or_else(|| Input::open(file), Ok).map_err(RecordError::from);
        let read = input.and_then(|input| {
            let options = input.options();
            report.read(
                RecordReader::new(Watched { file: input, progress }, file, &options)?,
                form,
                &mut tell,
            )
        });
        if let Err(error) = read {
            report.defects += 1;
            tell(messages::message(&error));
        }
        report
    }

    /// Reads to the end, or to the first defect that the file can't be read beyond.
    fn read(
        &mut self,
        mut reader: RecordReader<impl Read>,
        form: &Form,
        tell: &mut impl FnMut(String),
    ) -> std::result::Result<(), RecordError> {
        let mut payload = Vec::new();
        loop {
            let defects = match reader.read_into(&mut payload) {
                Ok(None) => return Ok(()),
                Ok(Some(position)) => {
                    let at = reader.location(position);
                    self.records += 1;
                    self.bytes += payload.len() as u64;
                    let faults = self.example(&payload, form).unwrap_or_else(|error| vec![error.to_string()]);
                    faults.into_iter().map(|fault| format!("{at}: {fault}")).collect()
                }
                Err(error) if error.is_recoverable() => vec![messages::message(&error)],
                Err(error) => return Err(error),
            };
            self.defects += defects.len();
            defects.into_iter().for_each(&mut *tell);
        }
    }

    /// Counts an example; what is wrong with it.
    fn example(&mut self, payload: &[u8], form: &Form) -> std::result::Result<Vec<String>, ExampleError> {
        if self.features.is_empty() {
            self.features = features(payload)?;
        }
        let example = match form {
            Form::Labeled(schema) => match ImageExample::parse(payload, schema) {
                Err(ExampleError::TextLabel { text, .. }) => {
                    let example = ImageExample::parse_unlabeled(payload, schema)?;
                    *self.named.entry(text).or_default() += 1;
                    example
                }
                parsed => {
                    let example = parsed?;
                    *self.classes.entry((example.label, example.class_text.clone())).or_default() += 1;
                    example
                }
            },
            Form::Unlabeled(schema) => {
                let example = ImageExample::parse_unlabeled(payload, schema)?;
                self.unlabeled += 1;
                example
            }
            Form::Unknown => {
                visit_features(payload, |_| ())?;
                self.unknown += 1;
                return Ok(Vec::new());
            }
        };
        if let Some(pixels) = &example.pixels {
            let form = format!("pixels, {}", ui::count(pixels.channels, "channel"));
            *self.formats.entry(form).or_default() += 1;
            self.sized(pixels.width, pixels.height);
            return Ok(Vec::new());
        }
        Ok(match read_header(&example.encoded) {
            Ok(header) => self.image(&example, header),
            Err(error) => vec![error.to_string()],
        })
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
        self.unknown += other.unknown;
        self.unlabeled += other.unlabeled;
        add_counts(&mut self.classes, other.classes);
        add_counts(&mut self.named, other.named);
        add_counts(&mut self.formats, other.formats);
        self.sides = match (self.sides, other.sides) {
            (Some(a), Some(b)) => Some(a.join(b)),
            (a, b) => a.or(b),
        };
        if self.features.is_empty() {
            self.features = other.features;
        }
    }

    /// Numbers the classes that are told by name, in the order of the names; gives the names.
    fn number_names(&mut self) -> Vec<String> {
        let named = std::mem::take(&mut self.named);
        let names = named.keys().cloned().collect();
        let label = |(label, (name, count))| ((label, Some(name)), count);
        add_counts(&mut self.classes, (FIRST_LABEL..).zip(named).map(label));
        names
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

fn add_counts<K: Ord>(counts: &mut BTreeMap<K, u64>, more: impl IntoIterator<Item = (K, u64)>) {
    more.into_iter().for_each(|(key, count)| *counts.entry(key).or_default() += count);
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
