//! A folder of photos to shards: what is found, how it is split, what is written, and what is refused.

mod copies;
mod refused;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow::{self, Continue};
use std::path::Path;

use floret::data::convert::{Conversion, ConvertError, ConvertOptions, ConvertPlan, ConvertReport};
use floret::record::{ImageExample, ImageSchema, RecordReader};
use tempfile::{TempDir, tempdir};

use crate::common::photos::{jpeg, png};

/// A folder with these files.
fn folder_of(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// Two classes of `n` photos each.
fn two_classes(n: u64) -> TempDir {
    let name = |i: u64| format!("{}/{i}.jpg", if i.is_multiple_of(2) { "a" } else { "b" });
    let files: Vec<_> = (0..2 * n).map(|i| (name(i), jpeg(i, 9, 8))).collect();
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    folder_of(&files)
}

/// Progress that nobody follows.
fn on(_: usize) -> ControlFlow<()> {
    Continue(())
}

fn plan(photos: &Path, options: ConvertOptions) -> Result<ConvertPlan, ConvertError> {
    Conversion::new(photos, photos.with_extension("data"), options)?.check(on)
}

fn convert(photos: &Path, data: &Path, options: ConvertOptions) -> Result<ConvertReport, ConvertError> {
    Conversion::new(photos, data, options)?.check(on)?.write(on)
}

fn examples(shard: &Path) -> Vec<ImageExample> {
    let parse = |payload: Vec<u8>| ImageExample::parse(&payload, &ImageSchema::default()).unwrap();
    RecordReader::open(shard).unwrap().map(|record| parse(record.unwrap().payload)).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

const WHOLE_SET: [&str; 5] = [
    "eval-00000-of-00002.tfrecord",
    "eval-00001-of-00002.tfrecord",
    "labels.txt",
    "train-00000-of-00002.tfrecord",
    "train-00001-of-00002.tfrecord",
];

/// A photo that is cut off, damaged, another format or nothing of the kind, by name and the reason given.
fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = png(9, 16, 16);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let cut = jpeg(9, 40, 40);
    vec![
        ("a/Movie.db", vec![0xD0, 0xCF, 0x11, 0xE0], "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF)"),
        ("a/cut.jpg", cut[..cut.len() / 2].to_vec(), "cut off"),
        ("a/damaged.png", damaged, "PNG is damaged"),
        ("a/empty.jpg", Vec::new(), "an empty file"),
        ("b/page.jpg", b"<!DOCTYPE html><p>404".to_vec(), "an HTML page"),
        ("b/phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), "HEIC"),
        ("stray.jpg", jpeg(1, 8, 8), "lies in no class folder"),
    ]
}

/// Every byte of a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names_in(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

/// Leaves a whole data set as a conversion that is killed before it writes `labels.txt` does.
fn unfinish(data: &Path) {
    fs::remove_file(data.join("labels.txt")).unwrap();
    let names = names_in(data).join("\n");
    fs::write(data.join(".conversion-unfinished"), format!("not whole\n{names}\n")).unwrap();
}
