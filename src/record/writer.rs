//! Writes records to one stream.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::compression::Compression;
use super::frame;
use super::stream::Encoder;
use crate::files::{AtomicFile, FileError, SyncedFile};

/// Writes records one after another.
///
/// A plain stream is byte for byte what TensorFlow's `TFRecordWriter` gives for the same payloads. Each
/// record is three writes, so `W` should be buffered (as [`AtomicFile`] is).
///
/// ```no_run
/// use floret::record::{Compression, RecordWriter};
///
/// let mut writer = RecordWriter::create("data.tfrecord", Compression::Plain)?;
/// writer.write(b"a payload")?;
/// writer.commit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RecordWriter<W: Write> {
    stream: Encoder<W>,
}

impl<W: Write> RecordWriter<W> {
    /// Writes records to `writer`.
    pub fn new(writer: W, compression: Compression) -> Self {
        RecordWriter { stream: Encoder::new(writer, compression) }
    }

    /// Writes a record.
    ///
    /// # Errors
    /// Those of the stream, which then may hold a part of the record.
    pub fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame::header(payload.len() as u64))?;
        self.stream.write_all(payload)?;
        self.stream.write_all(&frame::footer(payload))
    }

    /// Hands what was written so far down to the stream's end, so that a reader can see it.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    /// Ends the (compressed) stream, flushes it, and gives the writer back.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn finish(self) -> io::Result<W> {
        let mut writer = self.stream.finish()?;
        writer.flush()?;
        Ok(writer)
    }
}

impl RecordWriter<AtomicFile> {
    /// Creates a file that takes its name when [committed](RecordWriter::commit).
    ///
    /// # Errors
    /// Those of [`AtomicFile::create`].
    pub fn create(path: impl Into<PathBuf>, compression: Compression) -> Result<Self, FileError> {
        Ok(RecordWriter::new(AtomicFile::create(path)?, compression))
    }

    /// Ends the stream and puts the file in its place.
    ///
    /// # Errors
    /// Those of [`AtomicFile::commit`].
    pub fn commit(self) -> Result<(), FileError> {
        self.into_synced()?.commit()
    }

    /// Ends the stream, with all its bytes on the disk but not yet under the file's name.
    pub(super) fn into_synced(self) -> Result<SyncedFile, FileError> {
        let path = self.path().to_path_buf();
        self.finish().map_err(|error| FileError::new(path, "write", error))?.into_synced()
    }

    /// The name the file will have.
    pub fn path(&self) -> &Path {
        self.stream.get_ref().path()
    }
}
