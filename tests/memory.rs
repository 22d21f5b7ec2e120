//! Memory is bounded however much data there is.
use std::fs;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::common::photos::{jpeg, payload, write_shards};
use crate::{alone, peak};
use floret::data::{Loader, LoaderOptions, Preprocess};
use floret::image::DecodeOptions;
use floret::record::{Compression, ReaderOptions, RecordFetcher, RecordReader, RecordWriter, ShardIndex};

/// A record over and over, without an end of its own.
struct Repeated<'a> {
    record: &'a [u8],
    at: usize,
}

impl Read for Repeated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.record[self.at..]).read(buffer)?;
        self.at = (self.at + read) % self.record.len();
        Ok(read)
    }
}

fn record(payload: &[u8]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), Compression::Plain);
    writer.write(payload).unwrap();
    writer.finish().unwrap()
}

const TOTAL: u64 = 10 << 30;

#[test]
fn ten_gigabytes_pass_through_a_few_megabytes() {
    let _alone = alone();
    let long = record(&vec![7; 8 << 20]);
    let records = TOTAL / long.len() as u64;
    let before = peak();

    // As a stream, with and without readiness to search behind damage.
    for search in [false, true] {
        let stream = Repeated { record: &long, at: 0 }.take(records * long.len() as u64);
        let options = ReaderOptions { compression: Some(Compression::Plain), search, ..Default::default() };
        let mut reader = RecordReader::new(stream, "a stream", &options).unwrap();
        let (mut count, mut payload) = (0, Vec::new());
        while reader.read_into(&mut payload).unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, records);
    }
    // As a shard that is one hole but for the frames of its records: indexed, and some fetched.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    sparse_shard(&path, records);
    assert!(fs::metadata(&path).unwrap().len() > TOTAL - (8 << 20));
    let index = Arc::new(ShardIndex::open(&[&path], &ReaderOptions::default()).unwrap());
    assert_eq!(index.len() as u64, records);
    let mut fetcher = RecordFetcher::new(index);
    let mut payload = Vec::new();
    for record in (0..records as usize).rev().step_by(100) {
        fetcher.fetch(record, &mut payload).unwrap();
        assert!(payload.len() == 8 << 20 && payload.iter().all(|byte| *byte == 0));
    }
    drop(payload);
    // 8 MB of a payload, twice that while its buffer grows, the tape's copy of it.
    let grown = peak() - before;
    assert!(grown < 64 << 20, "{grown} bytes more for ten gigabytes");

    // Photos through the pipeline: what is kept decoded is the budget, whatever the number of photos and epochs.
    let photos: Vec<_> = (0..800).map(payload_of).collect();
    let shards = write_shards(folder.path(), &photos, 2, Compression::Plain);
    drop(photos);
    let before = peak();
    let budget = 8 << 20;
    let options =
        LoaderOptions { cache_bytes: budget, batch_size: 8, ..LoaderOptions::new(Preprocess::new(160), 5) };
    let loader = Loader::open(&shards, options).unwrap();
    for epoch in 0..2 {
        assert_eq!(loader.epoch(epoch).map(|batch| batch.unwrap().labels.len()).sum::<usize>(), 800);
    }
    // A batch is 2.5 MB; a few are made ahead. All decoded photos together would be 61 MB.
    let grown = peak() - before;
    assert!(grown < 32 << 20, "{grown} bytes more, with a budget of {budget}");

    // The costliest PNG files: 36 million pixels each, of 16-bit samples with opacity.
    const SIDE: u32 = 6000;
    for color in [png::ColorType::Rgba, png::ColorType::GrayscaleAlpha] {
        let bytes = deep_png(SIDE, color);
        let before = peak();
        let image = floret::image::decode(&bytes, &DecodeOptions::default()).unwrap();
        assert_eq!(image[[SIDE as usize - 1, SIDE as usize - 1, 2]], 7);
        let (grown, pixels) = (peak() - before, u64::from(SIDE * SIDE));
        assert!(grown < 5 * pixels + (8 << 20), "{grown} bytes for {pixels} pixels of {color:?}");
    }
}

/// A square PNG of samples 7 in 16 bits, written row by row.
fn deep_png(side: u32, color: png::ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut rows = writer.stream_writer().unwrap();
    let row = vec![7; side as usize * color.samples() * 2];
    (0..side).for_each(|_| rows.write_all(&row).unwrap());
    rows.finish().unwrap();
    drop(writer);
    bytes
}

fn payload_of(i: u64) -> Vec<u8> {
    payload(jpeg(i, 40, 30), 1 + i as i64 % 5)
}

/// `records` records of 8 MB of zeros, of which the file holds only the frames.
fn sparse_shard(path: &std::path::Path, records: u64) {
    use std::os::unix::fs::FileExt;
    let whole = record(&vec![0; 8 << 20]);
    let (header, footer) = (&whole[..12], &whole[whole.len() - 4..]);
    let file = fs::File::create(path).unwrap();
    for i in 0..records {
        let start = i * whole.len() as u64;
        file.write_all_at(header, start).unwrap();
        file.write_all_at(footer, start + whole.len() as u64 - 4).unwrap();
    }
}
