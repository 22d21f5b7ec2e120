//! The checksum of a file's contents, whatever their order in it.

use std::io::{self, Write};

use serde_json::Value;

/// The CRC32C of the metadata entry (without its checksum) and of each array's name, shape and values, by name.
pub(super) fn checksum<'a, V: Copy>(
    entry: &Value,
    arrays: impl Iterator<Item = (&'a str, &'a [usize], V)>,
    write_values: impl Fn(&mut Crc, V) -> io::Result<()>,
) -> io::Result<u32> {
    let mut arrays: Vec<_> = arrays.collect();
    arrays.sort_by_key(|(name, ..)| *name);
    let mut crc = Crc(0);
    writeln!(crc, "{entry}")?;
    for (name, shape, values) in arrays {
        writeln!(crc, "{name:?} {shape:?}")?;
        write_values(&mut crc, values)?;
    }
    Ok(crc.0)
}

/// Takes bytes for their CRC32C.
pub(super) struct Crc(pub(super) u32);

impl Write for Crc {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = crc32c::crc32c_append(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
