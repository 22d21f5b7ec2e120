//! safetensors files with one JSON metadata entry.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CheckpointError;
use crate::atomic_file::{FileError, open_regular, write_atomically};
use crate::network::Network;
use crate::nn::Param;

/// The metadata entry that holds everything but the arrays.
const ENTRY: &str = "floret";

/// The version of the files written, and the newest that is read.
const VERSION: u32 = 1;

/// The largest file that is read: 16 GiB, four thousand million weights.
const MAX_BYTES: u64 = 16 << 30;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Model,
    Training,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Model => "model file",
            Kind::Training => "training state",
        }
    }
}

/// The longest description of the arrays that is written and read: some hundred times that of a network of hundreds of
/// layers. The format's own limit is 100 MB, but JSON takes up to a hundred times its length while it is parsed.
const MAX_DESCRIPTION_BYTES: u64 = 4 << 20;

/// Bytes in front of the description: its length.
const LENGTH_BYTES: usize = size_of::<u64>();

/// The member of the metadata entry with the [`checksum`]. A program that changes anything leaves it out.
const CHECKSUM: &str = "crc32c";

/// The members of the metadata entry that tell what the rest of it is.
#[derive(Debug, Serialize, Deserialize)]
struct Signature {
    kind: Kind,
    version: u32,
}

#[derive(Debug, Serialize)]
struct Envelope<T> {
    #[serde(flatten)]
    signature: Signature,
    #[serde(flatten)]
    header: T,
}

/// An array to write: name, shape, values in row-major order.
pub(super) type Array<'a> = (String, Vec<usize>, &'a [f32]);

/// Every array of a network.
pub(super) fn network_arrays(network: &Network) -> Vec<Array<'_>> {
    let mut arrays = Vec::new();
    for (param, view) in network.arrays() {
        let values = view.to_slice().expect("a network's arrays are contiguous");
        arrays.push((param.name.clone(), param.shape.clone(), values));
    }
    arrays
}

/// Writes arrays and header. The arrays are streamed: no second copy of them is made.
pub(super) fn write<T: Serialize>(
    path: &Path,
    kind: Kind,
    header: &T,
    arrays: &[Array<'_>],
) -> Result<(), CheckpointError> {
    let failed = |error: io::Error| FileError::new(path, "describe", error);
    let json = |error: serde_json::Error| failed(error.into());
    let envelope = Envelope { signature: Signature { kind, version: VERSION }, header };
    let mut entry = serde_json::to_value(&envelope).map_err(json)?;
    let described = arrays.iter().map(|(name, shape, values)| (name.as_str(), shape.as_slice(), *values));
    let crc = checksum(&entry, described, write_floats).map_err(failed)?;
    entry[CHECKSUM] = crc.into();
    let mut end = 0;
    let infos = arrays.iter().map(|(name, shape, values)| {
        let start = end;
        end += size_of_val(*values);
        let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) };
        (name.clone(), info)
    });
    let metadata =
        Metadata::new(Some(HashMap::from([(ENTRY.to_owned(), entry.to_string())])), infos.collect())
            .map_err(|error| failed(io::Error::other(error)))?;
    let mut described = serde_json::to_vec(&metadata).map_err(json)?;
    // The format wants the values aligned to 8 bytes.
    described.resize(described.len().next_multiple_of(8), b' ');
    if described.len() as u64 > MAX_DESCRIPTION_BYTES {
        let reason = format!(
            "the description of its arrays and settings has {} bytes, over the limit of {MAX_DESCRIPTION_BYTES}",
            described.len()
        );
        return Err(CheckpointError::Info { path: path.into(), reason });
    }
    write_atomically(path, |file| {
        file.write_all(&(described.len() as u64).to_le_bytes())?;
        file.write_all(&described)?;
        arrays.iter().try_for_each(|(_, _, values)| write_floats(file, values))
    })?;
    Ok(())
}

fn write_floats(file: &mut impl Write, values: &[f32]) -> io::Result<()> {
    let mut bytes = [0; 4 * 4096];
    for values in values.chunks(4096) {
        let bytes = &mut bytes[..4 * values.len()];
        bytes.as_chunks_mut().0.iter_mut().zip(values).for_each(|(b, v)| *b = v.to_le_bytes());
        file.write_all(bytes)?;
    }
    Ok(())
}

/// The CRC32C of the metadata entry (without its checksum) and of each array's name, shape and values, by name.
fn checksum<'a, V: Copy>(
    entry: &Value,
    arrays: impl Iterator<Item = (&'a str, &'a [usize], V)>,
    write_values: impl Fn(&mut Crc, V) -> io::Result<()>,
) -> io::Result<u32> {
    let mut arrays: Vec<_> = arrays.collect();
    arrays.sort_by_key(|(name, ..)| *name);
    let mut crc = Crc(0);
    writeln!(crc, "{entry}")?;
    for (name, shape, values) in arrays {
        writeln!(crc, "{name:?} {shape:?}")?;
        write_values(&mut crc, values)?;
    }
    Ok(crc.0)
}

/// Takes bytes for their CRC32C.
struct Crc(u32);

impl Write for Crc {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = crc32c::crc32c_append(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The arrays of a file, to be taken by name.
#[derive(Debug)]
pub(super) struct Arrays(BTreeMap<String, ArrayD<f32>>);

impl Arrays {
    /// Fails unless there is an array of each parameter's name and shape.
    pub fn check(&self, path: &Path, params: &[Param]) -> Result<(), CheckpointError> {
        for Param { name, shape, .. } in params {
            let got = self.0.get(name).ok_or_else(|| missing(path, name))?.shape();
            if got != shape {
                let reason = format!("the array `{name}` has the shape {got:?}, the network wants {shape:?}");
                return Err(CheckpointError::damaged(path, reason));
            }
        }
        Ok(())
    }

    /// Takes out the array of this name.
    pub fn take(&mut self, path: &Path, name: &str) -> Result<ArrayD<f32>, CheckpointError> {
        self.0.remove(name).ok_or_else(|| missing(path, name))
    }

    /// Fails if arrays are left that nobody took.
    pub fn none_left(self, path: &Path) -> Result<(), CheckpointError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(CheckpointError::damaged(
                path,
                format!("{} arrays belong to nothing, among them `{name}`", self.0.len()),
            )),
        }
    }

    /// The arrays whose names begin with `prefix`, without it; every other one belongs to nothing.
    pub fn under(self, path: &Path, prefix: &str) -> Result<Self, CheckpointError> {
        let mut inside = BTreeMap::new();
        for (name, array) in self.0 {
            let Some(name) = name.strip_prefix(prefix) else {
                return Err(CheckpointError::damaged(path, format!("the array `{name}` belongs to nothing")));
            };
            inside.insert(name.to_owned(), array);
        }
        Ok(Self(inside))
    }

    /// Names that begin with `prefix`.
    pub fn names_under(&self, prefix: &str) -> Vec<String> {
        self.0.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }
}

fn missing(path: &Path, name: &str) -> CheckpointError {
    CheckpointError::damaged(path, format!("the array `{name}` is missing"))
}

/// Reads a file that [`write`] wrote.
pub(super) fn read<T: DeserializeOwned>(path: &Path, kind: Kind) -> Result<(T, Arrays), CheckpointError> {
    let wrong = |reason: String| CheckpointError::WrongKind { path: path.into(), want: kind.name(), reason };
    let damaged = |reason: String| CheckpointError::damaged(path, reason);
    let not_whole = |reason: &dyn fmt::Display| wrong(format!("it is no whole safetensors file ({reason})"));
    let failed = |error| FileError::new(path, "read", error);

    let (mut file, len) = open_regular(path)?;
    // What the file is first, then the whole: nothing of its size is asked for before it is known to be one of these.
    let mut bytes = read_description(&mut file).map_err(failed)?.map_err(|reason| not_whole(&reason))?;
    let metadata: Metadata =
        serde_json::from_slice(&bytes[LENGTH_BYTES..]).map_err(|error| not_whole(&error))?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let entry = entry.ok_or_else(|| wrong("it is a safetensors file of another program".into()))?;
    let in_metadata = |error: serde_json::Error| damaged(format!("its metadata: {error}"));
    let mut entry: Value = serde_json::from_str(entry).map_err(in_metadata)?;
    let stored = entry.as_object_mut().and_then(|entry| entry.remove(CHECKSUM));
    let Signature { kind: found, version } = Signature::deserialize(&entry).map_err(in_metadata)?;
    if found != kind {
        return Err(wrong(format!("it is a {}", found.name())));
    }
    if version > VERSION {
        let reason =
            format!("it is of version {version}, this program reads up to {VERSION}: use a newer floret");
        return Err(wrong(reason));
    }
    let wanted = (bytes.len() as u64).saturating_add(metadata.data_len() as u64);
    if wanted != len {
        return Err(not_whole(&format_args!("it has {len} bytes, and should have {wanted}")));
    }
    if len > MAX_BYTES {
        return Err(damaged(format!("its {len} bytes are more than the {MAX_BYTES} that are read")));
    }

    // Bounded: the file may be growing.
    bytes.reserve_exact(metadata.data_len());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| not_whole(&error))?;
    if let Some(stored) = stored {
        let views = tensors.tensors();
        let described = views.iter().map(|(name, view)| (name.as_str(), view.shape(), view.data()));
        let crc = checksum(&entry, described, |crc, values| crc.write_all(values)).map_err(failed)?;
        if stored != crc {
            return Err(damaged(format!(
                "its contents have the CRC32C {crc:#010x}, not the one it says; take another copy"
            )));
        }
    }
    let header = serde_json::from_value(entry).map_err(in_metadata)?;
    Ok((header, read_arrays(path, &tensors)?))
}

/// The beginning of a safetensors file: the length of the description and the description, or why it is none.
fn read_description(file: &mut File) -> io::Result<Result<Vec<u8>, String>> {
    let mut bytes = Vec::new();
    file.take(LENGTH_BYTES as u64).read_to_end(&mut bytes)?;
    let Some(length) = bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) else {
        return Ok(Err("it is too short".into()));
    };
    if length > MAX_DESCRIPTION_BYTES {
        return Ok(Err(format!(
            "it does not begin with the length of a description, or one over the limit of {MAX_DESCRIPTION_BYTES} bytes"
        )));
    }
    let read = file.take(length).read_to_end(&mut bytes)?;
    Ok(if read as u64 == length { Ok(bytes) } else { Err("it ends in its description".into()) })
}

fn read_arrays(path: &Path, tensors: &SafeTensors<'_>) -> Result<Arrays, CheckpointError> {
    let mut arrays = BTreeMap::new();
    for (name, tensor) in tensors.iter() {
        if tensor.dtype() != Dtype::F32 {
            let reason = format!("`{name}` holds {:?} values, F32 is wanted", tensor.dtype());
            return Err(CheckpointError::damaged(path, reason));
        }
        let values = tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let array = ArrayD::from_shape_vec(IxDyn(tensor.shape()), values)
            .map_err(|error| CheckpointError::damaged(path, format!("`{name}`: {error}")))?;
        arrays.insert(name.to_owned(), array);
    }
    Ok(Arrays(arrays))
}
