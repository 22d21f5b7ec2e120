//! One training step and one forward pass of the reference network, by image size and batch.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floret::models;
use floret::optim::Sgd;
use ndarray::Array4;

fn train_step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reference network");
    for (size, batch) in [(48, 64), (64, 8), (64, 64)] {
        group.throughput(Throughput::Elements(batch as u64)).sample_size(10);
        let images =
            Array4::from_shape_fn((batch, size, size, 3), |(n, y, x, c)| ((n + y * x + c) % 9) as f32 - 4.0);
        let labels: Vec<usize> = (0..batch).map(|i| i % 5).collect();
        let mut network = models::seed(size, 5, 0.0).build().expect("the reference network is sound");
        let mut optimizer = Sgd::new(1e-6);
        group.bench_function(
            BenchmarkId::new("train_step", format!("{size}x{size}, batch {batch}")),
            |bencher| {
                bencher.iter(|| {
                    network.train_step(images.view(), &labels, &mut optimizer).expect("the batch fits")
                });
            },
        );
        group.bench_function(
            BenchmarkId::new("forward", format!("{size}x{size}, batch {batch}")),
            |bencher| {
                bencher.iter(|| network.forward(images.view()).expect("the batch fits"));
            },
        );
    }
}

criterion_group!(benches, train_step);
criterion_main!(benches);
