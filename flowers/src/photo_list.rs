//! A list of photos in a CSV file: `path,class` or `path,class,part`, a photo a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use floret::data::convert::{ListedPhoto, Part};
use floret::data::{ClassNames, MAX_CLASSES};
use floret::files::FileError;

use crate::ui;
use crate::{Error, Result};

/// The longest list.
const MAX_BYTES: u64 = 256 << 20;
/// The most photos of a list.
const MAX_PHOTOS: usize = 4_000_000;
/// What may stand between fields; the first if none does in the first line.
const DELIMITERS: [u8; 3] = *b",;\t";

/// Headings of each column, in lower case.
const PATHS: [&str; 10] =
    ["path", "file", "filename", "file_name", "filepath", "file_path", "image", "img", "photo", "image_path"];
const CLASSES: [&str; 6] = ["label", "class", "category", "class_name", "label_name", "target"];
const PARTS: [&str; 4] = ["split", "part", "set", "subset"];

/// Photos and their classes.
#[derive(Debug)]
pub struct PhotoList {
    /// Sorted: numbers by their value, if all classes are numbers.
    pub classes: ClassNames,
    pub photos: Vec<ListedPhoto>,
}

/// Where in a line things stand.
#[derive(Debug, PartialEq)]
struct Columns {
    path: usize,
    class: usize,
    part: Option<usize>,
}

impl PhotoList {
    /// Reads a list. Paths are from its folder on.
    ///
    /// # Errors
    /// A file that can't be read, is too long, or is no such list; the message names the line.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |error| FileError::new(path, "read", error);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes > MAX_BYTES {
            return Err(format!(
                "{} has {bytes} bytes, over the limit of {MAX_BYTES} for a list",
                ui::path(path)
            )
            .into());
        }
        let mut file = BufReader::new(file);
        let delimiter = delimiter(file.fill_buf().map_err(failed)?);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .delimiter(delimiter)
            .from_reader(std::io::Read::take(file, MAX_BYTES));
        let fault =
            |line: u64, what: &str| -> Error { format!("{}: line {line}: {what}", ui::path(path)).into() };
        let folder = path.parent().unwrap_or(Path::new(""));

        let mut lines = Lines { columns: None, folder, classes: BTreeMap::new(), photos: Vec::new() };
        let mut record = StringRecord::new();
        loop {
            let line = reader.position().line();
            match reader.read_record(&mut record) {
                Ok(true) => {
                    let line = record.position().map_or(line, csv::Position::line);
                    lines.add(&record).map_err(|what| fault(line, &what))?;
                }
                Ok(false) => break,
                Err(error) => return Err(fault(line, &told(&error))),
            }
        }
        if lines.photos.is_empty() {
            return Err(format!(
                "{} lists no photo: write the path and the class of each, `cats/1.jpg,cats`, a line each",
                ui::path(path)
            )
            .into());
        }
        Ok(lines.finish())
    }
}

fn told(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text: save the list as UTF-8".into(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// The one that stands most often in the first line.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    // Of equals the first, which `max_by_key` would give last.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(DELIMITERS[0])
}

/// The lines read so far.
struct Lines<'a> {
    /// Known from the first line on.
    columns: Option<Columns>,
    folder: &'a Path,
    /// Classes, with their numbers in the order of their coming.
    classes: BTreeMap<String, usize>,
    photos: Vec<ListedPhoto>,
}

impl Lines<'_> {
    fn add(&mut self, record: &StringRecord) -> std::result::Result<(), String> {
        let columns = match &self.columns {
            Some(columns) => columns,
            None => {
                let headings = Columns::of_headings(record);
                let is_headings = headings.is_some() || self.reads_as_headings(record);
                let columns = headings.unwrap_or_else(|| Columns::of_photo(record));
                let columns = self.columns.insert(columns);
                if is_headings {
                    return Ok(());
                }
                columns
            }
        };
        if record.iter().any(|field| field.starts_with('"')) {
            return Err("there is a space before a quote, which then means nothing: remove it".into());
        }
        let field = |column: usize| record.get(column).filter(|field| !field.is_empty());
        let (Some(name), Some(class)) = (field(columns.path), field(columns.class)) else {
            return Err("a path and a class are wanted, as in `cats/1.jpg,cats`".into());
        };
        let part = match columns.part {
            None => None,
            Some(column) => {
                let text = field(column).ok_or("the part, train, val or test, is missing")?;
                Some(
                    part(text)
                        .ok_or_else(|| format!("`{}` is none of train, val and test", ui::escaped(text)))?,
                )
            }
        };
        if self.photos.len() >= MAX_PHOTOS {
            return Err(format!("the list has more than {MAX_PHOTOS} photos"));
        }
        let class = match self.classes.get(class) {
            Some(&class) => class,
            None if self.classes.len() >= MAX_CLASSES => {
                return Err(format!(
                    "the list has more than {MAX_CLASSES} classes: is the class in this column?"
                ));
            }
            None => {
                let number = self.classes.len();
                self.classes.insert(class.to_owned(), number);
                number
            }
        };
        self.photos.push(ListedPhoto { path: self.folder.join(name), name: name.to_owned(), class, part });
        Ok(())
    }

    /// Whether the first line names no photo, but the columns in words of its own.
    fn reads_as_headings(&self, record: &StringRecord) -> bool {
        let Some(name) = record.get(0) else { return false };
        Path::new(name).extension().is_none() && !self.folder.join(name).exists()
    }

    /// With the classes in their order.
    fn finish(self) -> PhotoList {
        let Self { classes, mut photos, .. } = self;
        let mut classes: Vec<(String, usize)> = classes.into_iter().collect();
        if classes.iter().all(|(class, _)| class.parse::<u64>().is_ok()) {
            classes.sort_by_cached_key(|(class, _)| class.parse::<u64>().ok());
        }
        let mut numbers = vec![0; classes.len()];
        classes.iter().enumerate().for_each(|(sorted, (_, came))| numbers[*came] = sorted);
        photos.iter_mut().for_each(|photo| photo.class = numbers[photo.class]);
        let classes = ClassNames::new(classes.into_iter().map(|(class, _)| class).collect());
        PhotoList { classes, photos }
    }
}

impl Columns {
    /// By the usual headings; `None` if the line has not those of path and class.
    fn of_headings(record: &StringRecord) -> Option<Self> {
        let column = |headings: &[&str]| {
            record.iter().position(|field| headings.contains(&field.to_lowercase().as_str()))
        };
        Some(Columns { path: column(&PATHS)?, class: column(&CLASSES)?, part: column(&PARTS) })
    }

    /// Of a list without headings, by its first photo.
    fn of_photo(record: &StringRecord) -> Self {
        let part = record.get(2).and_then(part).map(|_| 2);
        Columns { path: 0, class: 1, part }
    }
}

fn part(text: &str) -> Option<Part> {
    Some(match text.to_lowercase().as_str() {
        "train" | "training" => Part::Train,
        "val" | "valid" | "validation" | "eval" | "evaluation" => Part::Eval,
        "test" | "testing" => Part::Test,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (String, String, Option<Part>);

    fn read(text: &[u8]) -> std::result::Result<Vec<Row>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        let PhotoList { classes, photos } = PhotoList::read(&path).map_err(|error| error.to_string())?;
        let rows = photos.into_iter().map(|photo| {
            assert_eq!(photo.path, folder.path().join(&photo.name));
            (photo.name, classes.names()[photo.class].clone(), photo.part)
        });
        Ok(rows.collect())
    }

    fn row(name: &str, class: &str, part: Option<Part>) -> Row {
        (name.into(), class.into(), part)
    }

    #[test]
    fn lists_of_many_dialects_are_read() {
        let wanted = [row("a/1.jpg", "cats", None), row("b 2.png", "dogs", None)];
        for text in [
            "a/1.jpg,cats\nb 2.png,dogs\n",
            "path,label\na/1.jpg,cats\nb 2.png,dogs",
            "\u{feff}Filename,Class\r\na/1.jpg,cats\r\n\r\nb 2.png,dogs\r\n",
            "label;note;image\ncats;x;a/1.jpg\ndogs;;b 2.png\n",
            "a/1.jpg\tcats\nb 2.png\tdogs\n",
            "\"a/1.jpg\",\"cats\"\n\"b 2.png\", dogs , more, fields\n",
            "picture,animal\na/1.jpg,cats\nb 2.png,dogs\n",
        ] {
            assert_eq!(read(text.as_bytes()).as_deref(), Ok(&wanted[..]), "{text:?}");
        }
        let wanted =
            [row("a,1.jpg", "Löwen \"zahn\"", Some(Part::Train)), row("蒲.jpg", "b", Some(Part::Test))];
        for text in [
            "\"a,1.jpg\",\"Löwen \"\"zahn\"\"\",train\n蒲.jpg,b,TEST\n",
            "split,path,label\ntraining,\"a,1.jpg\",\"Löwen \"\"zahn\"\"\"\ntest,蒲.jpg,b\n",
        ] {
            assert_eq!(read(text.as_bytes()).as_deref(), Ok(&wanted[..]), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, "a.jpg,10\nb.jpg,9\nc.jpg,100\n").unwrap();
        let list = PhotoList::read(&path).unwrap();
        assert_eq!(list.classes.names(), ["9", "10", "100"]);
        assert_eq!(list.photos.iter().map(|photo| photo.class).collect::<Vec<_>>(), [1, 0, 2]);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, part) in [
            (&b""[..], "lists no photo"),
            (b"path,label\n", "lists no photo"),
            (b"a.jpg,x\nb.jpg\n", "line 2: a path and a class are wanted"),
            (b"a.jpg,x\n,y\n", "line 2: a path and a class are wanted"),
            (b"a.jpg,x\nb.jpg, \"y, z\"\n", "line 2: there is a space before a quote"),
            (b"a.jpg,x,train\nb.jpg,y,holdout\n", "line 2: `holdout` is none of train, val and test"),
            (b"a.jpg,x,train\nb.jpg,y\n", "line 2: the part, train, val or test, is missing"),
            (b"a.jpg,x\ncaf\xe9.jpg,y\n", "line 2: it is not UTF-8"),
            (b"a.jpg,x\nb.jpg,\x1b[2J,\n", ""),
        ] {
            match read(text) {
                Err(error) => assert!(error.contains(part) && !part.is_empty(), "{error}"),
                // Names of classes are the library's to judge.
                Ok(_) => assert!(part.is_empty(), "{text:?}"),
            }
        }
        let many: String = (0..=MAX_CLASSES).map(|class| format!("a.jpg,{class}\n")).collect();
        assert!(
            read(many.as_bytes()).unwrap_err().contains("line 65537: the list has more than 65536 classes")
        );
    }
}
