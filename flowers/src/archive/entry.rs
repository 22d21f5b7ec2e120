//! What an archive of photos may hold: files and folders, under names that are the same thing on every system.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use unicode_normalization::UnicodeNormalization;

/// The longest path.
const MAX_PATH_BYTES: usize = 1000;
/// The longest name of a file or folder, as on most systems.
const MAX_NAME_BYTES: usize = 255;
/// The most files and folders.
const MAX_NAMES: usize = 200_000;
/// The deepest folder.
const MAX_DEPTH: usize = 16;

/// A path in an archive that leads nowhere else: names of files and folders in it, from its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPath(Vec<String>);

impl EntryPath {
    /// The path of an entry; `None` for the top itself.
    ///
    /// # Errors
    /// Why such a path is not taken.
    pub fn parse(path: &[u8]) -> Result<Option<Self>, String> {
        if path.len() > MAX_PATH_BYTES {
            return Err(format!("its path of {} bytes is over the limit of {MAX_PATH_BYTES}", path.len()));
        }
        let path = std::str::from_utf8(path).map_err(|_| "its path is not UTF-8".to_string())?;
        if path.starts_with('/') {
            return Err("its path begins at the root of the file system".into());
        }
        let mut names = Vec::new();
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            if name == ".." {
                return Err("its path leads out of the archive".into());
            }
            if name.len() > MAX_NAME_BYTES {
                return Err(format!("a name of {} bytes is over the limit of {MAX_NAME_BYTES}", name.len()));
            }
            // Windows takes some of them for a drive, a folder or a stream, and drops a dot or space at the end.
            if name.contains(|c: char| c.is_control() || "\\:*?\"<>|".contains(c))
                || name.ends_with(['.', ' '])
            {
                return Err("its path has a character that not every system takes".into());
            }
            if is_device(name) {
                return Err("its path has a name that is a device on some systems".into());
            }
            names.push(name.to_owned());
        }
        if names.len() > MAX_DEPTH {
            return Err(format!("it lies {} folders deep, over the limit of {MAX_DEPTH}", names.len()));
        }
        Ok((!names.is_empty()).then_some(EntryPath(names)))
    }

    /// The names on the way.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether it, or a folder that it lies in, is hidden, as are the files that macOS adds (`._1.jpg`, `.DS_Store`).
    pub fn is_hidden(&self) -> bool {
        self.0.iter().any(|name| name.starts_with('.'))
    }
}

/// Whether Windows takes the name for a device's, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_lowercase();
    match stem.strip_prefix("com").or(stem.strip_prefix("lpt")) {
        Some(number) => {
            number.chars().count() == 1 && number.contains(|c: char| c.is_ascii_digit() || "¹²³".contains(c))
        }
        None => ["con", "prn", "aux", "nul"].contains(&stem.as_str()),
    }
}

/// The names that were taken, so that none is taken twice: not by another file, and not by one that is the same where upper
/// and lower case are, or composed and decomposed letters.
///
/// Only a hash of each name is kept, so that long names take no memory: two of [`MAX_NAMES`] have the same one in one archive of
/// a billion.
#[derive(Debug, Default)]
pub struct Taken {
    hasher: RandomState,
    names: HashMap<u64, Kind>,
}

#[derive(Debug, PartialEq)]
enum Kind {
    File,
    /// With the hash of its path as it was written.
    Folder(u64),
}

impl Taken {
    /// Takes a path and the folders on its way.
    ///
    /// # Errors
    /// Why it can't be taken.
    pub fn add(&mut self, path: &EntryPath, is_folder: bool) -> Result<(), String> {
        let (mut written, mut folded) = (String::new(), String::new());
        let names = path.names();
        for (i, name) in names.iter().enumerate() {
            written = joined(&written, name);
            folded = joined(&folded, &name.to_lowercase().nfc().collect::<String>());
            let kind = match is_folder || i + 1 < names.len() {
                true => Kind::Folder(self.hasher.hash_one(&written)),
                false => Kind::File,
            };
            let hash = self.hasher.hash_one(&folded);
            match (self.names.get(&hash), &kind) {
                (None, _) if self.names.len() >= MAX_NAMES => {
                    return Err(format!("there are more than {MAX_NAMES} files and folders"));
                }
                (None, _) => {
                    self.names.insert(hash, kind);
                }
                (Some(there @ Kind::Folder(_)), Kind::Folder(_)) if *there == kind => {}
                (Some(Kind::Folder(_)), Kind::Folder(_)) => {
                    return Err("its folder differs from another in the way of writing only".into());
                }
                _ => {
                    return Err(
                        "another entry has its name, or one that some systems take for the same".into()
                    );
                }
            }
        }
        Ok(())
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn only_paths_within_the_archive_are_taken() {
        assert_eq!(path("./a//b/./c.jpg").names(), ["a", "b", "c.jpg"]);
        assert_eq!(path("Löwenzahn/蒲公英.jpg").names(), ["Löwenzahn", "蒲公英.jpg"]);
        assert_eq!(path("a/com10.jpg").names().len() + path("console/lpt").names().len(), 4);
        assert_eq!(EntryPath::parse(b"./").unwrap(), None);
        let long = "x".repeat(256);
        let deep = "a/".repeat(17);
        for (bytes, reason) in [
            (&b"../a"[..], "leads out"),
            (b"a/../../b", "leads out"),
            (b"a/..", "leads out"),
            (b"/etc/passwd", "root"),
            (b"a\\..\\b", "character"),
            (b"c:/windows", "character"),
            (b"a/b\nc", "character"),
            (b"a\0b", "character"),
            (b"a /b", "character"),
            (b"a/nul", "device"),
            (b"Con.jpg/b", "device"),
            (b"a/COM1.tar.gz", "device"),
            (b"a/...", "character"),
            (b"caf\xe9.jpg", "not UTF-8"),
            (long.as_bytes(), "255"),
            (deep.as_bytes(), "16"),
            (&[b'a'; 1001], "1000"),
        ] {
            let error = EntryPath::parse(bytes).unwrap_err();
            assert!(error.contains(reason), "{bytes:?}: {error}");
        }
        assert!(path("a/._1.jpg").is_hidden() && path(".git/a").is_hidden() && !path("a/1.jpg").is_hidden());
    }

    #[test]
    fn no_name_is_taken_twice() {
        let mut taken = Taken::default();
        taken.add(&path("roses/1.jpg"), false).unwrap();
        taken.add(&path("roses"), true).unwrap();
        taken.add(&path("roses/\u{e9}.jpg"), false).unwrap();
        for (other, is_folder) in [
            ("roses/1.jpg", false),
            ("roses/1.JPG", false),
            ("Roses/2.jpg", false),
            ("roses/1.jpg", true),
            ("roses/1.jpg/deeper", false),
            ("roses", false),
            ("roses/e\u{301}.jpg", false),
            ("roses/E\u{301}.jpg", false),
        ] {
            taken.add(&path(other), is_folder).expect_err(other);
        }
        taken.add(&path("roses/2.jpg"), false).unwrap();
    }

    #[test]
    fn a_crowd_of_folders_is_refused() {
        let mut taken = Taken::default();
        let deep = |n: usize| path(&format!("{n}{}", "/x".repeat(9)));
        let error = (0..).find_map(|n| taken.add(&deep(n), false).err()).unwrap();
        assert!(error.contains("more than 200000") && taken.names.len() == MAX_NAMES, "{error}");
    }
}
