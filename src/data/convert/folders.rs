//! The files of a folder of photos, and their classes.
//!
//! ```text
//! PHOTOS/cats/1.jpg           PHOTOS/train/cats/1.jpg          PHOTOS/cats/siamese/1.jpg
//! PHOTOS/cats/siamese/2.jpg   PHOTOS/val/cats/2.jpg            PHOTOS/dogs/2.jpg
//! PHOTOS/dogs/3.jpg           PHOTOS/val/dogs/3.jpg            classes cats/siamese and dogs,
//! classes cats and dogs       the same, split as it is         with ClassFolders::Innermost
//! ```
//!
//! `layout.rs` tells which it is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{BadPhoto, ConvertError, PhotoFault};
use super::layout::{ClassFolders, Entry, Layout, Listing, PassedOver};
use super::part::Part;
use super::photos::FoundFile;
use crate::data::classes;
use crate::files::FileError;
use crate::image::{PhotoError, is_photo};

/// What a folder of class folders holds.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    /// Class names, sorted.
    pub classes: Vec<String>,
    /// Files that may be photos, sorted by part, class and name.
    pub files: Vec<FoundFile>,
    /// Files and folders that can't be.
    pub bad: Vec<BadPhoto>,
    /// The folders whose folders are the classes, or the one whose innermost folders are.
    pub roots: Vec<PathBuf>,
    /// Folders that are no part of the data set.
    pub passed: Vec<PassedOver>,
}

impl FoundFiles {
    /// Looks through the class folders of `photos`, or of the parts in it, and the folders in them. Hidden files and folders are
    /// passed over.
    pub fn search(photos: &Path, class_folders: ClassFolders) -> Result<Self, ConvertError> {
        let failed = |error| FileError::new(photos, "list the folder", error);
        let real = fs::canonicalize(photos).map_err(failed)?;
        let mut search = Search::beginning_at(&real, class_folders);
        let layout = Layout::of(photos, class_folders)?;
        search.found.passed = layout.passed;
        for folder in &layout.above {
            let inside = search.list(folder)?;
            search.add_strays(&inside);
        }
        for (part, folder) in &layout.roots {
            // Gone through here, so that no link leads to it again.
            let real = fs::canonicalize(folder).map_err(|error| FileError::new(folder, "open", error))?;
            search.seen.insert(real);
            search.add_classes(folder, *part)?;
            search.found.roots.push(folder.clone());
        }
        search.finish(&layout.roots)
    }
}

/// A folder to look through.
struct Folder {
    /// The number of its class; none above the classes.
    class: Option<usize>,
    part: Option<Part>,
    /// Its path from where class names begin, with a `/` behind each folder.
    within: String,
    path: PathBuf,
}

/// Looks through folders, each once: a link may lead to one that has its photos in another class, or around in circles.
///
/// Links come last, so that it is never a folder of its own that was gone through already.
struct Search {
    found: FoundFiles,
    class_folders: ClassFolders,
    /// The number of each class, for the time being.
    numbers: HashMap<String, usize>,
    /// The classes of each part, by their numbers.
    of_part: HashSet<(Option<Part>, usize)>,
    /// The real paths of the folders gone through, and of those that all of them lie in.
    seen: HashSet<PathBuf>,
    folders: VecDeque<Folder>,
    links: VecDeque<Folder>,
}

impl Search {
    fn beginning_at(real: &Path, class_folders: ClassFolders) -> Self {
        let seen = real.ancestors().map(Path::to_path_buf).collect();
        Self {
            found: FoundFiles::default(),
            class_folders,
            numbers: HashMap::new(),
            of_part: HashSet::new(),
            seen,
            folders: VecDeque::new(),
            links: VecDeque::new(),
        }
    }

    /// What a folder of class folders, or of parts, holds. What is passed over in it the layout may know already.
    fn list(&mut self, folder: &Path) -> Result<Vec<Entry>, ConvertError> {
        let listing =
            Listing::of(folder).map_err(|error| FileError::new(folder, "list the folder", error))?;
        for passed in listing.sidecars.into_iter().map(PassedOver::sidecar) {
            if !self.found.passed.contains(&passed) {
                self.found.passed.push(passed);
            }
        }
        Ok(listing.entries)
    }

    /// Adds the folders in `photos`.
    fn add_classes(&mut self, photos: &Path, part: Option<Part>) -> Result<(), ConvertError> {
        let inside = self.list(photos)?;
        self.add_strays(&inside);
        for Entry { os_name, path } in inside {
            if path.is_dir() {
                let folder = match self.class_folders {
                    ClassFolders::Outermost => {
                        let class = Some(self.class(os_name.to_str(), part, &path)?);
                        Folder { class, part, within: String::new(), path }
                    }
                    ClassFolders::Innermost => {
                        let within = format!("{}/", os_name.to_string_lossy());
                        Folder { class: None, part, within, path }
                    }
                };
                self.add(folder);
            }
        }
        Ok(())
    }

    /// Sets aside the photos that lie beside class folders. Other files there, such as a license, are nobody's photo.
    fn add_strays(&mut self, inside: &[Entry]) {
        let strays = inside.iter().filter(|entry| is_photo(&entry.path));
        self.found
            .bad
            .extend(strays.map(|entry| BadPhoto { path: entry.path.clone(), fault: PhotoFault::NoClass }));
    }

    /// The number of a class, for the time being: the place of its first folder.
    fn class(&mut self, name: Option<&str>, part: Option<Part>, path: &Path) -> Result<usize, ConvertError> {
        let Some(name) = name.filter(|name| classes::is_a_line(name)) else {
            return Err(ConvertError::ClassName { folder: path.into() });
        };
        let class = self.numbers.get(name).copied().unwrap_or_else(|| {
            self.found.classes.push(name.to_owned());
            self.found.classes.len() - 1
        });
        self.numbers.insert(name.to_owned(), class);
        self.of_part.insert((part, class));
        Ok(class)
    }

    fn add(&mut self, folder: Folder) {
        let list = if folder.path.is_symlink() { &mut self.links } else { &mut self.folders };
        list.push_back(folder);
    }

    fn finish(mut self, parts: &[(Option<Part>, PathBuf)]) -> Result<FoundFiles, ConvertError> {
        while let Some(folder) = self.folders.pop_front().or_else(|| self.links.pop_front()) {
            self.look_through(folder)?;
        }
        self.require_same_classes(parts)?;
        let mut found = self.found;
        let mut classes = found.classes.clone();
        classes.sort_unstable();
        let place = |name: &String| classes.partition_point(|other| other < name);
        let places: Vec<usize> = found.classes.iter().map(place).collect();
        found.files.iter_mut().for_each(|file| file.class = places[file.class]);
        found.classes = classes;
        found.files.sort_unstable_by(|a, b| (a.part, a.class, &a.path).cmp(&(b.part, b.class, &b.path)));
        Ok(found)
    }

    fn look_through(&mut self, folder: Folder) -> Result<(), ConvertError> {
        let listed = fs::canonicalize(&folder.path).and_then(|real| {
            if !self.seen.insert(real) {
                return Ok(None);
            }
            Listing::of(&folder.path).map(Some)
        });
        let inside = match listed {
            Ok(Some(Listing { entries, sidecars })) => {
                self.found.passed.extend(sidecars.into_iter().map(PassedOver::sidecar));
                entries
            }
            Ok(None) => {
                self.found.bad.push(BadPhoto { path: folder.path, fault: PhotoFault::SeenFolder });
                return Ok(());
            }
            Err(error) => {
                self.found.bad.push(unreadable(folder.path, error));
                return Ok(());
            }
        };
        let Folder { class, part, within, path: own_path } = folder;
        let innermost = self.class_folders == ClassFolders::Innermost;
        let class = match class {
            None if innermost && inside.iter().any(|entry| is_photo(&entry.path)) => {
                // The character that stands for what is not UTF-8 would make one class of several.
                let name =
                    within.strip_suffix('/').filter(|name| !name.contains(char::REPLACEMENT_CHARACTER));
                Some(self.class(name, part, &own_path)?)
            }
            class => class,
        };
        for Entry { os_name, path } in inside {
            let os_name = os_name.to_string_lossy();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    let class = class.filter(|_| !innermost);
                    self.add(Folder { class, part, within: format!("{within}{os_name}/"), path });
                }
                Ok(metadata) if metadata.is_file() => {
                    let name = if innermost { os_name.into_owned() } else { format!("{within}{os_name}") };
                    // Without a class it is no photo, but a note beside the folders of classes.
                    let file = class.map(|class| FoundFile { class, name, path, part });
                    self.found.files.extend(file);
                }
                Ok(_) => self.found.bad.push(BadPhoto { path, fault: PhotoError::NotAFile.into() }),
                Err(error) => self.found.bad.push(unreadable(path, error)),
            }
        }
        Ok(())
    }

    /// Fails unless all parts have the same classes.
    fn require_same_classes(&self, parts: &[(Option<Part>, PathBuf)]) -> Result<(), ConvertError> {
        let Some(((first, other), rest)) = parts.split_first() else { return Ok(()) };
        let only_in = |part: Option<Part>, other: Option<Part>| -> Vec<String> {
            let own = self.of_part.iter().filter(|(of, _)| *of == part);
            let only = own.filter(|(_, class)| !self.of_part.contains(&(other, *class)));
            let mut names: Vec<String> = only.map(|(_, class)| self.found.classes[*class].clone()).collect();
            names.sort_unstable();
            names
        };
        for (part, folder) in rest {
            let (missing, more) = (only_in(*first, *part), only_in(*part, *first));
            if !(missing.is_empty() && more.is_empty()) {
                let (folder, other) = (folder.clone(), other.clone());
                return Err(ConvertError::ClassesDiffer { folder, other, missing, more });
            }
        }
        Ok(())
    }
}

fn unreadable(path: PathBuf, error: io::Error) -> BadPhoto {
    BadPhoto { path, fault: PhotoError::from(error).into() }
}
