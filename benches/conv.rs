//! Each pass of the convolutions of the reference network and of 3x3 layers, by algorithm; GFLOP/s as a direct convolution
//! counts them. `RAYON_NUM_THREADS=1` for one thread.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floret_math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue};
use floret_math::simd::Isa;
use floret_math::window::{Padding, Window};

/// Side of the image, channels in and out, side of the kernel.
const LAYERS: &[(usize, usize, usize, usize)] = &[
    (64, 3, 32, 5),
    (32, 32, 64, 5),
    (16, 64, 128, 5),
    (8, 128, 256, 5),
    (4, 256, 256, 5),
    (64, 64, 64, 3),
    (32, 128, 128, 3),
    (16, 256, 256, 3),
];
const BATCH: usize = 64;

fn conv(criterion: &mut Criterion) {
    for &(side, cin, cout, kernel) in LAYERS {
        let window = Window::new((side, side), (kernel, kernel), (1, 1), (1, 1), Padding::Same)
            .expect("a window that fits");
        let shape = ConvShape { window, cin, cout };
        let name = format!("{side}x{side}x{cin} -> {cout}, {kernel}x{kernel}");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(2 * BATCH as u64 * shape.multiply_adds())).sample_size(10);
        for algorithm in [ConvAlgorithm::Auto, ConvAlgorithm::Im2col] {
            let plan = ConvPlan::new(Isa::best(), shape, Epilogue::ReluPool, algorithm);
            let values = |len: usize| (0..len).map(|i| (i % 13) as f32 / 6.0 - 1.0).collect::<Vec<f32>>();
            let (mut x, w, bias) =
                (values(BATCH * shape.input_len()), values(shape.filter_len()), values(cout));
            let (height, width, channels) = plan.output();
            let mut y = vec![0.0; BATCH * height * width * channels];
            let mut winners = vec![0; BATCH * plan.winners_len()];
            let mut scratch = vec![0.0; plan.forward_scratch(BATCH).max(plan.backward_scratch(BATCH))];
            group.bench_function(BenchmarkId::new("forward", format!("{algorithm:?}")), |bencher| {
                bencher.iter(|| plan.forward(&x, &w, &bias, &mut y, &mut winners, &mut scratch));
            });
            let (mut dw, dy) = (w.clone(), y);
            group.bench_function(BenchmarkId::new("filter gradient", format!("{algorithm:?}")), |bencher| {
                bencher.iter(|| plan.filter_gradient(&x, &dy, &winners, &mut dw, &mut scratch));
            });
            if cin > 3 {
                group.bench_function(
                    BenchmarkId::new("data gradient", format!("{algorithm:?}")),
                    |bencher| {
                        bencher.iter(|| plan.data_gradient(&dy, &winners, &w, &mut x, &mut scratch));
                    },
                );
            }
        }
    }
}

criterion_group!(benches, conv);
criterion_main!(benches);
