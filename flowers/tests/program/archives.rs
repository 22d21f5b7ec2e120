//! Archives of photos, sound ones and others.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// The classes of TensorFlow's flower photos.
pub const CLASSES: [&str; 5] = ["daisy", "dandelion", "roses", "sunflowers", "tulips"];
/// Photos of each class here.
pub const PHOTOS: usize = 5;

/// A photo with pixels of its own.
pub fn jpeg(seed: u32) -> Vec<u8> {
    let pixels: Vec<u8> = (0..3 * 32 * 32u32)
        .map(|i| (i.wrapping_mul(seed.wrapping_mul(2_654_435_761) | 1) >> 13) as u8)
        .collect();
    let mut file = Vec::new();
    jpeg_encoder::Encoder::new(&mut file, 90).encode(&pixels, 32, 32, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}

/// An entry, with a name that need not be sensible.
pub fn entry(kind: EntryType, name: &[u8], link: &[u8], body: &[u8]) -> Vec<u8> {
    sized(kind, name, link, body, body.len() as u64)
}

/// The same, of a size that is only claimed.
pub fn sized(kind: EntryType, name: &[u8], link: &[u8], body: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    let padding = body.len().next_multiple_of(512) - body.len();
    [header.as_bytes(), body, &vec![0; padding]].concat()
}

pub fn file(name: &str, body: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, name.as_bytes(), b"", body)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive of these entries, behind two photos of two classes.
pub fn with(entries: &[Vec<u8>]) -> Vec<u8> {
    let photos = [file("flower_photos/daisy/1.jpg", &jpeg(1)), file("flower_photos/roses/1.jpg", &jpeg(2))];
    gzip(&[&photos.concat()[..], &entries.concat(), &[0; 1024]].concat())
}

/// An archive as TensorFlow's, with fewer photos; another for each seed.
pub fn flowers(seed: u32) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut append = |name: &str, body: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("flower_photos/{name}"), body).unwrap();
    };
    append("LICENSE.txt", b"of the photos");
    append("._LICENSE.txt", b"what macOS adds");
    for (class, name) in (0..).zip(CLASSES) {
        for number in 0..PHOTOS as u32 {
            // One so long that it has an entry of its own.
            let long = if number == 0 { "n".repeat(120) } else { String::new() };
            append(&format!("{name}/{number}{long}.jpg"), &jpeg(1000 * seed + 10 * class + number));
        }
    }
    builder.into_inner().unwrap().finish().unwrap()
}
