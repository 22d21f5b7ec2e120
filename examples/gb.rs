use floret::math::gemm::*;
use ndarray::Array2;
use std::time::Instant;
fn main() {
    for (m, k, n) in [(2048, 2048, 2048), (4096, 800, 64), (1024, 3200, 256), (65536, 75, 32)] {
        let a = Array2::from_shape_fn((m, k), |(i, j)| ((i * 7 + j) % 11) as f32 - 5.);
        let b = Array2::from_shape_fn((k, n), |(i, j)| ((i * 3 + j) % 13) as f32 - 6.);
        let mut c = Array2::zeros((m, n));
        for be in Backend::ALL {
            let mut best = f64::MAX;
            for _ in 0..7 {
                let t = Instant::now();
                gemm_with(*be, 1., a.view(), b.view(), 0., c.view_mut());
                best = best.min(t.elapsed().as_secs_f64());
            }
            println!("{:?} {m}x{k}x{n} {:.1} GF/s", be, 2. * (m * k * n) as f64 / best / 1e9);
        }
    }
}
