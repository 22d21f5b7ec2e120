//! The values of a file's arrays, read straight to where they are wanted.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use safetensors::tensor::Metadata;
use serde_json::Value;

use super::CheckpointError;
use super::checksum::{Crc, checksum};
use crate::files::FileError;
use crate::network::Network;

/// Bytes of values that are read at a time.
const CHUNK: usize = 1 << 16;

/// The arrays of a file whose values are still to be read.
pub(super) struct Arrays<'a> {
    path: &'a Path,
    /// At the first value.
    file: File,
    metadata: Metadata,
    /// The checksum that the file says it has, and the entry that it was made with.
    checksum: Option<(Value, Value)>,
}

impl<'a> Arrays<'a> {
    pub fn new(path: &'a Path, file: File, metadata: Metadata, checksum: Option<(Value, Value)>) -> Self {
        Self { path, file, metadata, checksum }
    }

    /// Name and number of values of each array under `prefix`, which is left out of the name.
    pub fn lengths_under(&self, prefix: &str) -> Vec<(String, usize)> {
        let lengths = self.metadata.tensors().into_iter().filter_map(|(name, info)| {
            let len = (info.data_offsets.1 - info.data_offsets.0) / size_of::<f32>();
            Some((name.strip_prefix(prefix)?.to_owned(), len))
        });
        let mut lengths: Vec<_> = lengths.collect();
        lengths.sort_unstable();
        lengths
    }

    /// Reads the values of each array to its place, by name. If it fails, they hold anything.
    pub fn read_to(mut self, mut places: HashMap<String, &mut [f32]>) -> Result<(), CheckpointError> {
        let damaged = |reason| CheckpointError::damaged(self.path, reason);
        let failed = |error| FileError::new(self.path, "read", error);
        let mut infos: Vec<_> = self.metadata.tensors().into_iter().collect();
        infos.sort_unstable_by_key(|(_, info)| info.data_offsets);
        let (mut end, mut read) = (0, Vec::new());
        for (name, info) in &infos {
            let values = places.remove(name).ok_or_else(|| missing(self.path, name))?;
            let start = end;
            end += size_of_val(values);
            if info.data_offsets != (start, end) {
                let (name, got) = (name.escape_debug(), info.data_offsets);
                return Err(damaged(format!(
                    "the array `{name}` lies at {got:?}, not at {:?}",
                    (start, end)
                )));
            }
            let crc = read_floats(&mut self.file, values).map_err(failed)?;
            read.push((name.as_str(), info.shape.as_slice(), crc));
        }
        if let Some(name) = places.keys().min() {
            return Err(missing(self.path, name));
        }
        let Some((stored, entry)) = &self.checksum else { return Ok(()) };
        let crc = checksum(entry, read).map_err(failed)?;
        if *stored != crc {
            return Err(damaged(format!(
                "its contents have the CRC32C {crc:#010x}, not the one it says; take another copy"
            )));
        }
        Ok(())
    }
}

/// The error that a file lacks an array.
pub(super) fn missing(path: &Path, name: &str) -> CheckpointError {
    CheckpointError::damaged(path, format!("the array `{}` is missing", name.escape_debug()))
}

/// Every array of a network by its name under `prefix`, to be read to.
pub(super) fn network_places<'a>(
    network: &'a mut Network,
    prefix: &str,
) -> impl Iterator<Item = (String, &'a mut [f32])> {
    network.arrays_mut().map(move |(param, values)| (format!("{prefix}{}", param.name), values))
}

/// Fills `values` and returns the CRC32C of their bytes, some at a time: no second copy of them is made.
fn read_floats(file: &mut File, values: &mut [f32]) -> io::Result<Crc> {
    let (mut bytes, mut crc) = (vec![0; CHUNK.min(size_of_val(values))], Crc::default());
    for values in values.chunks_mut(CHUNK / size_of::<f32>()) {
        let bytes = &mut bytes[..size_of_val(values)];
        file.read_exact(bytes)?;
        crc.write_all(bytes)?;
        values.iter_mut().zip(bytes.as_chunks().0).for_each(|(v, b)| *v = f32::from_le_bytes(*b));
    }
    Ok(crc)
}
