//! The one EXIF entry that matters here: how the camera was held.

/// TIFF tag of the orientation.
const ORIENTATION: u16 = 0x0112;

/// Orientation (1 to 8) in a TIFF structure, as EXIF embeds it; `None` if it has none or is malformed.
pub(super) fn orientation(tiff: &[u8]) -> Option<u8> {
    let big_endian = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => false,
        [b'M', b'M', 0, 42] => true,
        _ => return None,
    };
    let u16_at = |at: usize| -> Option<u16> {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let u32_at = |at: usize| -> Option<u32> {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    let entries = u16_at(directory)?;
    (0..usize::from(entries))
        .map(|entry| directory.saturating_add(2 + 12 * entry))
        .find(|&at| u16_at(at) == Some(ORIENTATION))
        // tag (2 bytes), type (2), count (4), then the value itself, a SHORT
        .and_then(|at| u16_at(at.checked_add(8)?))
        .and_then(|value| u8::try_from(value).ok())
        .filter(|value| (1..=8).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiff(big_endian: bool, tag: u16, value: u16) -> Vec<u8> {
        let short = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut bytes = if big_endian { b"MM\0\x2A".to_vec() } else { b"II\x2A\0".to_vec() };
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, value) in [(0x0100, 640), (tag, value)] {
            bytes.extend(short(tag));
            bytes.extend(short(3));
            bytes.extend(long(1));
            bytes.extend(short(value));
            bytes.extend(short(0));
        }
        bytes.extend(long(0));
        bytes
    }

    #[test]
    fn both_byte_orders() {
        for big_endian in [false, true] {
            for value in 1..=8 {
                assert_eq!(orientation(&tiff(big_endian, ORIENTATION, value)), Some(value as u8));
            }
            assert_eq!(orientation(&tiff(big_endian, ORIENTATION, 0)), None);
            assert_eq!(orientation(&tiff(big_endian, ORIENTATION, 9)), None);
            assert_eq!(orientation(&tiff(big_endian, 0x0131, 6)), None);
        }
    }

    #[test]
    fn cut_and_wild_structures_have_none() {
        let whole = tiff(true, ORIENTATION, 6);
        for length in 0..32 {
            assert_eq!(orientation(&whole[..length]), None, "cut to {length} bytes");
        }
        assert_eq!(orientation(b"II\x2A\0\xFF\xFF\xFF\xFF"), None);
        assert_eq!(orientation(b"GIF89a.."), None);
    }
}
