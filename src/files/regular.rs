//! Opening files that must be regular ones.

use std::fs::{self, File, FileType};
use std::io;
use std::path::Path;

use super::error::FileError;

/// Opens a file and tells its length, which only a regular file has.
///
/// # Errors
/// A file that can't be opened; a folder, FIFO, socket or device. None of these is opened: a FIFO would wait for its writer,
/// and a device may have no end.
pub(crate) fn open_regular(path: &Path) -> Result<(File, u64), FileError> {
    let failed = |error| FileError::new(path, "open", error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        let reason = format!("it is {}, not a regular file", kind(metadata.file_type()));
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok((file, bytes))
}

/// What a file is that is no regular one.
fn kind(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a FIFO";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a folder" } else { "something else" }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "four").unwrap();
        assert_eq!(open_regular(&file).unwrap().1, 4);
        let message = |path: &Path| open_regular(path).unwrap_err().to_string();
        assert!(message(folder.path()).ends_with(": it is a folder, not a regular file"));
        assert!(message(&folder.path().join("none")).starts_with("cannot open "));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_no_end_is_named_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: PathBuf| open_regular(&path).unwrap_err().to_string();
        assert_eq!(message("/dev/zero".into()), "cannot open /dev/zero: it is a device, not a regular file");
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(message(socket).ends_with(": it is a socket, not a regular file"));
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(message(fifo).ends_with(": it is a FIFO, not a regular file"));
    }
}
