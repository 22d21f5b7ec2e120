//! What can be wrong with a record, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::compression::{Compression, DecompressionFault};
use super::example_error::ExampleError;
use crate::files::FileError;

/// A record's place within its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RecordPosition {
    /// The record's number in the file, from 0.
    pub record: u64,
    /// Where the record's first byte (its length) stands, in bytes from the start of the uncompressed stream.
    pub offset: u64,
}

/// A record's file and its place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLocation {
    /// The file, or the name given to the stream.
    pub file: PathBuf,
    /// The file's compression; the position counts the bytes after decompression.
    pub compression: Compression,
    /// The place in the file.
    pub position: RecordPosition,
}

impl fmt::Display for RecordLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordPosition { record, offset } = self.position;
        write!(f, "{}: record {record} at byte {offset}", self.file.display())?;
        match self.compression {
            Compression::Plain => Ok(()),
            _ => f.write_str(" of the decompressed data"),
        }
    }
}

/// A checksum that does not fit its data. Both values are masked, as they stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrcMismatch {
    /// The checksum the file holds.
    pub stored: u32,
    /// The checksum of the data the file holds.
    pub computed: u32,
}

impl fmt::Display for CrcMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CRC stored {:#010x}, computed {:#010x}", self.stored, self.computed)
    }
}

/// A part of a record's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPart {
    /// The 12 bytes of length and its CRC.
    Header,
    /// The data.
    Payload,
    /// The 4 bytes of the payload's CRC.
    Footer,
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordPart::Header => "header",
            RecordPart::Payload => "payload",
            RecordPart::Footer => "footer",
        })
    }
}

/// What is wrong with a record's frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDefect {
    /// The first record's length does not fit its CRC: probably no TFRecord file, else one with a damaged
    /// start.
    #[error("not a TFRecord file{} (the first 12 bytes are no record header: {crc})", looks(.looks_like))]
    NotTfRecord {
        /// What the first bytes look like, where that is known.
        looks_like: Option<&'static str>,
        /// The checksum of the first 8 bytes, taken as a length.
        crc: CrcMismatch,
    },
    /// A record's length does not fit its CRC. Where the next record begins is unknown.
    #[error("the record's length is damaged, and with it the place of the next record ({0})")]
    LengthCrc(CrcMismatch),
    /// A record's payload does not fit its CRC. The records behind it can still be read.
    #[error("the record's data is damaged ({0})")]
    DataCrc(CrcMismatch),
    /// The file ends inside a record.
    #[error("the data ends inside the record's {part}: {got} of {wanted} bytes are there")]
    Truncated {
        /// The part that is not whole.
        part: RecordPart,
        /// The part's length in bytes.
        wanted: u64,
        /// How many of those bytes the file has.
        got: u64,
    },
    /// A record is longer than [`ReaderOptions::max_record_bytes`](super::ReaderOptions::max_record_bytes).
    #[error("the record has {length} bytes, over the limit of {limit}: raise `max_record_bytes` to read it")]
    TooLong {
        /// The payload's length by its (undamaged) header.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// The compressed stream around the record is damaged or ends early.
    #[error("the {format} data is damaged: {source}")]
    Decompression {
        /// The stream's format.
        format: Compression,
        /// What the decoder says.
        source: io::Error,
    },
    /// The file is not the one that was indexed.
    #[error("the file has changed since it was indexed ({what} was {indexed}, is {found}): index it again")]
    Changed {
        /// What differs, such as `its length in bytes`.
        what: &'static str,
        /// The value in the index.
        indexed: u64,
        /// The value found now.
        found: u64,
    },
    /// Reading failed.
    #[error("cannot read: {0}")]
    Io(#[source] io::Error),
}

impl RecordDefect {
    /// Whether the records behind this one can still be read: their place is known, and only this one is
    /// lost.
    pub fn is_recoverable(&self) -> bool {
        matches!(self, RecordDefect::DataCrc(_))
    }
}

impl From<io::Error> for RecordDefect {
    fn from(error: io::Error) -> Self {
        match error.downcast::<DecompressionFault>() {
            Ok(DecompressionFault { format, source }) => RecordDefect::Decompression { format, source },
            Err(error) => RecordDefect::Io(error),
        }
    }
}

/// `, but what looks like ...` for the message of [`RecordDefect::NotTfRecord`].
fn looks(like: &Option<&'static str>) -> String {
    like.map(|like| format!(", but what looks like {like}")).unwrap_or_default()
}

/// What can't be read because of a damaged record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The record alone.
    Record,
    /// All up to another record, that was searched for.
    Bytes {
        /// How many bytes, from the record's first on.
        count: u64,
        /// Where the next whole record begins.
        next: u64,
    },
    /// All that follows.
    Rest,
}

impl fmt::Display for Lost {
    /// What is added to the message of the defect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Bytes { count, next } => {
                write!(f, "; {count} bytes are lost, the next whole record is at byte {next}")
            }
            Lost::Record | Lost::Rest => Ok(()),
        }
    }
}

/// An error of reading records. Its message is whole, causes included.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A file cannot be opened or is no file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A record's frame is damaged.
    #[error("{at}: {defect}{lost}")]
    Damaged {
        /// The record.
        at: Box<RecordLocation>,
        /// What can't be read because of it.
        lost: Lost,
        /// What is wrong with it.
        #[source]
        defect: Box<RecordDefect>,
    },
    /// A record's payload is not the example that was wanted.
    #[error("{at}: {error}")]
    Example {
        /// The record.
        at: Box<RecordLocation>,
        /// What is wrong with its payload.
        #[source]
        error: Box<ExampleError>,
    },
    /// A record number beyond the end of the index.
    #[error("there is no record {record}: the shards hold {records}")]
    NoSuchRecord {
        /// The number asked for.
        record: usize,
        /// How many records the index has.
        records: usize,
    },
    /// The records of a compressed file that were passed over exceed what may be kept of them.
    #[error(
        "{at}: this {} file can only be read in order, and the records passed over on the way to this one \
         exceed the {limit} bytes set aside for them: use a smaller shuffle buffer, set more aside, or \
         store the records uncompressed",
        at.compression
    )]
    StashFull {
        /// The record that was asked for.
        at: Box<RecordLocation>,
        /// The bytes set aside.
        limit: u64,
    },
}

impl RecordError {
    /// Names the record in which `defect` was found.
    pub(super) fn damaged(at: RecordLocation, defect: impl Into<RecordDefect>) -> Self {
        let defect = defect.into();
        let lost = if defect.is_recoverable() { Lost::Record } else { Lost::Rest };
        RecordError::Damaged { at: Box::new(at), lost, defect: Box::new(defect) }
    }

    /// The record the error is about, where it is about one.
    pub fn location(&self) -> Option<&RecordLocation> {
        match self {
            RecordError::Damaged { at, .. }
            | RecordError::Example { at, .. }
            | RecordError::StashFull { at, .. } => Some(at),
            RecordError::File(_) | RecordError::NoSuchRecord { .. } => None,
        }
    }

    /// Whether a caller may count what is lost and read on: the record's data does not fit its CRC, or is not the example
    /// that was wanted, or the next whole record was found.
    pub fn is_recoverable(&self) -> bool {
        match self {
            RecordError::Damaged { lost, .. } => *lost != Lost::Rest,
            RecordError::Example { .. } => true,
            _ => false,
        }
    }
}

impl ExampleError {
    /// Adds the place of the record the payload came from.
    pub fn at(self, at: RecordLocation) -> RecordError {
        RecordError::Example { at: Box::new(at), error: Box::new(self) }
    }
}
