//! Reading a table whole.

use super::super::cursor::{Cursor, Defect};
use super::{FOOTER_BYTES, TRAILER_BYTES};
use crate::record::crc::masked_crc32c;

/// The last bytes of every table: LevelDB's magic number.
pub(in super::super) const MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();

/// The longest table that is read: some hundred thousand variables.
pub(in super::super) const MAX_FILE_BYTES: u64 = 16 << 20;

/// The most entries, and the most bytes that all keys have together: they are stored without what they share, so a short
/// file could hold long ones.
const MAX_ENTRIES: usize = 1 << 17;
const MAX_KEY_BYTES: usize = 64 << 20;

/// One entry of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Entry<'a> {
    pub key: Vec<u8>,
    pub value: &'a [u8],
    /// Where the value is in the file.
    pub at: usize,
}

/// Why a table can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum TableDefect {
    /// It does not end with the magic number.
    NoTable,
    /// A block at this byte is compressed: with Snappy if this is 1.
    Compressed { at: usize, method: u8 },
    /// Something does not fit.
    Damaged(Defect),
}

impl From<Defect> for TableDefect {
    fn from(defect: Defect) -> Self {
        TableDefect::Damaged(defect)
    }
}

/// Every entry of the table `file`, in the order of the keys. Blocks fill the file without gaps, as TensorFlow writes them.
pub(in super::super) fn read(file: &[u8]) -> Result<Vec<Entry<'_>>, TableDefect> {
    let rest = file.strip_suffix(&MAGIC).ok_or(TableDefect::NoTable)?;
    let footer_at = file
        .len()
        .checked_sub(FOOTER_BYTES)
        .ok_or_else(|| Defect::new(0, format!("its {} bytes are too few for a table", file.len())))?;
    let (blocks, footer) = rest.split_at(footer_at);
    let mut footer = Cursor::new(footer, footer_at);
    let meta = Handle::read(&mut footer)?;
    let index = Handle::read(&mut footer)?;
    if footer.rest().iter().any(|byte| *byte != 0) {
        return Err(footer.defect("behind the footer's numbers there are no zeros").into());
    }

    let mut entries = Entries::default();
    let (mut at, mut before) = (0, None);
    for (separator, handle) in read_index(index, blocks)? {
        handle.check_place(at)?;
        entries.read_block(handle.block(blocks)?, before.as_deref(), &separator)?;
        (at, before) = (handle.end(), Some(separator));
    }
    meta.check_place(at)?;
    // Nobody uses its entries, but they must be there.
    Entries::default().read(meta.block(blocks)?)?;
    index.check_place(meta.end())?;
    if index.end() != footer_at as u64 {
        return Err(Defect::new(footer_at, format!("the last block ends at byte {}", index.end())).into());
    }
    Ok(entries.all)
}

/// For each data block its separator and its place.
fn read_index(index: Handle, blocks: &[u8]) -> Result<Vec<(Vec<u8>, Handle)>, TableDefect> {
    let mut entries = Entries::default();
    entries.read(index.block(blocks)?)?;
    let mut handles = Vec::new();
    for Entry { key, value, at } in entries.all {
        let mut value = Cursor::new(value, at);
        handles.push((key, Handle::read(&mut value)?));
        if !value.is_empty() {
            return Err(value.defect("behind a block's place there are more bytes").into());
        }
    }
    Ok(handles)
}

/// Where a block is, without its trailer.
#[derive(Debug, Clone, Copy)]
struct Handle {
    at: u64,
    size: u64,
    /// Where this is said.
    said_at: usize,
}

impl Handle {
    fn read(from: &mut Cursor<'_>) -> Result<Self, Defect> {
        let said_at = from.at();
        Ok(Self { at: from.varint("a block's place")?, size: from.varint("a block's size")?, said_at })
    }

    /// Where the block ends, with its trailer.
    fn end(self) -> u64 {
        self.at.saturating_add(self.size).saturating_add(TRAILER_BYTES as u64)
    }

    /// Fails unless the block begins where the one before it ends.
    fn check_place(self, end: u64) -> Result<(), Defect> {
        if self.at == end {
            return Ok(());
        }
        Err(Defect::new(self.said_at, format!("a block begins at byte {}, {end} is wanted", self.at)))
    }

    /// The contents of the block, which is of the file's `blocks`.
    fn block(self, blocks: &[u8]) -> Result<Cursor<'_>, TableDefect> {
        let place = usize::try_from(self.at).ok().zip(usize::try_from(self.end()).ok());
        let block = place.and_then(|(at, end)| blocks.get(at..end));
        let Some(block) = block else {
            let Self { at, size, said_at } = self;
            let reason = format!("a block of {size} bytes at byte {at} lies beyond the last");
            return Err(Defect::new(said_at, reason).into());
        };
        let at = self.at as usize;
        let (checked, stored) = block.split_last_chunk::<4>().expect("a trailer is five bytes");
        let (stored, crc) = (u32::from_le_bytes(*stored), masked_crc32c(checked));
        if stored != crc {
            let reason = format!(
                "the block of {} bytes has the masked CRC32C {crc:#010x}, {stored:#010x} is wanted",
                self.size
            );
            return Err(Defect::new(at, reason).into());
        }
        match checked.split_last() {
            Some((0, contents)) => Ok(Cursor::new(contents, at)),
            Some((method, _)) => Err(TableDefect::Compressed { at, method: *method }),
            None => Err(Defect::new(at, "a block without a trailer").into()),
        }
    }
}

#[derive(Default)]
struct Entries<'a> {
    all: Vec<Entry<'a>>,
    /// Bytes of all keys.
    key_bytes: usize,
}

impl<'a> Entries<'a> {
    /// Reads a data block, whose keys must be behind `before` and up to `separator`, the keys in the index.
    fn read_block(
        &mut self,
        block: Cursor<'a>,
        before: Option<&[u8]>,
        separator: &[u8],
    ) -> Result<(), Defect> {
        let (at, begin) = (block.at(), self.all.len());
        self.read(block)?;
        let read = &self.all[begin..];
        let Some((first, last)) = read.first().zip(read.last()) else {
            return Err(Defect::new(at, "a block without entries"));
        };
        let in_place = before.is_none_or(|before| before < &first.key[..]) && &last.key[..] <= separator;
        if in_place {
            Ok(())
        } else {
            Err(Defect::new(at, "a block's keys are not between those of the index"))
        }
    }

    /// Reads a block's entries, each of which must be behind those read before.
    fn read(&mut self, block: Cursor<'a>) -> Result<(), Defect> {
        let (mut entries, restarts) = split_restarts(block)?;
        let begin = entries.at();
        let mut restarts = restarts.into_iter().peekable();
        let mut first = true;
        while !entries.is_empty() {
            let at = entries.at();
            let shared = entries.varint("the length of what a key shares")?;
            let restart = restarts.next_if(|restart| *restart as usize == at - begin);
            if (restart.is_some() || first) && shared != 0 {
                return Err(Defect::new(at, "a key shares bytes with none before it"));
            }
            first = false;
            self.read_entry(shared, at, &mut entries)?;
        }
        match restarts.next() {
            // An empty block has one.
            None | Some(0) => Ok(()),
            Some(restart) => Err(entries.defect(format!("no entry begins at the restart {restart}"))),
        }
    }

    fn read_entry(&mut self, shared: u64, at: usize, from: &mut Cursor<'a>) -> Result<(), Defect> {
        let rest = from.varint("the length of a key")?;
        let value = from.varint("the length of a value")?;
        let rest = from.take(rest, "a key")?;
        let before = self.all.last().map_or(&[][..], |entry| &entry.key);
        let shared = usize::try_from(shared).ok().and_then(|shared| before.get(..shared));
        let Some(shared) = shared else {
            return Err(Defect::new(at, "a key shares more bytes than the one before it has"));
        };
        self.key_bytes = self.key_bytes.saturating_add(shared.len() + rest.len());
        if self.key_bytes > MAX_KEY_BYTES || self.all.len() == MAX_ENTRIES {
            let reason = format!("there are over {MAX_ENTRIES} entries, or {MAX_KEY_BYTES} bytes of keys");
            return Err(Defect::new(at, reason));
        }
        let key = [shared, rest].concat();
        if !self.all.is_empty() && key.as_slice() <= before {
            return Err(Defect::new(at, "a key is not behind the one before it"));
        }
        let value_at = from.at();
        self.all.push(Entry { key, value: from.take(value, "a value")?, at: value_at });
        Ok(())
    }
}

/// A block's entries, and where its restarts are in them.
fn split_restarts(block: Cursor<'_>) -> Result<(Cursor<'_>, Vec<u32>), Defect> {
    let bytes = block.rest();
    let Some((rest, count)) = bytes.split_last_chunk::<4>() else {
        return Err(block.defect("a block is too short"));
    };
    let count = u32::from_le_bytes(*count) as usize;
    let entries = count.checked_mul(4).and_then(|restarts| rest.len().checked_sub(restarts));
    let Some(entries) = entries.filter(|_| count > 0) else {
        return Err(block.defect(format!("{count} restarts do not fit their block")));
    };
    let (entries, restarts) = rest.split_at(entries);
    let restarts = restarts.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    Ok((Cursor::new(entries, block.at()), restarts))
}
