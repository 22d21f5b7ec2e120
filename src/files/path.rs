//! The folder of a path.

use std::path::Path;

/// The folder that `path` lies in, as it is written: empty for a bare file name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The folder by a name that the system knows: an empty path means the working folder, but cannot be opened.
pub(crate) fn as_named(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}
