//! A list of photos: a table with the path and the class of each, and perhaps its part of the data set.
//!
//! | file | |
//! | --- | --- |
//! | `rows.rs` | the table's rows, from CSV and its like, lines with blanks, or JSON lines |
//! | `columns.rs` | which column is what |
//! | `places.rs` | the files that the paths mean |

mod columns;
mod places;
mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use columns::{ClassColumns, Columns, hot};
use csv::StringRecord;
use floret::data::convert::{ListedPhoto, Part};
use floret::data::{ClassNames, MAX_CLASSES};
use places::{Places, common_folders};
use rows::Rows;

use crate::ui;
use crate::{Error, Result};

/// The most photos of a list.
const MAX_PHOTOS: usize = 4_000_000;
/// Rows from which the columns are told.
const SAMPLE: usize = 64;

/// Photos and their classes.
#[derive(Debug)]
pub struct PhotoList {
    /// Sorted: numbers by their value, if all classes are numbers.
    pub classes: ClassNames,
    pub photos: Vec<ListedPhoto>,
    /// Which columns were taken, in words.
    pub columns: String,
}

impl PhotoList {
    /// Reads a list. Paths are from its folder on, and mean the files that [`Places::find`] tells.
    ///
    /// # Errors
    /// A file that can't be read, is too long, or is no such list; none of whose photos is there; the message names the line where it
    /// is one line's fault.
    pub fn read(path: &Path) -> Result<Self> {
        let mut rows = Rows::open(path)?;
        let certain = rows.begins_with_headings();
        let mut first = Vec::new();
        while first.len() <= SAMPLE
            && let Some(row) = rows.next(path)?
        {
            first.push(row);
        }
        let shown = ui::path(path);
        let Some(((_, headings), _)) = first.split_first() else { return Err(nothing(path)) };
        let places = Places::around(path.parent().unwrap_or(Path::new("")));
        let sample: Vec<StringRecord> = first[1..].iter().map(|(_, row)| row.clone()).collect();
        let columns = Columns::tell(headings, &sample, certain, &places)
            .map_err(|what| Error::from(format!("{shown}: {what}")))?;
        let skipped = usize::from(columns.headings.is_some());
        let mut lines = Lines { columns, classes: BTreeMap::new(), photos: Vec::new() };
        for (line, row) in first.drain(skipped..) {
            lines.add(&row).map_err(|what| at_line(path, line, &what))?;
        }
        while let Some((line, row)) = rows.next(path)? {
            lines.add(&row).map_err(|what| at_line(path, line, &what))?;
        }
        if lines.photos.is_empty() {
            return Err(nothing(path));
        }
        let there = lines.find(&places);
        match lines.photos.first() {
            Some(photo) if there == 0 => Err(format!(
                "{shown}: none of the {} in {} is there: `{}` is looked for as {}; paths are from the list's folder on",
                ui::count(lines.photos.len(), "photo"),
                lines.columns.name(lines.columns.path),
                ui::escaped(&photo.name),
                ui::path(&photo.path)
            )
            .into()),
            _ => Ok(lines.finish()),
        }
    }
}

fn at_line(path: &Path, line: u64, what: &str) -> Error {
    format!("{}: line {line}: {what}", ui::path(path)).into()
}

fn nothing(path: &Path) -> Error {
    format!(
        "{} lists no photo: write the path and the class of each, `cats/1.jpg,cats`, a line each",
        ui::path(path)
    )
    .into()
}

/// The rows read so far.
struct Lines {
    columns: Columns,
    /// Classes, with their numbers in the order of their coming.
    classes: BTreeMap<String, usize>,
    /// With paths only once they were [looked for](Self::find).
    photos: Vec<ListedPhoto>,
}

impl Lines {
    fn add(&mut self, row: &StringRecord) -> std::result::Result<(), String> {
        let columns = &self.columns;
        let read = [Some(columns.path), columns.part, columns.class.named()].into_iter().flatten();
        if read.filter_map(|column| row.get(column)).any(|field| field.starts_with('"')) {
            return Err(
                "a path, class or part begins with a quote: remove the quote, or a space before it".into()
            );
        }
        let field = |column: usize| row.get(column).filter(|field| !field.is_empty());
        let class = match &columns.class {
            ClassColumns::Named(column) => field(*column).map(str::to_owned),
            ClassColumns::OneHot(classes) => Some(self.one_hot(row, classes)?),
        };
        let (Some(name), Some(class)) = (field(columns.path), class) else {
            return Err("a path and a class are wanted, as in `cats/1.jpg,cats`".into());
        };
        let part = match columns.part {
            None => None,
            Some(column) => {
                let text = field(column).ok_or("the part, train, val or test, is missing")?;
                let none = || format!("`{}` is none of train, val and test", ui::escaped(text));
                part(text).ok_or_else(none)?
            }
        };
        if self.photos.len() >= MAX_PHOTOS {
            return Err(format!("the list has more than {MAX_PHOTOS} photos"));
        }
        let name = name.to_owned();
        let class = self.class(class)?;
        self.photos.push(ListedPhoto { path: PathBuf::new(), name, class, part });
        Ok(())
    }

    /// The class whose column alone is 1.
    fn one_hot(&self, row: &StringRecord, classes: &[usize]) -> std::result::Result<String, String> {
        let columns = &self.columns;
        let mut ones = Vec::new();
        for &column in classes {
            match row.get(column).and_then(hot) {
                Some(true) => ones.push(column),
                Some(false) => {}
                None => return Err(format!("{} is neither 0 nor 1", columns.name(column))),
            }
        }
        match ones[..] {
            [column] => {
                let headings = columns.headings.as_ref().expect("columns of classes have headings");
                Ok(headings[column].to_owned())
            }
            [] => Err("no class is 1".into()),
            [one, two, ..] => {
                let (one, two) = (columns.name(one), columns.name(two));
                Err(format!("{one} and {two} are both 1: a photo has one class"))
            }
        }
    }

    /// The number of a class.
    fn class(&mut self, class: String) -> std::result::Result<usize, String> {
        if let Some(&number) = self.classes.get(&class) {
            return Ok(number);
        }
        let number = self.classes.len();
        if number >= MAX_CLASSES {
            return Err(format!(
                "the list has more than {MAX_CLASSES} classes: is the class in this column?"
            ));
        }
        self.classes.insert(class, number);
        Ok(number)
    }

    /// Finds the files that the photos' names mean; how many there are.
    fn find(&mut self, places: &Places) -> usize {
        let foreign = common_folders(self.photos.iter().map(|photo| photo.name.as_str()));
        let mut there = 0;
        for photo in &mut self.photos {
            let found = places.find(&photo.name, foreign);
            there += usize::from(found.is_some());
            photo.path = found.unwrap_or_else(|| places.wanted(&photo.name));
        }
        there
    }

    /// With the classes in their order.
    fn finish(self) -> PhotoList {
        let Self { columns, classes, mut photos, .. } = self;
        let mut classes: Vec<(String, usize)> = classes.into_iter().collect();
        if classes.iter().all(|(class, _)| class.parse::<u64>().is_ok()) {
            classes.sort_by_cached_key(|(class, _)| class.parse::<u64>().ok());
        }
        let mut numbers = vec![0; classes.len()];
        classes.iter().enumerate().for_each(|(sorted, (_, came))| numbers[*came] = sorted);
        photos.iter_mut().for_each(|photo| photo.class = numbers[photo.class]);
        let classes = ClassNames::new(classes.into_iter().map(|(class, _)| class).collect());
        PhotoList { classes, photos, columns: columns.told() }
    }
}

/// The part that a field names; the inner `None` for one that leaves it to the program.
#[allow(clippy::option_option, reason = "no part, and a word that means none")]
fn part(text: &str) -> Option<Option<Part>> {
    Some(match text.to_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" | "validate" | "eval" | "evaluation" | "dev" => Some(Part::Eval),
        "test" | "testing" => Some(Part::Test),
        "unassigned" => None,
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
        std::fs::create_dir(folder.path().join("a")).unwrap();
        for photo in [
            "a/below 1.jpg",
            "a/below 2.jpg",
            "a/below 3.jpg",
            "a/1.jpg",
            "b 2.png",
            "a,1.jpg",
            "蒲.jpg",
            "a.jpg",
            "b.jpg",
            "c.jpg",
        ] {
            std::fs::write(folder.path().join(photo), "").unwrap();
        }
        let PhotoList { classes, photos, .. } = PhotoList::read(&path).map_err(|error| error.to_string())?;
        let rows = photos.into_iter().map(|photo| {
            assert!(!photo.path.exists() || photo.path.starts_with(folder.path()), "{photo:?}");
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
    fn columns_are_told_by_headings_and_by_what_stands_in_them() {
        let wanted =
            ["a", "b", "c"].map(|name| (format!("{name}.jpg"), ["cats", "dogs"][usize::from(name == "b")]));
        for text in [
            // pandas, R, HAM10000, Kaggle, GTSRB, BIRDS
            ",image,species\n0,a.jpg,cats\n1,b.jpg,dogs\n2,c.jpg,cats\n",
            "\"\",\"image.name\",\"species\"\n\"1\",\"a.jpg\",\"cats\"\n\"2\",\"b.jpg\",\"dogs\"\n\"3\",\"c.jpg\",\"cats\"\n",
            "lesion_id,image_id,dx,age\nH1,a,cats,50\nH1,b,dogs,50\nH2,c,cats,\n",
            "id,breed\na,cats\nb,dogs\nc,cats\n",
            "Width,Height,Roi.X1,Path,Class Name\n27,26,5,.\\a.jpg,cats\n27,26,5,b.jpg,dogs\n1,1,1,C:\\x\\c.jpg,cats\n",
            "class id,filepaths,labels,data set\n0,a.jpg,cats,train\n1,b.jpg,dogs,train\n0,c.jpg,cats,train\n",
            // AutoML, Caffe
            "TRAIN,gs://bucket/a.jpg,cats\nTRAIN,gs://bucket/b.jpg,dogs\nTRAIN,gs://bucket/c.jpg,cats\n",
            "a.jpg cats\nb.jpg  dogs\n\nc.jpg\tcats\n",
            // Another column may hold anything.
            "path,label,caption\na.jpg,cats,\"\"\"Hi\"\" he said\"\nb.jpg,dogs,\nc.jpg,cats,x\n",
            // Names that lie in folders below, without headings.
            "below 1,cats\nbelow 2,dogs\nbelow 3,cats\n",
            // One-hot, JSON lines
            "filename, cats, dogs\na.jpg, 1, 0\nb.jpg, 0, 1\nc.jpg, 1, 0\n",
            "cats,dogs,name\n1.0,0.0,a\n0.0,1.0,b\n1.0,0.0,c\n",
            "{\"file_name\": \"a.jpg\", \"label\": \"cats\"}\n{\"label\": \"dogs\", \"file_name\": \"b.jpg\"}\n{\"file_name\": \"c.jpg\", \"label\": \"cats\"}\n",
        ] {
            let rows = read(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let got: Vec<_> = rows.iter().map(|(_, class, _)| class.as_str()).collect();
            assert_eq!(got, wanted.iter().map(|(_, class)| *class).collect::<Vec<_>>(), "{text:?}");
            for ((name, ..), (file, _)) in
                rows.iter().zip(&wanted).filter(|((name, ..), _)| !name.starts_with("below"))
            {
                assert!(name.ends_with(&file[..1]) || name.ends_with(file.as_str()), "{name} {file}");
            }
        }
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(folder.path().join("a.jpg"), "").unwrap();
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
            (b"a.jpg,x\nb.jpg, \"y, z\"\n", "line 2: a path, class or part begins with a quote"),
            (b"{\"path\": \"a.jpg\", \"label\": \"x\"}\n{\"path\": \"b.jpg\", \"label\": \"y\", \"split\": \"test\"}\n", "line 2: it has `split`, which the first line lacks"),
            (b"x.jpg,x\ny.jpg,y\n", "none of the 2 photos in column 1 is there: `x.jpg` is looked for as"),
            (b"image,color,kind\na.jpg,red,x\nb.jpg,blue,y\n", "image, color, kind\n  a.jpg, red, x"),
            (b"image,x,y\na.jpg,1,0\nb.jpg,1,1\n", "line 3: `x` and `y` are both 1"),
            (b"image,x,y\na.jpg,1,0\nb.jpg,0,2\n", "which column is the class is not clear"),
            (b"PK\x03\x04...", "is a ZIP archive or a workbook, not a list of photos: unpack it"),
            (b"{\"images\": [\n", "is a JSON document"),
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
