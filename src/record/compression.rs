//! How a file of records may be compressed.

use std::fmt;
use std::io;

/// How a TFRecord file's bytes are compressed, all records together in one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    Plain,
    /// A gzip file (RFC 1952), of one member or several.
    Gzip,
    /// A zlib stream (RFC 1950).
    Zlib,
}

impl fmt::Display for Compression {
    /// TensorFlow's names; `plain` where TensorFlow has the empty string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Plain => "plain",
            Compression::Gzip => "GZIP",
            Compression::Zlib => "ZLIB",
        })
    }
}

/// Compressed data that does not decompress.
#[derive(Debug, thiserror::Error)]
#[error("the {format} data is damaged: {source}")]
pub(super) struct DecompressionFault {
    pub format: Compression,
    pub source: io::Error,
}
