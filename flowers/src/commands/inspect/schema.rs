//! How the records inspected are to be read: the flags for `train`, and the names of the classes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floret::data::{BatchError, ClassNames, MAX_CLASSES};
use floret::recipe::{LABELS, TFDS_LABELS};
use floret::record::ImageSchema;

use crate::Result;
use crate::survey::{Lacking, Reading};
use crate::ui::{self, say};

/// What there is to go by.
pub struct Schema<'a> {
    /// The folder of the first file; none of a pipe.
    pub folder: Option<&'a Path>,
    /// The features that were asked for or found.
    pub schema: std::result::Result<ImageSchema, Lacking>,
    /// The classes that a name alone tells.
    pub names: Vec<String>,
}

/// Records of each label and class text.
pub type Classes = BTreeMap<(i64, Option<String>), u64>;

impl Schema<'_> {
    /// Shows how the records are to be read; writes `labels.txt` where that is asked for.
    pub fn print(&self, classes: &Classes, write_labels: bool) -> Result<()> {
        say!();
        let reading = match &self.schema {
            Ok(schema) => self.reading(schema, classes),
            Err(lacking) => {
                words(lacking).inspect(|why| say!("{why}"));
                None
            }
        };
        let Some(reading) = reading else {
            return if write_labels {
                Err(no_labels("which labels the records have is not known"))
            } else {
                Ok(())
            };
        };
        let labels = self.labels();
        let names = labels.as_ref().map(|path| Names::read(path, &reading));
        let (first, certain, named) = match names {
            None => {
                let (first, certain) = reading.first_label(None);
                (first, certain, None)
            }
            Some(Ok(Names { first, certain, count })) => (first, certain, Some(count)),
            Some(Err(error)) => {
                say!("{}", ui::escaped(&error.to_string()));
                let (first, certain) = reading.first_label(None);
                (first, certain, None)
            }
        };
        print_reading(&reading, first, certain, named);
        match (labels, self.folder) {
            (Some(path), _) if write_labels => {
                Err(no_labels(&format!("{} is there already", ui::path(&path))))
            }
            (None, Some(folder)) => name_classes(&folder.join(LABELS), classes, first, write_labels),
            (None, None) if write_labels => Err(no_labels("a pipe has no folder")),
            _ => Ok(()),
        }
    }

    /// How the records are read, and which labels they have; nothing where no record has one.
    fn reading(&self, schema: &ImageSchema, classes: &Classes) -> Option<Reading> {
        let labels = (classes.keys().next()?.0, classes.keys().next_back()?.0);
        let (image, label, pixels) = (schema.encoded.clone(), schema.label.clone(), schema.pixels);
        Some(Reading { image, label, labels, pixels, names: self.names.clone() })
    }

    /// The class names beside the files.
    fn labels(&self) -> Option<PathBuf> {
        let folder = self.folder?;
        [LABELS, TFDS_LABELS].map(|name| folder.join(name)).into_iter().find(|path| path.exists())
    }
}

/// What a file of class names and the labels say together.
struct Names {
    /// The first label, and whether that is more than a guess.
    first: i64,
    certain: bool,
    /// How many classes are named.
    count: usize,
}

impl Names {
    fn read(path: &Path, reading: &Reading) -> std::result::Result<Self, BatchError> {
        let from = |first| ClassNames::read_counting_from(path, first).map(|names| names.len());
        match (from(0), from(1)) {
            // Lines with numbers in front say it themselves.
            (Ok(count), Err(_)) => Ok(Self { first: 0, certain: true, count }),
            (Err(_), Ok(count)) => Ok(Self { first: 1, certain: true, count }),
            // A background that some records have is a class.
            (Ok(all), Ok(others)) if all != others && reading.labels.0 == 0 => {
                Ok(Self { first: 0, certain: true, count: all })
            }
            (_, count) => {
                let count = count?;
                let (first, certain) = reading.first_label(Some(count));
                Ok(Self { first, certain, count })
            }
        }
    }
}

fn print_reading(reading: &Reading, first: i64, certain: bool, named: Option<usize>) {
    let Reading { image, label, labels: (least, greatest), pixels, names } = reading;
    let (image, label) = (ui::escaped(image), ui::escaped(label));
    let photos = if pixels.is_some() { "photos, as pixels," } else { "photos" };
    match names.len() {
        0 => say!("{photos} in \"{image}\", labels from {least} to {greatest} in \"{label}\""),
        count => say!("{photos} in \"{image}\", the names of {count} classes in \"{label}\""),
    }
    let flags = reading.flags(first);
    match flags.is_empty() {
        true => say!("flags:  none are needed"),
        false => say!("flags:  {}", flags.join(" ")),
    }
    if !certain {
        say!("  that labels count from {first} is a guess: the one who made the records knows");
    }
    if *least < first {
        say!("  labels under {first} are of no class: --skip-bad leaves such records out");
    }
    if let Some(named) = named.filter(|&named| greatest.saturating_sub(first) >= named as i64) {
        say!("  {LABELS} names {} only: names are missing", ui::count(named, "class"));
    }
}

/// Shows how `labels.txt` comes about, or writes it.
fn name_classes(path: &Path, classes: &Classes, first: i64, write: bool) -> Result<()> {
    let names = match class_names(classes, first) {
        Ok(names) => names,
        Err(reason) if write => return Err(no_labels(&reason)),
        Err(reason) => {
            let path = ui::path(path);
            say!("{path} is missing, and {reason}: write the names of the classes into it,");
            say!("one a line in the order of their labels");
            return Ok(());
        }
    };
    if write {
        names.write_counting_from(path, first)?;
        say!("wrote {}, {}", ui::path(path), ui::count(names.len(), "class name"));
    } else {
        say!("{} is missing: --write-labels writes it as the records name their classes", ui::path(path));
    }
    Ok(())
}

fn no_labels(reason: &str) -> crate::Error {
    format!("{LABELS} is not written: {reason}").into()
}

fn words(lacking: &Lacking) -> Option<String> {
    Some(match lacking {
        Lacking::Records => return None,
        Lacking::Image => "no feature holds an image file (JPEG, PNG, WebP, GIF, BMP, TIFF) in each record, nor what seems to be pixels: \
                           where one does hold pixels, say it with --image-key and --pixels"
            .into(),
        Lacking::Label { text: Some(key), .. } => format!(
            "the text in \"{}\" is another in nearly every record, so it names no class: where another \
             feature tells the class, by a number or a name, say which with --label-key",
            ui::escaped(key)
        ),
        Lacking::Label { text: None, .. } => {
            "no feature of each record that is called a label or a class tells it, by a number or a name: \
             say with --label-key which one does"
                .into()
        }
    })
}

/// The names that the records give to the labels from `first` on; why there are none.
fn class_names(classes: &Classes, first: i64) -> std::result::Result<ClassNames, String> {
    let mut names = Vec::new();
    for (label, text) in classes.keys().filter(|(label, _)| *label >= first) {
        let Some(text) = text else { return Err("the records do not name their classes".into()) };
        match first.saturating_add(names.len() as i64) {
            next if next == *label && names.len() < MAX_CLASSES => names.push(text.clone()),
            next if next.saturating_sub(1) == *label => {
                return Err(format!("the records name the class of label {label} in more than one way"));
            }
            next => return Err(format!("no record has the label {next}, so its class's name is not known")),
        }
    }
    if names.is_empty() {
        return Err("there is no record of a class".into());
    }
    Ok(ClassNames::new(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_be_those_of_all_labels() {
        let names = |classes: &[(i64, &str)], first| {
            let classes = classes
                .iter()
                .map(|(label, text)| ((*label, Some(text.to_string()).filter(|text| !text.is_empty())), 1));
            class_names(&classes.collect(), first).map(Vec::from)
        };
        assert_eq!(names(&[(0, "a"), (1, "b")], 0).unwrap(), ["a", "b"]);
        assert_eq!(names(&[(-1, "?"), (0, "background"), (1, "a"), (2, "b")], 1).unwrap(), ["a", "b"]);
        for (classes, first, reason) in [
            (&[(1, "a"), (3, "c")][..], 1, "no record has the label 2"),
            (&[(1, "a"), (1, "b")], 1, "label 1 in more than one way"),
            (&[(0, "a"), (1, "")], 0, "do not name"),
            (&[(0, "a")], 1, "no record of a class"),
            (&[(i64::MAX, "a")], 1, "no record has the label 1"),
        ] {
            let error = names(classes, first).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
