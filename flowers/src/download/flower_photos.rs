//! TensorFlow's flower photos: where they are, and what must come from there.

use std::path::Path;

use floret::image::{self, Format};

use crate::Result;
use crate::folder::Folder;
use crate::ui;

/// By plain HTTP, as TensorFlow Datasets fetches it too: [`SHA256`] tells whether it is what it should be. TLS would need a
/// dozen crates more, among them one of C and assembly, which not every machine with Rust can compile.
pub const ADDRESS: &str =
    "http://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz";

/// The archive's size.
pub const BYTES: u64 = 228_813_984;

/// The archive's SHA-256, as TensorFlow Datasets lists it.
pub const SHA256: &str = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c";

/// The JPEG files of each class: 3,670.
pub const CLASSES: [(&str, usize); 5] =
    [("daisy", 633), ("dandelion", 898), ("roses", 641), ("sunflowers", 699), ("tulips", 799)];

/// Fails unless the folder holds these classes with so many JPEG files each, and no other folder. `go_on` is asked before
/// each file.
pub fn check(photos: &Path, classes: &[(&str, usize)], go_on: impl Fn() -> Result<()>) -> Result<()> {
    let found = Folder::list(photos)?;
    let names: Vec<_> = found.folders.iter().filter_map(|folder| folder.file_name()?.to_str()).collect();
    let wanted: Vec<_> = classes.iter().map(|(class, _)| *class).collect();
    if names != wanted {
        let names: Vec<String> = names.into_iter().map(String::from).collect();
        return Err(wrong(photos, &format!("it has the folders {}", ui::names(&names))));
    }
    for ((class, count), folder) in classes.iter().zip(&found.folders) {
        let inside = Folder::list(folder)?;
        if inside.files.len() != *count {
            let files = ui::count(inside.files.len(), "file");
            return Err(wrong(photos, &format!("{class} has {files}, not {count}")));
        }
        for file in &inside.files {
            go_on()?;
            let header = image::read_photo(file).and_then(|bytes| Ok(image::read_header(&bytes)?));
            match header {
                Ok(header) if header.format == Format::Jpeg => {}
                Ok(_) => return Err(wrong(file, "it is no JPEG file")),
                Err(error) => return Err(wrong(file, &error.to_string())),
            }
        }
    }
    Ok(())
}

fn wrong(path: &Path, what: &str) -> crate::Error {
    format!(
        "{} is not as in TensorFlow's flower photos: {what}; convert the photos as they are with \
         `flowers convert`, or remove their folder and download them again",
        ui::path(path)
    )
    .into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_photos_are_3670() {
        assert_eq!(CLASSES.iter().map(|(_, photos)| photos).sum::<usize>(), 3670);
        assert!(CLASSES.is_sorted(), "folders are compared in this order");
        assert_eq!(SHA256.len(), 64);
    }

    #[test]
    fn folders_counts_and_headers_are_checked() {
        let temporary = tempfile::tempdir().unwrap();
        let photos = temporary.path();
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
        encoder.encode(&[7; 3 * 64], 8, 8, jpeg_encoder::ColorType::Rgb).unwrap();
        for file in ["a/1.jpg", "a/2.jpg", "b/1.jpg", "LICENSE.txt"] {
            fs::create_dir_all(photos.join(file).parent().unwrap()).unwrap();
            fs::write(photos.join(file), &jpeg).unwrap();
        }
        let message = |classes: &[(&str, usize)]| check(photos, classes, || Ok(())).unwrap_err().to_string();
        let classes = [("a", 2), ("b", 1)];
        check(photos, &classes, || Ok(())).unwrap();
        assert!(message(&[("a", 2)]).contains("it has the folders a, b"));
        assert!(message(&[("a", 2), ("c", 1)]).contains("it has the folders a, b"));
        assert!(message(&[("a", 3), ("b", 1)]).contains("a has 2 files, not 3"));
        fs::write(photos.join("b/1.jpg"), &jpeg[..40]).unwrap();
        assert!(message(&classes).contains("b/1.jpg is not as"));
        fs::write(photos.join("b/1.jpg"), "<html>").unwrap();
        assert!(message(&classes).contains("not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF)"));
        let stopped = check(photos, &classes, || Err("stopped".into())).unwrap_err();
        assert_eq!(stopped.to_string(), "stopped");
    }
}
