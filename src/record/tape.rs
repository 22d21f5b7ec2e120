//! A stream that can be looked at from a mark on: behind and ahead of where it is read.

use std::io::{self, Read};

/// How much is read at a time where nobody said how much is needed.
const CHUNK_BYTES: usize = 64 << 10;

/// Keeps what was read since the last [`mark`](Tape::mark), if it was made to.
#[derive(Debug)]
pub(super) struct Tape<R> {
    stream: R,
    /// Bytes of the stream, among them all since the mark; none when not recording.
    held: Vec<u8>,
    /// Where the mark stands in `held`.
    mark: usize,
    /// Where reading goes on in `held`.
    at: usize,
    recording: bool,
}

impl<R: Read> Tape<R> {
    pub fn new(stream: R, recording: bool) -> Self {
        Tape { stream, held: Vec::new(), mark: 0, at: 0, recording }
    }

    /// Sets the mark where reading goes on.
    pub fn mark(&mut self) {
        self.mark = self.at;
        // Moved only when it is the smaller half: each byte is moved at most once on average.
        if self.mark > self.held.len() / 2 {
            self.held.drain(..self.mark);
            (self.mark, self.at) = (0, 0);
        }
    }

    /// The `len` bytes from `offset` behind the mark on, read if need be; fewer at the end of the stream. Reading goes on
    /// where it would have.
    pub fn look(&mut self, offset: usize, len: usize) -> io::Result<&[u8]> {
        let wanted = self.mark.saturating_add(offset).saturating_add(len);
        while self.held.len() < wanted {
            // What is held at most doubles, whatever is asked for: a false length costs no more than what is there.
            let step = (wanted - self.held.len()).min(self.held.len()).max(CHUNK_BYTES);
            if self.stream.by_ref().take(step as u64).read_to_end(&mut self.held)? == 0 {
                break;
            }
        }
        let start = (self.mark + offset).min(self.held.len());
        Ok(&self.held[start..wanted.min(self.held.len())])
    }

    /// Passes over `len` bytes without keeping them; gives how many there were.
    pub fn skip(&mut self, len: u64) -> io::Result<u64> {
        let held = (self.held.len() - self.at).min(usize::try_from(len).unwrap_or(usize::MAX));
        self.at += held;
        self.mark();
        Ok(held as u64 + io::copy(&mut self.stream.by_ref().take(len - held as u64), &mut io::sink())?)
    }

    /// Goes on reading `offset` behind the mark, all of which was looked at, and sets the mark there.
    pub fn go_on_at(&mut self, offset: usize) {
        debug_assert!(self.mark + offset <= self.held.len());
        self.at = self.mark + offset;
        self.mark();
    }
}

impl<R: Read> Read for Tape<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at < self.held.len() {
            let read = (&self.held[self.at..]).read(buffer)?;
            self.at += read;
            return Ok(read);
        }
        let read = self.stream.read(buffer)?;
        if self.recording {
            self.held.extend_from_slice(&buffer[..read]);
            self.at += read;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_since_the_mark_can_be_looked_at_again() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut tape = Tape::new(bytes.as_slice(), true);
        let next = |tape: &mut Tape<&[u8]>, len: usize| {
            let mut buffer = vec![0; len];
            tape.read_exact(&mut buffer).unwrap();
            buffer
        };
        next(&mut tape, 10);
        tape.mark();
        assert_eq!(next(&mut tape, 7), bytes[10..17]);
        assert_eq!(tape.look(0, 5).unwrap(), &bytes[10..15]);
        assert_eq!(tape.look(20, 4).unwrap(), &bytes[30..34]);
        assert_eq!(next(&mut tape, 3), bytes[17..20], "looking ahead moves nothing");
        tape.go_on_at(25);
        assert_eq!(tape.look(0, 300).unwrap(), &bytes[35..]);
        assert_eq!(tape.skip(100).unwrap(), 100);
        assert_eq!(next(&mut tape, 65), bytes[135..]);
        assert_eq!((tape.skip(1).unwrap(), tape.look(65, 1).unwrap()), (0, &b""[..]));
        assert_eq!(tape.look(500, 1).unwrap(), b"");
    }

    #[test]
    fn nothing_is_held_without_need() {
        let bytes = vec![7; 1 << 20];
        let mut tape = Tape::new(bytes.as_slice(), false);
        io::copy(&mut tape, &mut io::sink()).unwrap();
        assert_eq!(tape.held.capacity(), 0);
        let mut tape = Tape::new(bytes.as_slice(), true);
        let mut buffer = [0; 1000];
        while tape.read(&mut buffer).unwrap() > 0 {
            tape.mark();
        }
        assert!(tape.held.capacity() < 10_000);
    }
}
