//! Masked CRC32C, the checksum of TFRecord files, event files and TensorFlow checkpoints.
//!
//! CRC32C is the Castagnoli CRC (RFC 3720, appendix B.4). TensorFlow stores it *masked*, because the CRC of
//! data that holds its own CRC is degenerate (`tensorflow/core/lib/hash/crc32c.h`):
//!
//! ```text
//! masked = rotate_right(crc, 15) + 0xa282ead8   (mod 2^32)
//! ```

const MASK_DELTA: u32 = 0xa282_ead8;

/// Masks a CRC32C for storage.
pub fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK_DELTA)
}

/// The CRC32C behind a stored, masked one.
pub fn unmask(masked: u32) -> u32 {
    masked.wrapping_sub(MASK_DELTA).rotate_left(15)
}

/// The masked CRC32C of `bytes`, as it is stored.
pub fn masked_crc32c(bytes: &[u8]) -> u32 {
    mask(crc32c::crc32c(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the usual check value of "123456789".
    #[test]
    fn published_vectors() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        let vectors: [(&[u8], u32); 6] = [
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ];
        for (bytes, crc) in vectors {
            assert_eq!(unmask(masked_crc32c(bytes)), crc, "{bytes:02x?}");
        }
    }

    /// The mask by its definition: the CRC's upper 17 bits move down, its lower 15 up, and a constant is
    /// added.
    #[test]
    fn mask_is_a_rotation_and_a_sum() {
        for crc in [0, 1, 0x7fff, 0x8000, 0xe306_9283, u32::MAX] {
            let wide = u64::from(crc >> 15) + (u64::from(crc & 0x7fff) << 17) + 0xa282_ead8;
            assert_eq!(u64::from(mask(crc)), wide % (1 << 32));
            assert_eq!(unmask(mask(crc)), crc);
        }
    }
}
