//! How a folder of photos is laid out: where its class folders lie, and what beside them is no class.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::ConvertError;
use super::part::Part;
use crate::files::FileError;
use crate::image::is_photo;

/// Photos beside class folders, at most: a folder with more of them is a class that holds folders.
const MOST_STRAYS: usize = 10;

/// Words for each part, alone or with [`FILLERS`]: `training_set`, `seg_train`, `Test images`.
const PART_WORDS: [(Part, &[&str]); 3] = [
    (Part::Train, &["train", "training", "trainset", "trn"]),
    (Part::Eval, &["val", "valid", "validation", "validate", "valset", "eval", "evaluation", "dev"]),
    (Part::Test, &["test", "testing", "testset", "tst"]),
];

/// Words for photos that nobody has named the class of.
const UNLABELED_WORDS: [&str; 7] =
    ["pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "unknown"];

/// Words that say nothing of the part.
const FILLERS: [&str; 14] = [
    "set", "data", "dataset", "images", "image", "imgs", "img", "photos", "pictures", "pics", "seg", "split",
    "folder", "samples",
];

/// Folders of cameras, disks, editors and archives, in lower case. Those whose names begin with a dot are hidden anyway.
const SIDECAR_FOLDERS: [&str; 9] = [
    "@eadir",
    "#recycle",
    "#snapshot",
    "__macosx",
    "__pycache__",
    "lost+found",
    "$recycle.bin",
    "system volume information",
    "found.000",
];

/// Files of cameras, disks and editors, in lower case: whole names, and ends of names.
const SIDECAR_FILES: [&str; 4] = ["desktop.ini", "thumbs.db", "ehthumbs.db", "icon\r"];
const SIDECAR_ENDS: [&str; 4] = [".xmp", ".aae", ".thm", "zone.identifier"];

/// Which folders are classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClassFolders {
    /// Those that lie in the folder of photos; what lies in folders in them is theirs.
    #[default]
    Outermost,
    /// Each that photos lie in, however deep; its name is the path to it, with `/` between folders.
    Innermost,
}

/// A folder among the photos that is no part of the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub why: WhyPassedOver,
}

/// Why a folder is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyPassedOver {
    /// A camera, a disk, an editor or an archive made it.
    Sidecar,
    /// Its photos lie in no class folders, and its name is that of a part or of photos to predict.
    Unlabeled,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            WhyPassedOver::Sidecar => "made by another program, not a class",
            WhyPassedOver::Unlabeled => {
                "its photos lie in no class folders, so they are for predictions alone"
            }
        };
        write!(f, "{}: {why}", self.path.display())
    }
}

/// Where class folders lie.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Folders that hold the class folders, each with its part if the photos are split already.
    pub roots: Vec<(Option<Part>, PathBuf)>,
    /// Folders above those, from the outermost.
    pub above: Vec<PathBuf>,
    pub passed: Vec<PassedOver>,
}

impl Layout {
    /// Looks at the names in `photos`, and at what the folders hold.
    ///
    /// A folder that holds nothing but one folder of class folders is opened. Where `train` holds class folders, and a folder for
    /// evaluation or for the test does, these are the parts; without one for evaluation that for the test is.
    pub fn of(photos: &Path, class_folders: ClassFolders) -> Result<Self, ConvertError> {
        let mut layout = Layout::default();
        let mut folder = photos.to_path_buf();
        loop {
            let listing = layout.list(&folder)?;
            let folders: Vec<Entry> = listing.into_iter().filter(|entry| entry.path.is_dir()).collect();
            if layout.add_parts(&folder, &folders)? {
                return Ok(layout);
            }
            match &folders[..] {
                [only] if class_folders == ClassFolders::Outermost && leads_to_class_folders(&only.path) => {
                    let inner = only.path.clone();
                    layout.above.push(std::mem::replace(&mut folder, inner));
                }
                _ => {
                    require_classes(&folder, &folders, class_folders)?;
                    layout.roots.push((None, folder));
                    return Ok(layout);
                }
            }
        }
    }

    fn list(&mut self, folder: &Path) -> Result<Vec<Entry>, ConvertError> {
        let listing =
            Listing::of(folder).map_err(|error| FileError::new(folder, "list the folder", error))?;
        self.passed.extend(listing.sidecars.into_iter().map(PassedOver::sidecar));
        Ok(listing.entries)
    }

    /// Adds the parts among the folders in `photos`, if that is how it is laid out.
    fn add_parts(&mut self, photos: &Path, folders: &[Entry]) -> Result<bool, ConvertError> {
        let named: Vec<_> = folders.iter().map(|entry| (entry, NameOfPart::of(&entry.os_name))).collect();
        let inner = |entry: &Entry| Some(opened(&entry.path)).filter(|path| holds_class_folders(path, 1));
        let train = named.iter().find_map(|(entry, name)| {
            name.as_ref().filter(|name| name.part == Part::Train).and_then(|name| Some((name, inner(entry)?)))
        });
        let Some((train, of_train)) = train else { return Ok(false) };
        let (mut parts, mut flat, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, name) in &named {
            let is_part = name.as_ref().filter(|name| name.others == train.others);
            match (is_part, inner(entry)) {
                _ if (is_part.is_some() || is_unlabeled(&entry.os_name)) && is_flat(&entry.path) => {
                    flat.push(entry.path.clone());
                }
                (Some(name), Some(inner)) => parts.push((name.part, inner, entry.path.clone())),
                _ => others.push(&entry.path),
            }
        }
        if parts.len() < 2 && flat.is_empty() {
            return Ok(false);
        }
        if let Some(folder) = others.first() {
            return Err(ConvertError::BesideParts { folder: folder.to_path_buf() });
        }
        self.above.push(photos.into());
        self.passed.extend(flat.into_iter().map(|path| PassedOver { path, why: WhyPassedOver::Unlabeled }));
        if parts.len() < 2 {
            self.roots.push((None, of_train));
            return Ok(true);
        }
        parts.sort_unstable();
        if let Some(same) = parts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ConvertError::SamePart(same[0].2.clone(), same[1].2.clone()));
        }
        if let [_, (part, ..)] = &mut parts[..] {
            *part = Part::Eval;
        }
        self.roots.extend(parts.into_iter().map(|(part, inner, _)| (Some(part), inner)));
        Ok(true)
    }
}

/// What a folder is called that may be a part.
#[derive(Debug, PartialEq)]
struct NameOfPart {
    part: Part,
    /// Words of the name that neither name the part nor say nothing, such as the data set's own.
    others: Vec<String>,
}

impl NameOfPart {
    /// `None` of a name without a word for a part, or with several.
    fn of(name: &OsString) -> Option<Self> {
        let words = words(name);
        let part = |word: &String| {
            PART_WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(part, _)| *part)
        };
        let mut parts = words.iter().filter_map(part);
        let (Some(of), None) = (parts.next(), parts.next()) else { return None };
        let says_more = |word: &String| part(word).is_none() && !FILLERS.contains(&word.as_str());
        Some(Self { part: of, others: words.iter().filter(|word| says_more(word)).cloned().collect() })
    }
}

/// The words of a name in lower case: `trainData` is two, and digits are none.
fn words(name: &OsString) -> Vec<String> {
    let name = name.to_string_lossy();
    let (mut words, mut last_is_lower) = (vec![String::new()], false);
    for c in name.chars() {
        if !c.is_alphabetic() || (last_is_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        last_is_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_unlabeled(name: &OsString) -> bool {
    words(name).iter().any(|word| UNLABELED_WORDS.contains(&word.as_str()))
}

/// Fails if a folder beside the others can't be meant for a class.
fn require_classes(
    photos: &Path,
    folders: &[Entry],
    class_folders: ClassFolders,
) -> Result<(), ConvertError> {
    let is_part = |entry: &Entry| NameOfPart::of(&entry.os_name).is_some_and(|name| name.others.is_empty());
    let only_parts = folders.len() > 1 && folders.iter().all(is_part);
    let names: HashSet<&OsString> = folders.iter().map(|entry| &entry.os_name).collect();
    for entry in folders {
        if only_parts || is_part(entry) && holds_class_folders(&entry.path, 2) {
            return Err(ConvertError::PartAsClass { folder: entry.path.clone() });
        }
        if class_folders != ClassFolders::Outermost || folders.len() < 3 {
            continue;
        }
        let inside = Listing::of(&entry.path).unwrap_or_default().entries;
        let is_another = |inside: &&Entry| {
            inside.os_name != entry.os_name && names.contains(&inside.os_name) && inside.path.is_dir()
        };
        let classes: Vec<_> = inside.iter().filter(is_another).collect();
        if classes.len() == folders.len() - 1 {
            let classes = classes.iter().map(|class| class.os_name.to_string_lossy().into_owned()).collect();
            let (folder, photos) = (entry.path.clone(), photos.to_path_buf());
            return Err(ConvertError::NestedCopy { folder, photos, classes });
        }
    }
    Ok(())
}

/// The folder itself, or what is in it as long as that is nothing but one folder of class folders.
fn opened(folder: &Path) -> PathBuf {
    match only_folder(folder) {
        Some(only) if leads_to_class_folders(&only) => opened(&only),
        _ => folder.into(),
    }
}

/// Whether several folders lie in it, or nothing but one of which that is true.
fn leads_to_class_folders(folder: &Path) -> bool {
    holds_class_folders(folder, 2) || only_folder(folder).is_some_and(|only| leads_to_class_folders(&only))
}

/// The one folder in it, if that and no photo is there.
fn only_folder(folder: &Path) -> Option<PathBuf> {
    let inside = Listing::of(folder).unwrap_or_default().entries;
    let mut folders = inside.iter().filter(|entry| entry.path.is_dir());
    let only = folders.next().filter(|only| !only.path.is_symlink())?.path.clone();
    (folders.next().is_none() && !is_photo_among(&inside)).then_some(only)
}

/// Whether so many folders lie in it, and few photos beside them.
fn holds_class_folders(folder: &Path, least: usize) -> bool {
    let inside = Listing::of(folder).unwrap_or_default().entries;
    let folders = inside.iter().filter(|entry| entry.path.is_dir()).count();
    // No more files are opened than decide it.
    let strays = || inside.iter().filter(|entry| is_photo(&entry.path)).take(MOST_STRAYS + 1).count();
    folders >= least && strays() <= MOST_STRAYS
}

/// Whether it holds photos and no folders, or nothing but one such folder, of its own name or one without a class.
fn is_flat(folder: &Path) -> bool {
    let inside = Listing::of(folder).unwrap_or_default().entries;
    let folders: Vec<_> = inside.iter().filter(|entry| entry.path.is_dir()).collect();
    match &folders[..] {
        [] => is_photo_among(&inside),
        [only] => {
            let is_no_class = only.path.file_name() == folder.file_name() || is_unlabeled(&only.os_name);
            is_no_class && !only.path.is_symlink() && !is_photo_among(&inside) && is_flat(&only.path)
        }
        _ => false,
    }
}

fn is_photo_among(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| is_photo(&entry.path))
}

impl PassedOver {
    pub(super) fn sidecar(path: PathBuf) -> Self {
        PassedOver { path, why: WhyPassedOver::Sidecar }
    }
}

/// A file or folder in a folder.
pub(super) struct Entry {
    pub os_name: OsString,
    pub path: PathBuf,
}

/// What a folder holds, without what is hidden and without sidecar files.
#[derive(Default)]
pub(super) struct Listing {
    /// Sorted by name.
    pub entries: Vec<Entry>,
    pub sidecars: Vec<PathBuf>,
}

impl Listing {
    pub fn of(folder: &Path) -> io::Result<Self> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let os_name = entry.file_name();
            if os_name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let name = os_name.to_string_lossy().to_lowercase();
            if SIDECAR_FOLDERS.contains(&&*name) && entry.path().is_dir() {
                listing.sidecars.push(entry.path());
            } else if !SIDECAR_FILES.contains(&&*name) && !SIDECAR_ENDS.iter().any(|end| name.ends_with(end))
            {
                listing.entries.push(Entry { os_name, path: entry.path() });
            }
        }
        listing.entries.sort_unstable_by(|a, b| a.os_name.cmp(&b.os_name));
        listing.sidecars.sort_unstable();
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_names() {
        for (name, part, others) in [
            ("train", Some(Part::Train), ""),
            ("Training_Set", Some(Part::Train), ""),
            ("seg_test", Some(Part::Test), ""),
            ("validation", Some(Part::Eval), ""),
            ("test-images 2", Some(Part::Test), ""),
            ("flowers_train", Some(Part::Train), "flowers"),
            ("test_tube", Some(Part::Test), "tube"),
            ("trainData", Some(Part::Train), ""),
            ("test1", Some(Part::Test), ""),
            ("flowersVal2", Some(Part::Eval), "flowers"),
            ("TRAIN", Some(Part::Train), ""),
            ("train_test", None, ""),
            ("trainer", None, ""),
            ("protest", None, ""),
            ("cats", None, ""),
        ] {
            let got = NameOfPart::of(&name.into());
            assert_eq!(got.as_ref().map(|name| name.part), part, "{name}");
            assert_eq!(got.map(|name| name.others.join(" ")).unwrap_or_default(), others, "{name}");
        }
    }
}
