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
use crate::data::{Fingerprint, Loader, LoaderOptions, OnBadRecord, Preprocess};
use crate::files::AtomicFile;
use crate::network::Network;

/// What the features are of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    floret_features: u32,
    #[serde(flatten)]
    photos: Photos,
    /// CRC32C of the arrays of the network.
    network: u32,
    test_time_flip: bool,
    features: usize,
    preprocess: Preprocess,
    batch_size: usize,
    skips_bad: bool,
}

/// Which photos, and by which labels.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Photos {
    photos: Fingerprint,
    label_offset: i64,
    classes: usize,
    /// The features of the records that are read: the photo, and its class.
    keys: [String; 2],
    /// How they hold pixels, if not files.
    pixels: Option<String>,
    /// CRC32C of the names of the labels that are texts, and the label of the first.
    label_names: u32,
}

impl Photos {
    fn of(photos: &Loader) -> Self {
        let LoaderOptions { ref schema, label_offset, classes, .. } = *photos.options();
        let (names, first) = &schema.label_names;
        let label_names =
            crc32c::crc32c_append(crc32c::crc32c(&first.to_le_bytes()), names.join("\n").as_bytes());
        Self {
            photos: photos.fingerprint(),
            label_offset,
            classes,
            keys: [schema.encoded.clone(), schema.label.clone()],
            pixels: schema.pixels.map(|pixels| pixels.to_string()),
            label_names,
        }
    }
}

impl Header {
    fn of(body: &Network, photos: &Loader) -> Self {
        let LoaderOptions { preprocess, batch_size, on_bad_record, .. } = *photos.options();
        let mut network = 0;
        for (param, values) in body.arrays() {
            network = crc32c::crc32c_append(network, param.name.as_bytes());
            for value in &values {
                network = crc32c::crc32c_append(network, &value.to_le_bytes());
            }
        }
        Self {
            floret_features: 1,
            photos: Photos::of(photos),
            network,
            test_time_flip: body.spec().test_time_flip,
            features: body.outputs(),
            preprocess,
            batch_size,
            skips_bad: on_bad_record == OnBadRecord::Skip,
        }
    }
}

/// The features of the batches that were computed so far, first to last; then room for more.
pub(super) struct FeatureFile {
    features: usize,
    limits: Limits,
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
        let limits = Limits::of(photos);
        let nothing = Self { features: body.outputs(), limits, reader: None, good: 0, writer: None };
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
        if let Some(batch) = read_batch(reader, self.features, &mut self.limits) {
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
    #[serde(flatten)]
    photos: Photos,
}

impl HeldOut {
    fn of(photos: &Loader) -> Self {
        Self { floret_held_out: 1, photos: Photos::of(photos) }
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
    let wanted = HeldOut::of(photos);
    read_line(&mut reader).filter(|header: &HeldOut| *header == wanted)?;
    read_batch(&mut reader, wanted.photos.classes, &mut Limits::of(photos)).map(|(logits, _)| logits)
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
    // A line that was cut off is none.
    serde_json::from_slice(line.strip_suffix(b"\n")?).ok()
}

/// What a batch can hold that was written for these photos.
struct Limits {
    /// The records that no batch had yet begin here.
    next: usize,
    records: usize,
    classes: usize,
}

impl Limits {
    fn of(photos: &Loader) -> Self {
        Self { next: 0, records: photos.len(), classes: photos.options().classes }
    }

    /// Whether these are records behind those before, one after the other, each of a class.
    fn hold(&mut self, batch: &Features) -> bool {
        let mut ascend = true;
        for &record in &batch.records {
            ascend &= record >= self.next;
            self.next = record.saturating_add(1);
        }
        ascend && self.next <= self.records && batch.labels.iter().all(|label| *label < self.classes)
    }
}

/// The next batch, if it is whole and within the limits.
fn read_batch(
    reader: &mut BufReader<File>,
    features: usize,
    limits: &mut Limits,
) -> Option<(Features, usize)> {
    let mut head = [0; 12];
    reader.read_exact(&mut head).ok()?;
    let [photos, position, crc] =
        [0, 4, 8].map(|at| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")));
    if photos as usize > limits.records {
        return None;
    }
    let len = (features as u64).checked_add(2)?.checked_mul(4 * u64::from(photos))?;
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
    limits.hold(&batch).then_some((batch, position as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::GlobalAvgPool;
    use crate::record::{Compression, RecordWriter};

    /// The labels of records that name their classes are others then.
    #[test]
    fn what_was_kept_under_other_label_names_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let shard = folder.path().join("train");
        let mut writer = RecordWriter::create(&shard, Compression::Plain).unwrap();
        (0..2).for_each(|_| writer.write(b"not looked at").unwrap());
        writer.commit().unwrap();
        let photos = |names: [&str; 2]| {
            let mut options = LoaderOptions::new(Preprocess::new(8), 2);
            options.schema.label_names = (names.map(String::from).to_vec(), 1);
            Loader::open(std::slice::from_ref(&shard), options).unwrap()
        };
        let (before, reordered) = (photos(["a", "b"]), photos(["b", "a"]));
        let batch = |values| Features { records: vec![0, 1], labels: vec![0, 1], values };

        let body = Network::builder((8, 8, 3)).add(GlobalAvgPool).build().unwrap();
        let path = folder.path().join("features");
        let open = |photos| FeatureFile::open(Some(&path), &body, photos);
        open(&before).append(&batch(vec![1.0; 6]), 1);
        assert_eq!(open(&before).next().unwrap().0.labels, [0, 1]);
        assert!(open(&reordered).next().is_none());

        keep_held_out(&path, &before, &batch(vec![1.0; 4])).unwrap();
        assert_eq!(held_out(&path, &before).unwrap().labels, [0, 1]);
        assert!(held_out(&path, &reordered).is_none());
    }
}
