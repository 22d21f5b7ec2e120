//! Where the photos of a list lie.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a list may leave out behind a name.
const EXTENSIONS: [&str; 8] = ["", "jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "jpe"];

/// The most files that are looked through for one of a name.
const MOST_FILES: usize = 2_000_000;

/// The files around a list.
pub struct Places {
    folder: PathBuf,
    /// The files in all folders below it by their names, with extension and without; `None` for several of one name.
    below: OnceCell<HashMap<String, Option<PathBuf>>>,
}

impl Places {
    /// Those of a list in this folder.
    pub fn around(folder: &Path) -> Self {
        Self { folder: folder.into(), below: OnceCell::new() }
    }

    /// The file that a list calls so; `None` if there is none.
    ///
    /// That is, from the list's folder on: the path as it stands; with `/` for Windows' `\`; with an extension behind it; of a path
    /// from the root of some disk, the longest end that is there. A bare name is looked for in the folders below, too: it must be
    /// the only one.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.find_here(name).or_else(|| {
            let name = name
                .rsplit(['/', '\\'])
                .next()
                .filter(|_| is_from_a_root(name) || !name.contains(['/', '\\']))?;
            self.below().get(name).cloned().flatten()
        })
    }

    /// The same without the folders below, which takes no time.
    pub fn find_here(&self, name: &str) -> Option<PathBuf> {
        if name.is_empty() {
            return None;
        }
        let there = |path: &str| {
            let path = self.folder.join(path);
            path.is_file().then_some(path)
        };
        if let Some(path) = there(name) {
            return Some(path);
        }
        let slashes = name.replace('\\', "/");
        let path = slashes.trim_start_matches("./");
        let from_a_root = is_from_a_root(&slashes);
        let mut rest = if from_a_root { path.trim_start_matches('/') } else { path };
        loop {
            let found = EXTENSIONS.iter().find_map(|extension| match *extension {
                "" => there(rest),
                extension => there(&format!("{rest}.{extension}")),
            });
            match rest.split_once('/') {
                _ if found.is_some() => return found,
                Some((_, after)) if from_a_root => rest = after,
                _ => return None,
            }
        }
    }

    /// Where a photo is looked for that is not there.
    pub fn wanted(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn below(&self) -> &HashMap<String, Option<PathBuf>> {
        self.below.get_or_init(|| {
            let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
            let (mut files, mut folders, mut count) = (HashMap::new(), vec![folder.to_path_buf()], 0);
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                    let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                    if name.starts_with('.') {
                        continue;
                    }
                    // Links to folders are left alone: they may lead in circles.
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        folders.push(path);
                        continue;
                    }
                    count += 1;
                    if count > MOST_FILES {
                        return files;
                    }
                    let stem = name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
                    for key in [Some(name), stem].into_iter().flatten() {
                        files
                            .entry(key)
                            .and_modify(|known| *known = None)
                            .or_insert_with(|| Some(path.clone()));
                    }
                }
            }
            files
        })
    }
}

/// Whether a path begins at the root of a disk, a bucket or the like.
fn is_from_a_root(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files_as_people_write_them() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        for file in ["train/a.jpg", "train/more/b.PNG", "c.d.jpeg", "x/twin.jpg", "y/twin.jpg"] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let places = Places::around(folder);
        for (name, wanted) in [
            ("train/a.jpg", Some("train/a.jpg")),
            (".\\train\\a.jpg", Some("train/a.jpg")),
            ("train/a", Some("train/a.jpg")),
            ("c.d", Some("c.d.jpeg")),
            ("b", Some("train/more/b.PNG")),
            ("a.jpg", Some("train/a.jpg")),
            ("/kaggle/input/set/train/a.jpg", Some("train/a.jpg")),
            ("C:\\photos\\train\\a.jpg", Some("train/a.jpg")),
            ("gs://bucket/train/more/b.PNG", Some("train/more/b.PNG")),
            // Another folder's photo of the same name is another photo.
            ("test/a.jpg", None),
            ("twin", None),
            ("", None),
            ("nothing", None),
        ] {
            assert_eq!(places.find(name), wanted.map(|wanted| folder.join(wanted)), "{name}");
        }
    }
}
