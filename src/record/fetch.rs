//! Reads the records of an index in any order.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::sync::Arc;

use super::compression::Compression;
use super::error::{RecordDefect, RecordError};
use super::frame;
use super::index::{IndexedRecord, IndexedShard, ShardIndex};
use super::reader::{ReaderOptions, RecordReader};
use crate::files::open_regular;

/// The default of [`RecordFetcher::with_stash_bytes`]: 256 MiB.
pub const DEFAULT_STASH_BYTES: u64 = 256 << 20;

/// How many files are kept open: well under the 256 descriptors that some systems allow a process.
const MAX_OPEN_FILES: usize = 128;

/// Fetches records by their number in a [`ShardIndex`], and checks each against its CRC.
///
/// A record of a plain file is reached by a seek. A compressed file can only be read forwards: records that
/// are passed over on the way to the one asked for are set aside, within a budget, until they are asked for
/// in their turn. So drawing each record once, through a shuffle buffer, decompresses each file once an
/// epoch; asking for a record again starts its file anew.
///
/// Fetchers are cheap; threads that fetch in parallel have one each, on the same index.
///
/// ```no_run
/// use std::sync::Arc;
/// use floret::record::{RecordFetcher, ShardIndex, find_shards};
///
/// let index = Arc::new(ShardIndex::open(&find_shards(&["data/train"])?, &Default::default())?);
/// let mut fetcher = RecordFetcher::new(Arc::clone(&index));
/// let mut payload = Vec::new();
/// for record in (0..index.len()).rev() {
///     fetcher.fetch(record, &mut payload)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RecordFetcher {
    index: Arc<ShardIndex>,
    /// By time of last use, the latest last.
    open: Vec<OpenShard>,
    stash_bytes: u64,
}

#[derive(Debug)]
struct OpenShard {
    shard: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Plain(BufReader<File>),
    Compressed(Box<Cursor>),
}

/// A place in a compressed file, with the records set aside before it.
#[derive(Debug)]
struct Cursor {
    reader: RecordReader<File>,
    stash: HashMap<u64, Vec<u8>>,
    stashed_bytes: u64,
}

/// What may be set aside.
#[derive(Clone, Copy)]
struct Budget<'a> {
    /// The bytes set aside for other files.
    elsewhere: u64,
    /// The most for all files.
    limit: u64,
    /// Which records of the index.
    keep: &'a dyn Fn(usize) -> bool,
}

impl RecordFetcher {
    /// A fetcher with the default budget ([`DEFAULT_STASH_BYTES`]). Files are opened when first needed.
    pub fn new(index: Arc<ShardIndex>) -> Self {
        RecordFetcher { index, open: Vec::new(), stash_bytes: DEFAULT_STASH_BYTES }
    }

    /// Sets how many payload bytes of passed-over records of compressed files may be set aside, over all
    /// files.
    pub fn with_stash_bytes(mut self, bytes: u64) -> Self {
        self.stash_bytes = bytes;
        self
    }

    /// The index.
    pub fn index(&self) -> &Arc<ShardIndex> {
        &self.index
    }

    /// Reads the payload of record `record` into `payload`, replacing what it held.
    ///
    /// # Errors
    /// [`RecordError::NoSuchRecord`]; [`RecordError::Damaged`] with the record's place when its data does not
    /// fit its CRC, the file has changed since it was indexed, or reading fails; [`RecordError::StashFull`];
    /// [`RecordError::File`]. `payload` then holds no record. Any record may be asked for after an error.
    pub fn fetch(&mut self, record: usize, payload: &mut Vec<u8>) -> Result<(), RecordError> {
        self.fetch_keeping(record, payload, |_| true)
    }

    /// As [`fetch`](RecordFetcher::fetch), but of the records that are passed over, only those for which `keep` is
    /// true are set aside: the others will not be asked for.
    ///
    /// # Errors
    /// As [`fetch`](RecordFetcher::fetch).
    pub fn fetch_keeping(
        &mut self,
        record: usize,
        payload: &mut Vec<u8>,
        keep: impl Fn(usize) -> bool,
    ) -> Result<(), RecordError> {
        let records = self.index.len();
        let wanted = self.index.get(record).ok_or(RecordError::NoSuchRecord { record, records })?;
        let mut source = self.take_source(wanted)?;
        let fetched = self.fetch_from(&mut source, wanted, payload, &keep);
        // After other errors the source's state is not known: it is closed, and opened anew when needed.
        if fetched.as_ref().map_or_else(RecordError::is_recoverable, |()| true) {
            self.open.push(OpenShard { shard: wanted.shard, source });
        }
        fetched
    }

    fn fetch_from(
        &self,
        source: &mut Source,
        wanted: IndexedRecord,
        payload: &mut Vec<u8>,
        keep: &dyn Fn(usize) -> bool,
    ) -> Result<(), RecordError> {
        let shard = &self.index.shards()[wanted.shard];
        let limit = self.index.max_record_bytes();
        match source {
            Source::Plain(stream) => fetch_plain(stream, wanted, limit, payload)
                .map_err(|defect| RecordError::damaged(shard.location(wanted.position), defect)),
            Source::Compressed(cursor) => {
                let elsewhere = self.open.iter().map(|open| open.source.stashed_bytes()).sum();
                let budget = Budget { elsewhere, limit: self.stash_bytes, keep };
                cursor.fetch(shard, wanted, budget, payload)
            }
        }
    }

    /// Takes the shard's source out of those open, or opens it; closes the one unused for longest if there
    /// are many.
    fn take_source(&mut self, wanted: IndexedRecord) -> Result<Source, RecordError> {
        if let Some(place) = self.open.iter().position(|open| open.shard == wanted.shard) {
            return Ok(self.open.remove(place).source);
        }
        if self.open.len() == MAX_OPEN_FILES {
            self.open.remove(0);
        }
        let shard = &self.index.shards()[wanted.shard];
        let file = open_unchanged(shard, wanted)?;
        Ok(match shard.compression {
            Compression::Plain => Source::Plain(BufReader::new(file)),
            _ => Source::Compressed(Box::new(Cursor::new(shard, file, self.index.max_record_bytes())?)),
        })
    }
}

impl Source {
    fn stashed_bytes(&self) -> u64 {
        match self {
            Source::Plain(_) => 0,
            Source::Compressed(cursor) => cursor.stashed_bytes,
        }
    }
}

/// Opens a shard's file, on the way to record `wanted`, if it is still as long as it was.
fn open_unchanged(shard: &IndexedShard, wanted: IndexedRecord) -> Result<File, RecordError> {
    let (file, bytes) = open_regular(&shard.path)?;
    if bytes != shard.bytes {
        let changed =
            RecordDefect::Changed { what: "its length in bytes", indexed: shard.bytes, found: bytes };
        return Err(RecordError::damaged(shard.location(wanted.position), changed));
    }
    Ok(file)
}

fn fetch_plain(
    stream: &mut BufReader<File>,
    wanted: IndexedRecord,
    limit: u64,
    payload: &mut Vec<u8>,
) -> Result<(), RecordDefect> {
    stream.seek(SeekFrom::Start(wanted.position.offset))?;
    let length = frame::read_header(stream, wanted.position.record, limit)?.unwrap_or(0);
    require_unchanged("the record's length", wanted.length, length)?;
    frame::read_payload(stream, length, payload)
}

fn require_unchanged(what: &'static str, indexed: u64, found: u64) -> Result<(), RecordDefect> {
    if indexed == found { Ok(()) } else { Err(RecordDefect::Changed { what, indexed, found }) }
}

impl Cursor {
    fn new(shard: &IndexedShard, file: File, max_record_bytes: u64) -> Result<Self, RecordError> {
        let options = ReaderOptions {
            compression: Some(shard.compression),
            max_record_bytes,
            ..ReaderOptions::default()
        };
        let reader = RecordReader::new(file, &shard.path, &options)?;
        Ok(Cursor { reader, stash: HashMap::new(), stashed_bytes: 0 })
    }

    /// Delivers a record from the stash, or by reading on to it; if it lies behind, from the file's start.
    fn fetch(
        &mut self,
        shard: &IndexedShard,
        wanted: IndexedRecord,
        budget: Budget<'_>,
        payload: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let record = wanted.position.record;
        if let Some(stashed) = self.stash.remove(&record) {
            self.stashed_bytes -= stashed.len() as u64;
            *payload = stashed;
        } else {
            if record < self.reader.next_position().record {
                // What is still set aside will be passed over again.
                let file = open_unchanged(shard, wanted)?;
                *self = Cursor::new(shard, file, self.reader.max_record_bytes())?;
            }
            self.read_up_to(shard, wanted, budget, payload)?;
            self.read_wanted(shard, wanted, payload)?;
        }
        require_unchanged("the record's length", wanted.length, payload.len() as u64)
            .map_err(|defect| RecordError::damaged(shard.location(wanted.position), defect))
    }

    /// Sets aside the records between the cursor and `wanted` that may still be asked for.
    fn read_up_to(
        &mut self,
        shard: &IndexedShard,
        wanted: IndexedRecord,
        budget: Budget<'_>,
        payload: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        while self.reader.next_position().record < wanted.position.record {
            match self.reader.read_into(payload) {
                Ok(Some(position)) if !(budget.keep)(shard.first + position.record as usize) => {}
                Ok(Some(position)) => {
                    self.stashed_bytes += payload.len() as u64;
                    if budget.elsewhere + self.stashed_bytes > budget.limit {
                        let at = Box::new(shard.location(wanted.position));
                        return Err(RecordError::StashFull { at, limit: budget.limit });
                    }
                    payload.shrink_to_fit();
                    self.stash.insert(position.record, std::mem::take(payload));
                }
                Ok(None) => break,
                // That record's error, when it is asked for; not this one's.
                Err(error) if error.is_recoverable() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads the record at the cursor, which is the one wanted unless the file has become shorter.
    fn read_wanted(
        &mut self,
        shard: &IndexedShard,
        wanted: IndexedRecord,
        payload: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        if self.reader.read_into(payload)?.is_some() {
            return Ok(());
        }
        let found = self.reader.next_position().record;
        let changed =
            RecordDefect::Changed { what: "its number of records", indexed: shard.records as u64, found };
        Err(RecordError::damaged(shard.location(wanted.position), changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordWriter;

    #[test]
    fn no_more_files_are_kept_open_than_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..MAX_OPEN_FILES + 5).map(|n| folder.path().join(n.to_string())).collect();
        for path in &paths {
            let mut writer = RecordWriter::new(Vec::new(), Compression::Plain);
            writer.write(b"a record").unwrap();
            std::fs::write(path, writer.finish().unwrap()).unwrap();
        }
        let index = ShardIndex::open(&paths, &ReaderOptions::default()).unwrap();
        let mut fetcher = RecordFetcher::new(Arc::new(index));
        for record in 0..paths.len() {
            fetcher.fetch(record, &mut Vec::new()).unwrap();
            assert_eq!(fetcher.open.len(), (record + 1).min(MAX_OPEN_FILES));
        }
    }
}
