//! Guesses what a file is that is not of the kind wanted, to say so in the error.

use std::fmt;

/// How many bytes [`FileKind::of`] can make use of (a tar archive shows itself at byte 257).
pub(crate) const SNIFFED_BYTES: usize = 512;

/// The first bytes of a PNG file.
pub(crate) const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The kind of a file, guessed from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// No bytes at all.
    Empty,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// HEIC or HEIF, as phones write.
    Heif,
    /// AVIF.
    Avif,
    /// TIFF, or a camera's raw format built on it.
    Tiff,
    /// JPEG XL.
    JpegXl,
    /// JPEG 2000.
    Jpeg2000,
    /// SVG drawing.
    Svg,
    /// Another RIFF file than WebP.
    Riff,
    /// PDF document.
    Pdf,
    /// ZIP archive, such as a Keras model (`.keras`) or NumPy arrays (`.npz`).
    Zip,
    /// gzip-compressed data.
    Gzip,
    /// bzip2-compressed data.
    Bzip2,
    /// xz-compressed data.
    Xz,
    /// Zstandard-compressed data.
    Zstd,
    /// tar archive.
    Tar,
    /// A pointer to a file that Git LFS keeps elsewhere.
    GitLfs,
    /// HDF5, such as a Keras model.
    Hdf5,
    /// GGUF model.
    Gguf,
    /// NumPy array.
    Numpy,
    /// PyTorch model.
    PyTorch,
    /// Python pickle, such as an old PyTorch model.
    Pickle,
    /// TensorFlow SavedModel.
    SavedModel,
    /// TensorFlow Lite model.
    TensorFlowLite,
    /// The index of a TensorFlow checkpoint.
    CheckpointIndex,
    /// ONNX model.
    Onnx,
    /// safetensors.
    SafeTensors,
    /// An executable program.
    Program,
    /// Zeros, as a crash or a broken download leaves them.
    Zeros,
    /// An HTML page, usually in place of a file whose download failed.
    Html,
    /// XML.
    Xml,
    /// JSON.
    Json,
    /// Other text.
    Text,
    /// None of these; the first four bytes (zero where the file is shorter).
    Unknown([u8; 4]),
}

/// Bytes, by their place, that tell a kind of file.
type Signature = &'static [(usize, &'static [u8])];

/// The first of these that fits tells the kind.
const SIGNATURES: &[(Signature, FileKind)] = &[
    (&[(0, b"\xff\xd8\xff")], FileKind::Jpeg),
    (&[(0, &PNG)], FileKind::Png),
    (&[(0, b"GIF8")], FileKind::Gif),
    (&[(0, b"RIFF"), (8, b"WEBP")], FileKind::WebP),
    (&[(0, b"RIFF")], FileKind::Riff),
    (&[(0, b"BM"), (6, &[0; 4])], FileKind::Bmp),
    (&[(4, b"ftypavi")], FileKind::Avif),
    (&[(4, b"ftyph")], FileKind::Heif),
    (&[(4, b"ftypm")], FileKind::Heif),
    (&[(0, b"II*\0")], FileKind::Tiff),
    (&[(0, b"MM\0*")], FileKind::Tiff),
    (&[(0, b"\xff\x0a")], FileKind::JpegXl),
    (&[(0, b"\0\0\0\x0cJXL ")], FileKind::JpegXl),
    (&[(0, b"\0\0\0\x0cjP  ")], FileKind::Jpeg2000),
    (&[(0, b"\xff\x4f\xff\x51")], FileKind::Jpeg2000),
    (&[(0, b"%PDF")], FileKind::Pdf),
    (&[(0, b"PK\x03\x04")], FileKind::Zip),
    (&[(0, b"PK\x05\x06")], FileKind::Zip),
    (&[(0, b"\x1f\x8b")], FileKind::Gzip),
    (&[(0, b"BZh")], FileKind::Bzip2),
    (&[(0, b"\xfd7zXZ\0")], FileKind::Xz),
    (&[(0, b"\x28\xb5\x2f\xfd")], FileKind::Zstd),
    (&[(257, b"ustar")], FileKind::Tar),
    (&[(0, b"version https://git-lfs")], FileKind::GitLfs),
    (&[(0, b"\x89HDF\r\n\x1a\n")], FileKind::Hdf5),
    (&[(0, b"GGUF")], FileKind::Gguf),
    (&[(0, b"\x93NUMPY")], FileKind::Numpy),
    // torch.save before version 1.6: a pickled number of 10 bytes.
    (&[(0, b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")], FileKind::PyTorch),
    (&[(0, b"\x80\x02")], FileKind::Pickle),
    (&[(0, b"\x80\x04")], FileKind::Pickle),
    // tf.saved_model: schema version 1, then a graph.
    (&[(0, b"\x08\x01\x12")], FileKind::SavedModel),
    (&[(4, b"TFL3")], FileKind::TensorFlowLite),
    (&[(0, b"\x7fELF")], FileKind::Program),
];

impl FileKind {
    /// Guesses the kind of a file from its first bytes, of which 512 are enough.
    pub fn of(bytes: &[u8]) -> FileKind {
        let prefix = &bytes[..bytes.len().min(SNIFFED_BYTES)];
        let fits = |(at, part): &(usize, &[u8])| prefix.get(*at..).is_some_and(|rest| rest.starts_with(part));
        match SIGNATURES.iter().find(|(signature, _)| signature.iter().all(fits)) {
            Some((_, FileKind::Zip)) if contains(prefix, b"data.pkl") => FileKind::PyTorch,
            Some((_, kind)) => *kind,
            None => Self::by_structure(prefix),
        }
    }

    /// The kind of a file that has no bytes of its own to be known by.
    fn by_structure(prefix: &[u8]) -> FileKind {
        match *prefix {
            [] => FileKind::Empty,
            // The version of the format, then the name of the program that wrote it.
            [8, 2..=31, 0x12, ..] => FileKind::Onnx,
            // A table whose first key is empty, with a header of a few bytes: of how many files, in which byte order, ...
            [0, 0, 2..=16, 8, 1..=127, ..] => FileKind::CheckpointIndex,
            // The length of a description below 2^32, and the description.
            [_, _, _, _, 0, 0, 0, 0, b'{', b'"', ..] => FileKind::SafeTensors,
            _ if prefix.iter().all(|byte| *byte == 0) => FileKind::Zeros,
            _ => text(prefix).map_or_else(|| Self::unknown(prefix), Self::of_text),
        }
    }

    fn of_text(text: &str) -> FileKind {
        let lower = text.to_ascii_lowercase();
        match text.trim_start().chars().next() {
            _ if lower.contains("<svg") => FileKind::Svg,
            _ if lower.contains("<html") || lower.contains("<!doctype html") => FileKind::Html,
            Some('<') => FileKind::Xml,
            Some('{' | '[') => FileKind::Json,
            _ => FileKind::Text,
        }
    }

    fn unknown(prefix: &[u8]) -> FileKind {
        let mut first = [0; 4];
        first.iter_mut().zip(prefix).for_each(|(to, from)| *to = *from);
        FileKind::Unknown(first)
    }

    /// The kind in words, with its article; `None` if it is unknown.
    pub(crate) fn name(self) -> Option<&'static str> {
        Some(match self {
            FileKind::Empty => "an empty file",
            FileKind::Jpeg => "a JPEG image",
            FileKind::Png => "a PNG image",
            FileKind::Gif => "a GIF image",
            FileKind::WebP => "a WebP image",
            FileKind::Bmp => "a BMP image",
            FileKind::Heif => "a HEIC/HEIF image",
            FileKind::Avif => "an AVIF image",
            FileKind::Tiff => "a TIFF (or camera raw) image",
            FileKind::JpegXl => "a JPEG XL image",
            FileKind::Jpeg2000 => "a JPEG 2000 image",
            FileKind::Svg => "an SVG drawing",
            FileKind::Riff => "a RIFF file",
            FileKind::Pdf => "a PDF document",
            FileKind::Zip => "a ZIP archive, such as a Keras model (.keras) or NumPy arrays (.npz)",
            FileKind::Gzip => "a gzip file",
            FileKind::Bzip2 => "a bzip2 file",
            FileKind::Xz => "an xz file",
            FileKind::Zstd => "a zstd file",
            FileKind::Tar => "a tar archive",
            FileKind::GitLfs => "a Git LFS pointer (`git lfs pull` fetches the file itself)",
            FileKind::Hdf5 => "an HDF5 file, such as a Keras model",
            FileKind::Gguf => "a GGUF model",
            FileKind::Numpy => "a NumPy array",
            FileKind::PyTorch => "a PyTorch model",
            FileKind::Pickle => "a Python pickle, such as an old PyTorch model",
            FileKind::SavedModel => "a TensorFlow SavedModel",
            FileKind::TensorFlowLite => "a TensorFlow Lite model",
            FileKind::CheckpointIndex => "the index of a TensorFlow checkpoint",
            FileKind::Onnx => "an ONNX model",
            FileKind::SafeTensors => "a safetensors file",
            FileKind::Program => "a program",
            FileKind::Zeros => "a file of zeros, as a crash or a broken download leaves it",
            FileKind::Html => "an HTML page, as a failed download leaves it",
            FileKind::Xml => "an XML file",
            FileKind::Json => "a JSON file",
            FileKind::Text => "a text file",
            FileKind::Unknown(_) => return None,
        })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileKind::Unknown([a, b, c, d]) => {
                write!(f, "an unknown kind of file (first bytes {a:02X} {b:02X} {c:02X} {d:02X})")
            }
            kind => f.write_str(kind.name().unwrap_or_default()),
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// `prefix` if it is UTF-8 without control characters; its last character may be cut.
fn text(prefix: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&prefix[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    (!text.chars().any(|c| c.is_control() && !c.is_whitespace())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_from_their_first_bytes() {
        let mut tar = vec![0; 512];
        tar[0] = b'a';
        tar[257..262].copy_from_slice(b"ustar");
        // A character cut by the end of what is looked at.
        let mut cut = vec![b'a'; SNIFFED_BYTES - 1];
        cut.extend("\u{e9}t\u{e9}".as_bytes());
        for (bytes, kind) in [
            (&b""[..], FileKind::Empty),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", FileKind::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0", FileKind::Png),
            (b"GIF89a\x01\0", FileKind::Gif),
            (b"RIFF\x10\0\0\0WEBPVP8 ", FileKind::WebP),
            (b"RIFF\x10\0\0\0WAVEfmt ", FileKind::Riff),
            (b"BM\x36\0\0\0\0\0\0\0", FileKind::Bmp),
            (b"BMW,Audi\n", FileKind::Text),
            (b"\0\0\0\x18ftypheic\0\0\0\0", FileKind::Heif),
            (b"\0\0\0\x18ftypavif\0\0\0\0", FileKind::Avif),
            (b"II*\0\x08\0\0\0", FileKind::Tiff),
            (b"\x89HDF\r\n\x1a\n\0", FileKind::Hdf5),
            (b"PK\x03\x04\0\0\x08\x08metadata.json", FileKind::Zip),
            (b"PK\x03\x04\0\0\x08\x08model/data.pkl", FileKind::PyTorch),
            (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80", FileKind::PyTorch),
            (b"\x80\x02}q\0", FileKind::Pickle),
            (b"\x08\x07\x12\x07pytorch\x1a", FileKind::Onnx),
            (b"\x1c\0\0\0TFL3", FileKind::TensorFlowLite),
            (b"GGUF\x03\0\0\0", FileKind::Gguf),
            (b"\0\0\x06\x08\x01\x1a\x02\x08\x01", FileKind::CheckpointIndex),
            (b"\x40\x01\0\0\0\0\0\0{\"__metadata__\"", FileKind::SafeTensors),
            (&tar, FileKind::Tar),
            (&[0; 100], FileKind::Zeros),
            (b"\n <!DOCTYPE html><title>404</title>", FileKind::Html),
            (b"<?xml version=\"1.0\"?><svg/>", FileKind::Svg),
            (b"<?xml version=\"1.0\"?><annotation/>", FileKind::Xml),
            (b" {\"weights\": []}", FileKind::Json),
            ("daisy\ntulipes d'\u{e9}t\u{e9}\n".as_bytes(), FileKind::Text),
            (&cut, FileKind::Text),
            (b"a\0b", FileKind::Unknown(*b"a\0b\0")),
            (b"a\xffbcd", FileKind::Unknown(*b"a\xffbc")),
        ] {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }
}
