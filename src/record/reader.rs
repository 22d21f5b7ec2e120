//! Reads the records of one stream in order.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::compression::Compression;
use super::error::{Lost, RecordDefect, RecordError, RecordLocation, RecordPosition};
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES};
use super::search::{self, Patience};
use super::stream::{self, Decoder, Peeked};
use super::tape::Tape;
use crate::files::open_regular;

/// The default of [`ReaderOptions::max_record_bytes`]: 256 MiB.
pub const DEFAULT_MAX_RECORD_BYTES: u64 = 256 << 20;

/// The uncompressed bytes kept in advance, so that headers and small records cost no system call each.
pub(super) const BUFFER_BYTES: usize = 64 << 10;

/// How to read a TFRecord file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderOptions {
    /// The file's compression; `None` detects it from the first bytes.
    pub compression: Option<Compression>,
    /// The longest payload accepted, in bytes ([`DEFAULT_MAX_RECORD_BYTES`]). A longer one is an error before
    /// anything is allocated for it.
    pub max_record_bytes: u64,
    /// Whether to search for the next whole record where damage hides its place: behind a damaged length, or damaged data
    /// that no record follows. Of plain files alone; compressed ones are read up to such damage. `false` by default.
    ///
    /// A record is whole if its length and its data fit their CRCs. None is given twice, and each that is intact is found,
    /// unless the file was made to hide it: what follows a length that fits its CRC is believed to be that record's where the
    /// length is over the limit. The search takes time and memory in proportion to what it passes over.
    pub search: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        ReaderOptions { compression: None, max_record_bytes: DEFAULT_MAX_RECORD_BYTES, search: false }
    }
}

/// A record with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where the record stands in its file.
    pub position: RecordPosition,
    /// The record's data, checked against its CRC.
    pub payload: Vec<u8>,
}

/// Reads records one after another and checks both CRCs of each.
///
/// Use [`read_into`](RecordReader::read_into), which reuses one buffer, or iterate. After a recoverable error
/// (see [`RecordError::is_recoverable`]) reading goes on with the next record; after any other the reader is
/// at its end.
///
/// ```no_run
/// use floret::record::RecordReader;
///
/// let mut reader = RecordReader::open("train-00000-of-00002.tfrecord")?;
/// let mut payload = Vec::new();
/// while let Some(position) = reader.read_into(&mut payload)? {
///     println!("record {} at byte {}: {} bytes", position.record, position.offset, payload.len());
/// }
/// # Ok::<(), floret::record::RecordError>(())
/// ```
#[derive(Debug)]
pub struct RecordReader<R> {
    stream: Tape<BufReader<Decoder<Peeked<R>>>>,
    name: PathBuf,
    compression: Compression,
    max_record_bytes: u64,
    /// How much may be spent on searching; `None` if nothing.
    patience: Option<Patience>,
    /// The place of the record to come.
    next: RecordPosition,
    /// Set at the end, clean or not.
    ended: bool,
}

impl RecordReader<File> {
    /// Opens a file with the default options. To read from a pipe, use [`new`](RecordReader::new).
    ///
    /// # Errors
    /// [`RecordError::File`] when it cannot be opened or is not a regular file, [`RecordError::Damaged`] when its first bytes cannot
    /// be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        Self::open_with(path, &ReaderOptions::default())
    }

    /// Opens a file. Errors as [`open`](RecordReader::open).
    pub fn open_with(path: impl AsRef<Path>, options: &ReaderOptions) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let (file, _) = open_regular(path)?;
        Self::new(file, path, options)
    }
}

impl<R: Read> RecordReader<R> {
    /// Reads records from `reader`, which needs no buffer of its own; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`RecordError::Damaged`] when the first bytes, from which the compression is detected, cannot be read.
    pub fn new(reader: R, name: impl Into<PathBuf>, options: &ReaderOptions) -> Result<Self, RecordError> {
        let name = name.into();
        let (compression, peeked) = match stream::detect(reader, options.compression) {
            Ok(detected) => detected,
            Err(error) => {
                let position = RecordPosition::default();
                let at = RecordLocation { file: name, compression: Compression::Plain, position };
                return Err(RecordError::damaged(at, error));
            }
        };
        let stream = BufReader::with_capacity(BUFFER_BYTES, Decoder::new(peeked, compression));
        let search = options.search && compression == Compression::Plain;
        Ok(RecordReader {
            stream: Tape::new(stream, search),
            patience: search.then(Patience::new),
            name,
            compression,
            max_record_bytes: options.max_record_bytes,
            next: RecordPosition::default(),
            ended: false,
        })
    }

    /// The stream's compression, as chosen or detected.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The place of the record that is read next, or of the end.
    pub fn next_position(&self) -> RecordPosition {
        self.next
    }

    pub(super) fn max_record_bytes(&self) -> u64 {
        self.max_record_bytes
    }

    /// Names a record of this reader, for errors about its payload.
    pub fn location(&self, position: RecordPosition) -> RecordLocation {
        RecordLocation { file: self.name.clone(), compression: self.compression, position }
    }

    /// Reads the next record's payload into `payload`, replacing what it held, and gives the record's place;
    /// `None` at the end.
    ///
    /// # Errors
    /// [`RecordError::Damaged`] with the record's place. `payload` then holds no record.
    pub fn read_into(&mut self, payload: &mut Vec<u8>) -> Result<Option<RecordPosition>, RecordError> {
        if self.ended {
            return Ok(None);
        }
        self.stream.mark();
        let position = self.next;
        match self.read_record(payload) {
            Ok(Some(())) => {
                self.advance(frame_bytes(payload));
                Ok(Some(position))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(defect) => Err(self.pass_over(defect, payload)),
        }
    }

    /// Goes on behind a damaged record, if there is a way; `payload` is what was read of it.
    fn pass_over(&mut self, defect: RecordDefect, payload: &[u8]) -> RecordError {
        let at = Box::new(self.location(self.next));
        let (lost, defect) = match self.next_behind(&defect, payload) {
            Ok(lost) => (lost, defect),
            // That reading fails is worse than what was wrong with the record.
            Err(error) => (Lost::Rest, error.into()),
        };
        match lost {
            Lost::Record => self.advance(frame_bytes(payload)),
            Lost::Bytes { count, .. } => self.advance(count),
            Lost::Rest => self.ended = true,
        }
        RecordError::Damaged { at, lost, defect: Box::new(defect) }
    }

    /// Brings the stream to the next record behind a damaged one.
    fn next_behind(&mut self, defect: &RecordDefect, payload: &[u8]) -> io::Result<Lost> {
        let Some(patience) = &mut self.patience else {
            return Ok(if defect.is_recoverable() { Lost::Record } else { Lost::Rest });
        };
        let start = self.next.offset;
        let passed = match *defect {
            RecordDefect::DataCrc(_) => {
                // If bytes were lost from the data, or others came among them, the next record is not where the length says, or
                // not the next: then a whole one lies in the bytes that were taken for data.
                let frame = frame_bytes(payload);
                let behind = self.stream.look(frame as usize, HEADER_BYTES as usize)?;
                let follows = behind.is_empty() || search::plausible(behind, self.max_record_bytes).is_some();
                if patience.is_over() {
                    return Ok(Lost::Record);
                }
                let within = if follows { frame } else { u64::MAX };
                match search::next_record(&mut self.stream, self.max_record_bytes, within, patience)? {
                    None if follows => return Ok(Lost::Record),
                    passed => passed,
                }
            }
            RecordDefect::NotTfRecord { .. }
            | RecordDefect::LengthCrc(_)
            | RecordDefect::Truncated { .. } => {
                search::next_record(&mut self.stream, self.max_record_bytes, u64::MAX, patience)?
            }
            // The length is right, so it is believed: a search could find records within the record.
            RecordDefect::TooLong { length, .. } => {
                let behind = length.saturating_add(FOOTER_BYTES);
                let skipped = self.stream.skip(behind)?;
                (skipped == behind).then(|| HEADER_BYTES + behind)
            }
            RecordDefect::Decompression { .. } | RecordDefect::Changed { .. } | RecordDefect::Io(_) => None,
        };
        Ok(passed.map_or(Lost::Rest, |count| Lost::Bytes { count, next: start + count }))
    }

    fn read_record(&mut self, payload: &mut Vec<u8>) -> Result<Option<()>, RecordDefect> {
        match frame::read_header(&mut self.stream, self.next.record, self.max_record_bytes)? {
            Some(length) => frame::read_payload(&mut self.stream, length, payload).map(Some),
            None => Ok(None),
        }
    }

    fn advance(&mut self, bytes: u64) {
        self.next.record += 1;
        self.next.offset += bytes;
    }
}

/// The bytes of a record with this payload.
fn frame_bytes(payload: &[u8]) -> u64 {
    HEADER_BYTES + payload.len() as u64 + FOOTER_BYTES
}

impl<R: Read> Iterator for RecordReader<R> {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut payload = Vec::new();
        let position = self.read_into(&mut payload).transpose()?;
        Some(position.map(|position| Record { position, payload }))
    }
}
