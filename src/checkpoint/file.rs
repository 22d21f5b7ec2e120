//! safetensors files with one JSON metadata entry.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CheckpointError;
use super::arrays::{Arrays, missing};
use super::checksum::{Crc, checksum};
use crate::files::{FileError, FileKind, SNIFFED_BYTES, open_regular, write_atomically};
use crate::network::Network;
use crate::nn::Param;
use crate::record::begins_record;

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
    let envelope = Envelope { signature: Signature { kind, version: VERSION }, header };
    let entry = serde_json::to_value(&envelope);
    let entry = entry.map_err(|error| FileError::new(path, "describe", error.into()))?;
    write_entry(path, entry, arrays)
}

fn write_entry(path: &Path, mut entry: Value, arrays: &[Array<'_>]) -> Result<(), CheckpointError> {
    let failed = |error: io::Error| FileError::new(path, "describe", error);
    let json = |error: serde_json::Error| failed(error.into());
    let mut described = Vec::new();
    for (name, shape, values) in arrays {
        let mut crc = Crc::default();
        write_floats(&mut crc, values).map_err(failed)?;
        described.push((name.as_str(), shape.as_slice(), crc));
    }
    let crc = checksum(&entry, described).map_err(failed)?;
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
        let (bytes, limit) = (described.len(), MAX_DESCRIPTION_BYTES);
        return Err(CheckpointError::LongDescription { path: path.into(), bytes, limit });
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

/// What a file says of its arrays, before their values are read.
pub(super) struct Described<'a> {
    path: &'a Path,
    /// In the order of their names.
    arrays: Vec<DescribedArray<'a>>,
}

struct DescribedArray<'a> {
    name: String,
    info: &'a TensorInfo,
    /// Whether it has its place.
    taken: bool,
}

impl<'a> Described<'a> {
    fn new(path: &'a Path, metadata: &'a Metadata) -> Self {
        let array = |(name, info)| DescribedArray { name, info, taken: false };
        let mut arrays: Vec<_> = metadata.tensors().into_iter().map(array).collect();
        arrays.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Self { path, arrays }
    }

    /// The file.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// Takes an array for each parameter, of its name under `prefix` and its shape; fails unless there is one.
    pub fn take(&mut self, prefix: &str, params: &[Param]) -> Result<(), CheckpointError> {
        for Param { name, shape, .. } in params {
            let name = format!("{prefix}{name}");
            let place = self.arrays.binary_search_by(|array| array.name.cmp(&name));
            let place = place.map_err(|_| missing(self.path, &name))?;
            let DescribedArray { info, taken, .. } = &mut self.arrays[place];
            if info.shape != *shape {
                let (name, got) = (name.escape_debug(), &info.shape);
                let reason = format!("the array `{name}` has the shape {got:?}, the network wants {shape:?}");
                return Err(CheckpointError::damaged(self.path, reason));
            }
            *taken = true;
        }
        Ok(())
    }

    /// Takes the arrays under `prefix`; fails if there are more than `most`, or one of them is neither empty nor a vector
    /// of `len` values.
    pub fn take_vectors(&mut self, prefix: &str, most: usize, len: usize) -> Result<(), CheckpointError> {
        let damaged = |reason| Err(CheckpointError::damaged(self.path, reason));
        let is_one = |array: &DescribedArray<'_>| array.name.starts_with(prefix);
        if self.arrays.iter().filter(|array| is_one(array)).count() > most {
            return damaged(format!("it has more than {most} arrays `{prefix}...`"));
        }
        for DescribedArray { name, info, taken } in self.arrays.iter_mut().filter(|array| is_one(array)) {
            if info.shape != [0] && info.shape != [len] {
                let (name, got) = (name.escape_debug(), &info.shape);
                return damaged(format!("the array `{name}` has the shape {got:?}, [{len}] is wanted"));
            }
            *taken = true;
        }
        Ok(())
    }

    /// Fails if an array is left that nobody took, or holds other values than floats.
    fn check_rest(&self) -> Result<(), CheckpointError> {
        let damaged = |reason| Err(CheckpointError::damaged(self.path, reason));
        let mut left = self.arrays.iter().filter(|array| !array.taken);
        if let Some(array) = left.next() {
            let (count, name) = (1 + left.count(), array.name.escape_debug());
            return damaged(format!("{count} arrays belong to nothing, among them `{name}`"));
        }
        match self.arrays.iter().find(|array| array.info.dtype != Dtype::F32) {
            None => Ok(()),
            Some(DescribedArray { name, info, .. }) => {
                damaged(format!("`{}` holds {:?} values, F32 is wanted", name.escape_debug(), info.dtype))
            }
        }
    }
}

/// What a file holds beside its arrays.
pub(super) trait Header: DeserializeOwned {
    /// Takes the arrays that must be there, each of which is checked. One that is not taken has no place in the file.
    fn check_arrays(&self, arrays: &mut Described<'_>) -> Result<(), CheckpointError>;
}

/// Reads a file that [`write`] wrote, up to its values.
///
/// Nothing of the arrays' size is asked for before it is known that they are those of the network described, each of its
/// shape, and no others.
pub(super) fn read<T: Header>(path: &Path, kind: Kind) -> Result<(T, Arrays<'_>), CheckpointError> {
    let wrong = |reason: String| CheckpointError::WrongKind { path: path.into(), want: kind.name(), reason };
    let damaged = |reason: String| CheckpointError::damaged(path, reason);
    let not_whole = |reason: &dyn fmt::Display| wrong(format!("it is no whole safetensors file ({reason})"));
    let failed = |error| FileError::new(path, "read", error);

    let (mut file, len) = open_regular(path)?;
    // What the file is first, then the whole.
    let bytes = match read_description(&mut file).map_err(failed)? {
        Ok(bytes) => bytes,
        Err(NoDescription { begin, reason }) => {
            return Err(match other_kind(&begin) {
                Some(other) => {
                    wrong(format!("it looks like {other}; name a {} that floret wrote", kind.name()))
                }
                None => not_whole(&reason),
            });
        }
    };
    let metadata: Metadata =
        serde_json::from_slice(&bytes[LENGTH_BYTES..]).map_err(|error| not_whole(&error))?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let entry = entry.ok_or_else(|| wrong("it is a safetensors file of another program".into()))?;
    let in_metadata = |error: serde_json::Error| damaged(format!("its metadata: {error}"));
    let mut entry: Value = serde_json::from_slice(entry.as_bytes()).map_err(in_metadata)?;
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
    let checksummed = stored.is_some().then(|| entry.clone());
    let header: T = serde_json::from_value(entry).map_err(in_metadata)?;
    let mut described = Described::new(path, &metadata);
    header.check_arrays(&mut described)?;
    described.check_rest()?;

    let checksum = stored.zip(checksummed);
    Ok((header, Arrays::new(path, file, metadata, checksum)))
}

/// A file that does not begin with a description.
struct NoDescription {
    /// Its first bytes.
    begin: Vec<u8>,
    reason: String,
}

/// The beginning of a safetensors file: the length of the description and the description, or why it is none.
fn read_description(file: &mut File) -> io::Result<Result<Vec<u8>, NoDescription>> {
    let mut bytes = Vec::new();
    file.take(SNIFFED_BYTES as u64).read_to_end(&mut bytes)?;
    let no = |begin, reason: &str| Ok(Err(NoDescription { begin, reason: reason.into() }));
    let Some(length) = bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) else {
        return no(bytes, "it is too short");
    };
    if bytes.get(LENGTH_BYTES).is_some_and(|byte| *byte != b'{') {
        return no(bytes, "it does not begin with the length of a description and the description");
    }
    if length > MAX_DESCRIPTION_BYTES {
        let reason = format!("its description is over the limit of {MAX_DESCRIPTION_BYTES} bytes");
        return Ok(Err(NoDescription { begin: bytes, reason }));
    }
    let end = LENGTH_BYTES + length as usize;
    // What was read ahead belongs to the arrays.
    let ahead = bytes.len().saturating_sub(end);
    file.seek_relative(-(ahead as i64))?;
    bytes.truncate(end);
    file.take((end - bytes.len()) as u64).read_to_end(&mut bytes)?;
    if bytes.len() < end { no(bytes, "it ends in its description") } else { Ok(Ok(bytes)) }
}

/// What a file with these first bytes is, if that is known.
fn other_kind(begin: &[u8]) -> Option<&'static str> {
    // One of floret's, but cut off or damaged.
    if begin.get(LENGTH_BYTES) == Some(&b'{') {
        return None;
    }
    if begins_record(begin) { Some("a TFRecord file") } else { FileKind::of(begin).name() }
}
