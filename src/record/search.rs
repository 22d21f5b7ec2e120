//! Finds the next whole record behind a damaged one.

use std::io::{self, Read};

use super::crc::masked_crc32c;
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES};
use super::tape::Tape;

/// Bytes of payload checked in vain for each byte passed over, and some to begin with. Only a file made to that end has so
/// many lengths with right checksums in front of data with wrong ones; behind such a file's limit a length is believed.
const CHECKS_PER_BYTE: u64 = 32;
const FIRST_CHECKS: u64 = 64 << 20;

/// How much may still be spent on looking for records.
#[derive(Debug)]
pub(super) struct Patience {
    left: u64,
}

impl Patience {
    pub fn new() -> Self {
        Patience { left: FIRST_CHECKS }
    }

    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    fn passed(&mut self, bytes: u64) {
        if !self.is_over() {
            self.left = self.left.saturating_add(bytes.saturating_mul(CHECKS_PER_BYTE));
        }
    }

    fn checked(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }
}

/// Looks behind the first byte after the mark, and less than `within` behind it, for the next offset where a whole record
/// begins: its length fits its CRC and is at most `limit`, and its data, all there, fit theirs. Sets the mark there and gives
/// the bytes passed over; `None` with the mark at `within`, or at the end, if there is no such record.
///
/// Once `patience` is over, a length alone makes a record.
pub(super) fn next_record<R: Read>(
    tape: &mut Tape<R>,
    limit: u64,
    within: u64,
    patience: &mut Patience,
) -> io::Result<Option<u64>> {
    let mut passed = 1;
    tape.look(0, 1)?;
    tape.go_on_at(1);
    loop {
        // As much as is held, so that a long search does not look a byte at a time.
        let window = tape.look(0, WINDOW_BYTES)?;
        let left = usize::try_from(within - passed).unwrap_or(usize::MAX);
        let offsets = (window.len() + 1).saturating_sub(HEADER_BYTES as usize).min(left);
        if offsets == 0 {
            let end = left.min(window.len());
            tape.go_on_at(end);
            return Ok(None);
        }
        let found = (0..offsets).find_map(|at| Some((at, plausible(&window[at..], limit)?)));
        let Some((at, length)) = found else {
            tape.go_on_at(offsets);
            passed += offsets as u64;
            patience.passed(offsets as u64);
            continue;
        };
        tape.go_on_at(at);
        passed += at as u64;
        patience.passed(at as u64);
        if patience.is_over() || is_whole(tape, length, patience)? {
            return Ok(Some(passed));
        }
        tape.go_on_at(1);
        passed += 1;
    }
}

/// Bytes searched at a time.
const WINDOW_BYTES: usize = 64 << 10;

/// The length that these bytes hold, if they begin with one of at most `limit` that fits its CRC.
pub(super) fn plausible(bytes: &[u8], limit: u64) -> Option<u64> {
    let header = bytes.first_chunk::<{ HEADER_BYTES as usize }>()?;
    // Before the CRC, for speed: few eight bytes are so small a number.
    let length = u64::from_le_bytes(*header.first_chunk()?);
    (length <= limit).then(|| frame::parse_header(header).ok())?
}

/// Whether the record at the mark, of this length, has all its data, and they fit their CRC.
fn is_whole<R: Read>(tape: &mut Tape<R>, length: u64, patience: &mut Patience) -> io::Result<bool> {
    let Ok(length) = usize::try_from(length) else { return Ok(false) };
    let bytes = tape.look(HEADER_BYTES as usize, length.saturating_add(FOOTER_BYTES as usize))?;
    let there = bytes.split_at_checked(length).filter(|(_, footer)| footer.len() == FOOTER_BYTES as usize);
    let whole = there.is_some_and(|(payload, stored)| masked_crc32c(payload).to_le_bytes() == stored);
    if !whole {
        patience.checked(bytes.len() as u64 + 1);
    }
    Ok(whole)
}
