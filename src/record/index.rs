//! Where each record of a list of shards stands, so that they can be read in any order.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::compression::{self, Compression, Decoder};
use super::error::{RecordDefect, RecordError, RecordLocation, RecordPart, RecordPosition};
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES};
use super::reader::{BUFFER_BYTES, ReaderOptions, RecordReader};
use crate::atomic_file::FileError;

/// The bytes read around each header of a plain file: a page, as little of the payloads as the system reads
/// anyway.
const HEADER_BUFFER_BYTES: usize = 4 << 10;

/// A shard of a [`ShardIndex`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedShard {
    /// The file.
    pub path: PathBuf,
    /// Its compression, as chosen or detected.
    pub compression: Compression,
    /// Its length in bytes, as it lies on the disk.
    pub bytes: u64,
    /// The number of its first record among the records of all shards.
    pub first: usize,
    /// How many records it has.
    pub records: usize,
}

/// A record of a [`ShardIndex`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedRecord {
    /// The number of its shard.
    pub shard: usize,
    /// Its place in the shard.
    pub position: RecordPosition,
    /// The length of its payload in bytes.
    pub length: u64,
}

/// The place of every record of a list of shards. Records are numbered from 0 through all shards in their
/// order.
///
/// It takes 16 bytes a record. [`RecordFetcher`](super::RecordFetcher) reads the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIndex {
    shards: Vec<IndexedShard>,
    spans: Vec<Span>,
    max_record_bytes: u64,
}

/// The place of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    offset: u64,
    length: u64,
}

impl ShardIndex {
    /// Passes once over each file: over plain ones from header to header, without reading payloads; over
    /// compressed ones by decompressing them. Files are read in parallel on rayon's current pool.
    ///
    /// Every length is checked against its CRC, and that the payload lies inside the file. The data's own
    /// CRCs are checked when records are fetched.
    ///
    /// # Errors
    /// That of the first shard, in order, that cannot be opened, is not a regular file, or whose framing is
    /// damaged.
    pub fn open<P: AsRef<Path> + Sync>(paths: &[P], options: &ReaderOptions) -> Result<Self, RecordError> {
        let (index, damages) = Self::scan(paths, options)?;
        match damages.into_iter().next() {
            Some(damage) => Err(damage),
            None => Ok(index),
        }
    }

    /// As [`open`](ShardIndex::open), but of a shard whose framing is damaged, every record that is whole is kept (see
    /// [`ReaderOptions::search`]; of a compressed one those before the damage). The damages are given beside the index, in
    /// order. Such a shard is read whole, and its records are counted without those that are lost.
    ///
    /// # Errors
    /// When a shard cannot be opened or is not a regular file.
    pub fn open_skipping_damage<P: AsRef<Path> + Sync>(
        paths: &[P],
        options: &ReaderOptions,
    ) -> Result<(Self, Vec<RecordError>), RecordError> {
        Self::scan(paths, &ReaderOptions { search: true, ..options.clone() })
    }

    fn scan<P: AsRef<Path> + Sync>(
        paths: &[P],
        options: &ReaderOptions,
    ) -> Result<(Self, Vec<RecordError>), RecordError> {
        let scans: Vec<_> = paths.par_iter().map(|path| scan_shard(path.as_ref(), options)).collect();
        let max_record_bytes = options.max_record_bytes;
        let mut index =
            ShardIndex { shards: Vec::with_capacity(paths.len()), spans: Vec::new(), max_record_bytes };
        let mut damages = Vec::new();
        for scan in scans {
            let ShardScan { mut shard, spans, damages: found } = scan?;
            shard.first = index.spans.len();
            shard.records = spans.len();
            index.shards.push(shard);
            index.spans.extend(spans);
            damages.extend(found);
        }
        Ok((index, damages))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The shards, in order.
    pub fn shards(&self) -> &[IndexedShard] {
        &self.shards
    }

    /// The limit the records were indexed under.
    pub(super) fn max_record_bytes(&self) -> u64 {
        self.max_record_bytes
    }

    /// Where record `record` stands; `None` beyond the last.
    pub fn get(&self, record: usize) -> Option<IndexedRecord> {
        let Span { offset, length } = *self.spans.get(record)?;
        // The last shard that begins at or before the record; empty shards before it begin there too.
        let shard = self.shards.partition_point(|shard| shard.first <= record) - 1;
        let position = RecordPosition { record: (record - self.shards[shard].first) as u64, offset };
        Some(IndexedRecord { shard, position, length })
    }

    /// Names record `record`, for errors about its payload; `None` beyond the last.
    pub fn location(&self, record: usize) -> Option<RecordLocation> {
        let record = self.get(record)?;
        Some(self.shards[record.shard].location(record.position))
    }
}

impl IndexedShard {
    pub(super) fn location(&self, position: RecordPosition) -> RecordLocation {
        RecordLocation { file: self.path.clone(), compression: self.compression, position }
    }
}

/// What one pass over a shard finds.
struct ShardScan {
    /// With `first` and `records` not set yet.
    shard: IndexedShard,
    spans: Vec<Span>,
    damages: Vec<RecordError>,
}

fn scan_shard(path: &Path, options: &ReaderOptions) -> Result<ShardScan, RecordError> {
    let (mut file, bytes) = open_regular(path)?;
    let failed = |error| FileError::new(path, "read", error);
    let (compression, _) = compression::detect(&file, options.compression).map_err(failed)?;
    file.rewind().map_err(failed)?;

    let limit = options.max_record_bytes;
    let (spans, end) = match compression {
        Compression::Plain => {
            let mut stream = BufReader::with_capacity(HEADER_BUFFER_BYTES, file);
            scan(&mut stream, limit, |stream, span| seek_over(stream, span, bytes))
        }
        _ => {
            let mut stream = BufReader::with_capacity(BUFFER_BYTES, Decoder::new(file, compression));
            scan(&mut stream, limit, |stream, span| frame::skip_payload(stream, span.length))
        }
    };
    let shard = IndexedShard { path: path.to_path_buf(), compression, bytes, first: 0, records: 0 };
    let Err((position, defect)) = end else {
        return Ok(ShardScan { shard, spans, damages: Vec::new() });
    };
    match compression {
        Compression::Plain if options.search && !matches!(defect, RecordDefect::Io(_)) => {
            let (spans, damages) = search(path, options)?;
            Ok(ShardScan { shard, spans, damages })
        }
        _ => {
            let damages = vec![RecordError::damaged(shard.location(position), defect)];
            Ok(ShardScan { shard, spans, damages })
        }
    }
}

/// Reads a plain shard whole, and finds what can be found behind damage.
fn search(path: &Path, options: &ReaderOptions) -> Result<(Vec<Span>, Vec<RecordError>), RecordError> {
    let options = ReaderOptions { compression: Some(Compression::Plain), ..options.clone() };
    let mut reader = RecordReader::open_with(path, &options)?;
    let (mut spans, mut damages, mut payload) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match reader.read_into(&mut payload) {
            Ok(Some(RecordPosition { offset, .. })) => {
                spans.push(Span { offset, length: payload.len() as u64 });
            }
            Ok(None) => return Ok((spans, damages)),
            Err(error) => damages.push(error),
        }
    }
}

/// Opens a file and tells its length, which only a regular file has.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), FileError> {
    let failed = |error| FileError::new(path, "open", error);
    // Looked at first: opening a named pipe would wait for its writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok((file, bytes))
}

/// Passes over all records with `pass_over`; gives those that are whole, and the place and kind of the defect
/// that ended the pass early.
fn scan<S: Read>(
    stream: &mut S,
    limit: u64,
    pass_over: impl Fn(&mut S, Span) -> Result<(), RecordDefect>,
) -> (Vec<Span>, Result<(), (RecordPosition, RecordDefect)>) {
    let mut spans = Vec::new();
    let mut position = RecordPosition::default();
    loop {
        let span = match frame::read_header(stream, position.record, limit) {
            Ok(Some(length)) => Span { offset: position.offset, length },
            Ok(None) => return (spans, Ok(())),
            Err(defect) => return (spans, Err((position, defect))),
        };
        if let Err(defect) = pass_over(stream, span) {
            return (spans, Err((position, defect)));
        }
        spans.push(span);
        position.record += 1;
        position.offset += HEADER_BYTES + span.length + FOOTER_BYTES;
    }
}

/// Seeks to the next record of a plain file of `file_bytes` bytes.
fn seek_over(stream: &mut BufReader<File>, span: Span, file_bytes: u64) -> Result<(), RecordDefect> {
    let left = file_bytes.saturating_sub(span.offset + HEADER_BYTES);
    let short = |part, wanted, got| Err(RecordDefect::Truncated { part, wanted, got });
    if left < span.length {
        return short(RecordPart::Payload, span.length, left);
    }
    if left - span.length < FOOTER_BYTES {
        return short(RecordPart::Footer, FOOTER_BYTES, left - span.length);
    }
    let distance = i64::try_from(span.length + FOOTER_BYTES).map_err(io::Error::other)?;
    Ok(stream.seek_relative(distance)?)
}
