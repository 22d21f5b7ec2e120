//! The photos of a folder: found, checked and made records of.

use std::collections::HashSet;
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
        let mut found = Self::default();
        let entries = entries(photos).map_err(|error| FileError::new(photos, "list the folder", error))?;
        for Entry { os_name, path, .. } in entries {
            if path.is_dir() {
                let Some(class) = os_name.to_str().filter(|name| classes::is_a_line(name)) else {
                    return Err(ConvertError::ClassName { folder: path });
                };
                found.classes.push(class.to_owned());
                found.search_folder(&path, "", &mut HashSet::new());
            } else if is_photo(&path) {
                // Other files here, such as a licence, are nobody's photo; this one would be missed.
                found.bad.push(BadPhoto { path, fault: PhotoFault::NoClass });
            }
        }
        Ok(found)
    }

    /// Looks through a folder of the last class, whose path within the class folder is `within`. `seen` holds the real
    /// paths of the folders gone through: a link may lead back to one of them.
    fn search_folder(&mut self, folder: &Path, within: &str, seen: &mut HashSet<PathBuf>) {
        let listed = fs::canonicalize(folder).and_then(|real| {
            let first = seen.insert(real);
            if first { entries(folder) } else { Ok(Vec::new()) }
        });
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => return self.bad.push(unreadable(folder.into(), error)),
        };
        for Entry { os_name, path } in entries {
            let name = format!("{within}{}", os_name.to_string_lossy());
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.search_folder(&path, &format!("{name}/"), seen),
                Ok(metadata) if metadata.is_file() => {
                    self.files.push(FoundFile { class: self.classes.len() - 1, name, path });
                }
                Ok(_) => self.bad.push(BadPhoto { path, fault: PhotoError::NotAFile.into() }),
                Err(error) => self.bad.push(unreadable(path, error)),
            }
        }
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
