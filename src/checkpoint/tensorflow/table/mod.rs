//! Sorted tables of keys and values in a file, as LevelDB has them.
//!
//! | part | bytes |
//! | --- | --- |
//! | data blocks | entries in the order of their keys; the block's trailer |
//! | metaindex block | entries that TensorFlow does not use; trailer |
//! | index block | per data block a key that is no less than its last and less than the next's first, and where it is; trailer |
//! | footer, 48 bytes | where the metaindex and the index block are (offset and size, varints), zeros up to byte 40, the magic number |
//!
//! A block is its entries, the places of its *restarts* (4 bytes each) and their number (4 bytes). An entry is three varints
//! (how many bytes of the key before it shares, how many more it has, the length of the value), the rest of the key and the
//! value; at a restart nothing is shared. A trailer is a byte for the compression (0 for none) and the masked CRC32C of the
//! block with that byte.
//!
//! Source: LevelDB's `doc/table_format.md`; TensorFlow's `core/lib/io/table_builder.cc`, which writes the same.

mod read;
mod write;

pub(super) use read::{Entry, MAX_FILE_BYTES, TableDefect, read};
pub(super) use write::TableWriter;

/// Bytes of a block's trailer: the compression and the CRC.
const TRAILER_BYTES: usize = 5;

/// Bytes of a file's footer.
const FOOTER_BYTES: usize = 48;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_table_comes_back(
            entries in proptest::collection::btree_map(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(0xFF), b'a'..b'd'], 0..9),
                proptest::collection::vec(any::<u8>(), 0..40),
                0..200,
            ),
            block_bytes in 1usize..2000,
        ) {
            let mut writer = TableWriter::with_block_bytes(block_bytes);
            entries.iter().for_each(|(key, value)| writer.add(key, value));
            let file = writer.finish();
            let read = read(&file).unwrap();
            let read: Vec<_> = read.into_iter().map(|entry| (entry.key, entry.value.to_vec())).collect();
            prop_assert_eq!(read, entries.into_iter().collect::<Vec<_>>());
        }
    }
}
