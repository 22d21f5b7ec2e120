//! Features on disk, so that a run that was interrupted computes none of them twice.
//!
//! ```text
//! one line of JSON: which photos, which network
//! for each batch: its photos u32, the position behind it u32, CRC32C of what follows u32,
//!                 records u32 .., classes u32 .., features f32 ..      (all little-endian)
//! ```
//!
//! What heads say of photos that they were not fitted to is kept in the same form, as one batch whose features are the logits.
//!
//! The file only grows. A batch that is cut off or damaged is where it ends, and is written anew. It is a help and no more: where it
//! can't be read or written, features are computed again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::features::Features;
use crate::data::{Fingerprint, Loader, LoaderOptions, Preprocess};
use crate::files::AtomicFile;
use crate::network::Network;

/// What the features are of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    floret_features: u32,
    photos: Fingerprint,
    /// CRC32C of the arrays of the network.
    network: u32,
    test_time_flip: bool,
    features: usize,
    preprocess: Preprocess,
    batch_size: usize,
    label_offset: i64,
    classes: usize,
}

impl Header {
    fn of(body: &Network, photos: &Loader) -> Self {
        let LoaderOptions { preprocess, batch_size, label_offset, classes, .. } = *photos.options();
        let mut network = 0;
        for (param, values) in body.arrays() {
            network = crc32c::crc32c_append(network, param.name.as_bytes());
            for value in &values {
                network = crc32c::crc32c_append(network, &value.to_le_bytes());
            }
        }
        Self {
            floret_features: 1,
            photos: photos.fingerprint(),
            network,
            test_time_flip: body.spec().test_time_flip,
            features: body.outputs(),
            preprocess,
            batch_size,
            label_offset,
            classes,
        }
    }
}

/// The features of the batches that were computed so far, first to last; then room for more.
pub(super) struct FeatureFile {
    features: usize,
    reader: Option<BufReader<File>>,
    /// Bytes that were read and found good.
    good: u64,
    writer: Option<BufWriter<File>>,
}

/// The longest line that is taken for a header.
const MAX_HEADER: u64 = 1 << 24;

impl FeatureFile {
    /// Opens the file at `path`, or makes it if it is not there or of other photos or another network.
    pub fn open(path: Option<&Path>, body: &Network, photos: &Loader) -> Self {
        let nothing = Self { features: body.outputs(), reader: None, good: 0, writer: None };
        let Some(path) = path else { return nothing };
        let header = Header::of(body, photos);
        let Ok(mut line) = serde_json::to_vec(&header) else { return nothing };
        line.push(b'\n');
        if let Ok(file) = OpenOptions::new().read(true).write(true).open(path) {
            let mut reader = BufReader::new(file);
            if read_line(&mut reader).as_ref() == Some(&header) {
                let good = reader.stream_position().unwrap_or(0);
                return Self { reader: Some(reader), good, ..nothing };
            }
        }
        let writer = File::create(path).and_then(|mut file| file.write_all(&line).map(|()| file));
        Self { writer: writer.ok().map(BufWriter::new), ..nothing }
    }

    /// The next batch that is there, and the position behind it. After the last one there are none, and [`append`](Self::append) goes on behind it.
    pub fn next(&mut self) -> Option<(Features, usize)> {
        let reader = self.reader.as_mut()?;
        if let Some(batch) = read_batch(reader, self.features) {
            self.good = reader.stream_position().unwrap_or(self.good);
            return Some(batch);
        }
        let mut file = self.reader.take()?.into_inner();
        let at_end = file.set_len(self.good).and_then(|()| file.seek(SeekFrom::Start(self.good)));
        self.writer = at_end.is_ok().then(|| BufWriter::new(file));
        None
    }

    /// Adds a batch behind which the photos go on at `position`.
    pub fn append(&mut self, batch: &Features, position: usize) {
        let Some(writer) = &mut self.writer else { return };
        if write_batch(writer, batch, position).and_then(|()| writer.flush()).is_err() {
            self.writer = None;
        }
    }
}

/// What the logits are of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct HeldOut {
    floret_held_out: u32,
    photos: Fingerprint,
    classes: usize,
}

impl HeldOut {
    fn of(photos: &Loader) -> Self {
        Self { floret_held_out: 1, photos: photos.fingerprint(), classes: photos.options().classes }
    }
}

/// Keeps the logits of `photos` by heads that were fitted without them.
pub(crate) fn keep_held_out(path: &Path, photos: &Loader, logits: &Features) -> io::Result<()> {
    let mut file = AtomicFile::create(path).map_err(io::Error::other)?;
    serde_json::to_writer(&mut file, &HeldOut::of(photos))?;
    file.write_all(b"\n")?;
    write_batch(&mut file, logits, 0)?;
    file.commit().map_err(io::Error::other)
}

/// The logits that are kept of these photos, if any are.
pub(crate) fn held_out(path: &Path, photos: &Loader) -> Option<Features> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let header: HeldOut = read_line(&mut reader)?;
    let known = header == HeldOut::of(photos);
    read_batch(&mut reader, header.classes).filter(|_| known).map(|(logits, _)| logits)
}

fn write_batch(to: &mut impl Write, batch: &Features, position: usize) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * (2 * batch.len() + batch.values.len()));
    let whole = batch.records.iter().chain(&batch.labels).map(|number| (*number as u32).to_le_bytes());
    let values = batch.values.iter().map(|value| value.to_le_bytes());
    whole.chain(values).for_each(|value| bytes.extend_from_slice(&value));
    for number in [batch.len() as u32, position as u32, crc32c::crc32c(&bytes)] {
        to.write_all(&number.to_le_bytes())?;
    }
    to.write_all(&bytes)
}

fn read_line<T: DeserializeOwned>(reader: &mut BufReader<File>) -> Option<T> {
    let mut line = Vec::new();
    BufRead::read_until(&mut reader.by_ref().take(MAX_HEADER), b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

/// The next batch, if it is whole.
fn read_batch(reader: &mut BufReader<File>, features: usize) -> Option<(Features, usize)> {
    let mut head = [0; 12];
    reader.read_exact(&mut head).ok()?;
    let [photos, position, crc] =
        [0, 4, 8].map(|at| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")));
    let len = 4 * photos as u64 * (2 + features as u64);
    let mut bytes = Vec::new();
    reader.take(len).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 != len || crc32c::crc32c(&bytes) != crc {
        return None;
    }
    let (words, photos) = (bytes.as_chunks::<4>().0, photos as usize);
    let whole = |words: &[[u8; 4]]| words.iter().map(|word| u32::from_le_bytes(*word) as usize).collect();
    let batch = Features {
        records: whole(&words[..photos]),
        labels: whole(&words[photos..2 * photos]),
        values: words[2 * photos..].iter().map(|word| f32::from_le_bytes(*word)).collect(),
    };
    Some((batch, position as usize))
}
