//! The formats of photos that are read.

use std::fmt;

/// A file format that [`decode`](super::decode()) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG: baseline, extended sequential or progressive, Huffman-coded, 8 bits a sample.
    Jpeg,
    /// PNG: every color type and bit depth.
    Png,
    /// WebP, lossy or lossless; of an animation the first picture. With the feature `webp`.
    WebP,
    /// GIF; of an animation the first picture. With the feature `gif`.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF: the first picture. With the feature `tiff`.
    Tiff,
}

/// The extensions that files of these formats usually have, in lower case.
pub const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "jpe", "gif", "bmp", "tif", "tiff"];

impl fmt::Display for Format {
    /// `JPEG`, `PNG`, ..., which is also what the records' `image/format` holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::WebP => "WebP",
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
            Format::Tiff => "TIFF",
        })
    }
}
