//! Where the photos of a list lie.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use floret::image::EXTENSIONS;

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
    /// from the root of some disk, the longest end that is there, without so many of its `foreign` folders at most (another machine's,
    /// which the paths of the list have in common). A bare name is looked for in the folders below, too: it must be the only one.
    pub fn find(&self, name: &str, foreign: usize) -> Option<PathBuf> {
        self.find_here(name, foreign).or_else(|| {
            let slashes = name.replace('\\', "/");
            let least = ends(&slashes, foreign).last()?;
            self.below().get(least).filter(|_| !least.contains('/')).cloned().flatten()
        })
    }

    /// The same without the folders below, which takes no time.
    pub fn find_here(&self, name: &str, foreign: usize) -> Option<PathBuf> {
        let there = |path: &str| {
            let path = self.folder.join(path);
            path.is_file().then_some(path)
        };
        if let Some(path) = there(name) {
            return Some(path);
        }
        let slashes = name.replace('\\', "/");
        // A list may leave the extension out.
        let with_extension = |end: &str| {
            let both = |extension: &&str| [extension.to_string(), extension.to_uppercase()];
            EXTENSIONS.iter().flat_map(both).find_map(|extension| there(&format!("{end}.{extension}")))
        };
        ends(&slashes, foreign).find_map(|end| there(end).or_else(|| with_extension(end)))
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
                        // Which names are the only ones is not known then.
                        return HashMap::new();
                    }
                    let stem = name.rsplit_once('.').filter(|_| is_photo_name(&name));
                    let stem = stem.map(|(stem, _)| stem.to_owned());
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

/// Whether this name has the extension of a photo.
pub fn is_photo_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

/// What a path may mean from another folder on, the longest first: itself, or without up to `foreign` folders if it begins at a root.
fn ends(path: &str, foreign: usize) -> impl Iterator<Item = &str> {
    let foreign = if is_from_a_root(path) { foreign } else { 0 };
    let path = path.trim_start_matches("./").trim_start_matches('/');
    fn after<'a>(end: &&'a str) -> Option<&'a str> {
        end.split_once('/').map(|(_, after)| after.trim_start_matches('/'))
    }
    let all = std::iter::successors(Some(path), after);
    all.take(foreign.saturating_add(1)).filter(|end| !end.is_empty())
}

/// Whether a path begins at the root of a disk, a bucket or the like.
fn is_from_a_root(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.contains(':')
}

/// How many folders the paths that begin at a root have in common.
pub fn common_folders<'a>(paths: impl Iterator<Item = &'a str>) -> usize {
    let folders = |path: &str| -> Vec<String> {
        let slashes = path.replace('\\', "/");
        let parts: Vec<String> =
            slashes.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        parts[..parts.len().saturating_sub(1)].to_vec()
    };
    let rooted = paths.filter(|path| is_from_a_root(path)).map(folders);
    let common = rooted.reduce(|mut common, path| {
        common.truncate(common.iter().zip(&path).take_while(|(a, b)| a == b).count());
        common
    });
    common.map_or(0, |common| common.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files_as_people_write_them() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        for file in
            ["train/a.jpg", "train/more/b.PNG", "train/more/b.xml", "c.d.jpeg", "x/twin.jpg", "y/twin.jpg"]
        {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let places = Places::around(folder);
        let foreign =
            common_folders(["/kaggle/input/set/train/a.jpg", "/kaggle/input/set/test/a.jpg"].into_iter());
        assert_eq!(foreign, 3);
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
            ("/kaggle/input/set/test/a.jpg", None),
        ] {
            assert_eq!(places.find(name, foreign), wanted.map(|wanted| folder.join(wanted)), "{name}");
        }
    }
}
