//! Small photos and shards of them, drawn from a seed.

use std::path::{Path, PathBuf};

use floret::record::{Compression, ImageExample, ImageSchema, RecordWriter, shard_name};
use jpeg_encoder::{ColorType, Encoder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Pixels of a colored gradient with noise, RGB; another for each seed.
pub fn pixels(seed: u64, width: u16, height: u16) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (slope, base): ([u32; 3], [u32; 3]) = (rng.random(), rng.random());
    let mut pixels = Vec::new();
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            for channel in 0..3 {
                let level = base[channel] % 128 + (x * (slope[channel] % 5) + y) % 96;
                pixels.push((level + rng.random_range(0..16)) as u8);
            }
        }
    }
    pixels
}

/// A JPEG file.
pub fn jpeg(seed: u64, width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = Encoder::new(&mut file, 85);
    encoder.encode(&pixels(seed, width, height), width, height, ColorType::Rgb).unwrap();
    file
}

/// A PNG file.
pub fn png(seed: u64, width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width.into(), height.into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels(seed, width, height)).unwrap();
    file
}

/// The payload of a record with only the features that must be there.
pub fn payload(encoded: Vec<u8>, label: i64) -> Vec<u8> {
    ImageExample { encoded, label, ..ImageExample::default() }.encode(&ImageSchema::default())
}

/// The payloads of `count` photos of varied sizes, labels 1 to `classes` in turn.
pub fn payloads(count: usize, classes: usize) -> Vec<Vec<u8>> {
    let photo = |i: usize| {
        let (width, height) = (12 + (i * 7 % 13) as u16, 12 + (i * 5 % 11) as u16);
        let encoded = if i % 5 == 4 { png(i as u64, width, height) } else { jpeg(i as u64, width, height) };
        payload(encoded, (i % classes) as i64 + 1)
    };
    (0..count).map(photo).collect()
}

/// Writes payloads to shards in turn.
pub fn write_shards<P: AsRef<[u8]>>(
    folder: &Path,
    payloads: &[P],
    shards: usize,
    compression: Compression,
) -> Vec<PathBuf> {
    let write = |shard: usize| {
        let path = folder.join(shard_name("train", shard as u32, shards as u32));
        let mut writer = RecordWriter::create(&path, compression).unwrap();
        payloads.iter().skip(shard).step_by(shards).for_each(|p| writer.write(p.as_ref()).unwrap());
        writer.commit().unwrap();
        path
    };
    (0..shards).map(write).collect()
}
