//! The matrix product, by every backend.

use floret_math::gemm::{Backend, gemm_with, par_gemm};
use floret_math::reference;
use floret_math::simd::Isa;
use ndarray::{Array2, ArrayView2, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::TOLERANCE;
use crate::close::assert_close;
use crate::sets::instruction_sets;

fn random2(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-1.0..1.0))
}

fn wide(a: ArrayView2<f32>) -> Array2<f64> {
    a.mapv(f64::from)
}

/// One case through every backend: plain and transposed operands, C a window of a larger array, every beta.
fn check_gemm(m: usize, k: usize, n: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (a, at) = (random2(m, k, &mut rng), random2(k, m, &mut rng));
    let (b, bt) = (random2(k, n, &mut rng), random2(n, k, &mut rng));
    let sparse = random2(m, 2 * k, &mut rng);
    let old = random2(m + 2, n + 3, &mut rng);
    let operands_a = [a.view(), at.t(), sparse.slice(s![.., ..;2])];
    let operands_b = [b.view(), bt.t()];
    let mut kinds: Vec<_> = instruction_sets().into_iter().map(|isa| (Backend::Native, isa)).collect();
    let others = Backend::ALL.iter().filter(|backend| **backend != Backend::Native);
    kinds.extend(others.map(|backend| (*backend, Isa::Portable)));
    for (backend, isa) in kinds {
        for a in &operands_a {
            for b in &operands_b {
                for (alpha, beta) in [(1.0, 0.0), (1.0, 1.0), (0.5, -2.0)] {
                    let inside = s![1..m + 1, 2..n + 2];
                    let mut c = old.clone();
                    if beta == 0.0 {
                        c.slice_mut(inside).fill(f32::NAN);
                    }
                    gemm_with(backend, isa, alpha, *a, *b, beta, c.slice_mut(inside));
                    let mut want = reference::matmul(wide(*a).view(), wide(*b).view()) * f64::from(alpha);
                    if beta != 0.0 {
                        want = want + wide(old.slice(inside)) * f64::from(beta);
                    }
                    let what = format!("{backend:?} {isa:?} {m}x{k}x{n} alpha {alpha} beta {beta}");
                    assert_close(&what, c.slice(inside), &want, TOLERANCE);
                    c.slice_mut(inside).assign(&old.slice(inside));
                    assert_eq!(c, old, "{what}: wrote outside of C");
                }
            }
        }
    }
    let want = reference::matmul(wide(a.view()).view(), wide(b.view()).view());
    for isa in instruction_sets() {
        let mut c = Array2::from_elem((m, n), f32::NAN);
        par_gemm(isa, 1.0, a.view(), b.view(), 0.0, c.view_mut());
        assert_close(&format!("par_gemm {isa:?}"), &c, &want, TOLERANCE);
    }
}

#[test]
fn gemm_of_any_size() {
    for m in [0, 1, 2, 7, 33] {
        for k in [0, 1, 3, 65] {
            for n in [0, 1, 5, 40] {
                check_gemm(m, k, n, 1);
            }
        }
    }
    check_gemm(130, 300, 70, 2);
    check_gemm(70, 300, 200, 3);
}
