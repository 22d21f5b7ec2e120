//! The matrix product by backend, on one core, at a large square and at the shapes of the reference network's layers.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floret::math::gemm::{Backend, gemm_with};
use ndarray::Array2;

/// (m, k, n).
const SHAPES: [(usize, usize, usize); 4] =
    [(2048, 2048, 2048), (4096, 800, 64), (1024, 3200, 256), (65536, 75, 32)];

fn gemm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gemm");
    for (m, k, n) in SHAPES {
        // Elements are floating-point operations: criterion then prints GFLOP/s as "Gelem/s".
        group.throughput(Throughput::Elements(2 * (m * k * n) as u64)).sample_size(10);
        let a = Array2::from_shape_fn((m, k), |(i, j)| ((i * 7 + j) % 11) as f32 - 5.0);
        let b = Array2::from_shape_fn((k, n), |(i, j)| ((i * 3 + j) % 13) as f32 - 6.0);
        let mut c = Array2::zeros((m, n));
        for backend in Backend::ALL {
            let id = BenchmarkId::new(format!("{backend:?}"), format!("{m}x{k}x{n}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| gemm_with(*backend, 1.0, a.view(), b.view(), 0.0, c.view_mut()));
            });
        }
    }
}

criterion_group!(benches, gemm);
criterion_main!(benches);
