//! A ZIP archive.

use std::fs::File;
use std::io::{self, BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{BadArchive, Limited, Unpacking};
use crate::ui::{self, Progress, Unit};
use crate::{Error, Result};

/// Takes every entry of the archive, whose contents have `limit` bytes at most.
pub fn unpack(to: &mut Unpacking<'_>, file: File, mut limit: u64) -> Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| failed(to, error))?;
    let progress = Progress::new("unpacking", archive.len() as u64, Unit::Photos);
    for index in 0..archive.len() {
        to.count()?;
        progress.set(index as u64);
        let mut entry = archive.by_index(index).map_err(|error| failed(to, error))?;
        let name = entry.name_raw().to_vec();
        // Programs on Windows have written `\\` for `/`.
        let name: Vec<u8> = name.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
        if entry.is_symlink() {
            return Err(to.refuse(&name, "it is a symbolic link"));
        }
        let (is_folder, bytes) = (entry.is_dir() || name.ends_with(b"/"), entry.size());
        let mut contents = Limited { inner: entry.by_ref(), left: limit };
        to.take(&name, is_folder, bytes, &mut contents)?;
        limit = contents.left;
    }
    Ok(())
}

fn failed(to: &Unpacking<'_>, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => to.damaged(error),
        ZipError::UnsupportedArchive(what) => {
            BadArchive(format!("{} can't be unpacked: {what}", ui::path(to.archive))).into()
        }
        error => to.damaged(io::Error::other(error)),
    }
}
