//! Guesses what a file is that is no TFRecord file, to say so in the error.

/// How many bytes [`looks_like`] can make use of (a tar archive shows itself at byte 257).
pub(super) const SNIFFED_BYTES: usize = 512;

const SIGNATURES: [(&[u8], &str); 11] = [
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF file, such as a WebP image"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"%PDF-", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
];

/// What a file with these first bytes looks like, in words; `None` if like nothing known.
pub(super) fn looks_like(prefix: &[u8]) -> Option<&'static str> {
    let signature = SIGNATURES.iter().find(|(bytes, _)| prefix.starts_with(bytes));
    if let Some((_, name)) = signature {
        Some(name)
    } else if prefix.get(257..262) == Some(b"ustar") {
        Some("a tar archive")
    } else if is_text(prefix) {
        Some("text")
    } else {
        None
    }
}

/// Whether `prefix` is UTF-8 without control characters; its last character may be cut.
fn is_text(prefix: &[u8]) -> bool {
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&prefix[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_formats_are_named() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(looks_like(b"\xff\xd8\xff\xe0\0\x10JFIF"), Some("a JPEG image"));
        assert_eq!(looks_like(&tar), Some("a tar archive"));
        assert_eq!(looks_like("daisy\ntulipes d'été\n".as_bytes()), Some("text"));
        assert_eq!(looks_like(&"été".as_bytes()[..4]), Some("text"), "the last character is cut");
        assert_eq!(looks_like(b"a\0b"), None);
        assert_eq!(looks_like(b"a\xffb"), None);
        assert_eq!(looks_like(b""), None);
    }
}
