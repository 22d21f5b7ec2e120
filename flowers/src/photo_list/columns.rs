//! Which columns of a table are the photos, their classes and their parts.

use csv::StringRecord;

use super::part;
use super::places::{Places, is_photo_name};
use crate::ui;

/// Headings of each column, those that are taken first before others. In lower case, `_` for whatever is no letter or digit.
const PATHS: &[&str] = &[
    "path",
    "file_path",
    "filepath",
    "filepaths",
    "image_path",
    "img_path",
    "file",
    "filename",
    "file_name",
    "filenames",
    "image_file",
    "image_name",
    "img_name",
    "image",
    "images",
    "img",
    "photo",
    "picture",
    "image_id",
    "img_id",
    "photo_id",
    "isic_id",
    "id",
    "name",
];
const CLASSES: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "category",
    "category_name",
    "label_name",
    "target",
    "species",
    "breed",
    "variety",
    "dx",
    "diagnosis",
    "class_label",
    "classid",
    "class_id",
    "label_id",
    "category_id",
];
const PARTS: &[&str] = &["split", "part", "set", "subset", "partition", "data_set", "dataset"];
/// Headings of the numbers that programs write before each row.
const NUMBERS: &[&str] = &["", "index", "unnamed_0"];

/// Whatever folders paths have in common: they are not known yet.
const ANY: usize = usize::MAX;

/// How many lines of an unclear table are shown.
const SHOWN: usize = 3;

/// Where in a row things stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The headings, if the first row is that.
    pub headings: Option<StringRecord>,
    pub path: usize,
    pub class: ClassColumns,
    pub part: Option<usize>,
}

/// How a row tells the class.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassColumns {
    /// By its name.
    Named(usize),
    /// By a 1 in the class's own column, and 0 in the others.
    OneHot(Vec<usize>),
}

impl ClassColumns {
    /// The column of names, if there is one.
    pub fn named(&self) -> Option<usize> {
        match self {
            ClassColumns::Named(column) => Some(*column),
            ClassColumns::OneHot(_) => None,
        }
    }
}

/// Whether a heading may be that of paths, classes or parts.
pub fn is_known(heading: &str) -> bool {
    let name = normalized(heading);
    [PATHS, CLASSES, PARTS].iter().any(|known| known.contains(&&*name))
}

impl Columns {
    /// Tells the columns by their headings and by what stands in them: in the column of photos are files of `places`.
    ///
    /// # Errors
    /// In words: a table in which the class could be in several columns.
    pub fn tell(
        first: &StringRecord,
        rows: &[StringRecord],
        certain: bool,
        places: &Places,
    ) -> Result<Self, String> {
        let (first, rows): (Vec<&str>, _) = (first.iter().collect(), Sample(rows));
        let names: Vec<String> = first.iter().map(|heading| normalized(heading)).collect();
        let headed = |wanted: &[&str], fits: &dyn Fn(usize) -> bool| {
            wanted
                .iter()
                .find_map(|name| (0..names.len()).find(|column| names[*column] == *name && fits(*column)))
        };
        let (seen, deep) = rows.photos(rows.columns().max(first.len()), places);
        let most = seen.iter().copied().max().unwrap_or(0);
        let by_files = seen.iter().position(|&count| count == most && count > 0);
        let by_heading = headed(PATHS, &|column| seen[column] == most).or_else(|| headed(PATHS, &|_| true));

        // A first row of headings names no photo.
        let known = headed(CLASSES, &|_| true).is_some();
        let place = by_files.or(by_heading).unwrap_or(0);
        let is_photo = |field: &str| {
            is_photo_name(field)
                || places.find_here(field, ANY).is_some()
                || (deep && places.find(field, ANY).is_some())
        };
        let is_headings = certain
            || match first.get(place) {
                _ if by_heading.is_some() && known => true,
                Some(field) => !is_photo(field),
                None => false,
            };
        if !is_headings {
            let rows: Vec<StringRecord> =
                [StringRecord::from(first)].into_iter().chain(rows.0.iter().cloned()).collect();
            return Ok(Self::without_headings(&Sample(&rows), places));
        }
        let path = match (by_heading, by_files) {
            (Some(column), _) if seen[column] == most => column,
            (_, Some(column)) => column,
            (column, None) => column.unwrap_or(0),
        };
        let part = headed(PARTS, &|column| column != path && (rows.0.is_empty() || rows.any_part(column)));
        let free = |column: usize| column != path && Some(column) != part;
        let rest: Vec<usize> =
            (0..names.len()).filter(|&column| free(column) && !NUMBERS.contains(&&*names[column])).collect();
        let class = match (headed(CLASSES, &free), &rest[..]) {
            (Some(column), _) => ClassColumns::Named(column),
            (None, [column]) => ClassColumns::Named(*column),
            (None, rest) if rest.len() > 1 && rows.one_hot(rest) => ClassColumns::OneHot(rest.to_vec()),
            _ => return Err(unclear(&first, &rows)),
        };
        Ok(Self { headings: Some(StringRecord::from(first)), path, class, part })
    }

    fn without_headings(rows: &Sample<'_>, places: &Places) -> Self {
        let columns = rows.columns();
        let (seen, _) = rows.photos(columns, places);
        // Of equals the first, which `max_by_key` would give last.
        let path = (0..columns).rev().max_by_key(|column| seen[*column]).unwrap_or(0);
        let others = || (0..columns).filter(|column| *column != path);
        let as_third = || rows.0.first().and_then(|row| row.get(2)).and_then(part).map(|_| 2);
        let part = others().find(|column| columns > 2 && rows.all_parts(*column)).or_else(as_third);
        let class = others().find(|column| Some(*column) != part).unwrap_or(1);
        Self { headings: None, path, class: ClassColumns::Named(class), part }
    }

    /// The column as it is called in messages.
    pub fn name(&self, column: usize) -> String {
        match self.headings.as_ref().and_then(|headings| headings.get(column)) {
            Some(heading) => format!("`{}`", ui::escaped(heading)),
            None => format!("column {}", column + 1),
        }
    }

    /// What was taken for what, in words.
    pub fn told(&self) -> String {
        let class = match &self.class {
            ClassColumns::Named(column) => self.name(*column),
            ClassColumns::OneHot(columns) => format!("{} columns of 0 and 1", columns.len()),
        };
        let part = self.part.map(|column| format!(", parts in {}", self.name(column))).unwrap_or_default();
        format!("photos in {}, classes in {class}{part}", self.name(self.path))
    }
}

/// The first rows of a table.
struct Sample<'a>(&'a [StringRecord]);

impl Sample<'_> {
    fn columns(&self) -> usize {
        self.0.iter().map(StringRecord::len).max().unwrap_or(0)
    }

    fn fields(&self, column: usize) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(move |row| row.get(column))
    }

    fn count(&self, column: usize, is: impl Fn(&str) -> bool) -> usize {
        self.fields(column).filter(|field| is(field)).count()
    }

    /// How many fields of each column are photos that are there, and whether only in folders below: those are looked through where
    /// nothing else tells.
    fn photos(&self, columns: usize, places: &Places) -> (Vec<usize>, bool) {
        let seen = |find: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..columns).map(|column| self.count(column, find)).collect()
        };
        let here = seen(&|field| places.find_here(field, ANY).is_some());
        if here.iter().any(|count| *count > 0) {
            return (here, false);
        }
        (seen(&|field| places.find(field, ANY).is_some()), true)
    }

    fn any_part(&self, column: usize) -> bool {
        self.fields(column).any(|field| part(field).is_some())
    }

    fn all_parts(&self, column: usize) -> bool {
        self.count(column, |field| part(field).is_some()) == self.0.len()
    }

    /// Whether nothing but 0 and 1 stands in these columns, and a 1 in one of each row at least.
    fn one_hot(&self, columns: &[usize]) -> bool {
        !self.0.is_empty()
            && self.0.iter().all(|row| {
                let values = || columns.iter().map(|column| row.get(*column).and_then(hot));
                values().all(|value| value.is_some()) && values().any(|value| value == Some(true))
            })
    }
}

/// Whether a field of a one-hot column is 1; `None` if it is neither 0 nor 1.
pub fn hot(field: &str) -> Option<bool> {
    match field.to_lowercase().as_str() {
        "1" | "1.0" | "true" => Some(true),
        "0" | "0.0" | "false" => Some(false),
        _ => None,
    }
}

fn normalized(heading: &str) -> String {
    let plain = heading.trim_start_matches('\u{feff}').to_lowercase();
    let words: Vec<&str> =
        plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

fn unclear(first: &[&str], rows: &Sample<'_>) -> String {
    let line = |fields: &mut dyn Iterator<Item = &str>| {
        ui::escaped(&fields.collect::<Vec<_>>().join(", ")).to_string()
    };
    let lines = rows.0.iter().take(SHOWN).map(|row| format!("\n  {}", line(&mut row.iter())));
    let names = line(&mut first.iter().copied());
    format!(
        "which column is the class is not clear: call it `label`, that of the photos' paths `path`; its columns are\n  {names}{}",
        lines.collect::<String>()
    )
}
