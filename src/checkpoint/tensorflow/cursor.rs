//! Bytes of a file, read from front to back.

/// The longest encoding of a 64-bit number, in bytes.
const MAX_VARINT_BYTES: usize = 10;

/// What is wrong with the bytes of a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Defect {
    /// The byte of the file.
    pub at: u64,
    /// What does not fit.
    pub reason: String,
}

impl Defect {
    pub fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at: at as u64, reason: reason.into() }
    }
}

/// The rest of some bytes, with its place in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// `bytes` lie at `at` in their file.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { rest: bytes, at }
    }

    /// Where the rest begins in the file.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `len` bytes from the front.
    pub fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8], Defect> {
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((taken, rest)) = split else {
            return Err(self.defect(format!("{what} of {len} bytes, but there are {}", self.rest.len())));
        };
        (self.rest, self.at) = (rest, self.at + taken.len());
        Ok(taken)
    }

    /// Takes a number in 7-bit groups, the lowest first (a protocol buffer's varint).
    pub fn varint(&mut self, what: &str) -> Result<u64, Defect> {
        let mut value = 0;
        for (i, byte) in self.rest.iter().take(MAX_VARINT_BYTES).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * i);
            if *byte < 0x80 {
                // Of the tenth byte only the lowest bit is left.
                if i + 1 == MAX_VARINT_BYTES && *byte > 1 {
                    break;
                }
                if *byte == 0 && i > 0 {
                    return Err(self.defect(format!("{what} is longer than it must be")));
                }
                self.take(i as u64 + 1, what)?;
                return Ok(value);
            }
        }
        match self.rest.len() {
            0..MAX_VARINT_BYTES => Err(self.defect(format!("{what} is cut off"))),
            _ => Err(self.defect(format!("{what} has more than 64 bits"))),
        }
    }

    /// Takes a number of four bytes, the lowest first.
    pub fn u32(&mut self, what: &str) -> Result<u32, Defect> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(*bytes.first_chunk().expect("four bytes were taken")))
    }

    pub fn defect(&self, reason: impl Into<String>) -> Defect {
        Defect::new(self.at, reason)
    }
}

/// Appends what [`Cursor::varint`] takes.
pub(super) fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_long_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes, 7);
            assert_eq!(cursor.varint("it"), Ok(value));
            assert!(cursor.is_empty() && cursor.at() == 7 + bytes.len());
            let cut = Cursor::new(&bytes[..bytes.len() - 1], 7).varint("it").unwrap_err();
            assert_eq!((cut.at, cut.reason.as_str()), (7, "it is cut off"));
        }
        let long = Cursor::new(&[0xFF; 11], 0).varint("it").unwrap_err();
        assert_eq!(long.reason, "it has more than 64 bits");
        let last = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2];
        assert!(Cursor::new(&last, 0).varint("it").is_err());
        let padded = Cursor::new(&[0x8E, 0], 0).varint("it").unwrap_err();
        assert_eq!(padded.reason, "it is longer than it must be");
    }
}
