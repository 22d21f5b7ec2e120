//! A tensor as it lies in a checkpoint, and its values as numbers or strings.

use ndarray::{ArrayD, IxDyn};

use super::cursor::{Cursor, put_varint};
use super::{DataType, TensorFlowError};
use crate::record::crc::{mask, masked_crc32c};

/// A tensor of any type, as it lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    name: String,
    dtype: DataType,
    shape: Vec<usize>,
    /// Numbers in row-major order, the lowest byte first; strings as [`encode_strings`] gives them.
    bytes: Vec<u8>,
}

/// A type of Rust that tensors can be made of.
pub trait Element: Copy + private::Sealed {
    /// What TensorFlow calls it.
    const DTYPE: DataType;

    /// Appends its bytes, the lowest first.
    fn put(self, to: &mut Vec<u8>);
}

mod private {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident,)+) => {$(
        impl private::Sealed for $rust {}

        impl Element for $rust {
            const DTYPE: DataType = DataType::$dtype;

            fn put(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
        }
    )+};
}

elements! {
    f32 => Float32, f64 => Float64, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64,
}

/// Any number of any type, as it is.
enum Number {
    Float(f64),
    Int(i64),
    UInt(u64),
}

impl Tensor {
    /// A tensor of numbers in row-major order.
    ///
    /// # Errors
    /// A shape of another number of values.
    pub fn new<T: Element>(
        name: impl Into<String>,
        shape: &[usize],
        values: &[T],
    ) -> Result<Self, TensorFlowError> {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        values.iter().for_each(|value| value.put(&mut bytes));
        Self::of(name.into(), T::DTYPE, shape, values.len(), bytes)
    }

    /// A tensor of byte strings in row-major order.
    ///
    /// # Errors
    /// A shape of another number of values.
    pub fn strings<S: AsRef<[u8]>>(
        name: impl Into<String>,
        shape: &[usize],
        values: &[S],
    ) -> Result<Self, TensorFlowError> {
        Self::of(name.into(), DataType::String, shape, values.len(), encode_strings(values))
    }

    fn of(
        name: String,
        dtype: DataType,
        shape: &[usize],
        values: usize,
        bytes: Vec<u8>,
    ) -> Result<Self, TensorFlowError> {
        if count(shape) != Some(values as u64) {
            return Err(TensorFlowError::Values { name, shape: shape.to_vec(), values });
        }
        Ok(Self { name, dtype, shape: shape.to_vec(), bytes })
    }

    /// A tensor read from a file, with as many bytes as its type and shape need.
    pub(super) fn from_file(name: String, dtype: DataType, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self { name, dtype, shape, bytes }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// Its shape; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its bytes as they lie in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The values in single precision: exact for `float32`, `float16` and `bfloat16`, integers of up to 24 bits and
    /// booleans; others are rounded to the nearest.
    ///
    /// # Errors
    /// Strings and types that are [others](DataType::Other).
    pub fn to_f32(&self) -> Result<ArrayD<f32>, TensorFlowError> {
        if self.dtype == DataType::Float32 {
            let values = self.bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            return Ok(self.array(values));
        }
        self.numbers("numbers", |number| match number {
            Number::Float(value) => Some(value as f32),
            Number::Int(value) => Some(value as f32),
            Number::UInt(value) => Some(value as f32),
        })
    }

    /// The values in double precision: exact but for integers over 53 bits, which are rounded to the nearest.
    ///
    /// # Errors
    /// As [`to_f32`](Self::to_f32).
    pub fn to_f64(&self) -> Result<ArrayD<f64>, TensorFlowError> {
        self.numbers("numbers", |number| match number {
            Number::Float(value) => Some(value),
            Number::Int(value) => Some(value as f64),
            Number::UInt(value) => Some(value as f64),
        })
    }

    /// The values as whole numbers.
    ///
    /// # Errors
    /// Other types than integers and booleans; a number over 2^63.
    pub fn to_i64(&self) -> Result<ArrayD<i64>, TensorFlowError> {
        self.numbers("whole numbers below 2^63", |number| match number {
            Number::Float(_) => None,
            Number::Int(value) => Some(value),
            Number::UInt(value) => i64::try_from(value).ok(),
        })
    }

    /// The byte strings, in row-major order.
    ///
    /// # Errors
    /// Another type than strings; lengths that do not fit.
    pub fn to_strings(&self) -> Result<Vec<&[u8]>, TensorFlowError> {
        let failed = || self.wrong_type("strings");
        if self.dtype != DataType::String {
            return Err(failed());
        }
        let lengths = StringLengths::read(&self.shape, &self.bytes).map_err(|_| failed())?;
        Ok(lengths.strings(&self.bytes))
    }

    fn numbers<T>(
        &self,
        wanted: &'static str,
        convert: impl Fn(Number) -> Option<T>,
    ) -> Result<ArrayD<T>, TensorFlowError> {
        let Some(decode) = decoder(self.dtype) else { return Err(self.wrong_type(wanted)) };
        let size = self.dtype.bytes().expect("numbers have a fixed size");
        let values: Option<_> = self.bytes.chunks_exact(size).map(|bytes| convert(decode(bytes))).collect();
        Ok(self.array(values.ok_or_else(|| self.wrong_type(wanted))?))
    }

    fn array<T>(&self, values: Vec<T>) -> ArrayD<T> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), values).expect("a tensor has as many values as its shape")
    }

    fn wrong_type(&self, wanted: &'static str) -> TensorFlowError {
        TensorFlowError::Type { name: self.name.clone(), dtype: self.dtype, wanted }
    }
}

/// How many values a shape has, if its sizes are those of an array: without zeros their product must be a number below
/// 2^63.
pub(super) fn count(shape: &[usize]) -> Option<u64> {
    let mut sizes = shape.iter().filter(|size| **size > 0);
    let product = sizes.try_fold(1i64, |product, &size| product.checked_mul(i64::try_from(size).ok()?))?;
    Some(if shape.contains(&0) { 0 } else { product as u64 })
}

/// What makes a number of so many bytes; `None` for what is none.
fn decoder(dtype: DataType) -> Option<fn(&[u8]) -> Number> {
    fn of<const N: usize>(bytes: &[u8]) -> [u8; N] {
        *bytes.first_chunk().expect("values have the size of their type")
    }
    Some(match dtype {
        DataType::Float32 => |b| Number::Float(f32::from_le_bytes(of(b)).into()),
        DataType::Float64 => |b| Number::Float(f64::from_le_bytes(of(b))),
        DataType::Float16 => |b| Number::Float(half(u16::from_le_bytes(of(b)))),
        DataType::BFloat16 => {
            |b| Number::Float(f32::from_bits(u32::from(u16::from_le_bytes(of(b))) << 16).into())
        }
        DataType::Int8 => |b| Number::Int(i8::from_le_bytes(of(b)).into()),
        DataType::Int16 => |b| Number::Int(i16::from_le_bytes(of(b)).into()),
        DataType::Int32 => |b| Number::Int(i32::from_le_bytes(of(b)).into()),
        DataType::Int64 => |b| Number::Int(i64::from_le_bytes(of(b))),
        DataType::UInt8 => |b| Number::UInt(b[0].into()),
        DataType::UInt16 => |b| Number::UInt(u16::from_le_bytes(of(b)).into()),
        DataType::UInt32 => |b| Number::UInt(u32::from_le_bytes(of(b)).into()),
        DataType::UInt64 => |b| Number::UInt(u64::from_le_bytes(of(b))),
        DataType::Bool => |b| Number::UInt((b[0] != 0).into()),
        DataType::String | DataType::Other(_) => return None,
    })
}

/// IEEE 754 half precision: a sign, 5 bits of exponent (biased by 15), 10 of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// Strings as they lie in a data file: the length of each as a varint, the masked CRC32C of the lengths (each as four
/// bytes, or eight where it needs more), and the strings.
fn encode_strings<S: AsRef<[u8]>>(values: &[S]) -> Vec<u8> {
    let (mut bytes, mut crc) = (Vec::new(), 0);
    for value in values {
        let length = value.as_ref().len() as u64;
        put_varint(&mut bytes, length);
        crc = add_length(crc, length);
    }
    bytes.extend_from_slice(&mask(crc).to_le_bytes());
    values.iter().for_each(|value| bytes.extend_from_slice(value.as_ref()));
    bytes
}

fn add_length(crc: u32, length: u64) -> u32 {
    match u32::try_from(length) {
        Ok(length) => crc32c::crc32c_append(crc, &length.to_le_bytes()),
        Err(_) => crc32c::crc32c_append(crc, &length.to_le_bytes()),
    }
}

/// The masked CRC32C of a tensor's bytes, as its entry holds it: of strings, with the lengths as numbers of fixed size.
///
/// `Err` tells what is wrong with the lengths of strings.
pub(super) fn checksum(dtype: DataType, shape: &[usize], bytes: &[u8]) -> Result<u32, String> {
    if dtype != DataType::String || bytes.is_empty() {
        return Ok(masked_crc32c(bytes));
    }
    let lengths = StringLengths::read(shape, bytes)?;
    Ok(mask(crc32c::crc32c_append(lengths.crc, &bytes[lengths.end..])))
}

/// The front of a tensor of strings.
struct StringLengths {
    lengths: Vec<usize>,
    /// The CRC32C of the lengths.
    crc: u32,
    /// Where the lengths end and their stored CRC begins.
    end: usize,
}

impl StringLengths {
    fn read(shape: &[usize], bytes: &[u8]) -> Result<Self, String> {
        // No string has less than a byte.
        let count = count(shape).filter(|count| *count <= bytes.len() as u64);
        let count = count.ok_or("there are more strings than bytes")?;
        let mut cursor = Cursor::new(bytes, 0);
        let (mut lengths, mut crc, mut total) = (Vec::with_capacity(count as usize), 0, 0u64);
        let reason = |defect: super::cursor::Defect| defect.reason;
        for _ in 0..count {
            let length = cursor.varint("the length of a string").map_err(reason)?;
            crc = add_length(crc, length);
            total = total.saturating_add(length);
            lengths.push(length as usize);
        }
        let end = cursor.at();
        if count > 0 || !bytes.is_empty() {
            let stored = cursor.u32("the CRC of the strings' lengths").map_err(reason)?;
            if stored != mask(crc) {
                return Err(format!(
                    "the lengths of the strings have the masked CRC32C {:#010x}, {stored:#010x} is wanted",
                    mask(crc)
                ));
            }
        }
        if total != cursor.rest().len() as u64 {
            return Err(format!("strings of {total} bytes are in {}", cursor.rest().len()));
        }
        Ok(Self { lengths, crc, end })
    }

    fn strings<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut rest = bytes.get(self.end + size_of::<u32>()..).unwrap_or_default();
        let take = |length: &usize| {
            let (string, after) = rest.split_at(*length);
            rest = after;
            string
        };
        self.lengths.iter().map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(dtype: DataType, bytes: &[u8]) -> Tensor {
        let values = bytes.len() / dtype.bytes().unwrap();
        Tensor::from_file("it".into(), dtype, vec![values], bytes.to_vec())
    }

    /// Values by IEEE 754's tables.
    #[test]
    fn half_precision_is_read() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0400, 2f64.powi(-14)),
            (0x0001, 2f64.powi(-24)),
            (0x3555, 0.333251953125),
            (0x8000, -0.0),
            (0x7C00, f64::INFINITY),
            (0xFC00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits).to_bits(), value.to_bits(), "{bits:#x}");
        }
        assert!(half(0x7E00).is_nan());
        let bfloat = raw(DataType::BFloat16, &[0x80, 0x3F, 0x49, 0xC0]).to_f32().unwrap();
        assert_eq!(bfloat.as_slice().unwrap(), [1.0, -3.140625]);
    }

    #[test]
    fn numbers_of_every_type_are_read_or_refused() {
        let i = |dtype, bytes: &[u8]| raw(dtype, bytes).to_i64().map(|values| values[0]);
        assert_eq!(i(DataType::Int8, &[0xFF]).unwrap(), -1);
        assert_eq!(i(DataType::Int16, &[0, 0x80]).unwrap(), -32768);
        assert_eq!(i(DataType::UInt8, &[0xFF]).unwrap(), 255);
        assert_eq!(i(DataType::UInt16, &[0, 0x80]).unwrap(), 32768);
        assert_eq!(i(DataType::UInt32, &[0, 0, 0, 0x80]).unwrap(), 1 << 31);
        assert_eq!(i(DataType::Bool, &[7]).unwrap(), 1);
        assert_eq!(i(DataType::Int64, &[0xFF; 8]).unwrap(), -1);
        let message = i(DataType::UInt64, &[0xFF; 8]).unwrap_err().to_string();
        assert_eq!(message, "the tensor `it` holds uint64 values, whole numbers below 2^63 are wanted");
        assert!(i(DataType::Float32, &[0; 4]).is_err());
        assert_eq!(raw(DataType::UInt64, &[0xFF; 8]).to_f32().unwrap()[0], 1.8446744e19);
        assert_eq!(raw(DataType::Float64, &1e300f64.to_le_bytes()).to_f64().unwrap()[0], 1e300);
        assert!(Tensor::from_file("it".into(), DataType::Other(8), vec![0], vec![]).to_f32().is_err());
    }

    #[test]
    fn shapes_without_values_may_be_large() {
        for shape in [vec![1 << 62, 0], vec![0, 1 << 31, 1 << 31]] {
            assert_eq!(count(&shape), Some(0));
            let empty = Tensor::from_file("it".into(), DataType::Float64, shape.clone(), vec![]);
            assert_eq!(empty.to_f64().unwrap().shape(), shape);
            assert_eq!(empty.to_f32().unwrap().shape(), shape);
        }
        assert_eq!(count(&[1 << 62, 2, 0]), None);
        assert_eq!(count(&[usize::MAX]), None);
        assert_eq!(count(&[]), Some(1));
    }

    #[test]
    fn strings_come_back_and_damaged_ones_are_errors() {
        let strings: [&[u8]; 3] = [b"", b"daisy", &[0xFF; 300]];
        let tensor = Tensor::strings("it", &[3, 1], &strings).unwrap();
        assert_eq!(tensor.to_strings().unwrap(), strings);
        let sum = checksum(DataType::String, &[3, 1], tensor.bytes()).unwrap();
        for place in 0..tensor.bytes().len() {
            let mut bytes = tensor.bytes().to_vec();
            bytes[place] ^= 4;
            assert_ne!(checksum(DataType::String, &[3, 1], &bytes), Ok(sum), "byte {place}");
            assert!(checksum(DataType::String, &[3, 1], &tensor.bytes()[..place]) != Ok(sum));
        }
        assert!(Tensor::strings("it", &[2], &strings).is_err());
        assert!(Tensor::strings::<&str>("it", &[0], &[]).unwrap().to_strings().unwrap().is_empty());
    }
}
