//! The frame of one record, and nothing else: no files, no positions.

use std::io::{self, Read};

use super::crc::masked_crc32c;
use super::error::{CrcMismatch, RecordDefect, RecordPart};
use crate::files::{FileKind, SNIFFED_BYTES};

/// Length and its CRC.
pub(super) const HEADER_BYTES: u64 = 12;
/// The payload's CRC.
pub(super) const FOOTER_BYTES: u64 = 4;
/// The most that is allocated for a payload on the word of its header alone.
const FIRST_CHUNK_BYTES: usize = 1 << 20;

/// Whether a file with these first bytes is a TFRecord file: they hold a length that fits its CRC.
pub(crate) fn begins_record(prefix: &[u8]) -> bool {
    prefix.first_chunk().is_some_and(|header| parse_header(header).is_ok())
}

/// The bytes before a payload of `length` bytes.
pub(super) fn header(length: u64) -> [u8; HEADER_BYTES as usize] {
    let length = length.to_le_bytes();
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&length);
    header[8..].copy_from_slice(&masked_crc32c(&length).to_le_bytes());
    header
}

/// The bytes behind a payload.
pub(super) fn footer(payload: &[u8]) -> [u8; FOOTER_BYTES as usize] {
    masked_crc32c(payload).to_le_bytes()
}

/// The length a header holds, if it fits its CRC.
pub(super) fn parse_header(header: &[u8; HEADER_BYTES as usize]) -> Result<u64, CrcMismatch> {
    let [l0, l1, l2, l3, l4, l5, l6, l7, crc @ ..] = *header;
    let length = [l0, l1, l2, l3, l4, l5, l6, l7];
    check(&length, crc)?;
    Ok(u64::from_le_bytes(length))
}

fn check(bytes: &[u8], stored: [u8; 4]) -> Result<(), CrcMismatch> {
    let (stored, computed) = (u32::from_le_bytes(stored), masked_crc32c(bytes));
    if stored == computed { Ok(()) } else { Err(CrcMismatch { stored, computed }) }
}

/// Reads a header and gives the payload's length; `None` at a clean end.
///
/// `record` is the record's number in the stream: a bad header in front of all others means another kind of
/// file.
pub(super) fn read_header(
    stream: &mut impl Read,
    record: u64,
    limit: u64,
) -> Result<Option<u64>, RecordDefect> {
    let mut header = [0; HEADER_BYTES as usize];
    match read_full(stream, &mut header)? as u64 {
        0 => return Ok(None),
        HEADER_BYTES => {}
        got => return Err(RecordDefect::Truncated { part: RecordPart::Header, wanted: HEADER_BYTES, got }),
    }
    match parse_header(&header) {
        Ok(length) if length > limit => Err(RecordDefect::TooLong { length, limit }),
        Ok(length) => Ok(Some(length)),
        Err(crc) if record == 0 => {
            Err(RecordDefect::NotTfRecord { looks_like: sniff_from(header, stream), crc })
        }
        Err(crc) => Err(RecordDefect::LengthCrc(crc)),
    }
}

/// Guesses what begins with `header` and goes on with `stream`, which is lost for anything else.
fn sniff_from(header: [u8; HEADER_BYTES as usize], stream: &mut impl Read) -> Option<&'static str> {
    let mut prefix = [0; SNIFFED_BYTES];
    let (head, rest) = prefix.split_at_mut(header.len());
    head.copy_from_slice(&header);
    // A guess for a message: if no more can be read, it is made from the header alone.
    let more = read_full(stream, rest).unwrap_or(0);
    FileKind::of(&prefix[..header.len() + more]).name()
}

/// Reads a payload and its footer; the payload replaces what `payload` held.
///
/// On [`RecordDefect::DataCrc`] the stream stands behind the record and `payload` holds its damaged bytes; on
/// other errors both are of no further use. The buffer grows with what is really read, so a false length
/// costs no memory.
pub(super) fn read_payload(
    stream: &mut impl Read,
    length: u64,
    payload: &mut Vec<u8>,
) -> Result<(), RecordDefect> {
    payload.clear();
    while (payload.len() as u64) < length {
        let start = payload.len();
        let left = length - start as u64;
        // At most doubles, so there is never more allocated than was read, beyond the first chunk.
        let step = left.min(start.max(FIRST_CHUNK_BYTES) as u64) as usize;
        payload.resize(start + step, 0);
        let got = read_full(stream, &mut payload[start..])?;
        if got < step {
            payload.truncate(start + got);
            let got = payload.len() as u64;
            return Err(RecordDefect::Truncated { part: RecordPart::Payload, wanted: length, got });
        }
    }
    let stored = read_footer(stream)?;
    check(payload, stored).map_err(RecordDefect::DataCrc)
}

/// Reads past a payload and its footer; gives the CRC that stands there, unchecked.
pub(super) fn skip_payload(stream: &mut impl Read, length: u64) -> Result<StoredCrc, RecordDefect> {
    let got = io::copy(&mut stream.take(length), &mut io::sink())?;
    if got < length {
        return Err(RecordDefect::Truncated { part: RecordPart::Payload, wanted: length, got });
    }
    read_footer(stream)
}

/// The masked CRC of a payload as it stands in the file.
pub(super) type StoredCrc = [u8; FOOTER_BYTES as usize];

pub(super) fn read_footer(stream: &mut impl Read) -> Result<StoredCrc, RecordDefect> {
    let mut footer = [0; FOOTER_BYTES as usize];
    match read_full(stream, &mut footer)? as u64 {
        FOOTER_BYTES => Ok(footer),
        got => Err(RecordDefect::Truncated { part: RecordPart::Footer, wanted: FOOTER_BYTES, got }),
    }
}

/// Fills `buffer` as far as the stream reaches; gives the bytes read.
fn read_full(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_length_allocates_no_more_than_is_there() {
        let mut payload = Vec::new();
        let there = vec![7; 3 << 20];
        let defect = read_payload(&mut there.as_slice(), 200 << 20, &mut payload).unwrap_err();
        let RecordDefect::Truncated { part: RecordPart::Payload, got, .. } = defect else {
            panic!("{defect}")
        };
        assert_eq!(got, there.len() as u64);
        assert!(payload.capacity() <= 2 * there.len(), "{} bytes for {}", payload.capacity(), there.len());

        let mut payload = Vec::new();
        read_payload(&mut [7].as_slice(), u64::MAX, &mut payload).unwrap_err();
        assert!(payload.capacity() <= FIRST_CHUNK_BYTES);
    }

    #[test]
    fn a_buffer_is_reused() {
        let stream = [&[1, 2, 3][..], &footer(&[1, 2, 3])].concat();
        let mut payload = Vec::with_capacity(64);
        let place = payload.as_ptr();
        read_payload(&mut stream.as_slice(), 3, &mut payload).unwrap();
        assert_eq!((payload.as_slice(), payload.as_ptr()), (&[1, 2, 3][..], place));
    }
}
