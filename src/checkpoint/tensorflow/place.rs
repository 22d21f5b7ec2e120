//! Which files a checkpoint has.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::TensorFlowError;
use crate::files::{FileError, as_named, folder_of, open_regular, write_atomically};

/// The file in which a folder names its latest checkpoint.
const STATE: &str = "checkpoint";

/// What the state file calls it.
const LATEST: &str = "model_checkpoint_path";
const ALL: &str = "all_model_checkpoint_paths";

/// The longest state file that is read: thousands of names.
const MAX_STATE_BYTES: u64 = 1 << 20;

/// The checkpoint's prefix inside of a SavedModel.
const IN_SAVED_MODEL: &str = "variables/variables";

/// `prefix.index`
pub(super) fn index_file(prefix: &Path) -> PathBuf {
    with_suffix(prefix, ".index")
}

/// `prefix.data-00000-of-00001`
pub(super) fn data_file(prefix: &Path, shard: usize, shards: usize) -> PathBuf {
    with_suffix(prefix, &format!(".data-{shard:05}-of-{shards:05}"))
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(suffix);
    name.into()
}

/// The prefix of the checkpoint that `path` means: a prefix itself, one of its files, a folder (its latest checkpoint, or a
/// SavedModel's variables), or the folder's state file.
pub(super) fn find(path: &Path) -> Result<PathBuf, TensorFlowError> {
    if path.is_dir() {
        let variables = path.join(IN_SAVED_MODEL);
        let state = path.join(STATE);
        return match (state.is_file(), index_file(&variables).is_file()) {
            (true, _) => latest(&state),
            (false, true) => Ok(variables),
            (false, false) => Err(not_found(
                path,
                "the folder has neither a file `checkpoint` that names one nor variables/variables.index",
            )),
        };
    }
    if let Some(prefix) = without_suffix(path) {
        return Ok(prefix);
    }
    if path.file_name().is_some_and(|name| name == STATE) && path.is_file() && !index_file(path).is_file() {
        return latest(path);
    }
    Ok(path.into())
}

/// The prefix of a checkpoint's file.
fn without_suffix(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let prefix = name.strip_suffix(".index").or_else(|| {
        let (prefix, numbers) = name.rsplit_once(".data-")?;
        let (shard, shards) = numbers.split_once("-of-")?;
        let number = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        (number(shard) && number(shards)).then_some(prefix)
    })?;
    Some(path.with_file_name(prefix))
}

/// The prefix that a state file names.
fn latest(state: &Path) -> Result<PathBuf, TensorFlowError> {
    let (file, _) = open_regular(state)?;
    let mut bytes = Vec::new();
    file.take(MAX_STATE_BYTES).read_to_end(&mut bytes).map_err(|e| FileError::new(state, "read", e))?;
    let name = String::from_utf8_lossy(&bytes).lines().find_map(|line| {
        let value = line.trim().strip_prefix(LATEST)?.trim_start().strip_prefix(':')?;
        unquoted(value.trim())
    });
    match name {
        // A relative name counts from the file's folder; an absolute one takes its place.
        Some(name) if !name.is_empty() => Ok(folder_of(state).join(name)),
        _ => Err(not_found(state, "the file does not name one (`model_checkpoint_path: \"...\"`)")),
    }
}

/// Names the checkpoint as the latest of its folder, and the only one.
pub(super) fn write_state(prefix: &Path) -> Result<(), FileError> {
    let name = prefix.file_name().unwrap_or_default().to_string_lossy();
    let name = quoted(&name);
    let state = as_named(folder_of(prefix)).join(STATE);
    write_atomically(state, |file| write!(file, "{LATEST}: {name}\n{ALL}: {name}\n"))
}

/// A string of protocol buffers' text format.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'\'' => quoted.extend(['\\', byte.into()]),
            b' '..=b'~' => quoted.push(byte.into()),
            _ => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted + "\""
}

/// What [`quoted`] was given; `None` if it gave another text.
fn unquoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let text = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = text.bytes().peekable();
    let mut unquoted = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            unquoted.push(byte);
            continue;
        }
        unquoted.push(match bytes.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            digit @ b'0'..=b'7' => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| matches!(byte, b'0'..=b'7')) else { break };
                    value = 8 * value + u32::from(digit - b'0');
                }
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(unquoted).ok()
}

pub(super) fn not_found(path: &Path, reason: &str) -> TensorFlowError {
    TensorFlowError::NotFound { path: path.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_in_the_names_of_files() {
        for (path, prefix) in [
            ("run/model.ckpt.index", Some("run/model.ckpt")),
            ("run/model.ckpt.data-00000-of-00001", Some("run/model.ckpt")),
            ("model.data-1-of-2", None),
            ("model.ckpt", None),
        ] {
            assert_eq!(without_suffix(Path::new(path)), prefix.map(PathBuf::from), "{path}");
        }
    }

    #[test]
    fn names_of_the_state_file_come_back() {
        for name in ["model.ckpt-7", "a \"b\" \\c", "größe\n'7'\t1", ""] {
            assert_eq!(unquoted(&quoted(name)).as_deref(), Some(name));
        }
        assert_eq!(quoted("é7"), "\"\\303\\2517\"");
        for text in ["", "\"", "name", "\"a\\", "\"\\777\""] {
            assert_eq!(unquoted(text), None, "{text}");
        }
    }

    #[test]
    fn the_state_file_names_the_latest() {
        let folder = tempfile::tempdir().unwrap();
        write_state(&folder.path().join("model.ckpt-3")).unwrap();
        assert_eq!(find(folder.path()).unwrap(), folder.path().join("model.ckpt-3"));
        assert_eq!(find(&folder.path().join("checkpoint")).unwrap(), folder.path().join("model.ckpt-3"));
        std::fs::write(folder.path().join("checkpoint"), "model_checkpoint_path: \"/else/where\"\n").unwrap();
        assert_eq!(find(folder.path()).unwrap(), Path::new("/else/where"));
        std::fs::write(folder.path().join("checkpoint"), "nothing").unwrap();
        assert!(find(folder.path()).unwrap_err().to_string().contains("does not name one"));
    }
}
