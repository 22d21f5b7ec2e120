//! Whether an archive is the one that it should be.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use floret::files::FileError;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::archive::BadArchive;
use crate::interrupt::Interrupt;
use crate::ui::{self, Progress, Unit};

/// Fails unless the file has this SHA-256.
///
/// # Errors
/// [`BadArchive`] for another; a file that can't be read; a signal.
pub fn verify(path: &Path, wanted: &str, interrupt: &Interrupt) -> Result<()> {
    let failed = |error| FileError::new(path, "read", error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let progress = Progress::new("checking", length, Unit::Bytes);
    let (mut hash, mut bytes) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        if interrupt.exit_code().is_some() {
            return Err(
                interrupt.error(format!("{} was not checked; the same command goes on", ui::path(path)))
            );
        }
        let read = file.read(&mut bytes).map_err(failed)?;
        if read == 0 {
            break;
        }
        hash.update(&bytes[..read]);
        progress.add(read as u64);
    }
    let got = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if got == wanted {
        return Ok(());
    }
    Err(BadArchive(format!(
        "{} is not what it should be: its SHA-256 is {got}, not {wanted}; it was changed on its way or at its source",
        ui::path(path)
    ))
    .into())
}
