//! What a file that is neither JPEG nor PNG looks like, for an error message that helps.
use std::fmt;

/// The kind of a file, guessed from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// No bytes at all.
    Empty,
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
    /// An HTML page, usually in place of a photo whose download failed.
    Html,
    /// PDF document.
    Pdf,
    /// ZIP archive.
    Zip,
    /// gzip-compressed data.
    Gzip,
    /// Other text.
    Text,
    /// None of these; the first four bytes (zero where the file is shorter).
    Unknown([u8; 4]),
}

impl FileKind {
    /// Guesses the kind of a file from its contents.
    pub fn of(bytes: &[u8]) -> FileKind {
        match bytes {
            [] => FileKind::Empty,
            [b'G', b'I', b'F', b'8', ..] => FileKind::Gif,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => FileKind::WebP,
            [b'B', b'M', ..] => FileKind::Bmp,
            [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f' | b's', ..] => FileKind::Avif,
            [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', _, _, _, ..] => FileKind::Heif,
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => FileKind::Tiff,
            [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => FileKind::JpegXl,
            [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => FileKind::Jpeg2000,
            [b'%', b'P', b'D', b'F', ..] => FileKind::Pdf,
            [b'P', b'K', 3 | 5, 4 | 6, ..] => FileKind::Zip,
            [0x1F, 0x8B, ..] => FileKind::Gzip,
            _ => text_kind(bytes).unwrap_or_else(|| {
                let mut first = [0; 4];
                first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                FileKind::Unknown(first)
            }),
        }
    }

    /// What the owner of the file can do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            FileKind::Empty | FileKind::Html | FileKind::Text | FileKind::Unknown(_) => {
                "fetch the photo again, or remove the file"
            }
            FileKind::Pdf | FileKind::Zip | FileKind::Gzip => "take the photos out of it, or remove the file",
            _ => "convert it to JPEG or PNG, or remove the file",
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Empty => "an empty file",
            FileKind::Gif => "a GIF image",
            FileKind::WebP => "a WebP image",
            FileKind::Bmp => "a BMP image",
            FileKind::Heif => "a HEIC/HEIF image",
            FileKind::Avif => "an AVIF image",
            FileKind::Tiff => "a TIFF (or camera raw) image",
            FileKind::JpegXl => "a JPEG XL image",
            FileKind::Jpeg2000 => "a JPEG 2000 image",
            FileKind::Svg => "an SVG drawing",
            FileKind::Html => "an HTML page",
            FileKind::Pdf => "a PDF document",
            FileKind::Zip => "a ZIP archive",
            FileKind::Gzip => "gzip-compressed data",
            FileKind::Text => "a text file",
            FileKind::Unknown([a, b, c, d]) => {
                return write!(f, "an unknown kind of file (first bytes {a:02X} {b:02X} {c:02X} {d:02X})");
            }
        })
    }
}

/// Bytes of the beginning that the guess about text looks at.
const TEXT_PROBE: usize = 512;

fn text_kind(bytes: &[u8]) -> Option<FileKind> {
    let probe = &bytes[..bytes.len().min(TEXT_PROBE)];
    let control = |&b: &u8| b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B);
    let utf8 = match std::str::from_utf8(probe) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(), // a character cut at the probe's end
    };
    if !utf8 || probe.iter().any(control) {
        return None;
    }
    let lower = probe.to_ascii_lowercase();
    let has = |needle: &str| lower.windows(needle.len()).any(|window| window == needle.as_bytes());
    Some(if has("<svg") {
        FileKind::Svg
    } else if has("<html") || has("<!doctype html") {
        FileKind::Html
    } else {
        FileKind::Text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_from_their_first_bytes() {
        let cases: [(&[u8], FileKind); 12] = [
            (b"", FileKind::Empty),
            (b"GIF89a\x01\0", FileKind::Gif),
            (b"RIFF\x10\0\0\0WEBPVP8 ", FileKind::WebP),
            (b"BM\x36\0\0\0", FileKind::Bmp),
            (b"\0\0\0\x18ftypheic\0\0\0\0", FileKind::Heif),
            (b"\0\0\0\x18ftypavif\0\0\0\0", FileKind::Avif),
            (b"II*\0\x08\0\0\0", FileKind::Tiff),
            (b"\n <!DOCTYPE html><title>404</title>", FileKind::Html),
            (b"<?xml version=\"1.0\"?><svg/>", FileKind::Svg),
            ("caf\u{e9}, un texte".as_bytes(), FileKind::Text),
            (b"\0\0", FileKind::Unknown([0; 4])),
            (b"\x01\x02\x03\x04\x05", FileKind::Unknown([1, 2, 3, 4])),
        ];
        for (bytes, kind) in cases {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn text_with_a_character_cut_by_the_probe_is_text() {
        let mut bytes = vec![b'a'; TEXT_PROBE - 1];
        bytes.extend("\u{e9}t\u{e9}".as_bytes());
        assert_eq!(FileKind::of(&bytes), FileKind::Text);
    }
}
