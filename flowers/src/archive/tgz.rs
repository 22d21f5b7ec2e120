//! A gzip-compressed tar archive.

use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{Limited, PIECE_BYTES, Unpacking};
use crate::Result;
use crate::ui::{Progress, Unit, Watched};

/// The longest header of a long name.
const MAX_HEADER_BYTES: u64 = 1 << 16;

/// Takes every entry of the archive of so many bytes, whose contents have `limit` bytes at most.
pub fn unpack(to: &mut Unpacking<'_>, file: File, bytes: u64, limit: u64) -> Result<()> {
    let progress = Progress::new("unpacking", bytes, Unit::Bytes);
    let watched = Watched { file, progress: &progress };
    let unpacked = MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, watched));
    let mut contents = Archive::new(Limited { inner: unpacked, left: limit });
    let mut long_name = None;
    // Raw: the library would read names of any length into memory.
    for entry in contents.entries().map_err(|error| to.damaged(error))?.raw(true) {
        to.count()?;
        let mut entry = entry.map_err(|error| to.damaged(error))?;
        match entry.header().entry_type() {
            EntryType::GNULongName => long_name = Some(gnu_name(to, &mut entry)?),
            EntryType::XHeader => long_name = pax_name(to, &mut entry)?.or(long_name),
            // The first tells of the whole archive, such as when it was made; the second names a link, which will be refused.
            EntryType::XGlobalHeader | EntryType::GNULongLink => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let is_folder = kind == EntryType::Directory || name.ends_with(b"/");
                if let Some(why) = refused(kind) {
                    return Err(to.refuse(&name, why));
                }
                let bytes = match is_folder {
                    true => 0,
                    false => entry.header().entry_size().map_err(|error| to.damaged(error))?,
                };
                to.take(&name, is_folder, bytes, &mut entry)?;
            }
        }
    }
    // To the end of the compressed data, whose check sum stands there.
    to.copy(&mut contents.into_inner(), &mut io::sink(), None)?;
    Ok(())
}

/// Why an entry of this kind is not taken, if so.
fn refused(kind: EntryType) -> Option<&'static str> {
    Some(match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => return None,
        EntryType::Link => "it is a hard link",
        EntryType::Symlink => "it is a symbolic link",
        EntryType::Char | EntryType::Block => "it is a device",
        EntryType::Fifo => "it is a named pipe",
        EntryType::GNUSparse => "it is a sparse file",
        _ => "it is neither a file nor a folder",
    })
}

/// The name in an entry of its own, for the next one.
fn gnu_name(to: &Unpacking<'_>, entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let mut name = header(to, entry)?;
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// The next entry's path, if its extended header names one.
fn pax_name(to: &Unpacking<'_>, entry: &mut Entry<'_, impl Read>) -> Result<Option<Vec<u8>>> {
    let header = header(to, entry)?;
    let mut path = None;
    for extension in PaxExtensions::new(&header) {
        let extension = extension.map_err(|error| to.damaged(error))?;
        match extension.key_bytes() {
            b"path" => path = Some(extension.value_bytes().to_vec()),
            // It would have the next header elsewhere than where the plain one says.
            b"size" => return Err(to.refuse(b"", "an entry tells its size in two ways")),
            key if key.starts_with(b"GNU.sparse") => {
                return Err(to.refuse(b"", "an entry is a sparse file"));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn header(to: &Unpacking<'_>, entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_HEADER_BYTES + 1).read_to_end(&mut bytes).map_err(|error| to.damaged(error))?;
    if bytes.len() as u64 > MAX_HEADER_BYTES {
        return Err(
            to.refuse(b"", &format!("an entry's header is over the limit of {MAX_HEADER_BYTES} bytes"))
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_and_folders_are_taken() {
        for byte in 0..=u8::MAX {
            assert_eq!(
                refused(EntryType::new(byte)).is_none(),
                [0, b'0', b'7', b'5'].contains(&byte),
                "{byte}"
            );
        }
    }
}
