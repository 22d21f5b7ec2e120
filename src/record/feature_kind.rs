//! The types that a feature's values may have.

use std::fmt;

/// The type of a feature's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeatureKind {
    /// Byte strings.
    Bytes,
    /// 32-bit floating-point numbers.
    Float,
    /// 64-bit integers.
    Int64,
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FeatureKind::Bytes => "bytes",
            FeatureKind::Float => "float",
            FeatureKind::Int64 => "int64",
        })
    }
}
