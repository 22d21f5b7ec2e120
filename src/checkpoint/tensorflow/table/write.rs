//! Writing a table as TensorFlow does: the same entries give the same bytes.

use super::super::cursor::put_varint;
use super::read::MAGIC;
use super::{FOOTER_BYTES, TRAILER_BYTES};
use crate::record::crc::masked_crc32c;

/// A block is ended when it has so many bytes: TensorFlow's.
const BLOCK_BYTES: usize = 1 << 18;

/// Entries of a data block from one restart to the next: TensorFlow's and LevelDB's.
const RESTART_INTERVAL: usize = 16;

/// The compression of a block that is stored as it is.
const STORED: u8 = 0;

/// A table in memory. Keys must come in ascending order.
#[derive(Debug)]
pub(in super::super) struct TableWriter {
    file: Vec<u8>,
    block: Block,
    block_bytes: usize,
    index: Block,
    /// Where the last data block is, while its entry in the index waits for the next key.
    ended: Option<(usize, usize)>,
}

impl TableWriter {
    pub fn new() -> Self {
        Self::with_block_bytes(BLOCK_BYTES)
    }

    pub(super) fn with_block_bytes(block_bytes: usize) -> Self {
        Self {
            file: Vec::new(),
            block: Block::new(RESTART_INTERVAL),
            block_bytes,
            index: Block::new(1),
            ended: None,
        }
    }

    /// Adds an entry, whose key must be greater than the one before.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        debug_assert!(self.block.count == 0 || self.block.key.as_slice() < key);
        if let Some(place) = self.ended.take() {
            let separator = separator(&self.block.key, key);
            self.index.add(&separator, &handle(place));
        }
        self.block.add(key, value);
        if self.block.bytes() >= self.block_bytes {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let next = Block { key: self.block.key.clone(), ..Block::new(RESTART_INTERVAL) };
        let block = std::mem::replace(&mut self.block, next);
        self.ended = Some(self.append(block));
    }

    /// The bytes of the file.
    pub fn finish(mut self) -> Vec<u8> {
        if self.block.count > 0 {
            self.end_block();
        }
        let meta = self.append(Block::new(RESTART_INTERVAL));
        if let Some(place) = self.ended.take() {
            let separator = successor(&self.block.key);
            self.index.add(&separator, &handle(place));
        }
        let index = std::mem::replace(&mut self.index, Block::new(1));
        let index = self.append(index);
        let mut footer = [handle(meta), handle(index)].concat();
        footer.resize(FOOTER_BYTES - MAGIC.len(), 0);
        self.file.extend_from_slice(&footer);
        self.file.extend_from_slice(&MAGIC);
        self.file
    }

    /// Appends a block with its trailer; returns where it is.
    fn append(&mut self, block: Block) -> (usize, usize) {
        let at = self.file.len();
        self.file.extend_from_slice(&block.finish());
        let size = self.file.len() - at;
        self.file.push(STORED);
        let crc = masked_crc32c(&self.file[at..]);
        self.file.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(self.file.len(), at + size + TRAILER_BYTES);
        (at, size)
    }
}

/// Where a block is, without its trailer.
fn handle((at, size): (usize, usize)) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, at as u64);
    put_varint(&mut bytes, size as u64);
    bytes
}

/// A short key from `last` on that is less than `next`.
fn separator(last: &[u8], next: &[u8]) -> Vec<u8> {
    let shared = shared(last, next);
    match (last.get(shared), next.get(shared)) {
        (Some(a), Some(b)) if *a < 0xFF && a + 1 < *b => [&last[..shared], &[a + 1]].concat(),
        _ => last.to_vec(),
    }
}

/// A short key from `last` on.
fn successor(last: &[u8]) -> Vec<u8> {
    match last.iter().position(|byte| *byte != 0xFF) {
        Some(place) => [&last[..place], &[last[place] + 1]].concat(),
        None => last.to_vec(),
    }
}

/// How many bytes two keys have in common at their beginning.
fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[derive(Debug)]
struct Block {
    entries: Vec<u8>,
    restarts: Vec<u32>,
    interval: usize,
    count: usize,
    /// The last key.
    key: Vec<u8>,
}

impl Block {
    fn new(interval: usize) -> Self {
        Self { entries: Vec::new(), restarts: vec![0], interval, count: 0, key: Vec::new() }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        let restarts = self.count.is_multiple_of(self.interval);
        if restarts && self.count > 0 {
            self.restarts.push(self.entries.len() as u32);
        }
        let shared = if restarts { 0 } else { shared(&self.key, key) };
        for number in [shared, key.len() - shared, value.len()] {
            put_varint(&mut self.entries, number as u64);
        }
        self.entries.extend_from_slice(&key[shared..]);
        self.entries.extend_from_slice(value);
        self.key = key.to_vec();
        self.count += 1;
    }

    fn bytes(&self) -> usize {
        self.entries.len() + 4 * self.restarts.len() + 4
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes = self.entries;
        for number in self.restarts.iter().chain([&(self.restarts.len() as u32)]) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_index_are_short_and_in_order() {
        for (last, next, want) in [
            (&b"abcdef"[..], &b"abzz"[..], &b"abd"[..]),
            (b"abc", b"abcd", b"abc"),
            (b"ab\xff", b"ac", b"ab\xff"),
            (b"a", b"b", b"a"),
            (b"a1", b"c", b"b"),
        ] {
            let key = separator(last, next);
            assert_eq!(key, want);
            assert!(last <= key.as_slice() && key.as_slice() < next);
        }
        for (last, want) in [(&b"scalar"[..], &b"t"[..]), (b"\xff\xffa", b"\xff\xffb"), (b"\xff", b"\xff")] {
            assert_eq!(successor(last), want);
        }
    }
}
