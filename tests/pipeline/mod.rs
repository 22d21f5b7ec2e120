//! Shards and other data sets to batches: values, order, bad records, the cache, and that none of it depends on threads or timing.

mod bad_records;
mod cache;
mod datasets;
mod held_out;
mod mixing;
mod order;
mod sizes;
mod values;

use std::path::PathBuf;

use crate::common::photos::{payloads, write_shards};
use floret::data::{Batch, Loader, LoaderOptions, Preprocess, Shuffle};
use floret::image::Augment;
use floret::record::Compression;
use ndarray::Axis;
use rayon::ThreadPoolBuilder;
use tempfile::{TempDir, tempdir};

const SIZE: usize = 10;
const CLASSES: usize = 4;
const SHUFFLES: [Shuffle; 4] = [
    Shuffle::None,
    Shuffle::Full,
    Shuffle::Buffer { capacity: 8, min_after_dequeue: 4 },
    Shuffle::Buffer { capacity: 1000, min_after_dequeue: 500 },
];

/// Shards of drawn photos, of which there are `photos`; removed with the folder.
struct Drawn {
    folder: TempDir,
    shards: Vec<PathBuf>,
}

fn drawn(photos: usize, compression: Compression) -> Drawn {
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), &payloads(photos, CLASSES), 3, compression);
    Drawn { folder, shards }
}

fn options() -> LoaderOptions {
    LoaderOptions { batch_size: 6, seed: 7, ..LoaderOptions::new(Preprocess::new(SIZE), CLASSES) }
}

fn augmented() -> LoaderOptions {
    LoaderOptions { augment: Some(Augment::standard()), source_size: SIZE + 3, ..options() }
}

/// Batches of an epoch, none of them an error.
fn batches(loader: &Loader, epoch: u64) -> Vec<Batch> {
    loader.epoch(epoch).map(|batch| batch.unwrap()).collect()
}

/// Runs `work` in a pool of so many threads.
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// The examples of an epoch without their batches: each image's bits, and its class.
fn examples(batches: &[Batch]) -> Vec<(Vec<u32>, usize)> {
    let mut examples = Vec::new();
    for Batch { images, labels, .. } in batches {
        assert_eq!(images.len_of(Axis(0)), labels.len());
        for (image, &label) in images.outer_iter().zip(labels) {
            examples.push((image.iter().map(|v| v.to_bits()).collect(), label));
        }
    }
    examples
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}
