//! The checksum of a file's contents, whatever their order in it.

use std::io::{self, Write};

use serde_json::Value;

/// The CRC32C of the metadata entry (without its checksum) and of each array's name, shape and values, by name.
pub(super) fn checksum(entry: &Value, mut arrays: Vec<(&str, &[usize], Crc)>) -> io::Result<u32> {
    arrays.sort_unstable_by_key(|(name, ..)| *name);
    let mut crc = Crc::default();
    writeln!(crc, "{entry}")?;
    for (name, shape, values) in arrays {
        writeln!(crc, "{name:?} {shape:?}")?;
        crc.value = crc32c::crc32c_combine(crc.value, values.value, values.bytes);
    }
    Ok(crc.value)
}

/// Takes bytes for their CRC32C.
#[derive(Default)]
pub(super) struct Crc {
    value: u32,
    /// How many it took.
    bytes: usize,
}

impl Write for Crc {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.value = crc32c::crc32c_append(self.value, bytes);
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
