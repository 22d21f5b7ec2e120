//! The values of constants: from the model's bytes, or from files beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use ndarray::{ArrayD, IxDyn};

use super::model::{BOOL, DOUBLE, Data, External, FLOAT, INTS, Tensor};
use super::value::{Constant, Size};
use crate::files::{FileError, open_regular};
use crate::onnx::ImportError;

/// The most files that one model keeps its weights in.
const MAX_FILES: usize = 64;

/// The most whole numbers of one array. Those of shapes are few; the places of all values of some vectors may be many.
const MAX_INTS: usize = 1 << 16;

/// Bytes that weights may take beyond those that the files hold. Exporters keep one copy of small equal arrays, such as the
/// ones of a new batch norm; of large ones, thousands of layers could be made of few bytes.
const SHARED_BYTES: u64 = 16 << 20;

/// What values are for: each may take the files' bytes and [`SHARED_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Weights of layers.
    Layers,
    /// Constants that others are computed from, and those computed.
    Folding,
}

/// Where values come from, and how many may still come.
#[derive(Debug)]
pub struct Files {
    /// The folder of the model, if it is a file.
    folder: Option<PathBuf>,
    opened: HashMap<PathBuf, (File, u64)>,
    for_layers: u64,
    for_folding: u64,
}

impl Files {
    /// For a model of `len` bytes in `folder`.
    pub fn new(folder: Option<&Path>, len: usize) -> Self {
        let budget = SHARED_BYTES.saturating_add(len as u64);
        Self {
            folder: folder.map(Path::to_owned),
            opened: HashMap::new(),
            for_layers: budget,
            for_folding: budget,
        }
    }

    /// The values of a short array of whole numbers, or of any array of floats.
    pub fn constant(&mut self, tensor: &Tensor<'_>) -> Result<Constant, ImportError> {
        if tensor.kind == FLOAT || tensor.kind == DOUBLE {
            return self.floats(tensor, Purpose::Folding).map(Constant::Floats);
        }
        let values: Vec<Size> = ints(tensor)?.into_iter().map(Size::Known).collect();
        self.spend(tensor.name, (values.len() * size_of::<Size>()) as u64, Purpose::Folding)?;
        let dims: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let array = ArrayD::from_shape_vec(IxDyn(&dims), values);
        array
            .map(Constant::Ints)
            .map_err(|error| ImportError::Tensor { name: tensor.name.into(), reason: error.to_string() })
    }

    /// The values of an array of floats.
    pub fn floats(&mut self, tensor: &Tensor<'_>, purpose: Purpose) -> Result<ArrayD<f32>, ImportError> {
        let failed = |reason: String| ImportError::Tensor { name: tensor.name.into(), reason };
        let size = match tensor.kind {
            FLOAT => size_of::<f32>(),
            DOUBLE => size_of::<f64>(),
            kind => {
                let kind = kind_name(kind);
                let advice = "export the network with weights of 32 bits";
                return Err(failed(format!("it holds {kind}, and FLOAT is read: {advice}")));
            }
        };
        let len = byte_len(&tensor.dims, size)
            .ok_or_else(|| failed(format!("the shape {:?} is too large", tensor.dims)))?;
        // Found out before anything is read: an array in another file may be as long as that.
        let bytes = match tensor.data {
            Data::Bytes(bytes) if bytes.len() as u64 == len => {
                self.spend(tensor.name, len, purpose).map(|()| bytes.to_vec())?
            }
            Data::Bytes(bytes) => {
                let (dims, got) = (&tensor.dims, bytes.len());
                return Err(failed(format!("its shape {dims:?} takes {len} bytes, and {got} are there")));
            }
            Data::External(external) => self.read(tensor, external, len, purpose)?,
            Data::Varints(_) | Data::Other => {
                return Err(failed("its values are in a form that is not read".into()));
            }
        };
        let values = match tensor.kind {
            DOUBLE => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
            _ => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        };
        let dims: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        ArrayD::from_shape_vec(IxDyn(&dims), values).map_err(|error| failed(error.to_string()))
    }

    /// Takes memory for a copy of a constant that was computed.
    pub fn spend_copy(&mut self, name: &str, constant: &Constant) -> Result<(), ImportError> {
        let bytes = match constant {
            Constant::Floats(array) => array.len() * size_of::<f32>(),
            Constant::Ints(array) => array.len() * size_of::<Size>(),
        };
        self.spend(name, bytes as u64, Purpose::Folding)
    }

    /// Takes memory for the values `name`.
    pub fn spend(&mut self, name: &str, bytes: u64, purpose: Purpose) -> Result<(), ImportError> {
        let (budget, reason) = match purpose {
            Purpose::Layers => (
                &mut self.for_layers,
                "the layers use the same arrays so often that they take far more memory than the file",
            ),
            Purpose::Folding => {
                (&mut self.for_folding, "the constants computed of others take far more memory than the file")
            }
        };
        *budget = budget
            .checked_sub(bytes)
            .ok_or_else(|| ImportError::Tensor { name: name.into(), reason: reason.into() })?;
        Ok(())
    }

    /// Reads the values of an array that are in another file.
    fn read(
        &mut self,
        tensor: &Tensor<'_>,
        external: External<'_>,
        len: u64,
        purpose: Purpose,
    ) -> Result<Vec<u8>, ImportError> {
        let failed = |reason: String| ImportError::Tensor { name: tensor.name.into(), reason };
        let path = self.locate(external.location).map_err(failed)?;
        if !self.opened.contains_key(&path) {
            if self.opened.len() == MAX_FILES {
                return Err(failed(format!("it is in another file, after {MAX_FILES} others")));
            }
            let (file, there) = open_regular(&path)?;
            self.for_layers = self.for_layers.saturating_add(there);
            self.for_folding = self.for_folding.saturating_add(there);
            self.opened.insert(path.clone(), (file, there));
        }
        self.spend(tensor.name, len, purpose)?;
        let (file, there) = self.opened.get_mut(&path).expect("it was opened");
        let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
        let offset = number(external.offset)
            .ok_or_else(|| failed("its place in the other file is no number".into()))?;
        let told = external.length.map_or(Some(len), number);
        let end = offset.checked_add(len).filter(|end| *end <= *there);
        if told != Some(len) || end.is_none() {
            return Err(failed(format!(
                "its {len} bytes at byte {offset} are not those of {} ({there} bytes): put the file that was exported with \
                 the model beside it",
                path.display()
            )));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(len).read_to_end(&mut bytes));
        read.map_err(|error| FileError::new(&path, "read", error))?;
        if bytes.len() as u64 != len {
            return Err(failed(format!("{} became shorter while it was read", path.display())));
        }
        Ok(bytes)
    }

    /// The path of a file beside the model or in a folder there: a model may name no other.
    fn locate(&self, location: &str) -> Result<PathBuf, String> {
        let Some(folder) = &self.folder else {
            return Err("its values are in another file, and only the model's bytes were given".into());
        };
        let inside = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
        if location.is_empty() || !inside || location.contains('\0') {
            return Err(format!(
                "its values are in the file `{}`, which is not beside the model",
                location.escape_debug()
            ));
        }
        Ok(folder.join(location))
    }
}

/// Bytes of an array of this shape, of values of `size` bytes, if that is a number.
fn byte_len(dims: &[u64], size: usize) -> Option<u64> {
    let len = dims.iter().try_fold(size as u64, |product, &size| product.checked_mul(size))?;
    usize::try_from(len).ok().filter(|len| *len <= isize::MAX as usize).map(|len| len as u64)
}

/// The values of a short array of whole numbers.
fn ints(tensor: &Tensor<'_>) -> Result<Vec<i64>, ImportError> {
    let failed = |reason: &str| ImportError::Tensor { name: tensor.name.into(), reason: reason.into() };
    let long = || failed(&format!("it holds over {MAX_INTS} whole numbers, far more than a shape has"));
    if !INTS.contains(&tensor.kind) && tensor.kind != BOOL {
        return Err(failed(&format!(
            "it holds {}; FLOAT, DOUBLE, INT32, INT64 and BOOL are read of constants",
            kind_name(tensor.kind)
        )));
    }
    let mut ints = Vec::new();
    match tensor.data {
        Data::Bytes(bytes) if bytes.len() > 8 * MAX_INTS => return Err(long()),
        Data::Bytes(bytes) if tensor.kind == BOOL => ints.extend(bytes.iter().map(|&byte| i64::from(byte))),
        Data::Bytes(bytes) if tensor.kind == INTS[0] => {
            ints.extend(bytes.as_chunks().0.iter().map(|int| i64::from(i32::from_le_bytes(*int))));
        }
        Data::Bytes(bytes) => ints.extend(bytes.as_chunks().0.iter().map(|int| i64::from_le_bytes(*int))),
        Data::Varints(span) => {
            for int in span.varints() {
                if ints.len() == MAX_INTS {
                    return Err(long());
                }
                ints.push(int?.cast_signed());
            }
        }
        Data::External(_) | Data::Other => return Err(failed("its values are in a form that is not read")),
    }
    let wanted = tensor.dims.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
    if wanted != Some(ints.len() as u64) {
        return Err(failed("it has not as many values as its shape says"));
    }
    Ok(ints)
}

/// What ONNX calls a type of values.
pub fn kind_name(kind: u64) -> String {
    const NAMES: [&str; 17] = [
        "no type",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
    ];
    let name = usize::try_from(kind).ok().and_then(|kind| NAMES.get(kind));
    name.map_or_else(|| format!("values of type {kind}"), |name| (*name).into())
}
