//! Fixtures, and the crate's reader in the oracle's terms.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use floret::record::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::oracle::Event;

/// `records.json`, written by TensorFlow's side of the fixtures.
#[derive(Deserialize)]
pub struct Manifest {
    pub records: Vec<ManifestRecord>,
    pub files: BTreeMap<String, ManifestFile>,
}

#[derive(Deserialize)]
pub struct ManifestRecord {
    pub filename: String,
    pub width: i64,
    pub height: i64,
    pub label: i64,
    pub class_text: String,
    pub encoded_sha256: String,
    pub payload_len: usize,
    pub payload_sha256: String,
}

#[derive(Deserialize)]
pub struct ManifestFile {
    pub compression: String,
    pub payload_sha256: Vec<String>,
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub fn manifest() -> Manifest {
    serde_json::from_slice(&std::fs::read(fixture("records.json")).unwrap()).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every payload of a file, which must be whole.
pub fn payloads_of(path: impl AsRef<Path>) -> Vec<Vec<u8>> {
    RecordReader::open(path).unwrap().map(|record| record.unwrap().payload).collect()
}

pub fn options(compression: Option<Compression>) -> ReaderOptions {
    ReaderOptions { compression, ..ReaderOptions::default() }
}

/// Reads all that can be read, in the oracle's terms; checks what the oracle does not have: record numbers,
/// and the file's name in errors.
pub fn events(bytes: impl Read, options: &ReaderOptions) -> Vec<Event> {
    let mut reader = RecordReader::new(bytes, "a file", options).unwrap();
    let mut payload = Vec::new();
    let mut events = Vec::new();
    loop {
        let record = events.len() as u64;
        match reader.read_into(&mut payload) {
            Ok(None) => return events,
            Ok(Some(position)) => {
                assert_eq!(position.record, record);
                events.push(Event::Payload { offset: position.offset, payload: payload.clone() });
            }
            Err(error) => {
                let at = error.location().unwrap();
                assert_eq!((at.file.as_path(), at.position.record), (Path::new("a file"), record), "{error}");
                events.push(event_of(&error));
            }
        }
    }
}

/// An error of a plain file in the oracle's terms.
pub fn event_of(error: &RecordError) -> Event {
    let RecordError::Damaged { at, defect, .. } = error else { panic!("{error}") };
    let offset = at.position.offset;
    match &**defect {
        RecordDefect::NotTfRecord { .. } => Event::NotTfRecord,
        RecordDefect::LengthCrc(_) => Event::BadLength { offset },
        RecordDefect::DataCrc(_) => Event::BadData { offset },
        RecordDefect::Truncated { part, wanted, got } => {
            let part = match part {
                RecordPart::Header => "header",
                RecordPart::Payload => "payload",
                RecordPart::Footer => "footer",
            };
            Event::Truncated { offset, part, wanted: *wanted, got: *got }
        }
        other => panic!("{other}"),
    }
}

/// The defect of an error about a damaged record.
pub fn defect(error: RecordError) -> RecordDefect {
    match error {
        RecordError::Damaged { defect, .. } => *defect,
        other => panic!("{other}"),
    }
}

/// The bytes of a file of these records, compressed by the crate's writer.
pub fn written<P: AsRef<[u8]>>(payloads: &[P], compression: Compression) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), compression);
    for payload in payloads {
        writer.write(payload.as_ref()).unwrap();
    }
    writer.finish().unwrap()
}

/// The names in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A gzip member of these bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_at_level(6, bytes)
}

pub fn gzip_at_level(level: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
