//! The fields of a protocol buffer message, read where they lie, and written.
//!
//! A record may be made so that its decoded form takes dozens of times its length: an empty byte string has two bytes in a
//! message, and 24 in a list of vectors. Looked at field by field, a message takes no memory at all.
//!
//! The encoding is that of <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

/// The deepest nesting of groups passed over.
const MAX_DEPTH: usize = 100;

/// The longest encoding of a 64-bit number, in bytes.
const MAX_VARINT_BYTES: usize = 10;

/// A field of bytes to write: its tag, their length, the bytes. A byte string, a text, a message and a packed list are such.
pub(crate) fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(2 * MAX_VARINT_BYTES + bytes.len());
    write_varint(&mut field, u64::from(number << 3 | 2));
    write_varint(&mut field, bytes.len() as u64);
    field.extend_from_slice(bytes);
    field
}

/// A number to write, seven bits a byte, the lowest first.
pub(crate) fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAX_VARINT_BYTES);
    write_varint(&mut bytes, value);
    bytes
}

fn write_varint(message: &mut Vec<u8>, mut value: u64) {
    while value > 0x7F {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// Bytes of a payload, with their place in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span<'a> {
    pub bytes: &'a [u8],
    at: usize,
}

impl<'a> Span<'a> {
    pub fn whole(payload: &'a [u8]) -> Self {
        Span { bytes: payload, at: 0 }
    }

    /// Its fields, if it is a message.
    pub fn fields(self) -> Fields<'a> {
        Fields { rest: self }
    }

    /// Its text, if it is UTF-8.
    pub fn text(self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes)
            .map_err(|error| WireError { at: self.at + error.valid_up_to(), defect: WireDefect::NotText })
    }

    /// Its 64-bit numbers, if it is a packed list of them.
    pub fn varints(mut self) -> impl Iterator<Item = Result<u64, WireError>> {
        std::iter::from_fn(move || (!self.bytes.is_empty()).then(|| self.varint()))
    }

    /// How many numbers of four bytes it holds, if it is a packed list of them.
    pub fn fixed32s(self) -> Result<usize, WireError> {
        match self.bytes.len() % 4 {
            0 => Ok(self.bytes.len() / 4),
            left => Err(self.cut(4, left, self.bytes.len() - left)),
        }
    }

    /// Takes `len` bytes from its front.
    fn take(&mut self, len: u64) -> Result<Span<'a>, WireError> {
        let split = usize::try_from(len).ok().and_then(|len| self.bytes.split_at_checked(len));
        let (taken, rest) = split.ok_or_else(|| self.cut(len, self.bytes.len(), 0))?;
        let taken = Span { bytes: taken, at: self.at };
        *self = Span { bytes: rest, at: self.at + taken.bytes.len() };
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (i, byte) in self.bytes.iter().take(MAX_VARINT_BYTES).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * i);
            if *byte < 0x80 {
                // Of the tenth byte only the lowest bit is left.
                if i + 1 == MAX_VARINT_BYTES && *byte > 1 {
                    break;
                }
                self.take(i as u64 + 1)?;
                return Ok(value);
            }
        }
        match self.bytes.len() {
            there @ 0..MAX_VARINT_BYTES => Err(self.cut(there as u64 + 1, there, 0)),
            _ => Err(self.error(WireDefect::LongNumber)),
        }
    }

    fn error(&self, defect: WireDefect) -> WireError {
        WireError { at: self.at, defect }
    }

    fn cut(&self, wanted: u64, left: usize, offset: usize) -> WireError {
        WireError { at: self.at + offset, defect: WireDefect::Cut { wanted, left } }
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64,
    #[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "records only count floats"))]
    Fixed32([u8; 4]),
    /// A byte string, a text, a message or a packed list.
    Bytes(Span<'a>),
    /// Fields between two tags, as no message of today has them.
    Group,
    /// The tags; of no field.
    GroupBegin,
    GroupEnd,
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub number: u32,
    pub value: Value<'a>,
    at: usize,
}

impl<'a> Field<'a> {
    /// Its value, which must be one of bytes.
    pub fn bytes(self) -> Result<Span<'a>, WireError> {
        match self.value {
            Value::Bytes(span) => Ok(span),
            _ => Err(self.mistyped()),
        }
    }

    /// The error of a field whose value is of a kind that it can't have.
    pub fn mistyped(self) -> WireError {
        WireError { at: self.at, defect: WireDefect::WireType { field: self.number } }
    }
}

// Records count their numbers and take no single one out.
#[cfg(feature = "onnx")]
impl Field<'_> {
    /// Its value, which must be a 64-bit number.
    pub fn varint(self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.mistyped()),
        }
    }

    /// Its value, which must be a 32-bit floating-point number.
    pub fn float(self) -> Result<f32, WireError> {
        match self.value {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.mistyped()),
        }
    }
}

/// The fields of a message in their order. At its end after an error.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: Span<'a>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field();
        if field.is_err() {
            self.rest.bytes = &[];
        }
        field.transpose()
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.rest.bytes.is_empty() {
            return Ok(None);
        }
        let at = self.rest.at;
        let (number, mut value) = self.value()?;
        if let Value::GroupBegin = value {
            self.pass_over_group(number)?;
            value = Value::Group;
        }
        match value {
            Value::GroupEnd => Err(WireError { at, defect: WireDefect::WireType { field: number } }),
            value => Ok(Some(Field { number, value, at })),
        }
    }

    /// Goes on behind a group that has begun.
    fn pass_over_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            let start = self.rest;
            match self.value()? {
                (_, Value::GroupBegin) if open.len() == MAX_DEPTH => {
                    return Err(start.error(WireDefect::Depth));
                }
                (number, Value::GroupBegin) => open.push(number),
                (number, Value::GroupEnd) if number == *innermost => drop(open.pop()),
                (field, Value::GroupEnd) => return Err(start.error(WireDefect::WireType { field })),
                _ => {}
            }
        }
        Ok(())
    }

    /// The next field's number and value, of a group its begin or end.
    fn value(&mut self) -> Result<(u32, Value<'a>), WireError> {
        let start = self.rest;
        let tag = self.rest.varint()?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number @ 1..0x2000_0000) => number,
            _ => return Err(start.error(WireDefect::FieldNumber(tag >> 3))),
        };
        let value = match tag & 7 {
            0 => Value::Varint(self.rest.varint()?),
            1 => {
                self.rest.take(8)?;
                Value::Fixed64
            }
            2 => {
                let len = self.rest.varint()?;
                Value::Bytes(self.rest.take(len)?)
            }
            3 => Value::GroupBegin,
            4 => Value::GroupEnd,
            5 => Value::Fixed32(self.rest.take(4)?.bytes.try_into().expect("4 bytes were taken")),
            _ => return Err(start.error(WireDefect::WireType { field: number })),
        };
        Ok((number, value))
    }
}

/// Where bytes stop being a message, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{defect} at byte {at}")]
pub struct WireError {
    /// The byte of the payload.
    pub at: usize,
    /// What is wrong there.
    pub defect: WireDefect,
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireDefect {
    /// More bytes are needed than are left.
    Cut {
        /// The bytes needed.
        wanted: u64,
        /// The bytes left.
        left: usize,
    },
    /// A number of more than 64 bits.
    LongNumber,
    /// A field number that is 0 or over 2^29 - 1.
    FieldNumber(u64),
    /// A field whose value is of another wire type than the field has, or of one that does not exist.
    WireType {
        /// The field's number.
        field: u32,
    },
    /// Groups in groups, over a hundred deep.
    Depth,
    /// A text that is not UTF-8.
    NotText,
}

impl fmt::Display for WireDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireDefect::Cut { wanted, left } => write!(f, "{wanted} bytes are needed and {left} left"),
            WireDefect::LongNumber => f.write_str("a number of more than 64 bits"),
            WireDefect::FieldNumber(number) => write!(f, "the impossible field number {number}"),
            WireDefect::WireType { field } => write!(f, "field {field} of a wrong type"),
            WireDefect::Depth => write!(f, "groups nested over {MAX_DEPTH} deep"),
            WireDefect::NotText => f.write_str("a text that is not UTF-8"),
        }
    }
}
