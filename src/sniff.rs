//! Guesses what a file is that is not of the kind wanted, to say so in the error.

/// How many bytes [`looks_like`] can make use of (a tar archive shows itself at byte 257).
pub(crate) const SNIFFED_BYTES: usize = 512;

/// First bytes, and what begins so.
const SIGNATURES: [(&[u8], &str); 18] = [
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF file, such as a WebP image"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"%PDF-", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as a Keras model"),
    (b"GGUF", "a GGUF model"),
    (b"\x93NUMPY", "a NumPy array"),
    // torch.save before version 1.6: a pickled number of 10 bytes.
    (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "a PyTorch model"),
    (b"\x80\x02", "a Python pickle, such as an old PyTorch model"),
    (b"\x80\x04", "a Python pickle"),
    // tf.saved_model: schema version 1, then a graph.
    (b"\x08\x01\x12", "a TensorFlow SavedModel"),
    (b"\x7fELF", "a program"),
];

/// What an ONNX file looks like.
pub(crate) const ONNX: &str = "an ONNX model";

/// What a file with these first bytes looks like, in words; `None` if like nothing known.
pub(crate) fn looks_like(prefix: &[u8]) -> Option<&'static str> {
    let signature = SIGNATURES.iter().find(|(bytes, _)| prefix.starts_with(bytes));
    if let Some((_, name)) = signature {
        return Some(name);
    }
    match *prefix {
        [] => Some("an empty file"),
        [b'P', b'K', 3, 4, ..] if contains(prefix, b"data.pkl") => Some("a PyTorch model"),
        [b'P', b'K', 3, 4, ..] => {
            Some("a zip archive, such as a Keras model (.keras) or NumPy arrays (.npz)")
        }
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some("a TensorFlow Lite model"),
        // The version of the format, then the name of the program that wrote it.
        [8, 2..=31, 0x12, ..] => Some(ONNX),
        // A table whose first key is empty, with a header of a few bytes: of how many files, in which byte order, ...
        [0, 0, 2..=16, 8, 1..=127, ..] => Some("the index of a TensorFlow checkpoint"),
        // The length of a description below 2^32, and the description.
        [_, _, _, _, 0, 0, 0, 0, b'{', b'"', ..] => Some("a safetensors file"),
        _ if prefix.get(257..262) == Some(b"ustar") => Some("a tar archive"),
        _ if prefix.iter().all(|byte| *byte == 0) => {
            Some("a file of zeros, as a crash or a broken download leaves it")
        }
        _ => text(prefix).map(|text| match text.trim_start().chars().next() {
            Some('{' | '[') => "JSON text",
            Some('<') => "an HTML or XML page, as a failed download leaves it",
            _ => "text",
        }),
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
    fn known_formats_are_named() {
        let mut tar = vec![0; 512];
        tar[0] = b'a';
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, name) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], Some("a JPEG image")),
            (&tar, Some("a tar archive")),
            ("daisy\ntulipes d'été\n".as_bytes(), Some("text")),
            // The last character is cut.
            (&"été".as_bytes()[..4], Some("text")),
            (b" {\"weights\": []}", Some("JSON text")),
            (b"PK\x03\x04\0\0\x08\x08model/data.pkl", Some("a PyTorch model")),
            (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80", Some("a PyTorch model")),
            (b"\x80\x02}q\0", Some("a Python pickle, such as an old PyTorch model")),
            (b"\x89HDF\r\n\x1a\n\0", Some("an HDF5 file, such as a Keras model")),
            (b"\x08\x07\x12\x07pytorch\x1a", Some("an ONNX model")),
            (b"\x1c\0\0\0TFL3", Some("a TensorFlow Lite model")),
            (b"GGUF\x03\0\0\0", Some("a GGUF model")),
            (b"\0\0\x06\x08\x01\x1a\x02\x08\x01", Some("the index of a TensorFlow checkpoint")),
            (b"\x40\x01\0\0\0\0\0\0{\"__metadata__\"", Some("a safetensors file")),
            (&[0; 100], Some("a file of zeros, as a crash or a broken download leaves it")),
            (b"", Some("an empty file")),
            (b"a\0b", None),
            (b"a\xffb", None),
        ] {
            assert_eq!(looks_like(bytes), name, "{bytes:?}");
        }
    }
}
