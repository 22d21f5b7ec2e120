//! The rows of a table: fields between commas, semicolons, tabs or blanks, or JSON objects, one a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::{Position, ReaderBuilder, StringRecord, Trim};
use floret::files::FileError;
use serde_json::{Map, Value};

use super::at_line;
use super::columns::is_known;
use crate::ui;
use crate::{Error, Result};

/// The longest list.
const MAX_BYTES: u64 = 256 << 20;
/// Bytes of its beginning that tell what it is.
const START: usize = 1 << 20;
/// What may stand between fields; blanks if none does in the first line.
const DELIMITERS: [u8; 3] = *b",;\t";

/// What a file that is no table begins with, and what it is then.
const OTHERS: [(&[u8], &str); 17] = [
    (b"PK\x03\x04", "a ZIP archive or a workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "a Parquet table"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\0\0\x08\x01", "an IDX file of labels, as MNIST's"),
    (b"\0\0\x08\x03", "an IDX file of images, as MNIST's"),
    (b"SQLite format 3", "an SQLite data base"),
    (b"\x80\x04", "a Python pickle"),
    (b"\xff\xd8\xff", "a JPEG photo"),
    (b"\x89PNG", "a PNG photo"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
];

/// Reads a table from its first row to its last. Headings are a row like others; those of JSON lines are the names of the first
/// object's values.
pub enum Rows {
    Fields(Box<csv::Reader<io::Take<BufReader<File>>>>),
    /// A name, which may hold blanks, and its class behind the last blank.
    Blanks(Lines),
    Json {
        lines: Lines,
        names: Vec<String>,
        first: Option<StringRecord>,
    },
}

/// The lines of a file that are not blank.
pub struct Lines {
    file: io::Take<BufReader<File>>,
    line: u64,
}

impl Rows {
    /// Opens a table; `path` in the messages.
    ///
    /// # Errors
    /// A file that can't be read, is too long, or is something else, which is named.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| FileError::new(path, "read", error);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        // Room for a long first line.
        let mut file = BufReader::with_capacity(START, file);
        let start = file.fill_buf().map_err(failed)?;
        if let Some(what) = other(start) {
            return Err(no_table(path, what));
        }
        if bytes > MAX_BYTES {
            let shown = ui::path(path);
            return Err(format!("{shown} has {bytes} bytes, over the limit of {MAX_BYTES} for a list").into());
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let object = object(line);
        if object.is_none() && matches!(text, [b'{' | b'[', ..]) {
            return Err(format!(
                "{} is a JSON document, which can't be read as a list of photos: write an object a line, such as \
                 {{\"path\": \"cats/1.jpg\", \"class\": \"cats\"}}",
                ui::path(path)
            )
            .into());
        }
        let delimiter = delimiter(line);
        let has_blanks = line.trim_ascii().contains(&b' ');
        let file = file.take(MAX_BYTES);
        let lines = |file| Lines { file, line: 0 };
        Ok(match (object, delimiter) {
            (Some(object), _) => {
                let names: Vec<String> = object.keys().cloned().collect();
                let first = Some(StringRecord::from(names.clone()));
                Rows::Json { lines: lines(file), names, first }
            }
            (None, None) if has_blanks => Rows::Blanks(lines(file)),
            (None, delimiter) => {
                let reader = ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .trim(Trim::All)
                    .delimiter(delimiter.unwrap_or(DELIMITERS[0]))
                    .from_reader(file);
                Rows::Fields(Box::new(reader))
            }
        })
    }

    /// Whether the first row is certainly headings.
    pub fn begins_with_headings(&self) -> bool {
        matches!(self, Rows::Json { .. })
    }

    /// The next row and its line; `None` at the end.
    pub fn next(&mut self, path: &Path) -> Result<Option<(u64, StringRecord)>> {
        match self {
            Rows::Fields(reader) => {
                let mut row = StringRecord::new();
                let line = reader.position().line();
                let more =
                    reader.read_record(&mut row).map_err(|error| at_line(path, line, &told(&error)))?;
                Ok(more.then(|| (row.position().map_or(line, Position::line), row)))
            }
            Rows::Blanks(lines) => Ok(lines.next(path)?.map(|(line, text)| {
                let fields = text.rsplit_once(char::is_whitespace);
                let fields = fields.map_or(vec![&*text], |(name, class)| vec![name.trim_end(), class]);
                (line, StringRecord::from(fields))
            })),
            Rows::Json { lines, names, first } => {
                if let Some(first) = first.take() {
                    return Ok(Some((1, first)));
                }
                let Some((line, text)) = lines.next(path)? else { return Ok(None) };
                let Some(object) = object(text.as_bytes()) else {
                    return Err(at_line(path, line, "it is no JSON object, as the first line is"));
                };
                if let Some(name) = object.keys().find(|name| is_known(name) && !names.contains(name)) {
                    let what = format!(
                        "it has `{}`, which the first line lacks: give it there too",
                        ui::escaped(name)
                    );
                    return Err(at_line(path, line, &what));
                }
                let text = |name: &String| match object.get(name) {
                    Some(Value::String(text)) => text.trim().to_owned(),
                    None | Some(Value::Null) => String::new(),
                    Some(other) => other.to_string(),
                };
                Ok(Some((line, names.iter().map(text).collect())))
            }
        }
    }
}

impl Lines {
    fn next(&mut self, path: &Path) -> Result<Option<(u64, String)>> {
        loop {
            let mut bytes = Vec::new();
            let read = self.file.read_until(b'\n', &mut bytes);
            self.line += 1;
            if read.map_err(|error| FileError::new(path, "read", error))? == 0 {
                return Ok(None);
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| at_line(path, self.line, NO_UTF8))?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Ok(Some((self.line, text.to_owned())));
            }
        }
    }
}

const NO_UTF8: &str = "it is not UTF-8 text: save the list as UTF-8";

fn told(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => NO_UTF8.into(),
        _ => error.to_string(),
    }
}

/// What a file that begins so is, if it is known and no table.
fn other(start: &[u8]) -> Option<&'static str> {
    if start.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    OTHERS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| *what)
}

fn no_table(path: &Path, what: &str) -> Error {
    let todo = if what.contains("archive") {
        "unpack it, and give the folder of photos that comes out"
    } else if what.contains("photo") {
        "give the folder that holds the folders of the classes"
    } else if what.contains("UTF-16") {
        "save the list as UTF-8"
    } else {
        "give a folder of photos, or a list of their paths and classes as CSV"
    };
    format!("{} is {what}, not a list of photos: {todo}", ui::path(path)).into()
}

/// A JSON object in a line of its own.
fn object(line: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(line).ok()
}

/// The one that stands most often in a line, of equals the first.
fn delimiter(line: &[u8]) -> Option<u8> {
    let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    // `max_by_key` would give the last of equals.
    DELIMITERS.into_iter().rev().max_by_key(count).filter(|delimiter| count(delimiter) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_commonest() {
        for (line, wanted) in
            [("a,b;c,d", Some(b',')), ("a;b", Some(b';')), ("a b\tc", Some(b'\t')), ("a b", None)]
        {
            assert_eq!(delimiter(line.as_bytes()), wanted, "{line}");
        }
    }
}
