//! What the index of a checkpoint says: the header, and where each tensor is.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;

use super::cursor::Defect;
use super::slices::{self, MARK, Slice};
use super::table::Entry;
use super::{DataType, TensorFlowError, tensor};
use crate::proto::tensor::TensorShapeProto;
use crate::proto::tensor_bundle::bundle_header_proto::Endianness;
use crate::proto::tensor_bundle::{BundleEntryProto, BundleHeaderProto};

/// The version of the format that is written, and the newest that is read.
pub(super) const VERSION: i32 = 1;

/// The most axes of a tensor: TensorFlow's.
const MAX_AXES: usize = 254;

/// The most data files: their numbers have five digits.
const MAX_SHARDS: i32 = 99_999;

/// The longest entry: one that lists some ten thousand slices.
const MAX_ENTRY_BYTES: usize = 1 << 18;

/// Where bytes are: in a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub shard: usize,
    pub offset: u64,
    pub bytes: u64,
    /// Masked.
    pub crc: u32,
}

/// Where a tensor's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Values {
    Whole(Place),
    Slices(Vec<(Slice, Place)>),
}

/// A tensor of a checkpoint, as the index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// What its values are.
    pub dtype: DataType,
    /// Its shape; empty for a single value.
    pub shape: Vec<usize>,
    pub(super) values: Values,
}

impl TensorInfo {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in the data files.
    pub fn bytes(&self) -> u64 {
        self.places().map(|place| place.bytes).sum()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let (whole, slices) = match &self.values {
            Values::Whole(place) => (Some(place), &[][..]),
            Values::Slices(slices) => (None, &slices[..]),
        };
        whole.into_iter().chain(slices.iter().map(|(_, place)| place))
    }
}

/// The whole index.
#[derive(Debug)]
pub(super) struct Index {
    pub shards: usize,
    /// In the order of their names.
    pub tensors: Vec<(String, TensorInfo)>,
}

/// Understands the entries of the table in the file `path`, which are in the order of their keys.
pub(super) fn read(path: &Path, entries: Vec<Entry<'_>>) -> Result<Index, TensorFlowError> {
    let mut entries = entries.into_iter();
    let Some(header) = entries.next().filter(|header| header.key.is_empty()) else {
        return Err(TensorFlowError::damaged(path, "it is a table, but without the header of a checkpoint"));
    };
    let shards = read_header(path, &header)?;
    let mut parts = HashMap::new();
    let mut whole = Vec::new();
    for entry in entries {
        let at = |reason: String| TensorFlowError::at(path, Defect::new(entry.at, reason));
        let Found { proto, dtype, shape } = read_entry(entry.value).map_err(at)?;
        if entry.key.first() == Some(&MARK) {
            let place = place(&proto, dtype, &shape, shards).map_err(at)?;
            parts.insert(entry.key, (dtype, shape, place));
        } else {
            let name = String::from_utf8(entry.key).map_err(|_| at("a name is no UTF-8 text".into()))?;
            whole.push((name, entry.at, Found { proto, dtype, shape }));
        }
    }
    let mut tensors = Vec::new();
    for (name, at, found) in whole {
        let info = info(&name, found, shards, &mut parts).map_err(|reason| {
            let reason = format!("the tensor `{}`: {reason}", name.escape_debug());
            TensorFlowError::at(path, Defect::new(at, reason))
        })?;
        tensors.push((name, info));
    }
    if !parts.is_empty() {
        return Err(TensorFlowError::damaged(path, format!("{} slices belong to no tensor", parts.len())));
    }
    Ok(Index { shards, tensors })
}

/// The number of data files.
fn read_header(path: &Path, entry: &Entry<'_>) -> Result<usize, TensorFlowError> {
    let defect = |reason: String| TensorFlowError::at(path, Defect::new(entry.at, reason));
    let header =
        BundleHeaderProto::decode(entry.value).map_err(|error| defect(format!("the header: {error}")))?;
    match Endianness::try_from(header.endianness) {
        Ok(Endianness::Little) => {}
        Ok(Endianness::Big) => {
            let reason = "its numbers have their highest byte first, as machines of another kind write them: save it anew \
                          on a little-endian machine";
            return Err(TensorFlowError::unsupported(path, reason));
        }
        Err(_) => return Err(defect(format!("the header has the byte order {}", header.endianness))),
    }
    let version = header.version.unwrap_or_default();
    if version.min_consumer > VERSION || version.bad_consumers.contains(&VERSION) {
        let reason = format!(
            "it is of version {} of the format, for readers from version {} on, and this program reads version {VERSION}: \
             use a newer floret",
            version.producer, version.min_consumer
        );
        return Err(TensorFlowError::unsupported(path, reason));
    }
    match header.num_shards {
        shards @ 1..=MAX_SHARDS => Ok(shards as usize),
        shards => Err(defect(format!("the header counts {shards} data files"))),
    }
}

struct Found {
    proto: BundleEntryProto,
    dtype: DataType,
    shape: Vec<usize>,
}

fn read_entry(value: &[u8]) -> Result<Found, String> {
    if value.len() > MAX_ENTRY_BYTES {
        return Err(format!("an entry of {} bytes is over the limit of {MAX_ENTRY_BYTES}", value.len()));
    }
    let proto = BundleEntryProto::decode(value).map_err(|error| format!("an entry: {error}"))?;
    let shape = read_shape(proto.shape.as_ref())?;
    Ok(Found { dtype: DataType::from_number(proto.dtype), shape, proto })
}

fn read_shape(proto: Option<&TensorShapeProto>) -> Result<Vec<usize>, String> {
    let Some(proto) = proto else { return Ok(Vec::new()) };
    if proto.unknown_rank || proto.dim.len() > MAX_AXES {
        return Err(format!("a shape of {} axes, or of unknown ones", proto.dim.len()));
    }
    let sizes = proto.dim.iter().map(|dim| usize::try_from(dim.size));
    let shape: Vec<_> =
        sizes.collect::<Result<_, _>>().map_err(|_| "a shape with a size below 0".to_owned())?;
    match tensor::count(&shape) {
        Some(_) => Ok(shape),
        None => Err(format!("the shape {shape:?} has more values than there are numbers")),
    }
}

/// Where the bytes of an entry are; fails unless they are as many as its type and shape need.
fn place(proto: &BundleEntryProto, dtype: DataType, shape: &[usize], shards: usize) -> Result<Place, String> {
    let BundleEntryProto { shard_id, offset, size, crc32c: crc, .. } = *proto;
    let shard = usize::try_from(shard_id).ok().filter(|shard| *shard < shards);
    let shard = shard.ok_or_else(|| format!("it is in the data file {shard_id} of {shards}"))?;
    let numbers = u64::try_from(offset).ok().zip(u64::try_from(size).ok());
    let (offset, bytes) = numbers.ok_or_else(|| format!("it has {size} bytes at byte {offset}"))?;
    let count = tensor::count(shape).expect("the shape was checked");
    let fits = match (dtype, dtype.bytes()) {
        (_, Some(each)) => count.checked_mul(each as u64) == Some(bytes),
        // Each has a length of at least a byte; behind the lengths is their CRC.
        (DataType::String, None) => bytes >= count.saturating_add(4) || (count, bytes) == (0, 0),
        (_, None) => true,
    };
    if !fits {
        return Err(format!("{count} {dtype} values of the shape {shape:?} have {bytes} bytes"));
    }
    Ok(Place { shard, offset, bytes, crc })
}

/// A tensor, whose slices are taken from `parts`.
fn info(
    name: &str,
    found: Found,
    shards: usize,
    parts: &mut HashMap<Vec<u8>, (DataType, Vec<usize>, Place)>,
) -> Result<TensorInfo, String> {
    let Found { proto, dtype, shape } = found;
    if proto.slices.is_empty() {
        let values = Values::Whole(place(&proto, dtype, &shape, shards)?);
        return Ok(TensorInfo { dtype, shape, values });
    }
    let mut slices = Vec::new();
    for (key, slice) in slices::read(name, &shape, &proto.slices)? {
        let part = parts.remove(&key);
        let (part_dtype, part_shape, place) =
            part.ok_or_else(|| format!("its slice from {:?} of {:?} is missing", slice.start, slice.shape))?;
        if (part_dtype, &part_shape) != (dtype, &slice.shape) {
            return Err(format!(
                "its slice of {:?} {dtype} values has {part_shape:?} {part_dtype} values",
                slice.shape
            ));
        }
        slices.push((slice, place));
    }
    Ok(TensorInfo { dtype, shape, values: Values::Slices(slices) })
}
