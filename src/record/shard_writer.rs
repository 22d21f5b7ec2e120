//! Writes a data set's shards.

use std::path::{Path, PathBuf};

use super::compression::Compression;
use super::shards::{remove_stale_shards, shard_name};
use super::writer::RecordWriter;
use crate::files::{AtomicFile, FileError, SyncedFile};

/// Deals records out to the shards `PREFIX-00000-of-NNNNN.tfrecord` of a folder, in turn.
///
/// Record *i* goes to shard *i* mod *N*, so the shards' sizes differ by one record at most. No shard is seen
/// under its name before [`finish`](ShardWriter::finish); a writer dropped before leaves no files.
#[derive(Debug)]
pub struct ShardWriter {
    shards: Vec<RecordWriter<AtomicFile>>,
    /// The shard of the next record.
    turn: usize,
}

impl ShardWriter {
    /// Creates the (hidden) files of `shards` shards in `folder`, which must exist. All of them stay open until
    /// they are synced. Hidden files of killed writers of this prefix are removed.
    ///
    /// # Errors
    /// When `shards` is 0 or a file cannot be created.
    pub fn create(
        folder: impl AsRef<Path>,
        prefix: &str,
        shards: u32,
        compression: Compression,
    ) -> Result<Self, FileError> {
        let folder = folder.as_ref();
        if shards == 0 {
            let reason =
                std::io::Error::new(std::io::ErrorKind::InvalidInput, "their number must be at least 1");
            return Err(FileError::new(folder.join(prefix), "write the shards of", reason));
        }
        let files = (0..shards).map(|shard| folder.join(shard_name(prefix, shard, shards)));
        remove_stale_shards(folder, prefix);
        let create = |file| Ok(RecordWriter::new(AtomicFile::create_beside_stale(file)?, compression));
        let shards = files.map(create).collect::<Result<_, FileError>>()?;
        Ok(ShardWriter { shards, turn: 0 })
    }

    /// Writes a record to the shard whose turn it is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, payload: &[u8]) -> Result<(), FileError> {
        let shard = &mut self.shards[self.turn];
        shard.write(payload).map_err(|error| FileError::new(shard.path(), "write", error))?;
        self.turn = (self.turn + 1) % self.shards.len();
        Ok(())
    }

    /// Brings all shards to the disk, still without their names.
    ///
    /// # Errors
    /// When a shard cannot be written to its end; no files are left then.
    pub fn into_synced(self) -> Result<SyncedShards, FileError> {
        let files = self.shards.into_iter().map(RecordWriter::into_synced).collect::<Result<_, _>>()?;
        Ok(SyncedShards { files })
    }

    /// Brings all shards to the disk, then puts each in its place; gives their paths in order.
    ///
    /// # Errors
    /// When a shard cannot be written to its end: then none takes its name. When a rename fails, the shards
    /// before it have theirs.
    pub fn finish(self) -> Result<Vec<PathBuf>, FileError> {
        self.into_synced()?.commit()
    }
}

/// A data set's shards, whole and on the disk, that await their names. None of them is open; dropped, they leave no files.
///
/// A program that writes several sets syncs all of them before it commits the first.
#[derive(Debug)]
pub struct SyncedShards {
    files: Vec<SyncedFile>,
}

impl SyncedShards {
    /// The paths they will have, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(SyncedFile::path)
    }

    /// Puts each shard in its place; gives their paths in order.
    ///
    /// # Errors
    /// When a rename fails; the shards before it have their names then.
    pub fn commit(self) -> Result<Vec<PathBuf>, FileError> {
        let paths = self.paths().map(Path::to_path_buf).collect();
        self.files.into_iter().try_for_each(SyncedFile::commit)?;
        Ok(paths)
    }
}
