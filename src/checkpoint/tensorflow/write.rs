//! Writing a checkpoint.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use super::index::VERSION;
use super::table::{MAX_FILE_BYTES, TableWriter};
use super::tensor::{self, Element, Tensor};
use super::{DataType, TensorFlowError, place};
use crate::files::{AtomicFile, FileError};
use crate::proto::tensor::TensorShapeProto;
use crate::proto::tensor::tensor_shape_proto::Dim;
use crate::proto::tensor_bundle::{BundleEntryProto, BundleHeaderProto, VersionDef};
use crate::record::crc::mask;

/// Values turned into bytes at a time.
const CHUNK: usize = 4096;

/// A checkpoint being written: `PREFIX.data-00000-of-00001`, `PREFIX.index`, and the folder's file `checkpoint`, which names
/// it as the latest. The same tensors in the same order give the same bytes, which are TensorFlow's where that writes them in
/// the order of their names.
///
/// Until [`finish`](Self::finish) nothing of it has its name; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct CheckpointWriter {
    prefix: PathBuf,
    data: AtomicFile,
    /// Bytes of data so far.
    end: u64,
    entries: HashMap<String, BundleEntryProto>,
}

impl CheckpointWriter {
    /// Begins the checkpoint of this prefix, such as `run/model.ckpt-100`, in a folder that exists.
    ///
    /// # Errors
    /// A prefix without a file name; a folder in which nothing can be written.
    pub fn create(prefix: impl Into<PathBuf>) -> Result<Self, TensorFlowError> {
        let prefix = prefix.into();
        if prefix.file_name().is_none() {
            let reason = "it has no name that files could begin with".into();
            return Err(TensorFlowError::Unwritable { path: prefix, reason });
        }
        let data = AtomicFile::create(place::data_file(&prefix, 0, 1))?;
        Ok(Self { prefix, data, end: 0, entries: HashMap::new() })
    }

    /// Adds a tensor of numbers in row-major order.
    ///
    /// # Errors
    /// A name that is empty, is there already or begins with a zero byte; a shape of another number of values; data that
    /// can't be written.
    pub fn add<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> Result<(), TensorFlowError> {
        if tensor::count(shape) != Some(values.len() as u64) {
            return Err(self.unwritable(name, &format!("{} values for the shape {shape:?}", values.len())));
        }
        self.check_name(name)?;
        let (mut crc, mut bytes) = (0, Vec::new());
        for values in values.chunks(CHUNK) {
            bytes.clear();
            values.iter().for_each(|value| value.put(&mut bytes));
            crc = crc32c::crc32c_append(crc, &bytes);
            self.write(&bytes)?;
        }
        self.enter(name, T::DTYPE, shape, size_of_val(values) as u64, mask(crc));
        Ok(())
    }

    /// Adds a tensor of any type, by its own name.
    ///
    /// # Errors
    /// As [`add`](Self::add); a type that is [another](DataType::Other).
    pub fn add_tensor(&mut self, tensor: &Tensor) -> Result<(), TensorFlowError> {
        let (name, dtype, shape) = (tensor.name(), tensor.dtype(), tensor.shape());
        if let DataType::Other(_) = dtype {
            return Err(self.unwritable(name, &format!("values of {dtype}")));
        }
        self.check_name(name)?;
        let crc = tensor::checksum(dtype, shape, tensor.bytes())
            .map_err(|reason| self.unwritable(name, &reason))?;
        self.write(tensor.bytes())?;
        self.enter(name, dtype, shape, tensor.bytes().len() as u64, crc);
        Ok(())
    }

    /// Gives a tensor that was added a second name: both have the same bytes.
    ///
    /// # Errors
    /// As [`add`](Self::add); no tensor `of`.
    pub fn alias(&mut self, name: &str, of: &str) -> Result<(), TensorFlowError> {
        self.check_name(name)?;
        let entry = self.entries.get(of).cloned();
        let entry = entry.ok_or_else(|| self.unwritable(of, "there is none to give another name"))?;
        self.entries.insert(name.into(), entry);
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), TensorFlowError> {
        if name.is_empty() || name.starts_with('\0') {
            return Err(self.unwritable(name, "an empty name, or one that begins with a zero byte"));
        }
        if self.entries.contains_key(name) {
            return Err(self.unwritable(name, "a second tensor of this name"));
        }
        Ok(())
    }

    fn unwritable(&self, name: &str, reason: &str) -> TensorFlowError {
        let reason = format!("the tensor `{}`: {reason}", name.escape_debug());
        TensorFlowError::Unwritable { path: self.prefix.clone(), reason }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.data.write_all(bytes).map_err(|error| FileError::new(self.data.path(), "write", error))
    }

    fn enter(&mut self, name: &str, dtype: DataType, shape: &[usize], bytes: u64, crc: u32) {
        let dim = shape.iter().map(|size| Dim { size: *size as i64 }).collect();
        let entry = BundleEntryProto {
            dtype: dtype.number(),
            shape: Some(TensorShapeProto { dim, unknown_rank: false }),
            shard_id: 0,
            offset: self.end as i64,
            size: bytes as i64,
            crc32c: crc,
            slices: Vec::new(),
        };
        self.end += bytes;
        self.entries.insert(name.into(), entry);
    }

    /// Gives the files their names: data first, then the index, then the folder's file `checkpoint`, each whole and on the
    /// disk. A crash in between leaves data without an index, which nobody takes for a checkpoint; or in the place of an
    /// earlier one of this prefix an index whose CRCs do not fit the data, which is an error in every reader.
    ///
    /// # Errors
    /// A disk that is full or fails.
    pub fn finish(self) -> Result<(), TensorFlowError> {
        let path = place::index_file(&self.prefix);
        let table = index(&self.entries);
        if table.len() as u64 > MAX_FILE_BYTES {
            let reason = format!("its index has {} bytes, over the limit of {MAX_FILE_BYTES}", table.len());
            return Err(TensorFlowError::Unwritable { path, reason });
        }
        let data = self.data.into_synced()?;
        let mut index = AtomicFile::create(&path)?;
        let written: io::Result<()> = index.write_all(&table);
        written.map_err(|error| FileError::new(&path, "write", error))?;
        let index = index.into_synced()?;
        data.commit()?;
        index.commit()?;
        Ok(place::write_state(&self.prefix)?)
    }

    /// Its name without the endings of its files.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }
}

/// The bytes of the index.
fn index(entries: &HashMap<String, BundleEntryProto>) -> Vec<u8> {
    let version = VersionDef { producer: VERSION, ..VersionDef::default() };
    let header = BundleHeaderProto { num_shards: 1, version: Some(version), ..BundleHeaderProto::default() };
    let mut table = TableWriter::new();
    table.add(b"", &header.encode_to_vec());
    let mut names: Vec<&String> = entries.keys().collect();
    names.sort_unstable();
    names.into_iter().for_each(|name| table.add(name.as_bytes(), &entries[name].encode_to_vec()));
    table.finish()
}
