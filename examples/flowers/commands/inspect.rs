//! `inspect`: what is in shards, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floret::image::{ImageHeader, read_header};
use floret::record::{
    ImageExample, ImageSchema, ReaderOptions, RecordError, RecordReader, find_shards, list_features,
};
use rayon::prelude::*;

use crate::Result;

/// Verify TFRecord files record by record, and show what they hold.
///
/// Checks both CRCs of every record, every example and the header of every image. Prints counts, sizes and a histogram of the
/// classes; each defect is named with file, record and byte offset. The exit code is 1 if there was any.
#[derive(clap::Args)]
pub struct Args {
    /// TFRecord files, shard prefixes such as data/train, or globs
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Defects listed one by one for each file.
const LISTED: usize = 20;

pub fn run(args: &Args) -> Result<()> {
    let files = find_shards(&args.files)?;
    let reports: Vec<Report> = files.par_iter().map(|file| Report::of(file)).collect();
    let mut all = Report::default();
    for (file, report) in files.iter().zip(reports) {
        println!("{}: {} records, {} bytes of data", file.display(), report.records, report.bytes);
        for defect in &report.defects {
            println!("  defect: {defect}");
        }
        if report.defect_count > report.defects.len() {
            println!("  and {} more defects", report.defect_count - report.defects.len());
        }
        all.add(report);
    }
    all.print();
    match all.defect_count {
        0 => Ok(()),
        n => Err(format!("{n} defects in {} files", files.len()).into()),
    }
}

/// What was found in one file, or in all.
#[derive(Default)]
struct Report {
    records: u64,
    bytes: u64,
    classes: BTreeMap<(i64, Option<String>), u64>,
    formats: BTreeMap<String, u64>,
    sides: Option<Sides>,
    /// The features of the first record.
    features: Vec<String>,
    defects: Vec<String>,
    defect_count: usize,
}

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
    fn of(file: &Path) -> Self {
        let mut report = Report::default();
        if let Err(error) = report.read(file) {
            report.defect(error.to_string());
        }
        report
    }

    /// Reads to the end, or to the first defect that the file can't be read beyond.
    fn read(&mut self, file: &Path) -> std::result::Result<(), RecordError> {
        let mut reader = RecordReader::open_with(file, &ReaderOptions::default())?;
        let mut payload = Vec::new();
        loop {
            match reader.read_into(&mut payload) {
                Ok(None) => return Ok(()),
                Ok(Some(position)) => {
                    let at = reader.location(position);
                    if let Err(fault) = self.example(&payload) {
                        self.defect(format!("{at}: {fault}"));
                    }
                }
                Err(error) if error.is_recoverable() => self.defect(error.to_string()),
                Err(error) => return Err(error),
            }
            self.records += 1;
            self.bytes += payload.len() as u64;
        }
    }

    fn example(&mut self, payload: &[u8]) -> Result<()> {
        if self.features.is_empty() {
            self.features = list_features(payload)?.iter().map(ToString::to_string).collect();
        }
        let example = ImageExample::parse(payload, &ImageSchema::default())?;
        *self.classes.entry((example.label, example.class_text.clone())).or_default() += 1;
        let ImageHeader { format, width, height, color, .. } = read_header(&example.encoded)?;
        *self.formats.entry(format!("{format} {color}")).or_default() += 1;
        let sides = Sides { width: (width, width), height: (height, height) };
        self.sides = Some(self.sides.map_or(sides, |all| all.join(sides)));
        for (what, said, is) in [("height", example.height, height), ("width", example.width, width)] {
            if said.is_some_and(|said| said != is as i64) {
                return Err(
                    format!("the record says a {what} of {}, the image has {is}", said.unwrap_or(0)).into()
                );
            }
        }
        Ok(())
    }

    fn defect(&mut self, defect: String) {
        self.defect_count += 1;
        if self.defects.len() < LISTED {
            self.defects.push(defect);
        }
    }

    fn add(&mut self, other: Report) {
        self.records += other.records;
        self.bytes += other.bytes;
        other.classes.into_iter().for_each(|(class, n)| *self.classes.entry(class).or_default() += n);
        other.formats.into_iter().for_each(|(format, n)| *self.formats.entry(format).or_default() += n);
        self.sides = match (self.sides, other.sides) {
            (Some(a), Some(b)) => Some(a.join(b)),
            (a, b) => a.or(b),
        };
        if self.features.is_empty() {
            self.features = other.features;
        }
        self.defect_count += other.defect_count;
    }

    fn print(&self) {
        println!(
            "\nin all: {} records, {} bytes of data, {} defects",
            self.records, self.bytes, self.defect_count
        );
        for (format, count) in &self.formats {
            println!("  {format}: {count}");
        }
        if let Some(Sides { width, height }) = self.sides {
            println!("  {} to {} pixels wide, {} to {} high", width.0, width.1, height.0, height.1);
        }
        if !self.classes.is_empty() {
            println!("\nlabel  records  class");
        }
        for ((label, text), count) in &self.classes {
            println!("{label:5}  {count:7}  {}", text.as_deref().unwrap_or("-"));
        }
        if !self.features.is_empty() {
            println!("\nfeatures of the first record:");
            self.features.iter().for_each(|feature| println!("  {feature}"));
        }
    }
}
