//! What the values of a tensor are.

use std::fmt;

/// The type of a tensor's values, by TensorFlow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// Single precision, `tf.float32`.
    Float32,
    /// Double precision, `tf.float64`.
    Float64,
    /// Half precision, `tf.float16`: 5 bits of exponent, 10 of fraction.
    Float16,
    /// The upper half of single precision, `tf.bfloat16`.
    BFloat16,
    /// `tf.int8`
    Int8,
    /// `tf.int16`
    Int16,
    /// `tf.int32`
    Int32,
    /// `tf.int64`
    Int64,
    /// `tf.uint8`
    UInt8,
    /// `tf.uint16`
    UInt16,
    /// `tf.uint32`
    UInt32,
    /// `tf.uint64`
    UInt64,
    /// `tf.bool`, a byte each.
    Bool,
    /// `tf.string`: byte strings.
    String,
    /// Another, by its number in TensorFlow's `types.proto` (complex, quantized, 8-bit floats, resources, ...): listed, and
    /// not read.
    Other(i32),
}

/// Number (`DataType` in `tensorflow/core/framework/types.proto`), name and bytes a value; strings have no fixed size.
const TYPES: [(DataType, i32, &str, Option<usize>); 14] = [
    (DataType::Float32, 1, "float32", Some(4)),
    (DataType::Float64, 2, "float64", Some(8)),
    (DataType::Int32, 3, "int32", Some(4)),
    (DataType::UInt8, 4, "uint8", Some(1)),
    (DataType::Int16, 5, "int16", Some(2)),
    (DataType::Int8, 6, "int8", Some(1)),
    (DataType::String, 7, "string", None),
    (DataType::Int64, 9, "int64", Some(8)),
    (DataType::Bool, 10, "bool", Some(1)),
    (DataType::BFloat16, 14, "bfloat16", Some(2)),
    (DataType::UInt16, 17, "uint16", Some(2)),
    (DataType::Float16, 19, "float16", Some(2)),
    (DataType::UInt32, 22, "uint32", Some(4)),
    (DataType::UInt64, 23, "uint64", Some(8)),
];

impl DataType {
    pub(super) fn from_number(number: i32) -> Self {
        TYPES.iter().find(|(_, n, ..)| *n == number).map_or(DataType::Other(number), |(dtype, ..)| *dtype)
    }

    pub(super) fn number(self) -> i32 {
        match self {
            DataType::Other(number) => number,
            _ => self.row().map_or(0, |(_, number, ..)| number),
        }
    }

    /// Bytes a value; `None` where values differ in size, or the type is another.
    pub(super) fn bytes(self) -> Option<usize> {
        self.row().and_then(|(.., bytes)| bytes)
    }

    /// Whether the values are floating-point numbers.
    pub fn is_float(self) -> bool {
        use DataType::{BFloat16, Float16, Float32, Float64};
        matches!(self, Float32 | Float64 | Float16 | BFloat16)
    }

    fn row(self) -> Option<(DataType, i32, &'static str, Option<usize>)> {
        TYPES.into_iter().find(|(dtype, ..)| *dtype == self)
    }
}

impl fmt::Display for DataType {
    /// `float32`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.row()) {
            (_, Some((_, _, name, _))) => f.write_str(name),
            (DataType::Other(number), None) => write!(f, "type {number}"),
            (_, None) => write!(f, "{self:?}"),
        }
    }
}
