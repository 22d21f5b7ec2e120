//! Photos a second from TFRecord files to standardized batches: cropped, resized, and from the cache. The photos are drawn, of
//! the size of small web photos.

#[path = "../tests/common/photos.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod photos;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floret::data::{Loader, LoaderOptions, Preprocess};
use floret::image::Fit;
use floret::record::Compression;

const PHOTOS: u64 = 256;
const CLASSES: usize = 5;

fn pipeline(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let payload = |i: u64| photos::payload(photos::jpeg(i, 320, 240), (i % CLASSES as u64) as i64 + 1);
    let payloads: Vec<Vec<u8>> = (0..PHOTOS).map(payload).collect();
    let shards = photos::write_shards(folder.path(), &payloads, 2, Compression::Plain);

    let mut group = criterion.benchmark_group("pipeline, 320x240 to 64x64");
    group.throughput(Throughput::Elements(PHOTOS)).sample_size(10);
    for (name, fit, cache_bytes) in
        [("crop", Fit::Crop, 0), ("resize", Fit::Resize, 0), ("cached", Fit::Crop, u64::MAX)]
    {
        let preprocess = Preprocess::new(64).fit(fit);
        let options = LoaderOptions { cache_bytes, ..LoaderOptions::new(preprocess, CLASSES) };
        let loader = Loader::open(&shards, options).expect("the shards just written");
        let mut epoch = 0;
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                epoch += 1;
                loader.epoch(epoch).map(|batch| batch.expect("a sound batch").labels.len()).sum::<usize>()
            });
        });
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
