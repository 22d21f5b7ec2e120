//! Where each record of a list of shards stands, so that they can be read in any order.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::compression::Compression;
use super::crc::masked_crc32c;
use super::error::{RecordDefect, RecordError, RecordLocation, RecordPart, RecordPosition};
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES, StoredCrc};
use super::reader::{BUFFER_BYTES, ReaderOptions, RecordReader};
use super::stream::{self, Decoder};
use crate::files::{FileError, open_regular};

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
    /// CRC32C of the lengths and stored CRCs of its records, in order: what tells it from other shards.
    pub records_crc32c: u32,
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
    /// Passes once over each file: over plain ones from frame to frame, without reading payloads; over
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
            let ShardScan { mut shard, found, damages: found_damages } = scan?;
            shard.first = index.spans.len();
            shard.records = found.spans.len();
            shard.records_crc32c = found.crc32c;
            index.shards.push(shard);
            index.spans.extend(found.spans);
            damages.extend(found_damages);
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
    /// With `first` and what is told of the records not set yet.
    shard: IndexedShard,
    found: Found,
    damages: Vec<RecordError>,
}

/// The records of a shard.
#[derive(Default)]
struct Found {
    spans: Vec<Span>,
    /// See [`IndexedShard::records_crc32c`].
    crc32c: u32,
}

impl Found {
    fn push(&mut self, span: Span, crc: StoredCrc) {
        self.spans.push(span);
        self.crc32c = crc32c::crc32c_append(self.crc32c, &span.length.to_le_bytes());
        self.crc32c = crc32c::crc32c_append(self.crc32c, &crc);
    }
}

fn scan_shard(path: &Path, options: &ReaderOptions) -> Result<ShardScan, RecordError> {
    let (mut file, bytes) = open_regular(path)?;
    let failed = |error| FileError::new(path, "read", error);
    let (compression, _) = stream::detect(&file, options.compression).map_err(failed)?;
    file.rewind().map_err(failed)?;

    let limit = options.max_record_bytes;
    let (found, end) = match compression {
        Compression::Plain => {
            let mut stream = BufReader::with_capacity(HEADER_BUFFER_BYTES, file);
            scan(&mut stream, limit, |stream, span| seek_over(stream, span, bytes))
        }
        _ => {
            let mut stream = BufReader::with_capacity(BUFFER_BYTES, Decoder::new(file, compression));
            scan(&mut stream, limit, |stream, span| frame::skip_payload(stream, span.length))
        }
    };
    let shard = IndexedShard {
        path: path.to_path_buf(),
        compression,
        bytes,
        first: 0,
        records: 0,
        records_crc32c: 0,
    };
    let Err((position, defect)) = end else {
        return Ok(ShardScan { shard, found, damages: Vec::new() });
    };
    match compression {
        Compression::Plain if options.search && !matches!(defect, RecordDefect::Io(_)) => {
            let (found, damages) = search(path, options)?;
            Ok(ShardScan { shard, found, damages })
        }
        _ => {
            let damages = vec![RecordError::damaged(shard.location(position), defect)];
            Ok(ShardScan { shard, found, damages })
        }
    }
}

/// Reads a plain shard whole, and finds what can be found behind damage.
fn search(path: &Path, options: &ReaderOptions) -> Result<(Found, Vec<RecordError>), RecordError> {
    let options = ReaderOptions { compression: Some(Compression::Plain), ..options.clone() };
    let mut reader = RecordReader::open_with(path, &options)?;
    let (mut found, mut damages, mut payload) = (Found::default(), Vec::new(), Vec::new());
    loop {
        match reader.read_into(&mut payload) {
            Ok(Some(RecordPosition { offset, .. })) => {
                let span = Span { offset, length: payload.len() as u64 };
                found.push(span, masked_crc32c(&payload).to_le_bytes());
            }
            Ok(None) => return Ok((found, damages)),
            Err(error) => damages.push(error),
        }
    }
}

/// Passes over all records with `pass_over`, which gives their data's CRCs; gives those that are whole, and the place and kind
/// of the defect that ended the pass early.
fn scan<S: Read>(
    stream: &mut S,
    limit: u64,
    pass_over: impl Fn(&mut S, Span) -> Result<StoredCrc, RecordDefect>,
) -> (Found, Result<(), (RecordPosition, RecordDefect)>) {
    let mut found = Found::default();
    let mut position = RecordPosition::default();
    loop {
        let span = match frame::read_header(stream, position.record, limit) {
            Ok(Some(length)) => Span { offset: position.offset, length },
            Ok(None) => return (found, Ok(())),
            Err(defect) => return (found, Err((position, defect))),
        };
        match pass_over(stream, span) {
            Ok(crc) => found.push(span, crc),
            Err(defect) => return (found, Err((position, defect))),
        }
        position.record += 1;
        position.offset += HEADER_BYTES + span.length + FOOTER_BYTES;
    }
}

/// Seeks to the end of a record of a plain file of `file_bytes` bytes, and reads its last.
fn seek_over(stream: &mut BufReader<File>, span: Span, file_bytes: u64) -> Result<StoredCrc, RecordDefect> {
    let left = file_bytes.saturating_sub(span.offset + HEADER_BYTES);
    let short = |part, wanted, got| Err(RecordDefect::Truncated { part, wanted, got });
    if left < span.length {
        return short(RecordPart::Payload, span.length, left);
    }
    if left - span.length < FOOTER_BYTES {
        return short(RecordPart::Footer, FOOTER_BYTES, left - span.length);
    }
    stream.seek_relative(i64::try_from(span.length).map_err(io::Error::other)?)?;
    frame::read_footer(stream)
}
