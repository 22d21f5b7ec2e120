//! The formats of photos that are read.

use std::fmt;

/// A file format that [`decode`](super::decode()) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG: baseline, extended sequential or progressive, Huffman-coded, 8 bits a sample.
    Jpeg,
    /// PNG: every color type and bit depth.
    Png,
}

impl fmt::Display for Format {
    /// `JPEG` or `PNG`, which is also what the records' `image/format` holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
        })
    }
}
