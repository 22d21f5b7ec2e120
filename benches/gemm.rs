//! The matrix product by backend, on one core, at a large square and at the shapes of the reference network's layers: GFLOP/s,
//! and the share of the most that the register tile reaches with all operands in the nearest cache.
//!
//! OpenBLAS takes its kernels by the processor's name and knows not all: `OPENBLAS_CORETYPE=Haswell` or `SkylakeX` names them,
//! `FLORET_ISA=avx2` holds floret to the same; matrixmultiply takes the best there is.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floret_math::gemm::{Backend, gemm_with};
#[cfg(target_arch = "x86_64")]
use floret_math::simd::{Avx2, Avx512};
use floret_math::simd::{Isa, MatrixMut, PanelLayout, Portable, Simd, Store, multiply_tile};
use ndarray::Array2;

/// (m, k, n).
const SHAPES: [(usize, usize, usize); 4] =
    [(2048, 2048, 2048), (4096, 800, 64), (1024, 3200, 256), (65536, 75, 32)];

/// Products of the peak's measurement.
const TILES: usize = 1000;

/// Seconds of [`TILES`] products of a tile over `k` steps, and their floating-point operations.
fn tiles<S: Simd>(simd: S) -> (f64, u64) {
    let (k, mr, nr) = (256, S::TILE.0, S::TILE.1 * S::LANES);
    let (a, b, mut c) = (vec![1.0; k * mr], vec![1.0; k * nr], vec![0.0; mr * nr]);
    let started = std::time::Instant::now();
    simd.vectorize(
        #[inline(always)]
        || {
            for _ in 0..TILES {
                let c = MatrixMut::new(&mut c, mr, nr, nr);
                let layout = PanelLayout::Columns { stride: mr };
                multiply_tile(simd, k, &a, layout, &b, nr, c, Store::Overwrite);
            }
        },
    );
    (started.elapsed().as_secs_f64(), (2 * TILES * k * mr * nr) as u64)
}

/// The most GFLOP/s of one core, of several tries: a machine shared with others is not always as fast.
fn peak() -> f64 {
    let try_once = |_| {
        let (seconds, operations) = match Isa::best() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => tiles(Avx512::new().expect("the best is available")),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => tiles(Avx2::new().expect("the best is available")),
            _ => tiles(Portable::new().expect("always")),
        };
        operations as f64 / seconds / 1e9
    };
    (0..50).map(try_once).fold(0.0, f64::max)
}

fn gemm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gemm");
    for (m, k, n) in SHAPES {
        let operations = 2 * (m * k * n) as u64;
        // Elements are floating-point operations: criterion then prints GFLOP/s as "Gelem/s".
        group.throughput(Throughput::Elements(operations)).sample_size(10);
        let a = Array2::from_shape_fn((m, k), |(i, j)| ((i * 7 + j) % 11) as f32 - 5.0);
        let b = Array2::from_shape_fn((k, n), |(i, j)| ((i * 3 + j) % 13) as f32 - 6.0);
        let mut c = Array2::zeros((m, n));
        for backend in Backend::ALL {
            let id = BenchmarkId::new(format!("{backend:?}"), format!("{m}x{k}x{n}"));
            let (peak, mut rate) = (peak(), 0.0f64);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|times| {
                    let started = std::time::Instant::now();
                    for _ in 0..times {
                        gemm_with(*backend, Isa::best(), 1.0, a.view(), b.view(), 0.0, c.view_mut());
                    }
                    let took = started.elapsed().max(Duration::from_nanos(1));
                    rate = rate.max((operations * times) as f64 / took.as_secs_f64() / 1e9);
                    took
                });
            });
            println!(
                "                        at most {rate:.0} GFLOP/s, {:.0} % of {peak:.0}",
                100.0 * rate / peak
            );
        }
    }
}

criterion_group!(benches, gemm);
criterion_main!(benches);
