//! The environment variables that choose how kernels compute, for measurements.
//!
//! | variable | names |
//! | --- | --- |
//! | `FLORET_ISA` | the instruction set: `simd::Isa` |
//! | `FLORET_CONV` | the algorithm of convolutions: `conv::ConvAlgorithm` |
//!
//! One that is not set, or empty, asks for nothing.

use std::ffi::OsString;
use std::fmt;

/// An environment variable that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvError {
    /// It names nothing known.
    Unknown {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        valid: Vec<&'static str>,
    },
    /// It names what this processor does not have.
    Unavailable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: &'static str,
        /// The values that this processor can follow.
        available: Vec<&'static str>,
    },
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvError::Unknown { variable, value, valid } => {
                let (value, valid) = (value.escape_debug(), valid.join(", "));
                write!(f, "the environment variable {variable} is `{value}`, but must be one of {valid}")
            }
            EnvError::Unavailable { variable, value, available } => {
                let available = available.join(", ");
                write!(
                    f,
                    "the environment variable {variable} is `{value}`, which this processor does not have; it has {available}"
                )
            }
        }
    }
}

impl std::error::Error for EnvError {}

/// The one of `all` that a variable's value names.
pub fn named<T: Copy>(
    variable: &'static str,
    value: Option<OsString>,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<Option<T>, EnvError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let found = all.iter().copied().find(|item| value == name(*item));
    found.map(Some).ok_or_else(|| EnvError::Unknown {
        variable,
        value: value.to_string_lossy().into_owned(),
        valid: all.iter().copied().map(name).collect(),
    })
}
