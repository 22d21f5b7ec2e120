//! Reading a checkpoint.

use std::collections::TryReserveError;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::graph::Graph;
use super::index::{self, Index, Place, TensorInfo, Values};
use super::shards::Shards;
use super::table::{self, MAX_FILE_BYTES, TableDefect};
use super::tensor::{self, Tensor};
use super::{DataType, GRAPH_KEY, TensorFlowError, graph, place};
use crate::files::{FileError, FileKind, SNIFFED_BYTES, open_regular};
use crate::record::begins_record;

/// How many names an error lists.
const LISTED_NAMES: usize = 20;

/// An open checkpoint: its index is read and checked, the values are read when they are asked for.
#[derive(Debug)]
pub struct Checkpoint {
    prefix: PathBuf,
    index_path: PathBuf,
    /// In the order of their names.
    tensors: Vec<(String, TensorInfo)>,
    shards: Shards,
    graph: Option<Graph>,
}

impl Checkpoint {
    /// Opens the checkpoint that `path` means: its prefix (`run/model.ckpt-100`), one of its files, a folder (its latest
    /// checkpoint, or a SavedModel's variables), or the folder's file `checkpoint`.
    ///
    /// # Errors
    /// No such checkpoint; files that can't be read, are something else, are damaged, or hold something that is not read:
    /// compressed tables, numbers with the highest byte first, a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TensorFlowError> {
        let prefix = place::find(path.as_ref())?;
        let index_path = place::index_file(&prefix);
        if !index_path.try_exists().map_err(|error| FileError::new(&index_path, "open", error))? {
            return Err(missing(&prefix));
        }
        let index = read_index(&index_path)?;
        let shards = Shards::open(&prefix, &index)?;
        let mut checkpoint = Self { prefix, index_path, tensors: index.tensors, shards, graph: None };
        if checkpoint.tensor(GRAPH_KEY).is_some() {
            checkpoint.graph = Some(checkpoint.read_graph()?);
        }
        Ok(checkpoint)
    }

    /// Its name without the endings of its files.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(super) fn index_path(&self) -> &Path {
        &self.index_path
    }

    /// The tensors by name, in the order of their names. Those of `tf.train.Checkpoint` are keys such as
    /// `model/conv1/kernel/.ATTRIBUTES/VARIABLE_VALUE`; [`readable_name`](Self::readable_name) shortens them.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&(String, TensorInfo)> {
        let place = self.tensors.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(&self.tensors[place])
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// None is there; the error lists the first that are.
    pub fn info(&self, name: &str) -> Result<&TensorInfo, TensorFlowError> {
        self.tensor(name).map(|(_, info)| info).ok_or_else(|| {
            let names = self.tensors.iter().map(|(name, _)| name.as_str());
            let mut known = names.take(LISTED_NAMES).collect::<Vec<_>>().join(", ");
            match self.tensors.len().saturating_sub(LISTED_NAMES) {
                0 if known.is_empty() => known = "none".into(),
                0 => {}
                more => known.push_str(&format!(" and {more} more")),
            }
            TensorFlowError::NoTensor { path: self.index_path.clone(), name: name.into(), known }
        })
    }

    /// What a tensor of `tf.train.Checkpoint` is called in the program that saved it: its variable's own name
    /// (`sequential/conv1/kernel`) where one alone has it, else its path from the object that was saved (`model/conv1/kernel`).
    /// Other tensors have their own names.
    pub fn readable_name<'a>(&'a self, name: &'a str) -> &'a str {
        let path = graph::without_suffix(name);
        self.graph.as_ref().and_then(|graph| graph.variable_name(name)).unwrap_or(path)
    }

    /// The key of the tensor that `name` means: a tensor's name itself, its readable name, or its path from the object that
    /// was saved.
    pub fn find(&self, name: &str) -> Option<&str> {
        if let Some((key, _)) = self.tensor(name) {
            return Some(key);
        }
        let keys = self.tensors.iter().map(|(key, _)| key.as_str());
        let mut found =
            keys.filter(|key| self.readable_name(key) == name || graph::without_suffix(key) == name);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Reads a tensor and checks its CRC. Slices are put together.
    ///
    /// It takes its own memory once (twice if it is in slices), and no more than the data files have bytes.
    ///
    /// # Errors
    /// None of this name; one of [another type](DataType::Other); bytes that can't be read, or are not those that were
    /// written.
    pub fn read(&self, name: &str) -> Result<Tensor, TensorFlowError> {
        let info = self.info(name)?;
        let unread = |wanted| TensorFlowError::Type { name: name.into(), dtype: info.dtype, wanted };
        let bytes = match (&info.values, info.dtype.bytes()) {
            _ if matches!(info.dtype, DataType::Other(_)) => return Err(unread("numbers or strings")),
            (Values::Whole(place), _) => self.read_place(name, info, &info.shape, place)?,
            (Values::Slices(_), None) => return Err(unread("numbers in slices")),
            (Values::Slices(slices), Some(size)) => {
                let mut whole = zeros(info.bytes())
                    .map_err(|error| FileError::new(&self.index_path, "read a tensor of", error.into()))?;
                for (slice, place) in slices {
                    let values = self.read_place(name, info, &slice.shape, place)?;
                    slice.copy(&values, size, &info.shape, &mut whole);
                }
                whole
            }
        };
        Ok(Tensor::from_file(name.into(), info.dtype, info.shape.clone(), bytes))
    }

    fn read_place(
        &self,
        name: &str,
        info: &TensorInfo,
        shape: &[usize],
        place: &Place,
    ) -> Result<Vec<u8>, TensorFlowError> {
        let bytes = self.shards.read(place)?;
        let crc = tensor::checksum(info.dtype, shape, &bytes);
        let reason = match crc {
            Ok(crc) if crc == place.crc => return Ok(bytes),
            Ok(crc) => format!("have the masked CRC32C {crc:#010x}, {:#010x} is wanted", place.crc),
            Err(reason) => format!("are not whole: {reason}"),
        };
        let name = name.escape_debug();
        let reason = format!("the {} bytes of `{name}` from byte {} on {reason}", place.bytes, place.offset);
        Err(TensorFlowError::damaged(self.shards.path(place), reason))
    }

    fn read_graph(&self) -> Result<Graph, TensorFlowError> {
        let info = self.info(GRAPH_KEY)?;
        if info.bytes() > graph::MAX_BYTES {
            // The tensors are there without their readable names.
            return Ok(Graph::default());
        }
        let tensor = self.read(GRAPH_KEY)?;
        let strings = tensor.to_strings()?;
        let graph = strings.first().copied().unwrap_or_default();
        Graph::read(graph, |key| self.tensor(key).is_some()).map_err(|reason| {
            TensorFlowError::damaged(&self.index_path, format!("its description of objects: {reason}"))
        })
    }
}

/// As many as are in the data files.
fn zeros(bytes: u64) -> Result<Vec<u8>, TryReserveError> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(bytes)?;
    zeros.resize(bytes, 0);
    Ok(zeros)
}

/// Reads the index whole: no more than [`MAX_FILE_BYTES`].
fn read_index(path: &Path) -> Result<Index, TensorFlowError> {
    let (mut file, len) = open_regular(path)?;
    let failed = |error| FileError::new(path, "read", error);
    let mut bytes = Vec::new();
    (&mut file).take(SNIFFED_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    if len > MAX_FILE_BYTES {
        refuse_other_kind(path, &bytes)?;
        let reason = format!("its {len} bytes are more than the {MAX_FILE_BYTES} that are read");
        return Err(TensorFlowError::unsupported(path, reason));
    }
    read_rest(file, &mut bytes).map_err(failed)?;
    let entries = table::read(&bytes).map_err(|defect| match defect {
        TableDefect::NoTable => match refuse_other_kind(path, &bytes[..bytes.len().min(SNIFFED_BYTES)]) {
            Err(error) => error,
            Ok(()) => TensorFlowError::damaged(path, "it does not end as a table does: it is cut off, or changed"),
        },
        TableDefect::Compressed { at, method } => {
            let method = if method == 1 { "Snappy".to_owned() } else { format!("method {method}") };
            let reason = format!(
                "its block at byte {at} is compressed ({method}), as no TensorFlow since 1.2 writes it: load it in \
                 TensorFlow and save it anew"
            );
            TensorFlowError::unsupported(path, reason)
        }
        TableDefect::Damaged(defect) => TensorFlowError::at(path, defect),
    })?;
    index::read(path, entries)
}

/// Bounded: the file may be growing.
fn read_rest(file: File, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    file.take(MAX_FILE_BYTES).read_to_end(bytes).map(drop)
}

/// Fails if a file with these first bytes is known to be something else.
fn refuse_other_kind(path: &Path, begin: &[u8]) -> Result<(), TensorFlowError> {
    let other = match FileKind::of(begin) {
        _ if begins_record(begin) => Some("a TFRecord file"),
        FileKind::CheckpointIndex => None,
        kind => kind.name(),
    };
    match other {
        Some(other) => {
            let reason = format!("it looks like {other}; name a checkpoint that TensorFlow or floret wrote");
            Err(TensorFlowError::WrongKind { path: path.into(), reason })
        }
        None => Ok(()),
    }
}

/// The error of a prefix without its index.
fn missing(prefix: &Path) -> TensorFlowError {
    let begin = |path: &Path| {
        let (file, _) = open_regular(path).ok()?;
        let mut begin = Vec::new();
        file.take(SNIFFED_BYTES as u64).read_to_end(&mut begin).ok()?;
        Some(begin)
    };
    if let Some(begin) = begin(prefix) {
        if let Err(error) = refuse_other_kind(prefix, &begin) {
            return error;
        }
        let reason =
            "it is a single file of no known kind; a checkpoint is a file .index with files .data-...".into();
        return TensorFlowError::WrongKind { path: prefix.into(), reason };
    }
    let index = place::index_file(prefix);
    let name = index.file_name().unwrap_or_default().to_string_lossy();
    place::not_found(prefix, &format!("its file {} is missing", name.escape_debug()))
}
