//! The names of the classes.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;

use super::{BatchError, ClassNamesError};
use crate::files::{FileError, open_regular, write_atomically};

/// The largest file of class names that is read. Half of what a model file may hold beside its arrays: names found too long
/// after the first epoch would be found too late.
const MAX_BYTES: u64 = 2 << 20;

/// The most classes that are taken: three times those of ImageNet-21k. Each has an output of the network, and most networks
/// an array of weights as wide.
pub const MAX_CLASSES: usize = 1 << 16;

/// The first line where labels count from 1: the name of label 0, which is no class.
const BACKGROUND: &str = "background";

/// Class names in the order of their labels, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassNames {
    names: Vec<String>,
}

impl ClassNames {
    /// Names in the order of their labels, from 0.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Reads `labels.txt` for labels that count from 1: a name a line, the first perhaps `background`, which is no class.
    ///
    /// # Errors
    /// As [`read_counting_from`](Self::read_counting_from).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, BatchError> {
        Self::read_counting_from(path, 1)
    }

    /// Reads `labels.txt`: a name a line, in the order of the labels, of which the first is `first_label`. Where that is not 0, a first
    /// name `background` is that of label 0, which is no class. Space around names and empty lines do not count.
    ///
    /// Lines may have their labels in front, `0:daisy` or `0 daisy`; they are then in the order of those.
    ///
    /// # Errors
    /// A file that can't be read, is not UTF-8, holds control characters, names no class, one twice, or more than
    /// [`MAX_CLASSES`]; labels in front that count from another number than `first_label`.
    pub fn read_counting_from(path: impl AsRef<Path>, first_label: i64) -> Result<Self, BatchError> {
        let path = path.as_ref();
        let fault = |reason| BatchError::ClassNames { path: path.into(), reason };
        let mut bytes = Vec::new();
        let (file, _) = open_regular(path)?;
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| FileError::new(path, "read", error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(fault(ClassNamesError::TooLong { limit: MAX_BYTES }));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| fault(ClassNamesError::NotText(error)))?;
        // Some editors begin a file with a mark that says it is UTF-8.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut names = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(character) = line.chars().find(|&c| is_control(c)) {
                return Err(fault(ClassNamesError::ControlCharacter { line: number + 1, character }));
            }
            names.extend(Some(line.trim()).filter(|name| !name.is_empty()).map(String::from));
        }
        let mut first = None;
        if let Some((number, numbered)) = numbered(&names) {
            (first, names) = (Some(number), numbered);
        }
        if first_label != 0 && first != Some(1) && names.first().is_some_and(|name| name == BACKGROUND) {
            names.remove(0);
            first = first.map(|first| first + 1);
        }
        if let Some(first) = first.filter(|first| *first != first_label) {
            return Err(fault(ClassNamesError::Numbered { first, wanted: first_label }));
        }
        check(&names).map_err(fault)?;
        Ok(Self { names })
    }

    /// Writes `labels.txt` for labels that count from 1: `background`, then a name a line.
    ///
    /// # Errors
    /// A file that can't be written; names that [`read`](Self::read) would not give back.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), BatchError> {
        self.write_counting_from(path, 1)
    }

    /// Writes `labels.txt` for labels of which the first is `first_label`: without `background` where that is 0.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_counting_from(&self, path: impl AsRef<Path>, first_label: i64) -> Result<(), BatchError> {
        let path = path.as_ref();
        let refuse = |reason| BatchError::ClassNames { path: path.into(), reason };
        check(&self.names).map_err(refuse)?;
        // A background before them makes names with numbers in front no list of numbers.
        if let Some(name) = self.names.first().filter(|_| first_label == 0 && numbered(&self.names).is_some())
        {
            return Err(refuse(ClassNamesError::NumberedNames(name.clone())));
        }
        let background = if first_label == 0 { String::new() } else { format!("{BACKGROUND}\n") };
        let text = format!("{background}{}\n", self.names.join("\n"));
        Ok(write_atomically(path, |file| file.write_all(text.as_bytes()))?)
    }

    /// The names, by class from 0.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl From<ClassNames> for Vec<String> {
    fn from(classes: ClassNames) -> Self {
        classes.names
    }
}

/// The first number and the names of lines that all begin with a number, from 0 or 1 on without a gap, in the order of those.
fn numbered(lines: &[String]) -> Option<(i64, Vec<String>)> {
    let number = |line: &String| -> Option<(i64, String)> {
        let digits = line.find(|c: char| !c.is_ascii_digit())?;
        let (number, name) = line.split_at(digits);
        let name = name.strip_prefix([':', ',', ' ', '\t'])?.trim_start();
        Some((number.parse().ok()?, name.to_owned()))
    };
    let mut names: Vec<_> = lines.iter().map(number).collect::<Option<_>>()?;
    names.sort_unstable();
    let first = names.first()?.0;
    if names.len() < 2 || !(0..=1).contains(&first) {
        return None;
    }
    let without_gap = names.iter().zip(first..).all(|((number, _), wanted)| *number == wanted);
    without_gap.then(|| (first, names.into_iter().map(|(_, name)| name).collect()))
}

/// Fails if a file of these names would not give them back.
pub(super) fn check(names: &[String]) -> Result<(), ClassNamesError> {
    if names.is_empty() {
        return Err(ClassNamesError::Empty);
    }
    if names.len() > MAX_CLASSES {
        return Err(ClassNamesError::TooMany { classes: names.len(), limit: MAX_CLASSES });
    }
    let mut seen = HashSet::new();
    for name in names {
        if !is_a_line(name) {
            return Err(ClassNamesError::Name(name.clone()));
        }
        if !seen.insert(name.as_str()) {
            return Err(ClassNamesError::Twice(name.clone()));
        }
    }
    Ok(())
}

/// Whether a name is read back as it was written.
pub(super) fn is_a_line(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains(|c| c == '\u{feff}' || is_control(c))
}

/// Whether a character does something to the terminal or the line it is printed in: control characters, the separators of
/// lines and paragraphs, and those that turn the direction of what follows.
pub(super) fn is_control(character: char) -> bool {
    let is_format = matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_or_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.txt");
        for (names, comes_back) in [
            (vec!["daisy", "rose"], true),
            (vec!["background", "rose"], true),
            (vec!["löwenzahn", "蒲公英", "two words"], true),
            (vec!["a", "a"], false),
            (vec![" a"], false),
            (vec!["a\nb"], false),
            (vec!["a\rb"], false),
            (vec!["a\u{1b}[2Jb"], false),
            (vec!["a\0b"], false),
            (vec!["a\u{2028}b"], false),
            (vec!["a\u{202e}b"], false),
            (vec![""], false),
            (vec![], false),
        ] {
            let classes = ClassNames::new(names.into_iter().map(String::from).collect());
            match classes.write(&path) {
                Ok(()) => assert!(comes_back && ClassNames::read(&path).unwrap() == classes, "{classes:?}"),
                Err(error) => assert!(!comes_back, "{classes:?}: {error}"),
            }
        }
    }

    #[test]
    fn files_of_others_are_read_and_faults_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.txt");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            ClassNames::read(&path).map(Vec::from).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbfbackground\r\na\r\n\r\n b \r\n").unwrap(), ["a", "b"]);
        assert_eq!(read(b"a\nbackground").unwrap(), ["a", "background"]);
        // By the numbers in front, if there is one in front of each.
        assert_eq!(read(b"2:b\n1: a\n3:c\n").unwrap(), ["a", "b", "c"]);
        assert_eq!(read(b"0 background\n2 two words\n1 a\n").unwrap(), ["a", "two words"]);
        assert_eq!(read(b"101 dalmatians\n7 dwarfs\n").unwrap(), ["101 dalmatians", "7 dwarfs"]);
        assert_eq!(read(b"9223372036854775807 a\n9223372036854775806 b\n").unwrap().len(), 2);
        let names = |names: [&str; 2]| ClassNames::new(names.map(String::from).to_vec());
        let error = names(["0 a", "1 b"]).write_counting_from(&path, 0).unwrap_err().to_string();
        assert!(error.contains("\"0 a\", all begin with numbers"), "{error}");
        names(["0 a", "1 b"]).write(&path).unwrap();
        assert_eq!(ClassNames::read(&path).unwrap(), names(["0 a", "1 b"]));
        names(["background", "b"]).write_counting_from(&path, 0).unwrap();
        assert_eq!(ClassNames::read_counting_from(&path, 0).unwrap(), names(["background", "b"]));
        assert_eq!(read(b"1 fish\nred fish\n").unwrap(), ["1 fish", "red fish"]);
        let from_0 = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            ClassNames::read_counting_from(&path, 0).map(Vec::from).map_err(|error| error.to_string())
        };
        assert_eq!(from_0(b"background\na\n").unwrap(), ["background", "a"]);
        assert_eq!(from_0(b"1:a\n0:background\n").unwrap(), ["background", "a"]);
        assert!(
            from_0(b"1:a\n2:b\n").unwrap_err().contains("numbers its lines from 1, but labels count from 0")
        );
        let many = |names: usize| (0..names).map(|name| format!("{name}\n")).collect::<String>();
        assert_eq!(read(many(MAX_CLASSES).as_bytes()).unwrap().len(), MAX_CLASSES);
        for (bytes, reason) in [
            (&b"background\n\n"[..], "names no class"),
            (b"a\nb\na\n", "the class `a` twice"),
            (b"0:a\n1:b\n", "numbers its lines from 0, but labels count from 1"),
            (many(MAX_CLASSES + 1).as_bytes(), "65537 classes, over the limit of 65536"),
            (b"caf\xe9\n", "not UTF-8"),
            (b"a\n\nb\x1b[31m\n", r"line 3 holds the control character \u{1b}"),
            (b"a\rb\r", r"line 1 holds the control character \u{d}"),
            ("a\nb\u{202e}c".as_bytes(), r"line 2 holds the control character \u{202e}"),
            (&[b'a'; MAX_BYTES as usize + 1], "longer than"),
        ] {
            let message = read(bytes).unwrap_err();
            assert!(message.contains(reason) && message.contains("labels.txt"), "{message}");
        }
        let message = ClassNames::read(folder.path().join("none")).unwrap_err().to_string();
        assert!(message.contains("none: No such file"), "{message}");
    }
}
