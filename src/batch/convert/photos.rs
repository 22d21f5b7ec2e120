//! The photos of a folder: found, checked and made records of.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{BadPhoto, ConvertError, PhotoFault};
use crate::atomic_file::FileError;
use crate::batch::classes;
use crate::image::{DecodeOptions, Format, PhotoError, decode, is_photo, read_header, read_photo};
use crate::record::ImageExample;
use crate::record::crc::masked_crc32c;

/// A file in a class folder.
#[derive(Debug)]
pub(super) struct FoundFile {
    /// The number of its class, from 0.
    pub class: usize,
    /// Its path within the class folder, with `/` between folders.
    pub name: String,
    pub path: PathBuf,
}

/// What a folder of class folders holds.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    /// Class names, sorted.
    pub classes: Vec<String>,
    /// Files that may be photos, sorted by class and name.
    pub files: Vec<FoundFile>,
    /// Files and folders that can't be.
    pub bad: Vec<BadPhoto>,
}

impl FoundFiles {
    /// Looks through the class folders of `photos` and the folders in them. Hidden files and folders are passed over.
    pub fn search(photos: &Path) -> Result<Self, ConvertError> {
        let failed = |error| FileError::new(photos, "list the folder", error);
        let real = fs::canonicalize(photos).map_err(failed)?;
        let mut search = Search::beginning_at(&real);
        for Entry { os_name, path } in entries(photos).map_err(failed)? {
            if path.is_dir() {
                let Some(class) = os_name.to_str().filter(|name| classes::is_a_line(name)) else {
                    return Err(ConvertError::ClassName { folder: path });
                };
                search.found.classes.push(class.to_owned());
                search.add(Folder { class: search.found.classes.len() - 1, within: String::new(), path });
            } else if is_photo(&path) {
                // Other files here, such as a licence, are nobody's photo; this one would be missed.
                search.found.bad.push(BadPhoto { path, fault: PhotoFault::NoClass });
            }
        }
        Ok(search.finish())
    }
}

/// A folder to look through.
struct Folder {
    class: usize,
    /// Its path within the class folder, with a `/` behind each folder.
    within: String,
    path: PathBuf,
}

/// Looks through folders, each once: a link may lead to one that has its photos in another class, or around in circles.
///
/// Links come last, so that it is never a folder of its own that was gone through already.
struct Search {
    found: FoundFiles,
    /// The real paths of the folders gone through, and of those that all of them lie in.
    seen: HashSet<PathBuf>,
    folders: VecDeque<Folder>,
    links: VecDeque<Folder>,
}

impl Search {
    fn beginning_at(real: &Path) -> Self {
        let seen = real.ancestors().map(Path::to_path_buf).collect();
        Self { found: FoundFiles::default(), seen, folders: VecDeque::new(), links: VecDeque::new() }
    }

    fn add(&mut self, folder: Folder) {
        let list = if folder.path.is_symlink() { &mut self.links } else { &mut self.folders };
        list.push_back(folder);
    }

    fn finish(mut self) -> FoundFiles {
        while let Some(folder) = self.folders.pop_front().or_else(|| self.links.pop_front()) {
            if let Err(error) = self.look_through(&folder) {
                self.found.bad.push(unreadable(folder.path, error));
            }
        }
        self.found.files.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
        self.found
    }

    fn look_through(&mut self, folder: &Folder) -> io::Result<()> {
        if !self.seen.insert(fs::canonicalize(&folder.path)?) {
            let path = folder.path.clone();
            self.found.bad.push(BadPhoto { path, fault: PhotoFault::SeenFolder });
            return Ok(());
        }
        for Entry { os_name, path } in entries(&folder.path)? {
            let (class, name) = (folder.class, format!("{}{}", folder.within, os_name.to_string_lossy()));
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    self.add(Folder { class, within: format!("{name}/"), path });
                }
                Ok(metadata) if metadata.is_file() => self.found.files.push(FoundFile { class, name, path }),
                Ok(_) => self.found.bad.push(BadPhoto { path, fault: PhotoError::NotAFile.into() }),
                Err(error) => self.found.bad.push(unreadable(path, error)),
            }
        }
        Ok(())
    }
}

fn unreadable(path: PathBuf, error: io::Error) -> BadPhoto {
    BadPhoto { path, fault: PhotoError::from(error).into() }
}

struct Entry {
    os_name: OsString,
    path: PathBuf,
}

/// What a folder holds, sorted by name, without what is hidden.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let os_name = entry.file_name();
        if !os_name.as_encoded_bytes().starts_with(b".") {
            entries.push(Entry { os_name, path: entry.path() });
        }
    }
    entries.sort_by(|a, b| a.os_name.cmp(&b.os_name));
    Ok(entries)
}

/// A photo that was read and decoded.
#[derive(Debug)]
pub(super) struct Photo {
    pub file: FoundFile,
    pub bytes: u64,
    crc: u32,
    format: Format,
    height: usize,
    width: usize,
}

impl Photo {
    /// Reads a file and decodes it, so that no photo gets into a record that training could not use.
    pub fn check(file: FoundFile, options: &DecodeOptions) -> Result<Self, BadPhoto> {
        let checked = read_photo(&file.path).and_then(|encoded| {
            let header = read_header(&encoded)?;
            decode(&encoded, &DecodeOptions { shrink_to: None, ..*options })?;
            Ok((encoded.len() as u64, masked_crc32c(&encoded), header))
        });
        match checked {
            Ok((bytes, crc, header)) => {
                let (format, height, width) = (header.format, header.height, header.width);
                Ok(Photo { file, bytes, crc, format, height, width })
            }
            Err(error) => Err(BadPhoto { path: file.path, fault: error.into() }),
        }
    }

    /// The photo's example, from the file as it is now, which must be what was checked.
    ///
    /// Colour space and channels are those of the decoded image, as in TensorFlow's data sets.
    pub fn example(&self, class_name: &str) -> Result<ImageExample, ConvertError> {
        let FoundFile { class, name, path } = &self.file;
        let encoded = match read_photo(path) {
            Ok(encoded) => encoded,
            Err(PhotoError::Io(error)) => return Err(FileError::new(path, "read", error).into()),
            Err(_) => return Err(ConvertError::Changed(path.clone())),
        };
        if masked_crc32c(&encoded) != self.crc {
            return Err(ConvertError::Changed(path.clone()));
        }
        Ok(ImageExample {
            encoded,
            label: *class as i64 + 1,
            class_text: Some(class_name.to_owned()),
            filename: Some(name.clone()),
            height: Some(self.height as i64),
            width: Some(self.width as i64),
            format: Some(self.format.to_string()),
            colorspace: Some("RGB".to_owned()),
            channels: Some(3),
        })
    }
}
